//! The text rules of spans: what services, operation names, envs and tags look like after the agent has seen them. Every function
//! borrows its input where nothing changes, which is nearly always.
//!
//! Three forms exist. A *tag value* (env, service) is lower-case and has `_` for each run of other characters; a *name* (operation) is a
//! metric name: ASCII letters, digits, `.` and `_`; everything else is only cut to a number of bytes. Source of the rules: the agent's
//! behaviour, observed with 7.85.2.

mod letters;

use std::borrow::Cow;
use std::cmp::Ordering;

/// Bytes of a service, cut before it is normalised.
pub const SERVICE_BYTES_MAX: usize = 100;
/// Bytes of an operation name, cut before it is normalised.
pub const NAME_BYTES_MAX: usize = 100;
/// Bytes of a span type.
pub const TYPE_BYTES_MAX: usize = 100;
/// Bytes of a resource.
pub const RESOURCE_BYTES_MAX: usize = 5000;
/// Bytes of a resource with the feature `big_resource`.
pub const BIG_RESOURCE_BYTES_MAX: usize = 15_000;
/// Bytes of the key of a text tag, beyond which it is cut and gets `...`.
pub const META_KEY_BYTES_MAX: usize = 200;
/// Bytes of a text tag's value, beyond which it is cut and gets `...`.
pub const META_VALUE_BYTES_MAX: usize = 25_000;
/// Code points of input that the tag value form reads.
pub const TAG_CODE_POINTS_MAX: usize = 200;
/// The tag value form reads no further character once it has read this many bytes.
pub const TAG_BYTES_MAX: usize = 2 * TAG_CODE_POINTS_MAX;

/// The service of a span that names none, when the tracer's language is unknown.
pub const SERVICE_FALLBACK: &str = "unnamed-service";
/// The name of a span that has none, or none that is valid.
pub const NAME_FALLBACK: &str = "unnamed_operation";

/// The service of a span: cut, then as [`tag_value`]; `unnamed-<lang>-service` where nothing is left, `unnamed-service` where `lang` (the
/// tracer's language) is empty.
#[must_use]
pub fn service<'a>(text: &'a str, lang: &str) -> Cow<'a, str> {
    match peer_service(text) {
        valid if !valid.is_empty() => valid,
        _ if lang.is_empty() => Cow::Borrowed(SERVICE_FALLBACK),
        _ => Cow::Owned(format!("unnamed-{lang}-service")),
    }
}

/// The tags `peer.service` and `_dd.base_service`: as [`service`], but empty where nothing is left.
#[must_use]
pub fn peer_service(text: &str) -> Cow<'_, str> {
    tag_value(truncate(text, SERVICE_BYTES_MAX))
}

/// The operation name of a span: cut, then made a metric name. Starts at the first ASCII letter; letters, digits and `.` stay; every other
/// byte becomes `_` unless `.` or `_` precedes; a `.` takes the place of a preceding `_`; one trailing `_` goes.
/// [`NAME_FALLBACK`] where there is no letter.
#[must_use]
pub fn name(text: &str) -> Cow<'_, str> {
    let text = truncate(text, NAME_BYTES_MAX);
    if is_metric_name(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let Some(first) = text.bytes().position(|byte| byte.is_ascii_alphabetic()) else {
        return Cow::Borrowed(NAME_FALLBACK);
    };
    let mut made = String::with_capacity(text.len());
    // The byte written last: the first one is a letter, so the value it starts with is never looked at.
    let mut last = 0;
    for byte in text.bytes().skip(first) {
        match byte {
            b'.' if last == b'_' => {
                made.pop();
            }
            b'.' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {}
            _ if last == b'.' || last == b'_' => continue,
            _ => {
                made.push('_');
                last = b'_';
                continue;
            }
        }
        made.push(char::from(byte));
        last = byte;
    }
    if last == b'_' {
        made.pop();
    }
    Cow::Owned(made)
}

/// Whether `text` is a metric name as it is. Dots may follow each other and a `_` may follow a dot here, though [`name`] would not write it.
fn is_metric_name(text: &[u8]) -> bool {
    let Some(first) = text.first() else { return false };
    first.is_ascii_alphabetic()
        && text.last() != Some(&b'_')
        && text.windows(2).all(|pair| match pair[1] {
            b'_' | b'.' => pair[0] != b'_',
            byte => byte.is_ascii_alphanumeric(),
        })
}

/// A tag value, such as an env: lower-case; letters, digits, `:`, `.`, `/` and `-` stay; each run of other characters becomes one `_`,
/// unless the text ends with it. Reads at most [`TAG_CODE_POINTS_MAX`] characters and no further once past [`TAG_BYTES_MAX`]. May be empty.
///
/// A character keeps its case where its lower-case form has another length in UTF-8 (`İ`), or where it is in title case (`ǅ`).
#[must_use]
pub fn tag_value(text: &str) -> Cow<'_, str> {
    if is_ascii_tag_value(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut made = String::with_capacity(text.len().min(TAG_BYTES_MAX + 4));
    let mut gap = false;
    for (count, (at, from)) in text.char_indices().enumerate() {
        let to = lower_case(from);
        if is_tag_character(to) {
            if gap {
                made.push('_');
                gap = false;
            }
            made.push(to);
        } else {
            gap = true;
        }
        if count + 1 >= TAG_CODE_POINTS_MAX || at + from.len_utf8() >= TAG_BYTES_MAX {
            break;
        }
    }
    if made == text { Cow::Borrowed(text) } else { Cow::Owned(made) }
}

/// Whether `text` is an ASCII tag value that [`tag_value`] leaves alone.
fn is_ascii_tag_value(text: &[u8]) -> bool {
    text.len() <= TAG_CODE_POINTS_MAX
        && text.last() != Some(&b'_')
        && text.iter().all(|&byte| byte == b'_' || is_ascii_tag_byte(byte))
        && !text.windows(2).any(|pair| pair == b"__")
}

fn is_ascii_tag_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b':' | b'.' | b'/' | b'-')
}

fn is_tag_character(c: char) -> bool {
    match u8::try_from(c) {
        // ASCII capitals don't get here: they are lower-case by now.
        Ok(byte) if byte.is_ascii() => is_ascii_tag_byte(byte),
        _ => is_letter(c) || within(&letters::DIGITS, c),
    }
}

/// Whether a character beyond ASCII is a letter (general category L of Unicode 15.0).
pub(in crate::trace) fn is_letter(c: char) -> bool {
    within(&letters::LETTERS, c)
}

/// Whether a character beyond ASCII is a number of any kind (general category N of Unicode 15.0).
pub(in crate::trace) fn is_number(c: char) -> bool {
    within(&letters::DIGITS, c) || within(&letters::OTHER_NUMBERS, c)
}

fn within(runs: &[(u32, u32)], c: char) -> bool {
    let c = u32::from(c);
    runs.binary_search_by(|&(first, last)| match () {
        () if last < c => Ordering::Less,
        () if first > c => Ordering::Greater,
        () => Ordering::Equal,
    })
    .is_ok()
}

/// The lower-case form of a capital letter when it is one character of the same length in UTF-8; otherwise the character itself.
fn lower_case(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) if c.is_uppercase() && one.len_utf8() == c.len_utf8() && is_letter(c) => {
            one
        }
        _ => c,
    }
}

/// The longest prefix of `text` of at most `bytes_max` bytes that ends at a character boundary.
#[must_use]
pub fn truncate(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

/// Whether the key of a text tag is cut: it is longer than [`META_KEY_BYTES_MAX`], and its value is not structured.
#[must_use]
pub fn is_long_key(key: &[u8]) -> bool {
    key.len() > META_KEY_BYTES_MAX && !is_structured(key)
}

/// The key of a text tag: where it is too long, cut at [`META_KEY_BYTES_MAX`] bytes with `...` appended.
#[must_use]
pub fn meta_key(key: &str) -> Cow<'_, str> {
    if is_long_key(key.as_bytes()) { shorten(key, META_KEY_BYTES_MAX) } else { Cow::Borrowed(key) }
}

/// The key of a number tag, likewise, whatever it is.
#[must_use]
pub fn metric_key(key: &str) -> Cow<'_, str> {
    shorten(key, META_KEY_BYTES_MAX)
}

/// The value of the text tag `key`: where it is longer than [`META_VALUE_BYTES_MAX`], cut there with `...` appended. Structured values
/// (`_dd.*.json`, `.msgpack`, `.protobuf`) stay whole: a part of one is of no use.
#[must_use]
pub fn meta_value<'a>(key: &str, value: &'a str) -> Cow<'a, str> {
    if value.len() <= META_VALUE_BYTES_MAX || is_structured(key.as_bytes()) {
        return Cow::Borrowed(value);
    }
    shorten(value, META_VALUE_BYTES_MAX)
}

fn is_structured(key: &[u8]) -> bool {
    let ends: [&[u8]; 3] = [b".json", b".msgpack", b".protobuf"];
    key.starts_with(b"_dd.") && ends.iter().any(|end| key.ends_with(end))
}

fn shorten(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{}...", truncate(text, bytes_max)))
    }
}

/// Whether `text` may stay as `http.status_code`: decimal digits alone, leading zeros included, in 100..=599.
#[must_use]
pub fn is_valid_status_code(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && matches!(text.parse::<u64>(), Ok(100..=599))
}

#[cfg(test)]
mod tests;
