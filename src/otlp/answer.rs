//! The messages of answers: what was taken, and why something was not, in the encoding of the request.

use serde_json::json;

use crate::trace::decode::otlp::{Encoding, Signal};
use crate::wire;

/// Codes of gRPC that are answered with, also within answers over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Taken.
    Ok = 0,
    /// Malformed: sending it again changes nothing.
    InvalidArgument = 3,
    /// It did not arrive in time.
    DeadlineExceeded = 4,
    /// Too large.
    ResourceExhausted = 8,
    /// Nobody here does that.
    Unimplemented = 12,
    /// The framing is broken.
    Internal = 13,
}

/// What was not taken, by signal: the field's name in JSON, and why.
fn rejections(signal: Signal) -> (&'static str, &'static str) {
    match signal {
        Signal::Traces => {
            ("rejectedSpans", "spans without a trace id or span id, or of a trace with such a span")
        }
        Signal::Metrics => (
            "rejectedDataPoints",
            "points without a name or finite number, of an unknown temporality, with bounds out of order, not newer than the point before, \
             cumulative exponential histograms, or totals of more metrics than can be remembered",
        ),
        Signal::Logs => ("rejectedLogRecords", "records that are too large"),
    }
}

/// An `Export…ServiceResponse`: empty where everything was taken.
pub(super) fn taken(signal: Signal, encoding: Encoding, rejected: u64) -> Vec<u8> {
    let (name, why) = rejections(signal);
    match (encoding, rejected) {
        (Encoding::Protobuf, 0) => Vec::new(),
        (Encoding::Json, 0) => b"{}".to_vec(),
        (Encoding::Protobuf, _) => {
            let mut partial = Vec::new();
            wire::number(&mut partial, 0x08, rejected);
            wire::bytes(&mut partial, 0x12, why.as_bytes());
            let mut response = Vec::new();
            wire::bytes(&mut response, 0x0a, &partial);
            response
        }
        (Encoding::Json, _) => {
            // Whole numbers of 64 bits are text in the JSON of protobuf.
            let partial = json!({name: rejected.to_string(), "errorMessage": why});
            json!({"partialSuccess": partial}).to_string().into_bytes()
        }
    }
}

/// A `google.rpc.Status`.
pub(super) fn status(encoding: Encoding, code: Code, message: &str) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => {
            let mut status = Vec::new();
            wire::number(&mut status, 0x08, code as u64);
            wire::bytes(&mut status, 0x12, message.as_bytes());
            status
        }
        Encoding::Json => json!({"code": code as i32, "message": message}).to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Encoding, Signal, status, taken};

    #[test]
    fn what_was_taken_is_said_in_both_encodings() {
        assert!(taken(Signal::Traces, Encoding::Protobuf, 0).is_empty());
        assert_eq!(taken(Signal::Traces, Encoding::Json, 0), b"{}");
        let partial = taken(Signal::Traces, Encoding::Protobuf, 300);
        assert_eq!(partial[..7], [0x0a, 72, 0x08, 0xac, 0x02, 0x12, 67]);
        let text = String::from_utf8(taken(Signal::Traces, Encoding::Json, 3)).unwrap();
        assert!(text.contains(r#""rejectedSpans":"3""#) && text.contains("errorMessage"), "{text}");
        let text = String::from_utf8(taken(Signal::Metrics, Encoding::Json, 3)).unwrap();
        assert!(text.contains(r#""rejectedDataPoints":"3""#), "{text}");
    }

    #[test]
    fn a_refusal_is_a_status() {
        assert_eq!(
            status(Encoding::Protobuf, Code::InvalidArgument, "no"),
            [0x08, 3, 0x12, 2, b'n', b'o']
        );
        assert_eq!(
            status(Encoding::Json, Code::InvalidArgument, "\""),
            br#"{"code":3,"message":"\""}"#
        );
    }
}
