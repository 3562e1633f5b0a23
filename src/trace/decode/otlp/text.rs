//! Numbers, bytes and text as the agent writes them into tags and JSON: in the way of Go's encoder.

/// What becomes of `<`, `>` and `&` within JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Markup {
    /// They stay.
    Kept,
    /// They are escaped, so that the JSON can stand in a page.
    Escaped,
}

/// The shortest text that is this double: without an exponent from 10^-6 to below 10^21.
pub(crate) fn double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return format!("{number}");
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

/// Base64 with the usual alphabet and `=` at the end.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 0x3f) as usize];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// Appends the hexadecimal digits of `bytes`.
pub(crate) fn hexadecimal(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xf] {
            out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
}

/// Appends `text` as a JSON string.
pub(crate) fn quote(out: &mut String, text: &str, markup: Markup) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if markup == Markup::Escaped => escape(out, letter),
            '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => escape(out, letter),
            _ => out.push(letter),
        }
    }
    out.push('"');
}

fn escape(out: &mut String, letter: char) {
    out.push_str(&format!("\\u{:04x}", u32::from(letter)));
}

#[cfg(test)]
mod tests {
    use super::{Markup, base64, double, hexadecimal, quote};

    #[test]
    fn doubles_are_written_as_in_json() {
        for (number, expect) in [
            (5.0, "5"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-9, "1.5e-9"),
            (1e-6, "0.000001"),
            (-1e-7, "-1e-7"),
            (1e-10, "1e-10"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(double(number), expect);
        }
    }

    #[test]
    fn bytes_are_written_in_both_ways() {
        for (bytes, expect) in [
            (&b""[..], ""),
            (b"a", "YQ=="),
            (b"ab", "YWI="),
            (b"abc", "YWJj"),
            (b"\xff\xfe\xfd\xfc", "//79/A=="),
        ] {
            assert_eq!(base64(bytes), expect);
        }
        let mut digits = String::new();
        hexadecimal(&mut digits, &[0, 0x9f, 0xff]);
        assert_eq!(digits, "009fff");
    }

    #[test]
    fn strings_are_quoted_with_markup_as_asked() {
        let of = |markup| {
            let mut out = String::new();
            quote(&mut out, "<a>&\"\\\n\u{1}\u{8}\u{2028}ü\u{7f}", markup);
            out
        };
        assert_eq!(of(Markup::Kept), "\"<a>&\\\"\\\\\\n\\u0001\\b\\u2028ü\u{7f}\"");
        assert_eq!(
            of(Markup::Escaped),
            "\"\\u003ca\\u003e\\u0026\\\"\\\\\\n\\u0001\\b\\u2028ü\u{7f}\""
        );
    }
}
