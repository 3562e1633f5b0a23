//! Small spellings of the normal form: long strings as a digest, bytes as hex and base64, numbers as JSON has them.

use std::fmt::Write;

use ring::digest;
use serde_json::{Value, json};

/// Strings of more bytes are replaced by their length, digest, head and tail.
const LONG_BYTES: usize = 1000;
const ENDS_BYTES: usize = 40;

/// A string, shortened as the expected files do.
pub(crate) fn string(text: &str) -> Value {
    if text.len() <= LONG_BYTES {
        return Value::String(text.to_owned());
    }
    let head = &text[..floor(text, ENDS_BYTES)];
    let tail = &text[ceiling(text, text.len() - ENDS_BYTES)..];
    let sum = hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    json!({ "bytes": text.len(), "sha256": sum, "head": head, "tail": tail })
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

fn ceiling(text: &str, at: usize) -> usize {
    (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// A double: whole numbers without a fraction, and words for what JSON has no number for.
pub(crate) fn double(number: f64) -> Value {
    match number {
        _ if number.is_nan() => json!("NaN"),
        f64::INFINITY => json!("+Inf"),
        f64::NEG_INFINITY => json!("-Inf"),
        _ => json!(number),
    }
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        write!(out, "{byte:02x}").expect("a string takes all");
        out
    })
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three
            .iter()
            .enumerate()
            .fold(0_u32, |word, (i, byte)| word | u32::from(*byte) << (16 - 8 * i));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= three.len() { char::from(digit) } else { '=' });
        }
    }
    out
}
