//! What a byte of a query can be part of, as one look into a table; characters beyond ASCII by the general category.

use crate::trace::normalise;

/// An ASCII letter or `_`.
pub(super) const LETTER: u8 = 1;
/// An ASCII digit.
pub(super) const DIGIT: u8 = 1 << 1;
/// White space of ASCII, in the legacy mode.
pub(super) const BLANK: u8 = 1 << 2;
/// White space, in the lexer's modes.
pub(super) const SPACE: u8 = 1 << 3;
/// Goes on with a word, in the legacy mode.
pub(super) const WORD: u8 = 1 << 4;
/// Goes on with an identifier, in the lexer's modes.
pub(super) const IDENTIFIER: u8 = 1 << 5;
/// Part of an operator, in the lexer's modes.
pub(super) const OPERATOR: u8 = 1 << 6;
/// A token of its own, in the lexer's modes.
pub(super) const PUNCTUATION: u8 = 1 << 7;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    add(&mut table, b"_abcdefghijklmnopqrstuvwxyz", LETTER | WORD | IDENTIFIER);
    add(&mut table, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", LETTER | WORD | IDENTIFIER);
    add(&mut table, b"0123456789", DIGIT | WORD | IDENTIFIER);
    add(&mut table, b"\t\n\x0b\x0c\r ", BLANK);
    add(&mut table, b"\t\n\r ", SPACE);
    add(&mut table, b"@#.*$", WORD);
    add(&mut table, b"\".?$#/@!", IDENTIFIER);
    add(&mut table, b"+-*/=<>!&|^%~?@:#", OPERATOR);
    add(&mut table, b"(),;.:[]{}", PUNCTUATION);
    table
}

const fn add(table: &mut [u8; 256], bytes: &[u8], class: u8) {
    let mut i = 0;
    while i < bytes.len() {
        table[bytes[i] as usize] |= class;
        i += 1;
    }
}

/// Whether `byte` is of one of `classes`.
#[inline]
pub(super) fn is(byte: u8, classes: u8) -> bool {
    CLASSES[usize::from(byte)] & classes != 0
}

/// The character that starts at `at`; none at the end, inside of a character and in what is no UTF-8.
#[inline]
pub(super) fn char_at(text: &[u8], at: usize) -> Option<char> {
    match *text.get(at)? {
        byte @ 0..0x80 => Some(char::from(byte)),
        first => wide_char_at(text, at, first),
    }
}

/// The character that starts at `at` with the byte `first`, which is not ASCII.
fn wide_char_at(text: &[u8], at: usize, first: u8) -> Option<char> {
    let bytes = match first {
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
        _ => return None,
    };
    std::str::from_utf8(text.get(at..at + bytes)?).ok()?.chars().next()
}

/// Bytes of the letter beyond ASCII that starts at `at`; none where there is no such letter.
pub(super) fn wide_letter(text: &[u8], at: usize) -> Option<usize> {
    let c = char_at(text, at).filter(|c| !c.is_ascii())?;
    normalise::is_letter(c).then(|| c.len_utf8())
}

/// Whether a letter or a number beyond ASCII starts at `at`.
pub(super) fn is_wide_alphanumeric(text: &[u8], at: usize) -> bool {
    char_at(text, at)
        .is_some_and(|c| !c.is_ascii() && (normalise::is_letter(c) || normalise::is_number(c)))
}

/// Adds `text` to `out`, with each run of ASCII digits as one `?`.
pub(super) fn push_collapsed(text: &[u8], out: &mut Vec<u8>) {
    let mut was_digit = false;
    for &byte in text {
        let is_digit = byte.is_ascii_digit();
        if !is_digit {
            out.push(byte);
        } else if !was_digit {
            out.push(b'?');
        }
        was_digit = is_digit;
    }
}

/// `text` without the white space before it.
pub(super) fn trim_start(mut text: &[u8]) -> &[u8] {
    while let Some(c) = char_at(text, 0).filter(|c| c.is_whitespace()) {
        text = &text[c.len_utf8()..];
    }
    text
}

/// `text` without the white space at its ends.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let mut text = trim_start(text);
    while let Some(start) = text.iter().rposition(|byte| !(0x80..0xc0).contains(byte)) {
        match char_at(text, start) {
            Some(c) if c.is_whitespace() && start + c.len_utf8() == text.len() => {
                text = &text[..start];
            }
            _ => break,
        }
    }
    text
}
