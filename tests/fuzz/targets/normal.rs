//! The normal forms of names and tag values: within their bounds, and what is in its form already stays.

use std::borrow::Cow;

use pillion::trace::model::Text;
use pillion::trace::normalise;
use pillion::trace::strings::{Place, Strings, repaired};

use super::text;

pub(super) const TEXTS: &[&str] = &[
    "Web Store_été--99:x/y.",
    "&&&&&&&_test-name-..a._b",
    "__ǅ__İ٣日本 Ünïcode",
    "9lives ... -dash #hash __x__",
    "a.b_.c__d-e",
];

pub(super) fn forms(data: &[u8]) {
    let text = text(data);
    for (form, bytes_max) in [
        (normalise::name as fn(&str) -> Cow<'_, str>, normalise::NAME_BYTES_MAX),
        (normalise::peer_service, 2 * normalise::SERVICE_BYTES_MAX),
        (normalise::tag_value, normalise::TAG_BYTES_MAX + 4),
    ] {
        let made = form(&text);
        assert!(made.len() <= bytes_max, "{made:?}");
        assert_eq!(form(&made), made);
    }
    assert!(!normalise::service(&text, "python").is_empty());
    assert!(!normalise::name(&text).is_empty());
    table(data);
}

/// The bytes as many strings, through the table of a payload.
fn table(data: &[u8]) {
    let mut strings = Strings::default();
    let mut place = Place::default();
    let mut kept = Vec::new();
    for (number, part) in data.split(|byte| *byte == b' ').enumerate() {
        let at = part.as_ptr() as usize - data.as_ptr() as usize;
        let by_place = strings.intern_at(&mut place, Text::place(at, part.len()), data);
        assert_eq!(strings.get(by_place), repaired(part));
        let mark = strings.mark();
        let by_text = strings.intern(part);
        assert_eq!(strings.get(by_text), repaired(part));
        if number % 3 == 0 {
            strings.take_back(mark);
        } else {
            kept.push((by_text, repaired(part)));
        }
    }
    for (string, text) in kept {
        assert_eq!(strings.get(string), text);
    }
}
