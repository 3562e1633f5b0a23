//! One request: its headers, the pool of connections it goes through, and what is said of its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Response, Url};
use tokio::time::timeout;

use crate::relay::answer::{Outcome, cause};
use crate::relay::backoff::retry_after;
use crate::relay::dial::{Dialed, Dialer};
use crate::relay::held::{Number, Outgoing};
use crate::relay::queue::Queue;
use crate::relay::say::Condition;
use crate::relay::{Family, Kind, headers};
use crate::secret::Url as Address;

/// Bytes of an answer that are read so that its connection can be used again. One that is longer is closed.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The longest that reading them may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// Sends payloads of one family to one intake.
pub(super) struct Sender {
    dialer: Arc<Dialer>,
    key: HeaderValue,
    /// The intake for people: host and, where it is unusual, port.
    pub(super) host: String,
    urls: Result<Vec<(Kind, Url)>, String>,
    request_timeout: Duration,
    family: Family,
    role: Role,
    pool: Mutex<Slot>,
}

/// Which settings name an intake, and so how it is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The main one.
    Main,
    /// One that gets copies, with the same patience.
    Further,
    /// One that gets copies, each with one attempt.
    BestEffort,
}

/// A payload that is too large for the intake.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooLarge {
    pub(super) number: Number,
    /// The intake has said so; else it is known beforehand.
    pub(super) is_answer: bool,
}

#[derive(Default)]
struct Slot {
    last: u64,
    pool: Option<Pool>,
}

/// A client and its connections.
#[derive(Clone)]
struct Pool {
    dialed: Dialed,
    number: u64,
    /// It has had an answer, so there may be connections in it that have died since.
    has_answered: bool,
}

impl Sender {
    /// A sender to the intake at `base` (scheme, host, port, perhaps a path) that has built and connected nothing yet.
    pub(super) fn new(
        dialer: Arc<Dialer>,
        base: &str,
        key: HeaderValue,
        request_timeout: Duration,
        family: Family,
        role: Role,
    ) -> Self {
        let base = base.trim().trim_end_matches('/');
        let url = |path: &str| match Url::parse(&format!("{base}{path}")) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
            Ok(_) => Err("it is no http:// or https:// URL".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let kinds = Kind::ALL.into_iter().filter(|kind| kind.family() == family);
        let urls: Result<Vec<_>, _> =
            kinds.map(|kind| Ok((kind, url(kind.traits().path)?))).collect();
        let host = match urls.as_deref() {
            Ok([(_, url), ..]) => match (url.host_str().unwrap_or_default(), url.port()) {
                (host, Some(port)) => format!("{host}:{port}"),
                (host, None) => host.to_owned(),
            },
            _ => Address::new(base).to_string(),
        };
        let pool = Mutex::default();
        Self { dialer, key, host, urls, request_timeout, family, role, pool }
    }

    /// Forgets the connections: they are likely dead. Only those of the pool `number` where that is given.
    pub(super) fn discard_pool(&self, number: Option<u64>) {
        let mut slot = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if number.is_none() || slot.pool.as_ref().map(|pool| pool.number) == number {
            slot.pool = None;
        }
    }

    fn pool(&self, target: &Url) -> Result<Pool, String> {
        let mut slot = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = slot.pool.as_ref().filter(|pool| self.dialer.lasts(&pool.dialed)) {
            return Ok(pool.clone());
        }
        let dialed = self.dialer.dial(target, Some(self.request_timeout))?;
        slot.last += 1;
        let pool = Pool { dialed, number: slot.last, has_answered: false };
        slot.pool = Some(pool.clone());
        Ok(pool)
    }

    /// Sends one payload, settles it in the queue, says what is to be said and reads the rest of the answer. A payload that is too large is
    /// not settled: it is returned who says so, since it may be cut.
    pub(super) async fn send(
        self: Arc<Self>,
        queue: Arc<Queue>,
        payload: Outgoing,
    ) -> Option<TooLarge> {
        let traits = payload.kind.traits();
        let (outcome, answer) =
            if payload.body.len() > traits.compressed_max || payload.raw_len > traits.raw_max {
                (Outcome::OverLimit, None)
            } else {
                self.request(&payload).await
            };
        let outcome = match outcome {
            Outcome::Retry { why, .. } if self.role == Role::BestEffort => Outcome::GivenUp(why),
            outcome => outcome,
        };
        self.say(&queue, &payload, &outcome);
        let number = payload.number;
        match outcome {
            Outcome::TooLarge => return Some(TooLarge { number, is_answer: true }),
            Outcome::OverLimit => return Some(TooLarge { number, is_answer: false }),
            _ => {}
        }
        queue.settle(payload.number, &outcome);
        if let Some(answer) = answer {
            drain(answer).await;
        }
        None
    }

    async fn request(&self, payload: &Outgoing) -> (Outcome, Option<Response>) {
        let urls = match &self.urls {
            Ok(urls) => urls,
            Err(why) => {
                return (Outcome::Refused(format!("its URL can't be used: {why}")), None);
            }
        };
        let Some((_, url)) = urls.iter().find(|(kind, _)| *kind == payload.kind) else {
            return (Outcome::Fault, None);
        };
        let mut is_fresh = false;
        loop {
            let pool = match self.pool(url) {
                Ok(pool) => pool,
                Err(why) => {
                    let why = self.dialer.scrubbed(&why);
                    return (Outcome::Retry { why, after: None }, None);
                }
            };
            let request = pool.dialed.client.post(url.clone()).headers(headers::of(
                payload,
                &self.key,
                SystemTime::now(),
            ));
            match request.body(payload.body.clone()).send().await {
                Ok(answer) => {
                    self.note_answer(pool.number);
                    let after =
                        answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                    let after = after.and_then(|text| retry_after(text, SystemTime::now()));
                    return (Outcome::of(answer.status(), after), Some(answer));
                }
                // An instance that was frozen wakes up with dead connections. What they break goes again at once, on new ones, and
                // is no failed attempt; without an answer on the new ones it does not happen again.
                Err(error) if pool.has_answered && !is_fresh && !error.is_connect() => {
                    self.discard_pool(Some(pool.number));
                    is_fresh = true;
                }
                Err(error) => {
                    let time = if error.is_connect() {
                        self.request_timeout.min(self.dialer.connect_timeout())
                    } else {
                        self.request_timeout
                    };
                    let why = cause(&error.without_url(), time) + &pool.dialed.via;
                    let why = self.dialer.scrubbed(&why);
                    return (Outcome::Retry { why, after: None }, None);
                }
            }
        }
    }

    fn note_answer(&self, number: u64) {
        let mut slot = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = slot.pool.as_mut().filter(|pool| pool.number == number) {
            pool.has_answered = true;
        }
    }

    fn say(&self, queue: &Queue, payload: &Outgoing, outcome: &Outcome) {
        let (said, host) = (&queue.said, &self.host);
        let (place, place_and_key) = match self.role {
            Role::Main => (self.family.place(), self.family.key()),
            Role::Further | Role::BestEffort => (self.family.further(), self.family.further()),
        };
        match outcome {
            Outcome::Sent => {
                said.over(Condition::KeyRefused);
                if said.over(Condition::Unreachable) {
                    tracing::info!("{host} takes data again");
                }
            }
            Outcome::Retry { why, .. } => {
                // A single failure is ordinary: it is mended by the next attempt.
                if payload.failures > 0 {
                    said.at_times(Condition::Unreachable, || {
                        format!("{host} takes no data now: {why}; {} held back, sent as soon as it does", queue.held_words())
                    });
                } else {
                    tracing::debug!("a payload for {host} goes again: {why}");
                }
            }
            Outcome::KeyRefused(status) => said.once(Condition::KeyRefused, || {
                format!("the API key was refused by {host} (status {status}): what it refuses is dropped; check {place_and_key}")
            }),
            Outcome::TooLarge => said.at_times(Condition::TooLarge, || {
                format!("{host} finds a payload of {} bytes too large (status 413): it is cut, or dropped where it can't be", payload.body.len())
            }),
            Outcome::Refused(why) => said.at_times(Condition::Refused, || format!("{host} refuses a payload: {why}; it is dropped; check {place}")),
            Outcome::GivenUp(why) => said.at_times(Condition::Unreachable, || {
                format!("{host} takes no data now: {why}; what it does not take is dropped, as {place} says that it is not reliable")
            }),
            Outcome::OverLimit | Outcome::Fault => {}
        }
    }
}

/// Reads an answer to its end, within bounds, so that its connection can be used again.
async fn drain(mut answer: Response) {
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
