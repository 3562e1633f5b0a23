//! OTLP over HTTP: a path for each signal, protobuf or JSON, packed or not.

use std::rc::Rc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderName, HeaderValue,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};

use crate::limits::OTLP_BODIES_SHARED_BYTES_MAX;
use crate::otlp::answer::{self, Code};
use crate::otlp::coding::{Coding, Failure};
use crate::otlp::signals::Signals;
use crate::otlp::{Cors, Settings};
use crate::server::{self, Entry, Floor, Http1, Missing};
use crate::trace::decode::otlp::{Encoding, Error, Signal};

/// Where SDKs send what.
const PATHS: [(&str, Signal); 3] =
    [("/v1/traces", Signal::Traces), ("/v1/metrics", Signal::Metrics), ("/v1/logs", Signal::Logs)];

const COMPUTED_STATS: HeaderName = HeaderName::from_static("datadog-client-computed-stats");

pub(super) type Answer = Response<Full<Bytes>>;

/// What all connections share.
pub(super) struct Desk {
    floor: Floor<Http1>,
    body_bytes_max: usize,
    cors: Cors,
    signals: Rc<Signals>,
}

impl Desk {
    pub(super) fn new(settings: &Settings, signals: Rc<Signals>) -> Self {
        let body_bytes_max = settings.http_body_bytes_max;
        let floor = Floor::new(
            settings.connections_max,
            body_bytes_max,
            OTLP_BODIES_SHARED_BYTES_MAX,
            Http1::new(),
        );
        Self { floor, body_bytes_max, cors: settings.cors.clone(), signals }
    }

    async fn respond(&self, head: &Parts, incoming: Incoming, entry: &Entry) -> Answer {
        let signal = match self.before_reading(head) {
            Ok(signal) => signal,
            Err(early) => return discarding(*early, head, incoming, entry).await,
        };
        let (Some(encoding), Some(coding)) = (encoding(head), coding(head)) else {
            self.signals.count_refusal();
            let early = text(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "supported: application/x-protobuf and application/json, as they are or by gzip, deflate or zstd",
            );
            return discarding(early, head, incoming, entry).await;
        };
        match server::read(incoming, &self.floor.bodies, entry, expects_continue(head)).await {
            Ok(body) => match coding.unpack(&body, self.body_bytes_max) {
                Ok(plain) => self.take(head, signal, encoding, &plain),
                Err(failure) => {
                    self.signals.count_refusal();
                    match failure {
                        Failure::TooLarge => self.too_large(encoding),
                        Failure::Malformed => {
                            refused(encoding, StatusCode::BAD_REQUEST, "the body can't be unpacked")
                        }
                    }
                }
            },
            Err(missing) => {
                self.signals.count_refusal();
                match missing {
                    Missing::TooLarge => self.too_large(encoding),
                    Missing::TooSlow => last(refused(
                        encoding,
                        StatusCode::REQUEST_TIMEOUT,
                        "the body did not arrive in time",
                    )),
                    Missing::Broken => {
                        last(refused(encoding, StatusCode::BAD_REQUEST, "the body ends early"))
                    }
                }
            }
        }
    }

    /// What the request carries, or the answer to one whose body is of no interest.
    fn before_reading(&self, head: &Parts) -> Result<Signal, Box<Answer>> {
        let path = head.uri.path();
        let signal = PATHS.iter().find(|(own, _)| *own == path).map(|(_, signal)| *signal);
        let Some(signal) = signal.filter(|signal| self.signals.has(*signal)) else {
            return Err(text(StatusCode::NOT_FOUND, "404 page not found").into());
        };
        if let Some(preflight) = self.cors.preflight(head) {
            return Err(preflight.into());
        }
        if head.method != Method::POST {
            let mut answer =
                text(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed, supported: [POST]");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Err(answer.into());
        }
        Ok(signal)
    }

    fn take(&self, head: &Parts, signal: Signal, encoding: Encoding, body: &[u8]) -> Answer {
        let computed_stats = server::is_true(header(head, &COMPUTED_STATS));
        match self.signals.take(signal, encoding, computed_stats, body) {
            Ok(rejected) => of(StatusCode::OK, encoding, answer::taken(signal, encoding, rejected)),
            Err(error @ Error::TooLarge) => {
                refused(encoding, StatusCode::PAYLOAD_TOO_LARGE, &error.to_string())
            }
            Err(error) => refused(encoding, StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }

    fn too_large(&self, encoding: Encoding) -> Answer {
        let text = format!("the body is larger than {} bytes", self.body_bytes_max);
        refused(encoding, StatusCode::PAYLOAD_TOO_LARGE, &text)
    }
}

impl server::Desk for Desk {
    type Body = Full<Bytes>;
    type Http = Http1;

    fn floor(&self) -> &Floor<Http1> {
        &self.floor
    }

    async fn answer(&self, request: Request<Incoming>, entry: &Entry) -> Answer {
        let (head, incoming) = request.into_parts();
        let mut answer = self.respond(&head, incoming, entry).await;
        self.cors.allow(&head, &mut answer);
        answer
    }
}

fn header<'a>(head: &'a Parts, name: &HeaderName) -> &'a str {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn encoding(head: &Parts) -> Option<Encoding> {
    let media = header(head, &CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    match media.to_ascii_lowercase().as_str() {
        "application/x-protobuf" => Some(Encoding::Protobuf),
        "application/json" => Some(Encoding::Json),
        _ => None,
    }
}

fn coding(head: &Parts) -> Option<Coding> {
    Coding::named(header(head, &CONTENT_ENCODING))
}

fn expects_continue(head: &Parts) -> bool {
    header(head, &EXPECT).eq_ignore_ascii_case("100-continue")
}

/// The answer, once the body that nobody reads has come: a client that sends first and reads then would not see it otherwise. A client that
/// asks before it sends is answered before.
async fn discarding(answer: Answer, head: &Parts, incoming: Incoming, entry: &Entry) -> Answer {
    if expects_continue(head) || server::discard(incoming, entry).await {
        answer
    } else {
        last(answer)
    }
}

fn with_type(status: StatusCode, media: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    answer
}

/// An answer in the request's encoding.
fn of(status: StatusCode, encoding: Encoding, body: Vec<u8>) -> Answer {
    let media = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    with_type(status, media, body)
}

/// An answer to what is no request of OTLP.
fn text(status: StatusCode, text: &str) -> Answer {
    with_type(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

fn refused(encoding: Encoding, status: StatusCode, message: &str) -> Answer {
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => Code::ResourceExhausted,
        StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
        _ => Code::InvalidArgument,
    };
    of(status, encoding, answer::status(encoding, code, message))
}

/// The last answer of a connection: what is still to come on it is not read.
fn last(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
