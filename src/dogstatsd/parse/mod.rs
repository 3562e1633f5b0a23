//! Lines of the DogStatsD protocol, versions 1.0 to 1.6 (spec: metrics-logs 1.2–1.5). Pure: what is read is borrowed from the packet, and
//! what there may be many of goes into memory that stays ([`Lists`]). A line is taken whole or refused whole.
//!
//! The rules are the agent's, and lenient where it is: fields stand in any order, of two of a kind the last counts, unknown ones are passed
//! over. So are those of a container (`c:`, `e:`, `card:`): they find tags where an agent watches containers from outside.

mod check;
mod event;
mod metric;

use std::fmt;

use crate::metrics::{Check, Event};

pub(super) use metric::Metric;

/// What a line may have many of: it is read into memory that stays from line to line.
#[derive(Debug, Default)]
pub(super) struct Lists<'a> {
    /// The numbers of a metric. One may be infinite or none at all: that is for who takes them.
    pub(super) numbers: Vec<f64>,
    /// Tags in their order, without empty ones.
    pub(super) tags: Vec<&'a str>,
}

/// A line.
#[derive(Debug)]
pub(super) enum Line<'a> {
    /// Values of a metric.
    Metric(Metric<'a>),
    /// An event. Its tags are in the lists, and its title and text still have `\n` for a line feed.
    Event(Event<'a>),
    /// A service check. Its tags are in the lists.
    Check(Check<'a>),
}

/// Which kind of line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Metric,
    Event,
    Check,
}

impl Kind {
    /// What a line is by its first bytes. (The agent takes `_sc` for a service check, which hides metrics whose names begin so.)
    pub(super) fn of(line: &str) -> Self {
        match line.as_bytes() {
            [b'_', b'e', b'{', ..] => Self::Event,
            [b'_', b's', b'c', b'|', ..] => Self::Check,
            _ => Self::Metric,
        }
    }
}

/// Why a line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    NoType,
    NoName,
    NoValue,
    Type,
    Number,
    Rate,
    Timestamp,
    Header,
    Lengths,
    Status,
    /// It was longer than what is read at once.
    CutOff,
    /// It has no line feed, and the settings ask for one.
    NoLineFeed,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoType => "there is no type after a |",
            Self::NoName => "the name is empty",
            Self::NoValue => "there is no value",
            Self::Type => "the type is none of c, g, h, ms, d, s",
            Self::Number => "a value is no number",
            Self::Rate => "the sample rate is no number",
            Self::Timestamp => "the timestamp is no number above 0",
            Self::Header => "an event begins as _e{5,4}: with the bytes of title and text",
            Self::Lengths => "title and text are not as long as the event says",
            Self::Status => "the status is none of 0, 1, 2, 3",
            Self::CutOff => "it is cut off: raise DD_DOGSTATSD_BUFFER_SIZE",
            Self::NoLineFeed => {
                "it has no line feed at its end, which DD_DOGSTATSD_EOL_REQUIRED asks for"
            }
        })
    }
}

/// Reads one line, without its line feed. `has_timestamps`: a metric's `T` counts.
pub(super) fn line<'a>(
    line: &'a str,
    has_timestamps: bool,
    lists: &mut Lists<'a>,
) -> Result<Line<'a>, Wrong> {
    lists.numbers.clear();
    lists.tags.clear();
    match Kind::of(line) {
        Kind::Metric => metric::read(line, has_timestamps, lists).map(Line::Metric),
        Kind::Event => event::read(line, lists).map(Line::Event),
        Kind::Check => check::read(line, lists).map(Line::Check),
    }
}

/// Reads the tags of a `#` field in place of those that were there.
fn tags<'a>(list: &'a str, tags: &mut Vec<&'a str>) {
    tags.clear();
    tags.extend(list.split(',').filter(|tag| !tag.is_empty()));
}

/// What stands before the first `byte`, and what behind it.
fn cut(text: &str, byte: char) -> (&str, Option<&str>) {
    match text.split_once(byte) {
        Some((before, behind)) => (before, Some(behind)),
        None => (text, None),
    }
}

/// The fields of `rest`, which is what follows a `|`.
fn fields(rest: Option<&str>) -> impl Iterator<Item = &str> {
    rest.into_iter().flat_map(|rest| rest.split('|'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop, proptest};

    use super::{Kind, Line, Lists, line};

    #[test]
    fn the_first_bytes_say_what_a_line_is() {
        for (text, expect) in [
            ("a:1|c", Kind::Metric),
            ("_e{1,1}:a|b", Kind::Event),
            ("_sc|a|0", Kind::Check),
            ("_scope.size:1|c", Kind::Metric),
            ("_e:1|c", Kind::Metric),
            ("", Kind::Metric),
        ] {
            assert_eq!(Kind::of(text), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in any::<String>()) {
            drop(line(&text, true, &mut Lists::default()));
        }

        #[test]
        fn what_looks_like_a_line_is_taken_or_refused(
            text in "(_e\\{[0-9]{0,2},[0-9]{0,2}\\}:|_sc\\||[a-zé]{0,3}:)[0-9a-zé|:,.#@Tdhkpstm\\\\-]{0,40}",
        ) {
            drop(line(&text, true, &mut Lists::default()));
        }

        #[test]
        fn a_metric_is_read_as_it_was_written(
            name in "[a-zA-Z][a-zA-Z0-9_. '-]{0,20}",
            values in prop::collection::vec(any::<f64>().prop_filter("finite", |value| value.is_finite()), 1..9),
            rate in 0.0_f64..1.0,
            tags in prop::collection::vec("[^,|\n]{1,9}", 0..9),
            time in 1_u64..1 << 40,
        ) {
            let packed: Vec<String> = values.iter().map(ToString::to_string).collect();
            let text = format!("{name}:{}|d|@{rate}|#{}|T{time}|c:ci-1|x", packed.join(":"), tags.join(","));
            let mut lists = Lists::default();
            let Ok(Line::Metric(metric)) = line(&text, true, &mut lists) else { panic!("{text}") };
            assert_eq!((metric.name, metric.rate, metric.timestamp_s), (&*name, rate, Some(time)));
            assert_eq!((&lists.numbers, &lists.tags), (&values, &tags.iter().map(String::as_str).collect()));
        }
    }
}
