//! Text of an app as a string of JSON (RFC 8259, section 7), in one pass.

/// Appends `text` as the inside of a JSON string. What is not UTF-8 becomes U+FFFD, once for each sequence that no character begins with.
pub(super) fn push_text(text: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(text) {
        Ok(text) => push_str(text, out),
        Err(_) => {
            for chunk in text.utf8_chunks() {
                push_str(chunk.valid(), out);
                if !chunk.invalid().is_empty() {
                    out.extend_from_slice("\u{fffd}".as_bytes());
                }
            }
        }
    }
}

/// Appends `text` as the inside of a JSON string.
pub(super) fn push_str(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    loop {
        let plain = plain_len(rest);
        out.extend_from_slice(rest.get(..plain).unwrap_or_default());
        let Some(special) = rest.get(plain) else { return };
        escape(*special, out);
        rest = rest.get(plain + 1..).unwrap_or_default();
    }
}

/// The byte `1` in each byte of a word.
const ONES: u64 = u64::from_ne_bytes([1; 8]);

/// The highest bit of each byte of a word.
const HIGHS: u64 = ONES << 7;

/// How many bytes at the start stand in a JSON string as they are: all but control characters, `"` and `\`.
fn plain_len(text: &[u8]) -> usize {
    let (words, tail) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return at * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let in_tail = tail.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'));
    words.len() * 8 + in_tail.unwrap_or(tail.len())
}

/// A word whose lowest bit that is set lies in the first of these eight bytes that must be escaped; 0 where none must be. (A subtraction that borrows
/// may set bits above it.)
const fn special_bytes(word: u64) -> u64 {
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = word ^ (ONES * b'"' as u64);
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = word ^ (ONES * b'\\' as u64);
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (control | quote | backslash) & HIGHS
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let hex = |digit: u8| HEX.get(usize::from(digit)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends a number in decimal digits.
pub(super) fn push_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut first = digits.len();
    for place in digits.iter_mut().rev() {
        first -= 1;
        // A digit is less than ten.
        *place = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{push_number, push_text};

    /// The text after a way through JSON, read by another parser.
    fn there_and_back(text: &[u8]) -> String {
        let mut json = vec![b'"'];
        push_text(text, &mut json);
        json.push(b'"');
        serde_json::from_slice(&json).unwrap()
    }

    #[test]
    fn each_byte_at_each_place_comes_back() {
        for byte in 0..=255_u8 {
            for at in 0..20 {
                let mut text = [b'a'; 20];
                text[at] = byte;
                assert_eq!(there_and_back(&text), String::from_utf8_lossy(&text), "{byte} {at}");
            }
        }
    }

    #[test]
    fn numbers_are_written_in_digits() {
        for number in [0, 7, 10, 1_750_000_000_123, u64::MAX] {
            let mut text = Vec::new();
            push_number(number, &mut text);
            assert_eq!(text, number.to_string().as_bytes());
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_comes_back(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(there_and_back(&text), String::from_utf8_lossy(&text));
        }

        #[test]
        fn text_comes_back(text in "[\\PC\"\\\\\n\t\u{0}-\u{1f}]{0,60}") {
            prop_assert_eq!(there_and_back(text.as_bytes()), text);
        }
    }
}
