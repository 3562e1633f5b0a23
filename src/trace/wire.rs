//! Protobuf, as much of it as payloads need: fields appended to a buffer, lengths filled in afterwards.

/// Appends a varint.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a varint field, unless it is 0.
#[inline]
pub(crate) fn number(out: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        out.push(tag);
        varint(out, value);
    }
}

/// Appends a 64-bit fixed field, unless it is 0.
#[inline]
pub(super) fn fixed(out: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        out.push(tag);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends a double field, unless it is 0.
pub(super) fn double(out: &mut Vec<u8>, tag: u8, value: f64) {
    fixed(out, tag, value.to_bits());
}

/// Appends a field of bytes, unless it is empty.
pub(crate) fn bytes(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    if !value.is_empty() {
        out.push(tag);
        varint(out, value.len() as u64);
        out.extend_from_slice(value);
    }
}

/// A field whose length is not known yet.
#[derive(Debug)]
#[must_use]
pub(super) struct Open {
    at: usize,
}

/// Room that is left for a length: messages are mostly of 128 to 16,383 bytes.
const LENGTH_BYTES: usize = 2;

/// Opens a field of bytes: what is appended until [`close`] is its content.
#[inline]
pub(super) fn open(out: &mut Vec<u8>, tag: u8) -> Open {
    out.push(tag);
    open_length(out)
}

/// Opens a field of bytes whose tag has been written.
#[inline]
pub(super) fn open_length(out: &mut Vec<u8>) -> Open {
    let at = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    Open { at }
}

/// Fills in the length of a field; where it takes more or less room than was left, the content moves.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
pub(super) fn close(out: &mut Vec<u8>, open: Open) {
    let start = open.at + LENGTH_BYTES;
    let len = out.len() - start;
    if (0x80..0x4000).contains(&len) {
        out[open.at] = len as u8 | 0x80;
        out[open.at + 1] = (len >> 7) as u8;
    } else {
        let mut length = Vec::with_capacity(5);
        varint(&mut length, len as u64);
        out.splice(open.at..start, length);
    }
}

#[cfg(test)]
mod tests {
    use super::{close, open};

    #[test]
    fn lengths_of_all_sizes_are_minimal_varints() {
        for len in [0_usize, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let mut out = vec![9];
            let field = open(&mut out, 0x22);
            out.resize(out.len() + len, 7);
            close(&mut out, field);
            let mut expect = vec![9, 0x22];
            super::varint(&mut expect, len as u64);
            expect.resize(expect.len() + len, 7);
            assert!(out == expect, "{len}");
        }
    }
}
