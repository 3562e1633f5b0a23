//! A cursor over msgpack that borrows everything and allocates nothing.

use super::{Error, Fallible, too_large};
use crate::limits::{BODY_ITEMS_MAX, DECODE_DEPTH_MAX, DECODE_ITEMS_MAX};
use crate::trace::model::Piece;

/// A position in a msgpack text. Bodies are at most 26 MB, so a place fits a `u32`.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Items that arrays and maps may still have, so that a small body can't become a huge one in memory.
    items_left: usize,
}

/// Bytes that are compared at once.
const WINDOW: usize = 32;

/// A short piece of msgpack that is likely to come again, such as a key with its marker: comparing two words with it is less work than
/// reading a string and comparing that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    words: [u128; 2],
    mask: [u128; 2],
    len: usize,
}

impl Seen {
    /// What is too long to be recognised: a marker that msgpack does not use, so where it is found the body is refused anyway.
    const NEVER: Self = Self { words: [0xc1, 0], mask: [0xff, 0], len: 0 };
}

#[inline(always)]
fn halves(window: &[u8; WINDOW]) -> [u128; 2] {
    let (low, high) = window.split_at(WINDOW / 2);
    let word = |half: &[u8]| half.first_chunk().copied().map_or(0, u128::from_le_bytes);
    [word(low), word(high)]
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, items_left: BODY_ITEMS_MAX }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The whole text.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The first byte of the next value.
    #[inline(always)]
    pub(super) fn peek(&self) -> Fallible<u8> {
        match self.bytes.get(self.at) {
            Some(marker) => Ok(*marker),
            None => Err(truncated()),
        }
    }

    /// Takes N bytes after a marker byte.
    #[inline]
    fn after_marker<const N: usize>(&mut self) -> Fallible<[u8; N]> {
        let bytes = self.bytes.get(self.at + 1..).and_then(|rest| rest.first_chunk::<N>());
        let Some(bytes) = bytes else { return Err(truncated()) };
        self.at += 1 + N;
        Ok(*bytes)
    }

    #[inline]
    fn u8(&mut self) -> Fallible<u64> {
        Ok(u64::from(self.after_marker::<1>()?[0]))
    }

    #[inline]
    fn u16(&mut self) -> Fallible<u64> {
        Ok(u64::from(u16::from_be_bytes(self.after_marker()?)))
    }

    #[inline]
    fn u32(&mut self) -> Fallible<u64> {
        Ok(u64::from(u32::from_be_bytes(self.after_marker()?)))
    }

    #[inline]
    fn u64(&mut self) -> Fallible<u64> {
        Ok(u64::from_be_bytes(self.after_marker()?))
    }

    #[cold]
    pub(super) fn kind(&self, wanted: &'static str, marker: u8) -> Box<Error> {
        Box::new(Error::Kind { wanted, marker, at: self.at })
    }

    #[cold]
    pub(super) fn range(&self, wanted: &'static str) -> Box<Error> {
        Box::new(Error::Range { wanted, at: self.at })
    }

    #[cold]
    fn too_many(&self, items: usize) -> Box<Error> {
        let claims_too_much = items > DECODE_ITEMS_MAX || items > self.left();
        if claims_too_much { Box::new(Error::TooLong { items, at: self.at }) } else { truncated() }
    }

    /// Takes a nil if one is next.
    #[inline]
    pub(super) fn nil(&mut self) -> Fallible<bool> {
        let is_nil = self.peek()? == 0xc0;
        self.at += usize::from(is_nil);
        Ok(is_nil)
    }

    /// The length of an array.
    #[inline]
    pub(super) fn array(&mut self) -> Fallible<usize> {
        let marker = self.peek()?;
        let items = match marker {
            0x90..=0x9f => {
                self.at += 1;
                usize::from(marker & 0x0f)
            }
            0xdc => self.u16()? as usize,
            0xdd => self.u32()? as usize,
            _ => return Err(self.kind("an array", marker)),
        };
        self.items(items, 1)
    }

    /// The number of entries of a map.
    #[inline]
    pub(super) fn map(&mut self) -> Fallible<usize> {
        let marker = self.peek()?;
        let items = match marker {
            0x80..=0x8f => {
                self.at += 1;
                usize::from(marker & 0x0f)
            }
            0xde => self.u16()? as usize,
            0xdf => self.u32()? as usize,
            _ => return Err(self.kind("a map", marker)),
        };
        self.items(items, 2)
    }

    /// Refuses a length that the bytes that are left can't hold, `bytes_each` being the least that an element takes, and one with which the
    /// body would have too many items.
    #[inline]
    fn items(&mut self, items: usize, bytes_each: usize) -> Fallible<usize> {
        if items > DECODE_ITEMS_MAX || items.saturating_mul(bytes_each) > self.left() {
            return Err(self.too_many(items));
        }
        match self.items_left.checked_sub(items) {
            Some(left) => self.items_left = left,
            None => return Err(too_large("items in arrays and maps", BODY_ITEMS_MAX)),
        }
        Ok(items)
    }

    /// A string: str or bin; nil is the empty one.
    #[inline(always)]
    pub(super) fn text(&mut self) -> Fallible<Piece> {
        let marker = self.peek()?;
        if marker & 0xe0 == 0xa0 {
            return self.take((self.at + 1, usize::from(marker & 0x1f)));
        }
        self.long_text(marker)
    }

    #[inline(never)]
    fn long_text(&mut self, marker: u8) -> Fallible<Piece> {
        let len = match marker {
            0xd9 | 0xc4 => self.u8()?,
            0xda | 0xc5 => self.u16()?,
            0xdb | 0xc6 => self.u32()?,
            0xc0 => {
                self.at += 1;
                return Ok(Piece::EMPTY);
            }
            _ => return Err(self.kind("a string", marker)),
        };
        self.take((self.at, usize::try_from(len).unwrap_or(usize::MAX)))
    }

    /// Bytes: bin, or str as some encoders write it.
    pub(super) fn bin(&mut self) -> Fallible<Piece> {
        match self.peek()? {
            marker @ 0xc0 => Err(self.kind("bytes", marker)),
            _ => self.text(),
        }
    }

    #[inline(always)]
    fn take(&mut self, (start, len): (usize, usize)) -> Fallible<Piece> {
        if len > self.bytes.len().saturating_sub(start) {
            return Err(truncated());
        }
        self.at = start + len;
        Ok(Piece::new(start, len))
    }

    /// The next 32 bytes, where there are as many.
    #[inline(always)]
    fn window(&self) -> Option<&'a [u8; WINDOW]> {
        self.bytes.get(self.at..)?.first_chunk::<WINDOW>()
    }

    /// What stood between `from` and here, to be recognised where it comes again.
    pub(super) fn seen_since(&self, from: usize) -> Seen {
        let seen = self.bytes.get(from..self.at).unwrap_or_default();
        let (mut words, mut mask) = ([0; WINDOW], [0; WINDOW]);
        let Some((words_of, mask_of)) = words.get_mut(..seen.len()).zip(mask.get_mut(..seen.len()))
        else {
            return Seen::NEVER;
        };
        words_of.copy_from_slice(seen);
        mask_of.fill(0xff);
        Seen { words: halves(&words), mask: halves(&mask), len: seen.len() }
    }

    /// Goes over what was seen before if it is here again.
    #[inline(always)]
    pub(super) fn skip_if(&mut self, seen: &Seen) -> bool {
        let Some(window) = self.window() else { return false };
        let here = halves(window);
        let differs =
            (here[0] ^ seen.words[0]) & seen.mask[0] | (here[1] ^ seen.words[1]) & seen.mask[1];
        if differs != 0 {
            return false;
        }
        self.at += seen.len;
        true
    }

    /// The bytes of a text that this cursor gave out.
    #[inline]
    pub(super) fn bytes_of(&self, text: Piece) -> &'a [u8] {
        text.of(self.bytes)
    }

    /// Any integer as 64 bits; a negative one in two's complement, nil as 0.
    #[inline]
    pub(super) fn integer(&mut self, wanted: &'static str) -> Fallible<Integer> {
        let marker = self.peek()?;
        let value = match marker {
            0x00..=0x7f => {
                self.at += 1;
                Integer::Unsigned(u64::from(marker))
            }
            0xe0..=0xff => {
                self.at += 1;
                Integer::Signed(i64::from(marker.cast_signed()))
            }
            0xcc => Integer::Unsigned(self.u8()?),
            0xcd => Integer::Unsigned(self.u16()?),
            0xce => Integer::Unsigned(self.u32()?),
            0xcf => Integer::Unsigned(self.u64()?),
            0xd0 => Integer::Signed(i64::from(i8::from_be_bytes(self.after_marker()?))),
            0xd1 => Integer::Signed(i64::from(i16::from_be_bytes(self.after_marker()?))),
            0xd2 => Integer::Signed(i64::from(i32::from_be_bytes(self.after_marker()?))),
            0xd3 => Integer::Signed(i64::from_be_bytes(self.after_marker()?)),
            0xc0 => {
                self.at += 1;
                Integer::Unsigned(0)
            }
            _ => return Err(self.kind(wanted, marker)),
        };
        Ok(value)
    }

    /// The 8 bytes of a value that is written with this marker, if that is what comes next: how tracers write nearly all ids, times and metrics.
    #[inline(always)]
    pub(super) fn word(&mut self, marker: u8) -> Option<u64> {
        let &[first, ref word @ ..] = self.bytes.get(self.at..)?.first_chunk::<9>()?;
        if first != marker {
            return None;
        }
        self.at += 9;
        Some(u64::from_be_bytes(*word))
    }

    /// A number that is one byte, if that is what comes next.
    #[inline(always)]
    pub(super) fn tiny(&mut self) -> Option<u8> {
        let number = *self.bytes.get(self.at)?;
        if number > 0x7f {
            return None;
        }
        self.at += 1;
        Some(number)
    }

    /// The next 8 bytes, the first of them lowest, where there are as many.
    #[inline(always)]
    fn ahead(&self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.bytes.get(self.at..)?.first_chunk()?))
    }

    /// The number of a string, if one of up to 16 bits is what comes next.
    #[inline(always)]
    pub(super) fn short_index(&mut self) -> Option<usize> {
        let (index, len) = index_in(self.ahead()?)?;
        self.at += len;
        Some(index)
    }

    /// Two such numbers: how most attributes are written where strings have numbers.
    #[inline(always)]
    pub(super) fn two_indexes(&mut self) -> Option<(usize, usize)> {
        let ahead = self.ahead()?;
        let (first, first_len) = index_in(ahead)?;
        let (second, second_len) = index_in(ahead >> (8 * first_len))?;
        self.at += first_len + second_len;
        Some((first, second))
    }

    /// The same with this byte between them.
    #[inline(always)]
    pub(super) fn two_indexes_around(&mut self, between: u8) -> Option<(usize, usize)> {
        let ahead = self.ahead()?;
        let (first, first_len) = index_in(ahead)?;
        let ahead = ahead >> (8 * first_len);
        if ahead & 0xff != u64::from(between) {
            return None;
        }
        let (second, second_len) = index_in(ahead >> 8)?;
        self.at += first_len + 1 + second_len;
        Some((first, second))
    }

    /// A 64-bit id: any integer, negative ones in two's complement.
    #[inline(always)]
    pub(super) fn id(&mut self) -> Fallible<u64> {
        match self.word(0xcf) {
            Some(id) => Ok(id),
            None => self.short_id(),
        }
    }

    fn short_id(&mut self) -> Fallible<u64> {
        Ok(match self.integer("an id")? {
            Integer::Unsigned(n) => n,
            Integer::Signed(n) => n.cast_unsigned(),
        })
    }

    /// A time or duration in nanoseconds: any integer that fits, or a float.
    #[inline(always)]
    pub(super) fn nanoseconds(&mut self) -> Fallible<i64> {
        match self.word(0xd3) {
            Some(time) => Ok(time.cast_signed()),
            None => self.other_nanoseconds(),
        }
    }

    fn other_nanoseconds(&mut self) -> Fallible<i64> {
        if let Some(float) = self.float_if_next()? {
            return self.rounded(float);
        }
        match self.integer("a time")? {
            Integer::Unsigned(n) => {
                i64::try_from(n).map_err(|_| self.range("a signed 64-bit time"))
            }
            Integer::Signed(n) => Ok(n),
        }
    }

    /// The time of a span event: an unsigned integer, or a float.
    pub(super) fn event_time(&mut self) -> Fallible<u64> {
        if let Some(float) = self.float_if_next()? {
            return Ok(self.rounded(float)?.cast_unsigned());
        }
        match self.integer("a time")? {
            Integer::Unsigned(n) => Ok(n),
            Integer::Signed(n) => u64::try_from(n).map_err(|_| self.range("an unsigned time")),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
    fn rounded(&self, float: f64) -> Fallible<i64> {
        // 2^63 is the first double that does not fit.
        let fits = float.is_finite() && float.abs() < 9_223_372_036_854_775_808.0;
        if fits { Ok(float as i64) } else { Err(self.range("a time")) }
    }

    /// A 32-bit integer that is 0 or 1 as a rule, such as `error`.
    #[inline(always)]
    pub(super) fn flag(&mut self) -> Fallible<i32> {
        match self.bytes.get(self.at) {
            Some(0x00..=0x01) => {
                self.at += 1;
                Ok(i32::from(self.bytes[self.at - 1]))
            }
            _ => self.i32(),
        }
    }

    /// A 32-bit integer.
    pub(super) fn i32(&mut self) -> Fallible<i32> {
        let fitted = match self.integer("an integer")? {
            Integer::Unsigned(n) => i32::try_from(n).ok(),
            Integer::Signed(n) => i32::try_from(n).ok(),
        };
        fitted.ok_or_else(|| self.range("32 bits"))
    }

    /// A 32-bit unsigned integer, such as a link's flags.
    pub(super) fn flags(&mut self) -> Fallible<u32> {
        let fitted = match self.integer("an integer")? {
            Integer::Unsigned(n) => u32::try_from(n).ok(),
            Integer::Signed(n) => u32::try_from(n).ok(),
        };
        fitted.ok_or_else(|| self.range("32 bits"))
    }

    /// A 64-bit signed integer.
    pub(super) fn i64(&mut self) -> Fallible<i64> {
        match self.integer("an integer")? {
            Integer::Unsigned(n) => i64::try_from(n).map_err(|_| self.range("64 bits")),
            Integer::Signed(n) => Ok(n),
        }
    }

    /// A number as a double.
    #[inline(always)]
    pub(super) fn number(&mut self) -> Fallible<f64> {
        match self.word(0xcb) {
            Some(bits) => Ok(f64::from_bits(bits)),
            None => self.other_number(),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a metric is a double whatever it was written as"
    )]
    fn other_number(&mut self) -> Fallible<f64> {
        if let Some(float) = self.float_if_next()? {
            return Ok(float);
        }
        Ok(match self.integer("a number")? {
            Integer::Unsigned(n) => n as f64,
            Integer::Signed(n) => n as f64,
        })
    }

    #[inline]
    pub(super) fn float_if_next(&mut self) -> Fallible<Option<f64>> {
        Ok(match self.peek()? {
            0xcb => Some(f64::from_bits(self.u64()?)),
            0xca => Some(f64::from(f32::from_be_bytes(self.after_marker()?))),
            _ => None,
        })
    }

    pub(super) fn bool(&mut self) -> Fallible<bool> {
        let marker = self.peek()?;
        match marker {
            0xc2 | 0xc3 => {
                self.at += 1;
                Ok(marker == 0xc3)
            }
            0xc0 => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.kind("a boolean", marker)),
        }
    }

    /// The index of a v0.5 string.
    #[inline(never)]
    pub(super) fn other_index(&mut self, strings: usize) -> Fallible<usize> {
        let index = match self.integer("a string index")? {
            Integer::Unsigned(n) => n,
            Integer::Signed(n) => u64::try_from(n).map_err(|_| self.range("a string index"))?,
        };
        let fitted = usize::try_from(index).ok().filter(|index| *index < strings);
        fitted.ok_or_else(|| Box::new(Error::Index { index, strings }))
    }

    /// Goes over one value of any kind.
    pub(super) fn skip(&mut self) -> Fallible<()> {
        self.skip_within(DECODE_DEPTH_MAX)
    }

    fn skip_within(&mut self, depth: usize) -> Fallible<()> {
        let marker = self.peek()?;
        let values = match marker {
            0x90..=0x9f | 0xdc | 0xdd => self.array()?,
            0x80..=0x8f | 0xde | 0xdf => 2 * self.map()?,
            _ => return self.skip_scalar(marker),
        };
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Box::new(Error::TooDeep { at: self.at }));
        };
        for _ in 0..values {
            self.skip_within(depth)?;
        }
        Ok(())
    }

    fn skip_scalar(&mut self, marker: u8) -> Fallible<()> {
        let extra = match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 0,
            0xcc | 0xd0 => 1,
            0xcd | 0xd1 => 2,
            0xce | 0xd2 | 0xca => 4,
            0xcf | 0xd3 | 0xcb => 8,
            0xa0..=0xbf | 0xd9..=0xdb | 0xc4..=0xc6 => return self.text().map(drop),
            // Extension types: a type byte and the bytes themselves.
            0xd4..=0xd8 => 1 + (1 << (marker - 0xd4)),
            0xc7 => 1 + self.u8()? as usize,
            0xc8 => 1 + self.u16()? as usize,
            0xc9 => 1 + self.u32()? as usize,
            _ => return Err(self.kind("a msgpack value", marker)),
        };
        let marker_bytes = usize::from(!matches!(marker, 0xc7..=0xc9));
        if marker_bytes + extra > self.left() {
            return Err(truncated());
        }
        self.at += marker_bytes + extra;
        Ok(())
    }
}

#[cold]
fn truncated() -> Box<Error> {
    Box::new(Error::Truncated)
}

/// A number of up to 16 bits in the lowest bytes of a word, and how many bytes it has there.
#[inline(always)]
fn index_in(word: u64) -> Option<(usize, usize)> {
    match word & 0xff {
        tiny @ 0..=0x7f => Some((tiny as usize, 1)),
        0xcd => Some((usize::from(((word >> 8) as u16).swap_bytes()), 3)),
        0xcc => Some((usize::from((word >> 8) as u8), 2)),
        _ => None,
    }
}

pub(super) enum Integer {
    Unsigned(u64),
    Signed(i64),
}
