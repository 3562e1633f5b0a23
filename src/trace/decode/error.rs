//! Why a body is refused.

use std::fmt;

/// Why a body is refused. Its text is the answer's body: what is wrong and where, in our own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The body ends before the value that it started.
    Truncated,
    /// The body is empty or ends early, and is JSON.
    JsonEof,
    /// The body is not the JSON that it should be.
    Json(String),
    /// A value of another kind than the one that belongs there.
    Kind {
        /// The kind that belongs there.
        wanted: &'static str,
        /// The first byte of the value.
        marker: u8,
        /// Where it is, counted in bytes from the start of the body.
        at: usize,
    },
    /// A number that does not fit.
    Range {
        /// What it is the number of.
        wanted: &'static str,
        /// Where it is.
        at: usize,
    },
    /// An array or map that claims more elements than there can be.
    TooLong {
        /// What it claims.
        items: usize,
        /// Where it is.
        at: usize,
    },
    /// More of something than one body may have: [`crate::limits::BODY_ITEMS_MAX`], [`crate::limits::BODY_SPANS_MAX`].
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// Values nested deeper than [`crate::limits::DECODE_DEPTH_MAX`].
    TooDeep {
        /// Where the limit was met.
        at: usize,
    },
    /// A v0.5 span that has not 12 elements.
    SpanElements {
        /// How many it has.
        items: usize,
        /// Where it is.
        at: usize,
    },
    /// The number of a string beyond the table.
    Index {
        /// The index.
        index: u64,
        /// How many strings the table has.
        strings: usize,
    },
    /// A list of groups, such as of keys, types and values, whose last group is not complete.
    Incomplete {
        /// How many elements the list has.
        items: usize,
        /// How many make up a group.
        each: usize,
        /// Where it is.
        at: usize,
    },
    /// A v1.0 value of a type that does not exist.
    ValueType {
        /// The type's number.
        kind: u32,
        /// Where it is.
        at: usize,
    },
    /// A v1.0 list of strings that does not come first.
    StringsNotFirst {
        /// Where it is.
        at: usize,
    },
    /// The path takes no msgpack.
    UnsupportedMedia,
}

impl Error {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::UnsupportedMedia => 415,
            Self::TooLarge { .. } => 413,
            _ => 400,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the msgpack body ends early: too few bytes left"),
            Self::JsonEof => write!(f, "unexpected-eof"),
            Self::Json(problem) => write!(f, "the JSON body can't be read: {problem}"),
            Self::Kind { wanted, marker, at } => {
                write!(f, "byte {at}: expected {wanted}, found msgpack type 0x{marker:02x}")
            }
            Self::Range { wanted, at } => write!(f, "byte {at}: the number does not fit {wanted}"),
            Self::TooLong { items, at } => {
                write!(f, "byte {at}: too long payload: {items} elements claimed")
            }
            Self::TooLarge { what, max } => {
                write!(f, "the body has more than {max} {what}: send smaller bodies")
            }
            Self::TooDeep { at } => write!(f, "byte {at}: values are nested too deep"),
            Self::SpanElements { items, at } => {
                write!(
                    f,
                    "byte {at}: encoded span needs exactly 12 elements in array, it has {items}"
                )
            }
            Self::Index { index, strings } => {
                write!(f, "dictionary index {index} out of range: the table has {strings} strings")
            }
            Self::Incomplete { items, each, at } => {
                write!(f, "byte {at}: {items} elements are not a multiple of {each}")
            }
            Self::ValueType { kind, at } => {
                write!(f, "byte {at}: there is no type of values with the number {kind}")
            }
            Self::StringsNotFirst { at } => {
                write!(f, "byte {at}: the list of strings has to come first")
            }
            Self::UnsupportedMedia => write!(f, "unsupported media type: \"application/msgpack\""),
        }
    }
}

impl std::error::Error for Error {}
