//! One request: its headers, the pool of connections it goes through, and what is said of its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use reqwest::{Client, Response, Url};
use rustls::ClientConfig;
use tokio::time::timeout;

use crate::relay::answer::{Outcome, cause, scrubbed};
use crate::relay::backoff::retry_after;
use crate::relay::held::{Number, Outgoing};
use crate::relay::proxy::{self, Proxy};
use crate::relay::queue::Queue;
use crate::relay::say::Condition;
use crate::relay::{Kind, Settings, client};
use crate::secret::Url as Address;
use crate::version;

/// Bytes of an answer that are read so that its connection can be used again. One that is longer is closed.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The longest that reading them may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// Sends payloads to the two endpoints of one intake.
pub(super) struct Sender {
    settings: Settings,
    key: HeaderValue,
    /// The intake for people: host and, where it is unusual, port.
    host: String,
    urls: Result<[Url; 2], String>,
    /// What must never be printed.
    secrets: Vec<String>,
    pool: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    last: u64,
    built: Option<Built>,
    pool: Option<Pool>,
}

/// What is made once and kept for every client.
#[derive(Clone)]
struct Built {
    tls: ClientConfig,
    proxy: Option<Proxy>,
}

/// A client and its connections.
#[derive(Clone)]
struct Pool {
    client: Client,
    number: u64,
    made: Instant,
    /// It has had an answer, so there may be connections in it that have died since.
    has_answered: bool,
    /// The proxy in words, for errors, which may be its own.
    via: Option<String>,
}

impl Sender {
    /// A sender that has built and connected nothing yet.
    pub(super) fn new(settings: Settings, key: HeaderValue) -> Self {
        let base = settings.trace_url.trim().trim_end_matches('/');
        let url = |path: &str| match Url::parse(&format!("{base}{path}")) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
            Ok(_) => Err("it is no http:// or https:// URL".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let urls = url("/api/v0.2/traces").and_then(|traces| Ok([traces, url("/api/v0.2/stats")?]));
        let host = urls.as_ref().map_or_else(
            |_| Address::new(base).to_string(),
            |[url, _]| match (url.host_str().unwrap_or_default(), url.port()) {
                (host, Some(port)) => format!("{host}:{port}"),
                (host, None) => host.to_owned(),
            },
        );
        let mut secrets = vec![key.to_str().unwrap_or_default().to_owned()];
        for url in [&settings.proxy_http, &settings.proxy_https].into_iter().flatten() {
            let url = url.expose().split_once("://").map_or(url.expose(), |(_, rest)| rest);
            if let Some((userinfo, _)) = url.rsplit_once('@') {
                secrets.push(userinfo.to_owned());
                secrets.extend(userinfo.split_once(':').map(|(_, password)| password.to_owned()));
            }
        }
        // Shorter ones would blot out half of every line; none of ours is.
        secrets.retain(|secret| secret.len() > 3);
        Self { settings, key, host, urls, secrets, pool: Mutex::default() }
    }

    /// Forgets the connections: they are likely dead. Only those of the pool `number` where that is given.
    pub(super) fn discard_pool(&self, number: Option<u64>) {
        let mut slot = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if number.is_none() || slot.pool.as_ref().map(|pool| pool.number) == number {
            slot.pool = None;
        }
    }

    fn pool(&self) -> Result<Pool, String> {
        let mut slot = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = |pool: &&Pool| {
            let most = self.settings.connecting.reset_interval;
            most.is_none_or(|most| pool.made.elapsed() < most)
        };
        if let Some(pool) = slot.pool.as_ref().filter(lasts) {
            return Ok(pool.clone());
        }
        let built = match &slot.built {
            Some(built) => built.clone(),
            None => {
                let (tls, problem) = client::tls(&self.settings)?;
                let proxy =
                    self.urls.as_ref().map_or(Ok(None), |[url, _]| proxy::of(&self.settings, url));
                let (proxy, no_proxy) = match proxy {
                    Ok(proxy) => (proxy, None),
                    Err(why) => (None, Some(format!("{why}: the intake is asked directly"))),
                };
                for problem in [problem, no_proxy].into_iter().flatten() {
                    tracing::warn!("{}", scrubbed(&problem, &self.secrets));
                }
                slot.built.insert(Built { tls, proxy }).clone()
            }
        };
        let client = client::build(built.tls, built.proxy.as_ref(), &self.settings)?;
        slot.last += 1;
        let via = built.proxy.map(|proxy| format!(" (through the proxy {})", proxy.url));
        let made = Instant::now();
        let pool = Pool { client, number: slot.last, made, has_answered: false, via };
        slot.pool = Some(pool.clone());
        Ok(pool)
    }

    /// Sends one payload, settles it in the queue, says what is to be said and reads the rest of the answer. A payload that is too large is
    /// not settled: its number is returned, since it may be cut.
    pub(super) async fn send(
        self: Arc<Self>,
        queue: Arc<Queue>,
        payload: Outgoing,
    ) -> Option<Number> {
        let (outcome, answer) = self.request(&payload).await;
        self.say(&queue, &payload, &outcome);
        if matches!(outcome, Outcome::TooLarge) {
            return Some(payload.number);
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
                return (
                    Outcome::Refused(format!(
                        "its URL can't be used: {why}; check DD_APM_DD_URL and DD_SITE"
                    )),
                    None,
                );
            }
        };
        let mut is_fresh = false;
        loop {
            let pool = match self.pool() {
                Ok(pool) => pool,
                Err(why) => {
                    return (
                        Outcome::Retry { why: scrubbed(&why, &self.secrets), after: None },
                        None,
                    );
                }
            };
            let request = pool
                .client
                .post(urls[payload.kind as usize].clone())
                .headers(self.headers(payload));
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
                        self.settings.request_timeout.min(self.settings.connecting.timeout)
                    } else {
                        self.settings.request_timeout
                    };
                    let mut why = cause(&error.without_url(), time);
                    why.push_str(&pool.via.unwrap_or_default());
                    let why = scrubbed(&why, &self.secrets);
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

    fn headers(&self, payload: &Outgoing) -> HeaderMap {
        let content_type = match payload.kind {
            Kind::Traces => "application/x-protobuf",
            Kind::Stats => "application/msgpack",
        };
        let agent = format!("Datadog Trace Agent/{}/{}", version::AGENT, version::OWN);
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(encoding) = payload.encoding.header() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        headers.insert(HeaderName::from_static("dd-api-key"), self.key.clone());
        headers.extend(HeaderValue::try_from(agent).map(|agent| (USER_AGENT, agent)));
        // The languages come from tracers: what no header may hold leaves the header out.
        if let Some(languages) =
            HeaderValue::from_str(&payload.languages).ok().filter(|languages| !languages.is_empty())
        {
            headers.insert(HeaderName::from_static("x-datadog-reported-languages"), languages);
        }
        headers
    }

    fn say(&self, queue: &Queue, payload: &Outgoing, outcome: &Outcome) {
        let (said, host) = (&queue.said, &self.host);
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
                format!("the API key was refused by {host} (status {status}): what it refuses is dropped; check DD_API_KEY and DD_SITE")
            }),
            Outcome::TooLarge => said.at_times(Condition::TooLarge, || {
                format!("{host} finds a payload of {} bytes too large (status 413): it is cut, or dropped where it can't be", payload.body.len())
            }),
            Outcome::Refused(why) => said.at_times(Condition::Refused, || format!("{host} refuses a payload: {why}; it is dropped")),
            Outcome::Fault => {}
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
