//! What a tracer sends that is neither a trace nor stats, passed on to Datadog as it is: telemetry, profiles, probes, events.
//!
//! A path has an [`Endpoint`]. The intake asks [`Proxy::pass_on`], which finds the [`target`]s and the [`headers`] of the request, takes a
//! place for it within the [`bounds`] and hands it to the one thread of [`run`], which begins with the first request. The [`body`] follows
//! piece by piece at the pace of the network; [`send`] asks, and the [`reply`] goes the same way back. Nothing here is waited for by a trace, and
//! the process plane does not know of it.

mod body;
mod bounds;
mod endpoint;
mod evp;
mod headers;
mod query;
mod reply;
mod run;
mod send;
mod settings;
mod statsd;
mod target;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use tokio::sync::mpsc::{Sender, channel, error::TrySendError};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::ledger::{Ledger, Shed};
use crate::limits::{PROXY_AT_ONCE_MAX, TELEMETRY_BYTES_MAX, TELEMETRY_REQUESTS_MAX};
use crate::relay::{self, Dialer};

use bounds::{Account, Bound, Counted};
use endpoint::ENDPOINTS;
use headers::Identity;
use run::{Job, Pass, Telemetry};
use send::{Passing, WayOut};
use target::{Base, Ledgers, Target};

pub use body::{Cut, Feed};
pub use endpoint::{EVP_HEADERS, Endpoint};
pub use reply::{Coming, Reply, ReplyBody};
pub use settings::{Install, Settings, Upstream};
pub use statsd::NotSent;

/// The proxy. Clones are the same one; with the last its thread ends.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
}

struct Inner {
    ways: [Way; ENDPOINTS],
    identity: Identity,
    statsd: Option<SocketAddr>,
    ledger: Arc<Ledger>,
    way_out: Arc<WayOut>,
    places: Arc<Bound>,
    telemetry_places: Arc<Bound>,
    telemetry_bytes: Arc<Bound>,
    /// The way to the thread, once it was started.
    jobs: Mutex<Option<Sender<Job>>>,
}

/// The way of one kind of request.
struct Way {
    bases: Vec<Base>,
    is_on: bool,
    body_bytes_max: usize,
    timeout: Duration,
}

/// What is answered without passing anything on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtOnce {
    /// As if there were no such path.
    Unknown,
    /// It is switched off: the status, and one line that says so.
    Off(StatusCode, &'static str),
    /// There is no key: taken and dropped, and answered as if it had been delivered, or the tracer would complain in the app's output.
    Dropped,
}

/// A request that is being passed on.
#[derive(Debug)]
pub struct Exchange {
    /// Where its body goes in; nothing where it has none.
    pub feed: Option<Feed>,
    /// Its answer. An error means that nobody will answer: as good as 502.
    pub answer: oneshot::Receiver<Reply>,
}

impl Proxy {
    /// A proxy that has started and connected nothing yet. `network` says how connections are made.
    pub fn new(settings: &Settings, network: relay::Settings, ledger: Arc<Ledger>) -> Self {
        let mut ledgers = Ledgers::new(Arc::clone(&ledger));
        let ways = settings.upstreams().map(|(endpoint, upstream)| match upstream {
            Some(upstream) => Way {
                bases: target::bases(endpoint, upstream, &mut ledgers),
                is_on: true,
                body_bytes_max: upstream.body_bytes_max,
                timeout: upstream.timeout,
            },
            None => Way {
                bases: Vec::new(),
                is_on: endpoint == Endpoint::Statsd && settings.statsd.is_some(),
                body_bytes_max: 0,
                timeout: Duration::ZERO,
            },
        });
        let inner = Inner {
            ways,
            identity: Identity::new(settings),
            statsd: settings.statsd,
            ledger,
            way_out: Arc::new(WayOut::new(Dialer::new(network))),
            places: Bound::new(PROXY_AT_ONCE_MAX),
            telemetry_places: Bound::new(TELEMETRY_REQUESTS_MAX),
            telemetry_bytes: Bound::new(TELEMETRY_BYTES_MAX),
            jobs: Mutex::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Whether requests of this kind are passed on.
    pub fn is_on(&self, endpoint: Endpoint) -> bool {
        self.inner.way(endpoint).is_on
    }

    /// The port of DogStatsD; 0 where it is off.
    pub fn statsd_port(&self) -> u16 {
        self.inner.statsd.map_or(0, |address| address.port())
    }

    /// What is answered where nothing of this kind is passed on; nothing where it is. It counts a request that is dropped.
    pub fn at_once(&self, endpoint: Endpoint) -> Option<AtOnce> {
        let way = self.inner.way(endpoint);
        if way.is_on {
            if !way.bases.is_empty() || endpoint == Endpoint::Statsd {
                return None;
            }
            self.inner.open(endpoint).shed(Shed::NoKey);
            return Some(AtOnce::Dropped);
        }
        Some(match endpoint {
            Endpoint::Evp => AtOnce::Off(
                StatusCode::METHOD_NOT_ALLOWED,
                "EVPProxy is disabled: Has been disabled in config",
            ),
            Endpoint::Lineage => AtOnce::Off(
                StatusCode::INTERNAL_SERVER_ERROR,
                "OpenLineage forwarder is OFF: Has been disabled in config",
            ),
            Endpoint::Profiles => AtOnce::Off(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Profile forwarder is OFF: no endpoint is left",
            ),
            Endpoint::Statsd => {
                AtOnce::Off(StatusCode::SERVICE_UNAVAILABLE, "503 Status Unavailable")
            }
            _ => AtOnce::Unknown,
        })
    }

    /// Begins to pass on a request. `peer` is the address that it came from, where it has one; `length` that of its body, where it is known.
    ///
    /// # Errors
    /// The answer, where it is not passed on: it asks for what it may not, is too large, or too many are under way. It has been counted.
    pub fn pass_on(
        &self,
        endpoint: Endpoint,
        head: &Parts,
        peer: Option<IpAddr>,
        length: Option<u64>,
    ) -> Result<Exchange, Box<Reply>> {
        let inner = &*self.inner;
        let (way, account) = (inner.way(endpoint), inner.open(endpoint));
        let targets = match inner.targets(endpoint, head) {
            Ok(targets) => targets,
            Err(why) => {
                tracing::debug!("{} were not passed on: {why}", endpoint.words());
                account.shed(Shed::Refused);
                return Err(Box::new(Reply::own(StatusCode::BAD_GATEWAY, "")));
            }
        };
        if length.is_some_and(|length| length > way.body_bytes_max as u64) {
            account.shed(Shed::TooLarge);
            return Err(Box::new(Reply::own(StatusCode::BAD_GATEWAY, "")));
        }
        let Some(place) = inner.places.take(1) else {
            account.shed(Shed::Busy);
            return Err(Box::new(Reply::own(StatusCode::TOO_MANY_REQUESTS, "{}")));
        };
        let held = endpoint.is_tried_again().then_some(&inner.way_out.held);
        let body = (length != Some(0)).then(|| body::way(way.body_bytes_max, length, held));
        let (feed, body) = body.unzip();
        let passing = Passing {
            endpoint,
            method: head.method.clone(),
            headers: inner.identity.outgoing(endpoint, head, peer),
            targets,
            body,
            until: Instant::now() + way.timeout,
            time: way.timeout,
        };
        let (sender, answer) = oneshot::channel();
        match inner.give(Job::Pass(Box::new(Pass { passing, answer: sender, account, place }))) {
            Ok(()) => Ok(Exchange { feed, answer }),
            Err(()) => Err(Box::new(Reply::own(StatusCode::BAD_GATEWAY, ""))),
        }
    }

    /// Takes telemetry. The answer, which does not wait for the network: 200, or 429 where too much waits already.
    pub fn take_telemetry(&self, head: &Parts, peer: Option<IpAddr>, body: &[u8]) -> Reply {
        let inner = &*self.inner;
        let account = inner.open(Endpoint::Telemetry);
        let Some((place, bytes)) =
            inner.telemetry_places.take(1).zip(inner.telemetry_bytes.take(body.len()))
        else {
            account.shed(Shed::Busy);
            return Self::too_much();
        };
        let Ok(targets) = inner.targets(Endpoint::Telemetry, head) else {
            account.shed(Shed::Refused);
            return Reply::own(StatusCode::INTERNAL_SERVER_ERROR, "{}");
        };
        let telemetry = Telemetry {
            method: head.method.clone(),
            headers: inner.identity.outgoing(Endpoint::Telemetry, head, peer),
            targets,
            body: Bytes::copy_from_slice(body),
            account,
            taken: [place, bytes],
        };
        match inner.give(Job::Telemetry(Box::new(telemetry))) {
            Ok(()) => Reply::own(StatusCode::OK, "{}"),
            Err(()) => Self::too_much(),
        }
    }

    /// The answer to telemetry of which too much waits already.
    pub fn too_much() -> Reply {
        Reply::own(StatusCode::TOO_MANY_REQUESTS, "{}")
    }

    /// Sends metrics to the DogStatsD port, a datagram for each line.
    ///
    /// # Errors
    /// Not all of it was sent.
    pub async fn send_metrics(&self, body: &[u8]) -> Result<(), NotSent> {
        let account = self.inner.open(Endpoint::Statsd);
        let Some(port) = self.inner.statsd else { return Ok(()) };
        let sent = statsd::send(body, port).await;
        match &sent {
            Ok(()) => account.answered(StatusCode::OK),
            Err(_) => account.shed(Shed::Refused),
        }
        sent
    }

    /// Whether requests whose tracers wait, or copies of them, are still under way.
    pub fn is_passing_on(&self) -> bool {
        self.inner.places.taken() + self.inner.way_out.copies_under_way() > 0
    }

    /// Whether telemetry still waits or is under way.
    pub fn has_telemetry(&self) -> bool {
        self.inner.telemetry_places.taken() > 0
    }
}

impl Inner {
    fn way(&self, endpoint: Endpoint) -> &Way {
        &self.ways[endpoint as usize]
    }

    fn open(&self, endpoint: Endpoint) -> Account {
        Account::open(&self.ledger, Counted::of(endpoint))
    }

    fn targets(&self, endpoint: Endpoint, head: &Parts) -> Result<Vec<Target>, String> {
        target::targets(endpoint, &self.way(endpoint).bases, head, &self.identity.host_tags)
    }

    /// Hands work to the thread, which is started where there is none, or none any more. A job that can't be handed over is counted.
    fn give(&self, mut job: Job) -> Result<(), ()> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..2 {
            let sender = match &*jobs {
                Some(sender) => sender,
                None => {
                    // All that may be under way at once has a place in it.
                    let (sender, receiver) = channel(PROXY_AT_ONCE_MAX + TELEMETRY_REQUESTS_MAX);
                    if let Err(error) = run::spawn(receiver, Arc::clone(&self.way_out)) {
                        tracing::warn!("nothing can be passed on: no thread ({error})");
                        break;
                    }
                    jobs.insert(sender)
                }
            };
            match sender.try_send(job) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Closed(back)) => {
                    *jobs = None;
                    job = back;
                }
                Err(TrySendError::Full(back)) => {
                    job = back;
                    break;
                }
            }
        }
        match job {
            Job::Pass(pass) => pass.account.shed(Shed::Fault),
            Job::Telemetry(telemetry) => telemetry.account.shed(Shed::Fault),
        }
        Err(())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("under_way", &self.inner.places.taken())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
