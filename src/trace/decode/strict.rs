//! Readers for the newer forms, whose encoders know each type: no nil, no bin for str, no integer for a double.

use super::Fallible;
use super::msgpack::{Cursor, Integer};
use crate::trace::model::Piece;

impl Cursor<'_> {
    /// A str.
    pub(super) fn string(&mut self) -> Fallible<Piece> {
        match self.peek()? {
            0xa0..=0xbf | 0xd9..=0xdb => self.text(),
            marker => Err(self.kind("a string", marker)),
        }
    }

    /// A bin.
    pub(super) fn blob(&mut self) -> Fallible<Piece> {
        match self.peek()? {
            0xc4..=0xc6 => self.text(),
            marker => Err(self.kind("bytes", marker)),
        }
    }

    /// An integer that is not negative.
    #[inline(always)]
    pub(super) fn unsigned(&mut self) -> Fallible<u64> {
        match self.word(0xcf) {
            Some(number) => Ok(number),
            None => self.short_unsigned(),
        }
    }

    #[inline(never)]
    fn short_unsigned(&mut self) -> Fallible<u64> {
        match self.strict_integer("an unsigned integer")? {
            Integer::Unsigned(number) => Ok(number),
            Integer::Signed(number) => {
                u64::try_from(number).map_err(|_| self.range("an unsigned integer"))
            }
        }
    }

    /// An integer that is not negative and has at most 32 bits.
    #[inline(always)]
    pub(super) fn unsigned32(&mut self) -> Fallible<u32> {
        match self.tiny() {
            Some(number) => Ok(u32::from(number)),
            None => self.long_unsigned32(),
        }
    }

    #[inline(never)]
    fn long_unsigned32(&mut self) -> Fallible<u32> {
        let number = self.short_unsigned()?;
        u32::try_from(number).map_err(|_| self.range("32 bits"))
    }

    /// An integer that fits 64 bits with a sign.
    pub(super) fn strict_i64(&mut self) -> Fallible<i64> {
        match self.strict_integer("an integer")? {
            Integer::Unsigned(number) => i64::try_from(number).map_err(|_| self.range("64 bits")),
            Integer::Signed(number) => Ok(number),
        }
    }

    /// An integer that fits 32 bits with a sign.
    pub(super) fn strict_i32(&mut self) -> Fallible<i32> {
        let number = self.strict_i64()?;
        i32::try_from(number).map_err(|_| self.range("32 bits"))
    }

    fn strict_integer(&mut self, wanted: &'static str) -> Fallible<Integer> {
        match self.peek()? {
            marker @ 0xc0 => Err(self.kind(wanted, marker)),
            _ => self.integer(wanted),
        }
    }

    /// A double, or a float of 32 bits.
    pub(super) fn double(&mut self) -> Fallible<f64> {
        match self.float_if_next()? {
            Some(number) => Ok(number),
            None => {
                let marker = self.peek()?;
                Err(self.kind("a double", marker))
            }
        }
    }

    /// A boolean.
    pub(super) fn strict_bool(&mut self) -> Fallible<bool> {
        match self.peek()? {
            marker @ 0xc0 => Err(self.kind("a boolean", marker)),
            _ => self.bool(),
        }
    }
}
