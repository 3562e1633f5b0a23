//! Percent-encoding by the rules of the agent's URL library: what each part of a URL may hold as it is, and what it becomes when it is written
//! again.

/// A part of a URL that has its own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The host with its port, or the zone of an IPv6 address.
    Host,
    /// The path.
    Path,
    /// What follows the `#`.
    Fragment,
}

impl Part {
    /// Whether this byte is written as it is.
    pub(super) const fn writes(self, byte: u8) -> bool {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => true,
            b'$' | b'&' | b'+' | b',' | b':' | b';' | b'=' => true,
            b'!' | b'(' | b')' | b'*' => !matches!(self, Self::Path),
            b'/' | b'@' => !matches!(self, Self::Host),
            b'?' => matches!(self, Self::Fragment),
            b'\'' | b'[' | b']' | b'<' | b'>' | b'"' => matches!(self, Self::Host),
            _ => false,
        }
    }

    /// Whether this byte may stay where it stands in a path or fragment. One that may not makes all of it be written again.
    pub(super) const fn bears(self, byte: u8) -> bool {
        matches!(byte, b'!' | b'\'' | b'(' | b')' | b'*' | b'[' | b']' | b'%') || self.writes(byte)
    }
}

/// The bytes that a text stands for.
#[derive(Clone, Debug)]
pub(super) struct Decoded<'a> {
    rest: &'a [u8],
}

impl<'a> Decoded<'a> {
    /// Those of `text`, in which each `%` has two digits behind it ([`is_valid`]).
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text.as_bytes() }
    }
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let Some((byte, rest)) = escape(self.rest) {
            self.rest = rest;
            return Some(byte);
        }
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }
}

/// The byte of the `%` and two digits that `text` starts with, and what follows them.
pub(super) fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let ([b'%', high, low], rest) = text.split_first_chunk::<3>()? else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = digit(*high)? * 16 + digit(*low)?;
    Some((byte as u8, rest))
}

/// Whether each `%` has two hexadecimal digits behind it.
pub(super) fn is_valid(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        match escape(rest.get(at..).unwrap_or_default()) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

/// Writes a byte, with a `%` where the part needs one.
pub(super) fn write_byte(part: Part, byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if part.writes(byte) {
        out.push(char::from(byte));
        return;
    }
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Writes a path or fragment: as it stands where that is valid, otherwise decoded and encoded again.
pub(super) fn write(part: Part, text: &str, out: &mut String) {
    if text.bytes().all(|byte| part.bears(byte)) {
        out.push_str(text);
    } else {
        Decoded::new(text).for_each(|byte| write_byte(part, byte, out));
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoded, Part, is_valid, write};

    #[test]
    fn an_escape_is_a_percent_sign_and_two_digits() {
        assert!(is_valid("") && is_valid("a%41b%fF") && is_valid("é"));
        assert!(
            !is_valid("%")
                && !is_valid("%4")
                && !is_valid("a%4gb")
                && !is_valid("%%41")
                && !is_valid("%4é")
        );
        assert_eq!(Decoded::new("a%41%2Fé").collect::<Vec<u8>>(), "aA/é".as_bytes());
    }

    #[test]
    fn a_part_is_written_again_only_where_a_byte_may_not_stay() {
        for (part, text, expect) in [
            (Part::Path, "/a%41(b)[c]", "/a%41(b)[c]"),
            (Part::Path, "/a%41(b) [c]", "/aA%28b%29%20%5Bc%5D"),
            (Part::Path, "/é?", "/%C3%A9%3F"),
            (Part::Fragment, "a?b/%41'", "a?b/%41'"),
            (Part::Fragment, "a?b/%41'#(x)", "a?b/A%27%23(x)"),
        ] {
            let mut out = String::new();
            write(part, text, &mut out);
            assert_eq!(out, expect);
        }
    }
}
