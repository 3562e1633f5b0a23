//! OTLP over gRPC: one method, called with one message and answered with one.

use std::rc::Rc;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};

use crate::limits::OTLP_BODIES_SHARED_BYTES_MAX;
use crate::otlp::answer::{self, Code};
use crate::otlp::coding::{Coding, Failure};
use crate::otlp::signals::Signals;
use crate::otlp::unary::Unary;
use crate::otlp::{GRPC_CONNECTIONS_MAX, Settings};
use crate::server::{self, Entry, Floor, Http2, Missing};
use crate::trace::decode::otlp::{Encoding, Error, Signal};

/// The methods that there are.
const METHODS: [(&str, Signal); 3] = [
    ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Signal::Traces),
    ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Signal::Metrics),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Signal::Logs),
];

/// Bytes in front of a message: whether it is packed, and its length.
const PREFIX_BYTES: usize = 5;

type Answer = Response<Unary>;

/// Why a call is refused.
type Refusal = (Code, String);

/// What all connections share.
pub(super) struct Desk {
    floor: Floor<Http2>,
    message_bytes_max: usize,
    signals: Rc<Signals>,
}

impl Desk {
    pub(super) fn new(settings: &Settings, signals: Rc<Signals>) -> Self {
        let message_bytes_max = settings.grpc_message_bytes_max;
        let floor = Floor::new(
            settings.connections_max.min(GRPC_CONNECTIONS_MAX),
            message_bytes_max + PREFIX_BYTES,
            OTLP_BODIES_SHARED_BYTES_MAX,
            Http2::new(settings.grpc_requests_max),
        );
        Self { floor, message_bytes_max, signals }
    }

    async fn call(
        &self,
        head: &Parts,
        incoming: Incoming,
        entry: &Entry,
    ) -> Result<Vec<u8>, Refusal> {
        let path = head.uri.path();
        let signal = METHODS.iter().find(|(own, _)| *own == path).map(|(_, signal)| *signal);
        let Some(signal) = signal.filter(|signal| self.signals.has(*signal)) else {
            let text = match signal {
                None => format!("unknown method {path}"),
                Some(signal) => format!("{signal:?} are not taken: they are switched off"),
            };
            return Err((Code::Unimplemented, text));
        };
        let coding = Coding::named(text(&head.headers, "grpc-encoding"));
        let body = server::read(incoming, &self.floor.bodies, entry, false).await;
        let body = body.map_err(|missing| self.missing(missing))?;
        let message = unpack(&body, coding, self.message_bytes_max)
            .inspect_err(|_| self.signals.count_refusal())?;
        let computed_stats = server::is_true(text(&head.headers, "datadog-client-computed-stats"));
        match self.signals.take(signal, Encoding::Protobuf, computed_stats, &message) {
            Ok(rejected) => Ok(answer::taken(signal, Encoding::Protobuf, rejected)),
            Err(error @ Error::TooLarge) => Err((Code::ResourceExhausted, error.to_string())),
            Err(error) => Err((Code::InvalidArgument, error.to_string())),
        }
    }

    fn missing(&self, missing: Missing) -> Refusal {
        self.signals.count_refusal();
        match missing {
            Missing::TooLarge => too_large(self.message_bytes_max),
            Missing::TooSlow => {
                (Code::DeadlineExceeded, "the message did not arrive in time".to_owned())
            }
            Missing::Broken => (Code::Internal, "the message ends early".to_owned()),
        }
    }
}

impl server::Desk for Desk {
    type Body = Unary;
    type Http = Http2;

    fn floor(&self) -> &Floor<Http2> {
        &self.floor
    }

    async fn answer(&self, request: Request<Incoming>, entry: &Entry) -> Answer {
        let (head, incoming) = request.into_parts();
        if head.method != Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED);
        }
        if !is_grpc(text(&head.headers, CONTENT_TYPE.as_str())) {
            return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        match self.call(&head, incoming, entry).await {
            Ok(message) => taken(&message),
            Err((code, message)) => refused(code, &message),
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// `application/grpc`, also with `+proto` and with parameters.
fn is_grpc(media: &str) -> bool {
    let media = media.split(';').next().unwrap_or_default().trim();
    ["application/grpc", "application/grpc+proto"].iter().any(|own| media.eq_ignore_ascii_case(own))
}

fn too_large(bytes_max: usize) -> Refusal {
    (Code::ResourceExhausted, format!("the message is larger than {bytes_max} bytes"))
}

/// The one message of a body, unpacked.
fn unpack(
    body: &[u8],
    coding: Option<Coding>,
    bytes_max: usize,
) -> Result<std::borrow::Cow<'_, [u8]>, Refusal> {
    let internal = |text: &str| (Code::Internal, text.to_owned());
    let Some(([packed, length @ ..], message)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(internal("there is no message"));
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length > bytes_max {
        return Err(too_large(bytes_max));
    }
    if length != message.len() {
        return Err(internal("there is not one whole message"));
    }
    let coding = match (packed, coding) {
        (0, _) => Coding::Identity,
        (1, Some(Coding::Gzip)) => Coding::Gzip,
        (1, Some(Coding::Identity)) => {
            return Err(internal("the message is packed, but how is not said"));
        }
        (1, _) => {
            return Err((Code::Unimplemented, "messages may be packed by gzip only".to_owned()));
        }
        _ => return Err(internal("the message is marked in a way that does not exist")),
    };
    coding.unpack(message, bytes_max).map_err(|failure| match failure {
        Failure::TooLarge => too_large(bytes_max),
        Failure::Malformed => internal("the message can't be unpacked"),
    })
}

fn head(body: Unary) -> Answer {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}

fn taken(message: &[u8]) -> Answer {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", (Code::Ok as u16).into());
    head(Unary::new(message, trailers))
}

/// A refusal is told in the head alone.
fn refused(code: Code, message: &str) -> Answer {
    let mut answer = head(Unary::default());
    let headers = answer.headers_mut();
    headers.insert("grpc-status", (code as u16).into());
    if let Ok(message) = HeaderValue::from_str(&percent_encoded(message)) {
        headers.insert("grpc-message", message);
    }
    if code == Code::Unimplemented {
        headers.insert("grpc-accept-encoding", HeaderValue::from_static("gzip"));
    }
    answer
}

/// What is no gRPC is answered as HTTP.
fn plain(status: StatusCode) -> Answer {
    let mut answer = Response::new(Unary::default());
    *answer.status_mut() = status;
    answer
}

/// Everything but printable ASCII as `%` and two digits.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{Code, Coding, is_grpc, percent_encoded, unpack};

    fn code(body: &[u8], coding: Option<Coding>) -> Code {
        unpack(body, coding, 10).unwrap_err().0
    }

    #[test]
    fn a_body_is_one_whole_message() {
        let identity = Some(Coding::Identity);
        assert_eq!(unpack(&[0, 0, 0, 0, 2, 7, 8], identity, 10).unwrap(), &[7, 8][..]);
        assert!(unpack(&[0, 0, 0, 0, 0], None, 10).unwrap().is_empty());
        for broken in
            [&[][..], &[0, 0, 0, 0], &[0, 0, 0, 0, 2, 7], &[0, 0, 0, 0, 1, 7, 8], &[2, 0, 0, 0, 0]]
        {
            assert_eq!(code(broken, identity), Code::Internal, "{broken:?}");
        }
        assert_eq!(code(&[0, 0, 0, 0, 11, 1], identity), Code::ResourceExhausted);
        assert_eq!(code(&[1, 0, 0, 0, 1, 1], identity), Code::Internal);
        assert_eq!(code(&[1, 0, 0, 0, 1, 1], Some(Coding::Gzip)), Code::Internal);
        assert_eq!(code(&[1, 0, 0, 0, 1, 1], Some(Coding::Zstd)), Code::Unimplemented);
        assert_eq!(code(&[1, 0, 0, 0, 1, 1], None), Code::Unimplemented);
    }

    #[test]
    fn what_is_grpc_and_what_it_says() {
        assert!(is_grpc("application/grpc") && is_grpc("Application/gRPC+proto; x=y"));
        assert!(
            !is_grpc("application/grpc-web") && !is_grpc("application/grpc+json") && !is_grpc("")
        );
        assert_eq!(percent_encoded("100% ü\n"), "100%25 %C3%BC%0A");
    }
}
