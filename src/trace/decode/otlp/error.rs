//! Why a body is refused.

use std::fmt;

use crate::limits::{OTLP_ATTRIBUTES_MAX, OTLP_SPANS_BYTES_MAX};

/// Why a body is refused. Its text goes to the client: what is wrong and where, in our own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is not the protobuf that it should be.
    Malformed {
        /// The message that is malformed.
        message: &'static str,
        /// Where, counted in bytes from the start of the body (of its protobuf form, where it was JSON).
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// It is not the JSON that it should be.
    Json(String),
    /// Something has more attributes than [`OTLP_ATTRIBUTES_MAX`].
    TooManyAttributes,
    /// Its spans, each with the attributes of its resource, would take more than [`OTLP_SPANS_BYTES_MAX`].
    TooLarge,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { message, at, what } => write!(f, "byte {at}: {message}: {what}"),
            Self::Json(problem) => write!(f, "the JSON body can't be read: {problem}"),
            Self::TooManyAttributes => {
                write!(
                    f,
                    "a span, library or resource has more than {OTLP_ATTRIBUTES_MAX} attributes"
                )
            }
            Self::TooLarge => write!(
                f,
                "the spans with their resources' attributes take more than {OTLP_SPANS_BYTES_MAX} bytes: send fewer at a time"
            ),
        }
    }
}

impl std::error::Error for Error {}
