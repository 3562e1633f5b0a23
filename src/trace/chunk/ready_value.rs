//! Values of attributes on their way into a payload.

use super::Context;
use crate::trace::model::Value;
use crate::trace::normalise;
use crate::trace::strings::Ref;
use crate::trace::table::as_text;

/// The value of an attribute that is ready to be encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReadyValue {
    /// A string of the table.
    Text(Ref),
    /// A double.
    Number(f64),
    /// An integer.
    Int(i64),
    /// A boolean, bytes, an array or a map, as the body has it.
    Other(Value),
}

impl ReadyValue {
    /// The value as a number; a boolean is 0 or 1.
    #[expect(clippy::cast_precision_loss, reason = "rules look at small numbers")]
    pub(super) fn number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Int(int) => Some(int as f64),
            Self::Other(Value::Bool(flag)) => Some(f64::from(u8::from(flag))),
            Self::Text(_) | Self::Other(_) => None,
        }
    }

    /// The value as an integer, where it is a number without a fraction.
    #[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
    pub(super) fn whole(self) -> Option<i64> {
        // 2^63 is the first double that does not fit.
        const LIMIT: f64 = 9_223_372_036_854_775_808.0;
        match self {
            Self::Int(int) => Some(int),
            Self::Number(number) if number.fract() == 0.0 && (-LIMIT..LIMIT).contains(&number) => {
                Some(number as i64)
            }
            _ => None,
        }
    }

    /// The value as the body has it, where it is no string.
    pub(super) fn in_body(self) -> Value {
        match self {
            Self::Text(_) => Value::None,
            Self::Number(number) => Value::Number(number),
            Self::Int(int) => Value::Int(int),
            Self::Other(other) => other,
        }
    }
}

/// Whether a value that is no string is an HTTP status: its text must be one.
pub(super) fn is_http_status(value: ReadyValue, context: &Context<'_>) -> bool {
    match value {
        ReadyValue::Other(Value::Bytes(text)) => {
            normalise::is_valid_status_code(&as_text(text.of(context.source)))
        }
        _ => value.whole().is_some_and(|whole| (100..600).contains(&whole)),
    }
}

/// The status code of a number, 0 where it can't be one.
pub(super) fn status_code(whole: Option<i64>) -> u32 {
    whole.and_then(|whole| u32::try_from(whole).ok()).unwrap_or(0)
}
