//! The text rules, slowly: by the words of the rule, with lists of characters and patterns, for the characters that [`super::model`] uses.

use std::sync::LazyLock;

use regex::Regex;

/// A pattern that is compiled once.
macro_rules! pattern {
    ($text:literal) => {{
        static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).unwrap());
        &*PATTERN
    }};
}

/// Bytes as text: each byte that belongs to no character becomes U+FFFD.
pub(super) fn text(bytes: &[u8]) -> String {
    let (mut made, mut at) = (String::new(), 0);
    while at < bytes.len() {
        let character = (1..=4).find_map(|len| {
            let piece = bytes.get(at..at + len)?;
            std::str::from_utf8(piece).ok()
        });
        made.push_str(character.unwrap_or("\u{fffd}"));
        at += character.map_or(1, str::len);
    }
    made
}

/// The longest start of `text` of whole characters within `bytes_max`.
pub(super) fn cut(text: &str, bytes_max: usize) -> String {
    let mut made = String::new();
    for character in text.chars() {
        if made.len() + character.len_utf8() > bytes_max {
            break;
        }
        made.push(character);
    }
    made
}

/// The same with dots behind what was cut.
pub(super) fn cut_with_dots(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max { text.to_owned() } else { cut(text, bytes_max) + "..." }
}

/// What a character of a tag value becomes; nothing where it separates.
fn tag_character(character: char) -> Option<char> {
    match character {
        'A'..='Z' => Some(character.to_ascii_lowercase()),
        'a'..='z' | '0'..='9' | ':' | '.' | '/' | '-' => Some(character),
        'é' | 'ß' | '日' | '本' | '語' | '٣' => Some(character),
        // In title case, and one whose lower-case form is longer: both stay as they are.
        'ǅ' | 'İ' => Some(character),
        _ if character.is_ascii() || "🦀\u{fffd}".contains(character) => None,
        _ => panic!("{character:?} has no class here"),
    }
}

/// A tag value.
pub(super) fn tag_value(text: &str) -> String {
    let read =
        text.char_indices().enumerate().take_while(|(count, (at, _))| *count < 200 && *at < 400);
    let made: String =
        read.map(|(_, (_, character))| tag_character(character).unwrap_or('\0')).collect();
    let joined = pattern!("\0+").replace_all(&made, "_").into_owned();
    // A gap at the end leaves nothing, one at the start does.
    if made.ends_with('\0') { joined[..joined.len() - 1].to_owned() } else { joined }
}

/// The service of a span that a tag names.
pub(super) fn peer_service(text: &str) -> String {
    tag_value(&cut(text, 100))
}

/// The service of a span.
pub(super) fn service(text: &str, lang: &str) -> String {
    match peer_service(text) {
        made if !made.is_empty() => made,
        _ if lang.is_empty() => "unnamed-service".to_owned(),
        _ => format!("unnamed-{lang}-service"),
    }
}

/// An operation name.
pub(super) fn name(text: &str) -> String {
    let text = cut(text, 100);
    let is_valid = pattern!("^[A-Za-z][A-Za-z0-9._]*$").is_match(&text)
        && !["_.", "__"].iter().any(|pair| text.contains(pair))
        && !text.ends_with('_');
    if is_valid {
        return text;
    }
    let Some(first) = text.find(|character: char| character.is_ascii_alphabetic()) else {
        return "unnamed_operation".to_owned();
    };
    let made = pattern!("[^A-Za-z0-9.]+").replace_all(&text[first..], "_").into_owned();
    // A dot takes the place of what separates beside it.
    let made = made.replace("_.", ".").replace("._", ".");
    made.strip_suffix('_').unwrap_or(&made).to_owned()
}

/// The key of a text.
pub(super) fn meta_key(key: &str) -> String {
    cut_with_dots(key, 200)
}

/// The value of a text.
pub(super) fn meta_value(key: &str, value: &str) -> String {
    if key.starts_with("_dd.") && key.ends_with(".json") {
        return value.to_owned();
    }
    cut_with_dots(value, 25_000)
}

/// Whether a text may be a status code.
pub(super) fn is_status_code(text: &str) -> bool {
    pattern!("^0*[1-5][0-9][0-9]$").is_match(text)
}
