//! Asking the intake: one request to each destination, again where the endpoint allows it, and what comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hyper::body::Bytes;
use hyper::{HeaderMap, Method, StatusCode};
use reqwest::{Body, Response};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::body::{Cut, Source};
use super::bounds::{Account, Bound, Counted, Taken};
use super::endpoint::{ENDPOINTS, Endpoint};
use super::target::Target;
use crate::ledger::Shed;
use crate::limits::PROXY_HELD_BYTES_MAX;
use crate::relay::{Dialed, Dialer, Jump, cause};

/// Attempts in all, for what is tried again (spec: trace-agent 8).
const ATTEMPTS_MAX: u32 = 3;

/// The wait after the first failed attempt; it doubles, up to the next.
const FIRST_WAIT: Duration = Duration::from_millis(100);

const WAIT_MAX: Duration = Duration::from_secs(2);

/// Copies that are under way at once. Above it a request goes to its main destination alone: a dead one must not use up what others need.
const COPIES_MAX: usize = 32;

/// Bytes of an answer that nobody wants which are read so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The longest that reading them may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// A request on its way.
pub(super) struct Passing {
    pub(super) endpoint: Endpoint,
    pub(super) method: Method,
    /// All of them but the key.
    pub(super) headers: HeaderMap,
    /// The main destination first. There is one at least.
    pub(super) targets: Vec<Target>,
    pub(super) body: Option<Arc<Source>>,
    /// When it has to be answered.
    pub(super) until: Instant,
    /// The time that it had from the start, for words.
    pub(super) time: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// In words, without a secret.
    Unanswered(String),
    /// The body did not come to its end.
    Cut(Cut),
    /// The time is up.
    TooSlow,
}

impl Failure {
    /// What it is counted as.
    pub(super) fn reason(&self) -> Shed {
        match self {
            Self::Unanswered(_) | Self::TooSlow => Shed::Unanswered,
            Self::Cut(Cut::NoRoom) => Shed::Busy,
            Self::Cut(Cut::TooLarge) => Shed::TooLarge,
            Self::Cut(Cut::Broken) => Shed::Refused,
        }
    }
}

/// The connections to the outside, and what is said of them.
pub(super) struct WayOut {
    dialer: Dialer,
    /// A client for each proxy that targets are reached through, and one for those without.
    clients: Mutex<Vec<(Option<String>, Dialed)>>,
    jump: Mutex<Jump>,
    copies: Arc<Bound>,
    /// Bytes that are held for another attempt or for copies.
    pub(super) held: Arc<Bound>,
    /// What failed last, and has been spoken of.
    failing: [AtomicBool; ENDPOINTS],
}

impl WayOut {
    /// One that has connected nothing yet.
    pub(super) fn new(dialer: Dialer) -> Self {
        Self {
            dialer,
            clients: Mutex::default(),
            jump: Mutex::new(Jump::new(Box::new(SystemTime::now))),
            copies: Bound::new(COPIES_MAX),
            held: Bound::new(PROXY_HELD_BYTES_MAX),
            failing: [const { AtomicBool::new(false) }; ENDPOINTS],
        }
    }

    /// Sends the request to all its destinations; the answer is that of the first. Copies go on after it. Where there is no room for them,
    /// it goes to the first alone.
    pub(super) async fn pass_on(
        self: &Arc<Self>,
        mut passing: Passing,
    ) -> Result<Response, Failure> {
        let until = passing.until;
        let in_time =
            |asked| async move { timeout_at(until, asked).await.unwrap_or(Err(Failure::TooSlow)) };
        let copies = passing.targets.split_off(passing.targets.len().min(1));
        if copies.is_empty() {
            return in_time(self.ask_again(&passing)).await;
        }
        let counted = Counted::of(passing.endpoint);
        let open = |target: Target| (Account::open(&target.ledger, counted), target);
        let copies: Vec<_> = copies.into_iter().map(open).collect();
        let room = match &passing.body {
            Some(body) => body.room(&self.held),
            None => self.held.take(0),
        };
        let Some((places, mut room)) = self.copies.take(copies.len()).zip(room) else {
            tracing::debug!("there is no room for copies of {}", passing.endpoint.words());
            copies.into_iter().for_each(|(account, _)| account.shed(Shed::Busy));
            return in_time(self.ask_again(&passing)).await;
        };
        let body = match &passing.body {
            Some(body) => timeout_at(until, body.collect(&mut room)).await,
            None => Ok(Ok(Bytes::new())),
        };
        let failure = match body {
            Ok(Ok(body)) => {
                self.copy_to(&passing, copies, Arc::new((places, room)), &body);
                let asked = self.ask_with(&passing, &body);
                return timeout_at(until, asked).await.unwrap_or(Err(Failure::TooSlow));
            }
            Ok(Err(cut)) => Failure::Cut(cut),
            Err(_) => Failure::TooSlow,
        };
        copies.into_iter().for_each(|(account, _)| account.shed(failure.reason()));
        Err(failure)
    }

    /// Starts the requests to further destinations, whose answers nobody waits for.
    fn copy_to(
        self: &Arc<Self>,
        passing: &Passing,
        copies: Vec<(Account, Target)>,
        taken: Arc<(Taken, Taken)>,
        body: &Bytes,
    ) {
        for (account, target) in copies {
            let (way_out, taken, body) = (Arc::clone(self), Arc::clone(&taken), body.clone());
            let (endpoint, until) = (passing.endpoint, passing.until);
            let (method, headers) = (passing.method.clone(), passing.headers.clone());
            drop(tokio::spawn(async move {
                let _taken = taken;
                let asked = way_out.ask(&method, &target, headers, whole(body));
                let why = match timeout_at(until, asked).await {
                    Ok(Ok(answer)) => {
                        way_out.debug(endpoint, &target, answer.status());
                        account.answered(answer.status());
                        return discard(answer).await;
                    }
                    Ok(Err(why)) => why,
                    Err(_) => "no answer in time".to_owned(),
                };
                way_out.failed(endpoint, &target, &why);
                account.shed(Shed::Unanswered);
            }));
        }
    }

    /// One destination and a body that comes: again where that may help and all of it is still there.
    async fn ask_again(&self, passing: &Passing) -> Result<Response, Failure> {
        let body = || passing.body.as_ref().map(|body| Body::wrap(body.reader()));
        let can_repeat = || passing.body.as_ref().is_none_or(|body| body.can_be_read_again());
        let cut = || passing.body.as_ref().and_then(|body| body.cut());
        self.attempt(passing, body, can_repeat).await.map_err(|why| match cut() {
            Some(cut) => Failure::Cut(cut),
            None => Failure::Unanswered(why),
        })
    }

    /// The same with a body that is in hand.
    async fn ask_with(&self, passing: &Passing, body: &Bytes) -> Result<Response, Failure> {
        let asked = self.attempt(passing, || whole(body.clone()), || true).await;
        asked.map_err(Failure::Unanswered)
    }

    async fn attempt(
        &self,
        passing: &Passing,
        body: impl Fn() -> Option<Body>,
        can_repeat: impl Fn() -> bool,
    ) -> Result<Response, String> {
        let Some(target) = passing.targets.first() else {
            return Err("it has no address".to_owned());
        };
        let attempts = if passing.endpoint.is_tried_again() { ATTEMPTS_MAX } else { 1 };
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let asked = self.ask(&passing.method, target, passing.headers.clone(), body()).await;
            let is_last = attempt >= attempts || !can_repeat();
            match &asked {
                Ok(answer) if !matches!(answer.status().as_u16(), 502..=504) => return asked,
                _ if is_last => return asked,
                Ok(answer) => self.debug(passing.endpoint, target, answer.status()),
                Err(why) => tracing::debug!("{} go again: {why}", passing.endpoint.words()),
            }
            sleep(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
        Err(String::new())
    }

    /// One request. An error is in words, without a secret.
    pub(super) async fn ask(
        &self,
        method: &Method,
        target: &Target,
        mut headers: HeaderMap,
        body: Option<Body>,
    ) -> Result<Response, String> {
        let (name, key) = &target.key;
        headers.insert(name, key.clone());
        let Dialed { client, via, .. } = self.client(target)?;
        let mut request = client.request(method.clone(), target.url.clone()).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        request.send().await.map_err(|error| {
            let why = cause(&error.without_url(), Duration::ZERO) + &via;
            self.dialer.scrubbed(&why)
        })
    }

    /// The client for a target. After a freeze all connections are made anew.
    fn client(&self, target: &Target) -> Result<Dialed, String> {
        let has_jumped = self.jump.lock().unwrap_or_else(PoisonError::into_inner).has_happened();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if has_jumped {
            clients.clear();
        }
        let way = self.dialer.way(&target.url);
        if let Some((_, dialed)) = clients.iter().find(|(own, _)| *own == way) {
            return Ok(dialed.clone());
        }
        let dialed = self.dialer.dial(&target.url, None)?;
        clients.push((way, dialed.clone()));
        Ok(dialed)
    }

    /// Copies that are under way.
    pub(super) fn copies_under_way(&self) -> usize {
        self.copies.taken()
    }

    /// Says that an endpoint fails, once until it works again. That telemetry does is for nobody to mend.
    pub(super) fn failed(&self, endpoint: Endpoint, target: &Target, why: &str) {
        let (host, what) = (target.url.host_str().unwrap_or_default(), endpoint.words());
        let is_known = self.failing[endpoint as usize].swap(true, Ordering::Relaxed);
        match endpoint {
            _ if is_known => tracing::debug!("{host} takes no {what}: {why}"),
            Endpoint::Telemetry => tracing::info!("{host} takes no {what} now: {why}"),
            _ => tracing::warn!("{host} takes no {what} now: {why}"),
        }
    }

    /// An endpoint has answered.
    pub(super) fn answered(&self, endpoint: Endpoint, target: &Target, status: StatusCode) {
        self.debug(endpoint, target, status);
        if self.failing[endpoint as usize].swap(false, Ordering::Relaxed) {
            let host = target.url.host_str().unwrap_or_default();
            tracing::info!("{host} takes {} again", endpoint.words());
        }
    }

    fn debug(&self, endpoint: Endpoint, target: &Target, status: StatusCode) {
        let host = target.url.host_str().unwrap_or_default();
        tracing::debug!("{} for {host} were answered {status}", endpoint.words());
    }
}

/// A body in hand; nothing where it is empty.
pub(super) fn whole(body: Bytes) -> Option<Body> {
    (!body.is_empty()).then(|| Body::from(body))
}

/// Reads an answer that nobody wants to its end, within bounds, so that its connection can be used again.
pub(super) async fn discard(mut answer: Response) {
    let mut left = ANSWER_BYTES_MAX;
    let read_all = async {
        while let Ok(Some(piece)) = answer.chunk().await {
            left = left.saturating_sub(piece.len());
            if left == 0 {
                break;
            }
        }
    };
    // Whether it took too long makes no difference: dropped before its end, the answer closes the connection.
    drop(timeout(ANSWER_TIME_MAX, read_all).await);
}
