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
pub(crate) fn fixed(out: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        out.push(tag);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends a double field, unless it is 0.
pub(crate) fn double(out: &mut Vec<u8>, tag: u8, value: f64) {
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
pub(crate) struct Open {
    at: usize,
}

/// Room that is left for a length: messages are mostly of 128 to 16,383 bytes.
const LENGTH_BYTES: usize = 2;

/// Opens a field of bytes: what is appended until [`close`] is its content.
#[inline]
pub(crate) fn open(out: &mut Vec<u8>, tag: u8) -> Open {
    out.push(tag);
    open_length(out)
}

/// Opens a field of bytes whose tag has been written.
#[inline]
pub(crate) fn open_length(out: &mut Vec<u8>) -> Open {
    let at = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    Open { at }
}

/// Fills in the length of a field; where it takes more or less room than was left, the content moves.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
pub(crate) fn close(out: &mut Vec<u8>, open: Open) {
    let start = open.at + LENGTH_BYTES;
    let len = out.len() - start;
    if (0x80..0x4000).contains(&len) {
        out[open.at] = len as u8 | 0x80;
        out[open.at + 1] = (len >> 7) as u8;
    } else if len < 0x80 {
        out[open.at] = len as u8;
        out.copy_within(start.., open.at + 1);
        out.truncate(open.at + 1 + len);
    } else {
        let mut length = Vec::with_capacity(5);
        varint(&mut length, len as u64);
        out.splice(open.at..start, length);
    }
}

/// A varint of a 32-bit number in a register, the first byte lowest, and how many bytes it has.
#[inline(always)]
pub(crate) fn varint_word(value: u32) -> (u64, usize) {
    let value = u64::from(value);
    if value < 0x80 {
        return (value, 1);
    }
    if value < 0x4000 {
        return (0x80 | value & 0x7f | (value & 0x3f80) << 1, 2);
    }
    let spread = value & 0x7f
        | (value & 0x3f80) << 1
        | (value & 0x1f_c000) << 2
        | (value & 0xfe0_0000) << 3
        | (value & 0xf000_0000) << 4;
    match value {
        ..0x20_0000 => (spread | 0x8080, 3),
        0x20_0000..0x1000_0000 => (spread | 0x80_8080, 4),
        _ => (spread | 0x8080_8080, 5),
    }
}

/// How many bytes a varint has.
#[inline]
pub(crate) fn varint_len(value: u64) -> usize {
    // 64 bits need ten groups of seven; 0 needs one.
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Room of a known size at the end of a [`Room`], for much of one kind: it does not grow, so that writing takes nothing but registers.
#[derive(Debug)]
#[must_use]
pub(crate) struct Words<'a> {
    out: &'a mut [u8],
    at: usize,
    of_room: &'a mut usize,
}

impl Words<'_> {
    /// Appends the lowest `len` bytes of `bits`. More than there is room for must not come.
    #[inline(always)]
    pub(crate) fn put(&mut self, bits: u64, len: usize) {
        self.out[self.at..self.at + size_of::<u64>()].copy_from_slice(&bits.to_le_bytes());
        self.at += len;
    }

    /// The same with several.
    #[inline(always)]
    pub(crate) fn put_all<const N: usize>(&mut self, words: [(u64, usize); N]) {
        for (bits, len) in words {
            self.put(bits, len);
        }
    }

    /// Appends a varint of `len` bytes.
    #[inline]
    pub(crate) fn varint(&mut self, value: u64, len: usize) {
        let [low, high] = long_varint_words(value, len);
        self.put(low, len.min(8));
        if len > 8 {
            self.put(high, len - 8);
        }
    }

    /// Says how far it was filled.
    #[inline(always)]
    pub(crate) fn close(self) {
        *self.of_room = self.at;
    }
}

/// A varint of `len` bytes in two registers: eight groups of seven bits, and what is left of them. All bytes but the last say that there is
/// more.
#[inline(always)]
fn long_varint_words(value: u64, len: usize) -> [u64; 2] {
    const MORE: u64 = 0x8080_8080_8080_8080;
    let low = spread(value & 0xff_ffff_ffff_ffff);
    if len <= 8 {
        [low | MORE & !(u64::MAX << (8 * (len - 1))), 0]
    } else {
        let more = if len == 10 { 0x80 } else { 0 };
        [low | MORE, spread(value >> 56) | more]
    }
}

/// Room at the end of a buffer, filled in pieces of up to 8 bytes that are written as whole words: one check a piece.
#[derive(Debug)]
#[must_use]
pub(crate) struct Room<'a> {
    out: &'a mut Vec<u8>,
    at: usize,
}

impl<'a> Room<'a> {
    /// Room for about `bytes`; it grows where that is too little.
    #[inline]
    pub(crate) fn open(out: &'a mut Vec<u8>, bytes: usize) -> Self {
        let at = out.len();
        out.resize(at + bytes, 0);
        Self { out, at }
    }

    /// Room for `bytes` that need no further look.
    #[inline]
    pub(crate) fn words(&mut self, bytes: usize) -> Words<'_> {
        let end = self.at + bytes + size_of::<u64>();
        if self.out.len() < end {
            self.out.resize(end, 0);
        }
        Words { out: self.out, at: self.at, of_room: &mut self.at }
    }

    /// Appends several words.
    #[inline(always)]
    pub(crate) fn put_all<const N: usize>(&mut self, words: [(u64, usize); N]) {
        for (bits, len) in words {
            self.put(bits, len);
        }
    }

    /// Appends the lowest `len` bytes of `bits`.
    #[inline(always)]
    pub(crate) fn put(&mut self, bits: u64, len: usize) {
        match self.out.get_mut(self.at..self.at + size_of::<u64>()) {
            Some(word) => word.copy_from_slice(&bits.to_le_bytes()),
            None => self.put_grown(bits),
        }
        self.at += len;
    }

    #[cold]
    #[inline(never)]
    fn put_grown(&mut self, bits: u64) {
        self.out.truncate(self.at);
        self.out.extend_from_slice(&bits.to_le_bytes());
        self.out.resize(2 * self.out.len(), 0);
    }

    /// Appends a varint field of a 32-bit number, unless it is 0.
    #[inline(always)]
    pub(crate) fn number(&mut self, tag: u8, value: u32) {
        if value != 0 {
            let (bits, len) = varint_word(value);
            self.put(u64::from(tag) | bits << 8, len + 1);
        }
    }

    /// Appends a varint field of a 64-bit number, unless it is 0.
    #[inline]
    pub(crate) fn long(&mut self, tag: u8, value: u64) {
        if value == 0 {
            return;
        }
        self.put(u64::from(tag), 1);
        let len = varint_len(value);
        let [low, high] = long_varint_words(value, len);
        self.put(low, len.min(8));
        if len > 8 {
            self.put(high, len - 8);
        }
    }

    /// Appends a 64-bit fixed field, unless it is 0.
    #[inline(always)]
    pub(crate) fn fixed(&mut self, tag: u8, value: u64) {
        if value != 0 {
            self.put(u64::from(tag), 1);
            self.put(value, 8);
        }
    }

    /// Gives back what was not filled.
    #[inline]
    pub(crate) fn close(self) {
        self.out.truncate(self.at);
    }
}

/// Groups of 7 bits moved apart to bytes, in three steps: 28 and 28, then 14 each, then 7 each. Of at most 56 bits.
#[inline(always)]
fn spread(value: u64) -> u64 {
    let wide = value & 0x0fff_ffff | (value & 0x00ff_ffff_f000_0000) << 4;
    let half = wide & 0x0000_3fff_0000_3fff | (wide & 0x0fff_c000_0fff_c000) << 2;
    half & 0x007f_007f_007f_007f | (half & 0x3f80_3f80_3f80_3f80) << 1
}

#[cfg(test)]
mod tests {
    use super::{Room, close, open, varint, varint_word};

    #[test]
    fn varints_in_registers_are_those_of_the_wire() {
        for bit in 0..64 {
            for value in [1_u64 << bit, (1_u64 << bit) - 1, (1_u64 << bit) | 1, u64::MAX >> bit] {
                let (mut expect, mut out) = (Vec::new(), vec![9]);
                super::number(&mut expect, 0x28, value);
                let mut room = Room::open(&mut out, 40);
                room.long(0x28, value);
                room.close();
                assert_eq!(out[1..], expect, "{value}");
                if let Ok(short) = u32::try_from(value) {
                    let (bits, len) = varint_word(short);
                    let mut expect = Vec::new();
                    varint(&mut expect, value);
                    assert_eq!((&bits.to_le_bytes()[..len], bits >> (8 * len)), (&expect[..], 0));
                }
            }
        }
    }

    #[test]
    fn room_that_is_too_small_grows() {
        for bytes in [0, 1, 17, 100] {
            let mut out = vec![7; 3];
            let mut room = Room::open(&mut out, bytes);
            for n in 1..20 {
                room.number(0x08, n << 20);
                room.fixed(0x11, u64::from(n));
            }
            room.close();
            let mut expect = vec![7; 3];
            for n in 1..20_u64 {
                super::number(&mut expect, 0x08, n << 20);
                super::fixed(&mut expect, 0x11, n);
            }
            assert_eq!(out, expect);
        }
    }

    #[test]
    fn lengths_of_all_sizes_are_minimal_varints() {
        for len in [0_usize, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let mut out = vec![9];
            let field = open(&mut out, 0x22);
            out.resize(out.len() + len, 7);
            close(&mut out, field);
            let mut expect = vec![9, 0x22];
            varint(&mut expect, len as u64);
            expect.resize(expect.len() + len, 7);
            assert!(out == expect, "{len}");
        }
    }
}
