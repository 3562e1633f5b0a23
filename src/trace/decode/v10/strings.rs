//! The string table of a v1.0 body, which grows while it is read.

use super::Decoder;
use crate::limits::DECODE_DEPTH_MAX;
use crate::trace::decode::{Error, Fallible, numbered};
use crate::trace::model::{Body, Piece, Text};
use crate::trace::same::same;

impl Decoder<'_> {
    /// Puts the empty string first.
    pub(super) fn begin(&mut self) {
        numbered::add(self.body, Piece::EMPTY);
        self.body.hashes.push(self.hasher.hash(b""));
    }

    /// A string: its number, or the string itself where it comes for the first time.
    #[inline(always)]
    pub(super) fn text(&mut self) -> Fallible<Text> {
        let Some(number) = self.cursor.short_index() else { return self.other_text() };
        match self.body.string(number) {
            Some(text) => Ok(text),
            None => Err(self.no_such_string(number)),
        }
    }

    #[inline(never)]
    fn other_text(&mut self) -> Fallible<Text> {
        if matches!(self.cursor.peek()?, 0xa0..=0xbf | 0xd9..=0xdb) {
            return self.new_text();
        }
        let number = self.cursor.unsigned32()? as usize;
        self.body.string(number).ok_or_else(|| self.no_such_string(number))
    }

    #[cold]
    pub(super) fn no_such_string(&self, number: usize) -> Box<Error> {
        Box::new(Error::Index { index: number as u64, strings: self.body.strings.len() })
    }

    /// A string that is written out.
    fn new_text(&mut self) -> Fallible<Text> {
        let text = self.cursor.string()?;
        let bytes = self.cursor.bytes_of(text);
        if bytes.is_empty() {
            return Ok(Text::EMPTY);
        }
        let hash = self.hasher.hash(bytes);
        let (body, source) = (&*self.body, self.cursor.bytes());
        let known = body.numbers.0.find(hash, |number| is_string(body, *number, bytes, source));
        match known.and_then(|number| body.string(*number as usize)) {
            Some(text) => Ok(text),
            None => Ok(self.add(text, hash)),
        }
    }

    fn add(&mut self, piece: Piece, hash: u64) -> Text {
        let text = numbered::add(self.body, piece);
        self.body.hashes.push(hash);
        let hashes = &self.body.hashes;
        let hash_of = |number: &u32| hashes.get(*number as usize).copied().unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "it was 32 bits before")]
        self.body.numbers.0.insert_unique(hash, text.number() as u32, hash_of);
        text
    }

    /// A list of strings ahead of everything. A string that stands twice in it has two numbers.
    pub(super) fn strings(&mut self) -> Fallible<()> {
        if self.body.strings.len() > 1 {
            return Err(Box::new(Error::StringsNotFirst { at: self.cursor.at() }));
        }
        for _ in 0..self.cursor.array()? {
            let text = self.cursor.string()?;
            let bytes = self.cursor.bytes_of(text);
            if bytes.is_empty() {
                continue;
            }
            let hash = self.hasher.hash(bytes);
            // The last one is found from then on.
            let source = self.cursor.bytes();
            let mut numbers = std::mem::take(&mut self.body.numbers);
            let is_it = |number: &u32| is_string(self.body, *number, bytes, source);
            if let Ok(earlier) = numbers.0.find_entry(hash, is_it) {
                earlier.remove();
            }
            self.body.numbers = numbers;
            self.add(text, hash);
        }
        Ok(())
    }

    /// Goes over one value of any kind. The strings in it get their numbers.
    pub(super) fn skip(&mut self) -> Fallible<()> {
        self.skip_within(DECODE_DEPTH_MAX)
    }

    fn skip_within(&mut self, depth: usize) -> Fallible<()> {
        let values = match self.cursor.peek()? {
            0xa0..=0xbf | 0xd9..=0xdb => return self.new_text().map(drop),
            0x90..=0x9f | 0xdc | 0xdd => self.cursor.array()?,
            0x80..=0x8f | 0xde | 0xdf => 2 * self.cursor.map()?,
            _ => return self.cursor.skip(),
        };
        for _ in 0..values {
            let Some(depth) = depth.checked_sub(1) else {
                return Err(Box::new(Error::TooDeep { at: self.cursor.at() }));
            };
            self.skip_within(depth)?;
        }
        Ok(())
    }
}

/// Whether these are the bytes of the string of this number.
#[inline]
fn is_string(body: &Body, number: u32, bytes: &[u8], source: &[u8]) -> bool {
    let string = body.strings.get(number as usize);
    string.is_some_and(|string| same(string.piece.of(source), bytes))
}
