//! Events: `_e{<bytes of title>,<bytes of text>}:<title>|<text>|…` (spec: metrics-logs 1.4).

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
    // What stands between the two is not looked at, as in the agent.
    let text_at = title.checked_add(1).ok_or(Wrong::Lengths)?;
    let end = text_at.checked_add(text).ok_or(Wrong::Lengths)?;
    let title = body.get(..title).ok_or(Wrong::Lengths)?;
    let text = body.get(text_at..end).ok_or(Wrong::Lengths)?;
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
    for field in fields(body.get(end..)).skip(1) {
        option(field, &mut event, lists);
    }
    Ok(event)
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
            ("_e{1,1}:é|b", Wrong::Lengths),
            ("_e{18446744073709551615,1}:a|b", Wrong::Lengths),
            ("_e{1,18446744073709551615}:a|b", Wrong::Lengths),
        ] {
            assert_eq!(of(line).unwrap_err(), wrong, "{line}");
        }
    }
}
