//! URLs of requests: the user and password go, at the user's wish also the query string and what looks like an id in the path.

mod escape;
mod host;
mod parts;

use escape::{Decoded, Part};
use parts::Parts;

use super::Outcome;
use super::settings;

/// What stands for a text that is hidden.
const HIDDEN: &str = "?";

/// What the agent writes for a hidden segment, slashes of its own included, before it replaces that by [`HIDDEN`]; it replaces the same text
/// also where it stood in the URL before.
const MARK: &str = "/REDACTED/";

/// The URL without its user, in the form that the agent's URL library writes (spec: trace-agent 7.4). What is no URL stays as it is, but is
/// hidden as a whole where `settings` ask for anything.
pub fn obfuscate(text: &str, settings: &settings::Url, out: &mut String) -> Outcome {
    let asks = settings.remove_query_string || settings.remove_paths_with_digits;
    if !asks && is_plain(text) {
        return Outcome::Unchanged;
    }
    out.clear();
    match Parts::of(text) {
        Some(parts) => {
            let write_path = if settings.remove_paths_with_digits { without_ids } else { as_it_is };
            parts.write(!settings.remove_query_string, write_path, out);
            if asks {
                replace_marks(out);
            }
        }
        None if asks => out.push_str(HIDDEN),
        None => return Outcome::Unchanged,
    }
    Outcome::of(text, out)
}

/// Whether a URL is of the usual kind, which stays as it is: `http` or `https`, a name and perhaps a port, a path without escapes and a query
/// string, no user and no fragment.
fn is_plain(text: &str) -> bool {
    let rest = text.strip_prefix("http").map(|rest| rest.strip_prefix('s').unwrap_or(rest));
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix("://")) else { return false };
    let mut rest = rest.as_bytes();
    if skip(&mut rest, NAME) == 0 {
        return false;
    }
    if rest.first() == Some(&b':') {
        rest = &rest[1..];
        skip(&mut rest, DIGIT);
    }
    if rest.first() == Some(&b'/') {
        skip(&mut rest, PATH);
    }
    if rest.first() == Some(&b'?') {
        skip(&mut rest, QUERY);
    }
    rest.is_empty()
}

/// Takes the bytes of a class off the start of a text; how many there were.
#[inline]
fn skip(text: &mut &[u8], class: u8) -> usize {
    let is_other = |byte: &u8| CLASSES[usize::from(*byte)] & class == 0;
    let count = text.iter().position(is_other).unwrap_or(text.len());
    *text = &text[count..];
    count
}

/// What a byte may be part of in a URL of the usual kind: one look for what would be a dozen comparisons.
static CLASSES: [u8; 256] = classes();
const NAME: u8 = 1;
const DIGIT: u8 = 2;
const PATH: u8 = 4;
const QUERY: u8 = 8;

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < table.len() {
        let byte = at as u8;
        if byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-' {
            table[at] |= NAME;
        }
        if byte.is_ascii_digit() {
            table[at] |= DIGIT;
        }
        if byte != b'%' && Part::Path.bears(byte) {
            table[at] |= PATH;
        }
        if byte >= b' ' && byte != 0x7f && byte != b'#' {
            table[at] |= QUERY;
        }
        at += 1;
    }
    table
}

fn as_it_is(path: &str, out: &mut String) {
    escape::write(Part::Path, path, out);
}

/// Writes a path with [`MARK`] in place of each segment that has a digit. Segments are those of the decoded path.
fn without_ids(path: &str, out: &mut String) {
    let mut bytes = Decoded::new(path);
    if !bytes.clone().any(|byte| byte.is_ascii_digit()) {
        return as_it_is(path, out);
    }
    loop {
        let segment = bytes.clone().take_while(|byte| *byte != b'/');
        let has_digit = segment.clone().any(|byte| byte.is_ascii_digit());
        if has_digit {
            out.push_str(MARK);
        } else {
            segment.for_each(|byte| escape::write_byte(Part::Path, byte, out));
        }
        if !bytes.any(|byte| byte == b'/') {
            return;
        }
        out.push('/');
    }
}

/// Replaces each [`MARK`] by [`HIDDEN`], in place.
fn replace_marks(text: &mut String) {
    let Some(mut from) = text.find(MARK) else { return };
    let mut bytes = std::mem::take(text).into_bytes();
    let mut to = from;
    while from < bytes.len() {
        if bytes.get(from..).is_some_and(|rest| rest.starts_with(MARK.as_bytes())) {
            bytes[to..to + HIDDEN.len()].copy_from_slice(HIDDEN.as_bytes());
            from += MARK.len();
            to += HIDDEN.len();
        } else {
            bytes[to] = bytes[from];
            from += 1;
            to += 1;
        }
    }
    bytes.truncate(to);
    // Whole characters were replaced by whole characters.
    *text = String::from_utf8(bytes).unwrap_or_default();
}

#[cfg(test)]
mod tests;
