//! What a line is for the message that is being put together: its beginning, more of it, or a message by itself (spec: metrics-logs 4.6).

use super::samples::Sample;
use super::timestamps::Timestamps;
use super::tokens::{Token, tokenize};
use crate::logs::lines::trim;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// The first line of a message.
    Start,
    /// More of the message before it, where there is one.
    More,
    /// A message by itself.
    Alone,
}

/// Gives lines their labels.
#[derive(Debug)]
pub(super) struct Labeler {
    pub(super) samples: Vec<Sample>,
    pub(super) detects_json: bool,
    /// Nothing where timestamps are not looked for.
    pub(super) timestamps: Option<Timestamps>,
    /// Bytes of a line that are looked at for timestamps and samples.
    pub(super) bytes_max: usize,
    /// Whether a time of day with a fraction begins a message too.
    pub(super) takes_times: bool,
}

impl Labeler {
    /// The label of a line. `tokens` is memory to work in.
    pub(super) fn label(&self, text: &[u8], tokens: &mut Vec<Token>) -> Label {
        if trim(text).is_empty() {
            return Label::More;
        }
        if self.samples.is_empty() && self.detects_json && is_json(text) {
            return Label::Alone;
        }
        let begins = |known: &Timestamps| known.begins(text, self.bytes_max);
        if self.samples.is_empty() && self.timestamps.as_ref().is_some_and(begins) {
            return Label::Start;
        }
        tokenize(text, self.bytes_max, tokens);
        if let Some(sample) = self.samples.iter().find(|sample| sample.is_like(text, tokens)) {
            return sample.label;
        }
        if self.detects_json && is_json(text) {
            return Label::Alone;
        }
        let has_timestamp = self.timestamps.as_ref().is_some_and(|known| known.is_in(tokens));
        if has_timestamp || self.takes_times && begins_with_time(text) {
            return Label::Start;
        }
        Label::More
    }
}

/// Whether a text begins as an object does: a brace, then a key or the end.
fn is_json(text: &[u8]) -> bool {
    match text.trim_ascii_start() {
        [b'{', rest @ ..] => matches!(rest.trim_ascii_start().first(), Some(b'"' | b'}')),
        _ => false,
    }
}

/// Whether a line begins with `HH:MM:SS.mmm`, maybe in brackets, and goes on with a space: what Logback writes unless it is told otherwise. The
/// agent does not take it for a timestamp; without one, the stack trace behind it would be a message of its own.
fn begins_with_time(text: &[u8]) -> bool {
    const FORM: &[u8] = b"00:00:00.000";
    let text = text.strip_prefix(b"[").unwrap_or(text);
    let Some((time, rest)) = text.split_at_checked(FORM.len()) else { return false };
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        b'.' => matches!(byte, b'.' | b','),
        form => byte == form,
    };
    time.iter().zip(FORM).all(fits) && matches!(rest.first(), Some(b' ' | b']'))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, Sample};
    use super::{Label, Labeler, Timestamps};

    fn labeler(samples: &str) -> Labeler {
        let mut problems = Vec::new();
        let settings = samples::parse(samples, &mut problems);
        assert!(problems.is_empty());
        Labeler {
            samples: Sample::compile(&settings, &mut problems),
            detects_json: true,
            timestamps: Some(Timestamps::new(0.5)),
            bytes_max: 60,
            takes_times: true,
        }
    }

    fn check(labeler: &Labeler, lines: &[(&str, Label)]) {
        for (text, expect) in lines {
            assert_eq!(labeler.label(text.as_bytes(), &mut Vec::new()), *expect, "{text:?}");
        }
    }

    #[test]
    fn lines_are_told_apart() {
        use Label::{Alone, More, Start};
        let lines = [
            (r#"{"key": "value"}"#, Alone),
            (r#"   { "key": 1"#, Alone),
            ("{}", Alone),
            (" {    }", Alone),
            (r#".{"key": 1}"#, More),
            (r#"{."key": 1}"#, More),
            ("{foo}", More),
            (r#""FOO"}"#, More),
            ("not json", More),
            ("", More),
            (" ", More),
            ("2026-11-25 22:10:05 x", Start),
            (r#"{"time":"2026-11-25 22:10:05"}"#, Alone),
            ("22:10:05.123 [main] INFO x", Start),
            ("[22:10:05,123] x", Start),
            ("22:10:05.123", More),
            ("22:10:05 x", More),
            ("12:30:20 - info App started", More),
        ];
        check(&labeler("[]"), &lines);
    }

    #[test]
    fn samples_come_first() {
        use Label::{Alone, More, Start};
        let labeler = labeler(
            r#"[{"sample": "!![$web worker%]"}, {"regex": "(foo|bar)\\d+", "label": "no_aggregate"},
                {"sample": "{\"at\"", "match_threshold": 1, "label": "aggregate"}]"#,
        );
        let lines = [
            ("!![$web worker%] x", Start),
            ("!![$job runner%] x", Start),
            ("!![web%] x", More),
            ("foo12 x", Alone),
            (" foo12 x", More),
            ("{\"is\": 1}", More),
            ("{\"key\": 1}", Alone),
            ("", More),
        ];
        check(&labeler, &lines);
    }
}
