//! Values as the text that rules look at, and texts as values again.

use std::borrow::Cow;
use std::fmt::Write;

/// A value that is a single piece.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
}

impl<'a> Scalar<'a> {
    /// What a text is once a rule has set it: an integer or a number if it reads as one (spec: trace-agent 3.8, observed with 7.85.2).
    #[must_use]
    pub fn read(text: Cow<'a, str>) -> Self {
        if let Some(int) = int(&text) {
            return Self::Int(int);
        }
        match float(&text) {
            Some(double) => Self::Double(double),
            None => Self::Text(text),
        }
    }

    /// The value as text.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Int(int) => Cow::Owned(int.to_string()),
            Self::Double(double) => Cow::Owned(double_text(*double)),
        }
    }
}

/// A text that reads as an integer.
pub(super) fn int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A text that reads as a double.
pub(super) fn float(text: &str) -> Option<f64> {
    // Digits that are too many for a double are an error for the agent; infinity in words is not.
    let is_kept = |double: &f64| double.is_finite() || !text.contains(|c: char| c.is_ascii_digit());
    text.parse().ok().filter(is_kept)
}

/// A double as the agent writes it: as many digits as tell it from its neighbours, never an exponent.
#[must_use]
pub fn double_text(double: f64) -> String {
    let mut text = String::new();
    write_double(double, &mut text);
    text
}

/// The same, appended to `out`.
pub(super) fn write_double(double: f64, out: &mut String) {
    if double.is_infinite() {
        out.push_str(if double > 0.0 { "+Inf" } else { "-Inf" });
        return;
    }
    // A String takes whatever is written.
    let written = write!(out, "{double}");
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{Scalar, double_text};

    #[test]
    fn texts_that_read_as_numbers_are_numbers() {
        for (text, expect) in [
            ("18", Scalar::Int(18)),
            ("+5", Scalar::Int(5)),
            ("-0", Scalar::Int(0)),
            ("9223372036854775808", Scalar::Double(9_223_372_036_854_775_808.0)),
            ("1e3", Scalar::Double(1000.0)),
            (".5", Scalar::Double(0.5)),
            ("-inf", Scalar::Double(f64::NEG_INFINITY)),
            ("1e999", Scalar::Text("1e999".into())),
            ("true", Scalar::Text("true".into())),
            (" 1", Scalar::Text(" 1".into())),
            ("", Scalar::Text("".into())),
        ] {
            assert_eq!(Scalar::read(Cow::Borrowed(text)), expect, "{text}");
        }
    }

    #[test]
    fn doubles_are_written_without_exponents() {
        for (double, expect) in
            [(5.5, "5.5"), (17.0, "17"), (1e21, "1000000000000000000000"), (1e-7, "0.0000001")]
        {
            assert_eq!(double_text(double), expect);
        }
        assert_eq!(double_text(f64::INFINITY), "+Inf");
        assert_eq!(double_text(f64::NAN), "NaN");
    }
}
