//! Events: `_e{<bytes of title>,<bytes of text>}:<title>|<text>|…` (spec: metrics-logs 1.4, ecosystem 2.3).

use super::{Lists, Wrong, fields, tags};
use crate::metrics::sample::{Alert, Event, Priority};

/// Reads a line. A field with a value that makes no sense is passed over.
pub(super) fn read<'a>(line: &'a str, lists: &mut Lists<'a>) -> Result<Event<'a>, Wrong> {
    let (header, body) = line.split_once(':').ok_or(Wrong::Header)?;
    let lengths = header.strip_prefix("_e{").and_then(|rest| rest.strip_suffix('}'));
    let (title, text) = lengths.and_then(|lengths| lengths.split_once(',')).ok_or(Wrong::Header)?;
    let (title, text): (usize, usize) =
        title.parse().ok().zip(text.parse().ok()).ok_or(Wrong::Header)?;
    if title == 0 {
        return Err(Wrong::Lengths);
    }
    let Parts { title, text, options } = Parts::of(body, title, text).ok_or(Wrong::Lengths)?;
    let mut event = Event {
        title,
        text,
        timestamp_s: None,
        host: "",
        aggregation_key: "",
        priority: Priority::Normal,
        source_type: "",
        alert: Alert::Info,
        tags: &[],
    };
    for field in fields(Some(options)).skip(1) {
        option(field, &mut event, lists);
    }
    Ok(event)
}

/// What stands behind the header of an event.
#[derive(Clone, Copy)]
struct Parts<'a> {
    title: &'a str,
    text: &'a str,
    /// The rest: the other fields, with a `|` before each.
    options: &'a str,
}

impl<'a> Parts<'a> {
    /// Splits `body` where the lengths say. They are bytes; but a client for Node (hot-shots) counts as JavaScript does, in units of UTF-16. So where
    /// bytes end between no two fields and such units do, these are meant. Without that it is as in the agent, which looks at nothing that stands
    /// between title and text; but what would be cut within a letter is refused.
    fn of(body: &'a str, title: usize, text: usize) -> Option<Self> {
        let bytes = Self::split(body, title, |_| Some(text));
        if body.is_ascii() || bytes.is_some_and(|parts| parts.are_whole(body)) {
            return bytes;
        }
        let units = bytes_of_units(body, title)
            .and_then(|title| Self::split(body, title, |text_on| bytes_of_units(text_on, text)));
        units.filter(|parts| parts.are_whole(body)).or(bytes)
    }

    /// With a title of so many bytes, and a text of as many as `text` says of what begins with it.
    fn split(body: &'a str, title: usize, text: impl Fn(&str) -> Option<usize>) -> Option<Self> {
        let text_on = body.get(title.checked_add(1)?..)?;
        let end = text(text_on)?;
        Some(Self {
            title: body.get(..title)?,
            text: text_on.get(..end)?,
            options: text_on.get(end..)?,
        })
    }

    /// Whether a `|` or the end follows both.
    fn are_whole(&self, body: &str) -> bool {
        let is_title_whole = body.as_bytes().get(self.title.len()) == Some(&b'|');
        is_title_whole && (self.options.is_empty() || self.options.starts_with('|'))
    }
}

/// The bytes of as many characters as make up so many units of UTF-16. `None` where there are fewer, or half a character.
fn bytes_of_units(text: &str, units: usize) -> Option<usize> {
    let mut left = units;
    for (at, character) in text.char_indices() {
        if left == 0 {
            return Some(at);
        }
        left = left.checked_sub(character.len_utf16())?;
    }
    (left == 0).then_some(text.len())
}

fn option<'a>(field: &'a str, event: &mut Event<'a>, lists: &mut Lists<'a>) {
    if let Some(list) = field.strip_prefix('#') {
        return tags(list, &mut lists.tags);
    }
    match field.split_once(':') {
        Some(("d", time)) => event.timestamp_s = time.parse().ok().or(event.timestamp_s),
        Some(("h", host)) => event.host = host,
        Some(("k", key)) => event.aggregation_key = key,
        Some(("p", "low")) => event.priority = Priority::Low,
        Some(("p", "normal")) => event.priority = Priority::Normal,
        Some(("s", source)) => event.source_type = source,
        Some(("t", "error")) => event.alert = Alert::Error,
        Some(("t", "warning")) => event.alert = Alert::Warning,
        Some(("t", "info")) => event.alert = Alert::Info,
        Some(("t", "success")) => event.alert = Alert::Success,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{Alert, Event, Lists, Priority, Wrong, read};

    fn of(line: &str) -> Result<(Event<'_>, Vec<&str>), Wrong> {
        let mut lists = Lists::default();
        let event = read(line, &mut lists)?;
        Ok((event, lists.tags))
    }

    #[test]
    fn every_field_is_read() {
        let line = "_e{21,36}:An exception occurred|Cannot parse CSV file from 10.0.0.17|t:warning|#err_type:bad_file";
        let (event, tags) = of(line).unwrap();
        assert_eq!(
            (event.title, event.text),
            ("An exception occurred", "Cannot parse CSV file from 10.0.0.17")
        );
        assert_eq!(
            (event.alert, event.priority, tags),
            (Alert::Warning, Priority::Normal, vec!["err_type:bad_file"])
        );
        let line =
            "_e{1,1}:a|b|s:src|k:key:1|p:low|h:box|d:12|t:error|c:ci-1|e:it-false|card:low|?";
        let (event, _) = of(line).unwrap();
        assert_eq!((event.source_type, event.aggregation_key, event.host), ("src", "key:1", "box"));
        assert_eq!(
            (event.timestamp_s, event.alert, event.priority),
            (Some(12), Alert::Error, Priority::Low)
        );
    }

    #[test]
    fn lengths_are_bytes_and_texts_may_hold_anything() {
        let (event, tags) = of("_e{3,7}:aé|b|c:#d||#t").unwrap();
        assert_eq!((event.title, event.text, tags), ("aé", "b|c:#d|", vec!["t"]));
        let (event, _) = of("_e{1,0}:a|").unwrap();
        assert_eq!((event.title, event.text), ("a", ""));
        assert_eq!(of("_e{1,0}:a|rest|t:error").unwrap().0.alert, Alert::Error);
    }

    #[test]
    fn lengths_in_units_of_utf_16_are_understood_where_bytes_make_no_sense() {
        let line = |title: &str, text: &str, rest: &str| {
            let units = |text: &str| text.encode_utf16().count();
            format!("_e{{{},{}}}:{title}|{text}{rest}", units(title), units(text))
        };
        for (title, text) in [
            ("déployé", "plain"),
            ("plain", "tëxt"),
            ("ü", "é"),
            ("日本語", "デプロイ | 完了"),
            ("🚀 up", "a 🚀 and é"),
            ("é", ""),
        ] {
            for rest in ["", "|t:error|#a:1"] {
                let line = line(title, text, rest);
                let (event, tags) = of(&line).unwrap();
                assert_eq!(
                    (event.title, event.text, tags.len()),
                    (title, text, rest.len().min(1)),
                    "{line}"
                );
            }
        }
        // Bytes that make sense go first, and half a character is none.
        let (event, _) = of("_e{2,1}:é|a|b").unwrap();
        assert_eq!((event.title, event.text), ("é", "a"));
        assert_eq!(of("_e{1,1}:🚀|b").unwrap_err(), Wrong::Lengths);
        assert_eq!(of("_e{1,9}:é|b").unwrap_err(), Wrong::Lengths);
    }

    #[test]
    fn what_makes_no_sense_is_passed_over_and_lengths_that_do_not_fit_are_refused() {
        let (event, _) = of("_e{1,1}:a|b|d:5|d:x|p:high|t:bad").unwrap();
        assert_eq!(
            (event.timestamp_s, event.alert, event.priority),
            (Some(5), Alert::Info, Priority::Normal)
        );
        for (line, wrong) in [
            ("_e{1,1}", Wrong::Header),
            ("_e{1}:a|b", Wrong::Header),
            ("_e{1,x}:a|b", Wrong::Header),
            ("_e{-1,1}:a|b", Wrong::Header),
            ("_e{1,1:a|b", Wrong::Header),
            ("_e{0,1}:|b", Wrong::Lengths),
            ("_e{1,2}:a|b", Wrong::Lengths),
            ("_e{1,0}:a", Wrong::Lengths),
            ("_e{18446744073709551615,1}:a|b", Wrong::Lengths),
            ("_e{1,18446744073709551615}:a|b", Wrong::Lengths),
        ] {
            assert_eq!(of(line).unwrap_err(), wrong, "{line}");
        }
    }
}
