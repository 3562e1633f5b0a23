//! Strings, numbers and words of JSON: how far one goes, and whether it is whole.

/// How a literal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is whole; what follows belongs to something else.
    Whole,
    /// What follows can't, or the text ends within.
    Broken,
}

/// The length of the literal that `bytes` start with, or of its part that is right; nothing where none starts here. It ends between
/// characters.
pub(super) fn scan(bytes: &[u8]) -> Option<(usize, End)> {
    match bytes.first()? {
        b'"' => Some(string(bytes)),
        b'-' | b'0'..=b'9' => Some(number(bytes)),
        b't' => Some(word(bytes, b"true")),
        b'f' => Some(word(bytes, b"false")),
        b'n' => Some(word(bytes, b"null")),
        _ => None,
    }
}

fn word(bytes: &[u8], word: &[u8]) -> (usize, End) {
    let length = bytes.iter().zip(word).take_while(|(byte, own)| byte == own).count();
    (length, if length == word.len() { End::Whole } else { End::Broken })
}

fn string(bytes: &[u8]) -> (usize, End) {
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return (at + 1, End::Whole),
            b'\\' => match escape(bytes.get(at + 1..).unwrap_or_default()) {
                (length, End::Whole) => at += 1 + length,
                (length, End::Broken) => return (at + 1 + length, End::Broken),
            },
            0..=0x1f => break,
            _ => at += 1,
        }
    }
    (at, End::Broken)
}

/// What follows a backslash.
fn escape(bytes: &[u8]) -> (usize, End) {
    match bytes.first() {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => (1, End::Whole),
        Some(b'u') => {
            let digits = bytes.iter().skip(1).take(4);
            match digits.take_while(|byte| byte.is_ascii_hexdigit()).count() {
                4 => (5, End::Whole),
                some => (1 + some, End::Broken),
            }
        }
        _ => (0, End::Broken),
    }
}

fn number(bytes: &[u8]) -> (usize, End) {
    let digits = |from: usize| {
        bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count() + from
    };
    let has = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|byte| any.contains(byte));
    let start = usize::from(has(0, b"-"));
    // A zero stands alone.
    let mut end = if has(start, b"0") { start + 1 } else { digits(start) };
    if end == start {
        return (end, End::Broken);
    }
    if has(end, b".") {
        let fraction = end + 1;
        end = digits(fraction);
        if end == fraction {
            return (end, End::Broken);
        }
    }
    if has(end, b"eE") {
        let exponent = end + 1 + usize::from(has(end + 1, b"+-"));
        end = digits(exponent);
        if end == exponent {
            return (end, End::Broken);
        }
    }
    (end, End::Whole)
}

#[cfg(test)]
mod tests {
    use super::{End, scan};

    #[test]
    fn a_whole_literal_ends_where_something_else_may_begin() {
        for (text, length) in [
            ("\"\"", 2),
            ("\"a\\\"b\" ", 6),
            ("\"\\u00e9é\\/\\\\\"x", 14),
            ("0", 1),
            ("01", 1),
            ("-0.5e-10,", 8),
            ("12E3]", 4),
            ("1e+22", 5),
            ("truex", 4),
            ("false", 5),
            ("null}", 4),
        ] {
            assert_eq!(scan(text.as_bytes()), Some((length, End::Whole)), "{text}");
        }
    }

    #[test]
    fn a_broken_literal_goes_as_far_as_it_is_right() {
        for (text, length) in [
            ("\"abc", 4),
            ("\"a\u{1}\"", 2),
            ("\"\\x\"", 2),
            ("\"\\u00é\"", 5),
            ("\"\\u", 3),
            ("\"\\", 2),
            ("-", 1),
            ("-a", 1),
            ("1.", 2),
            ("1.e", 2),
            ("1e", 2),
            ("1e-", 3),
            ("tru", 3),
            ("nil", 1),
            ("fé", 1),
        ] {
            assert_eq!(scan(text.as_bytes()), Some((length, End::Broken)), "{text}");
        }
    }

    #[test]
    fn nothing_else_starts_a_literal() {
        for text in ["", "+1", ".5", "x", "'a'", "{", "é", " 1", "True"] {
            assert_eq!(scan(text.as_bytes()), None, "{text}");
        }
    }
}
