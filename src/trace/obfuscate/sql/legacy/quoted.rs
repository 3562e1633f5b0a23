//! Pieces between delimiters: strings, quoted names, and the dollar-quoted strings of Postgres.

use crate::trace::obfuscate::sql::Unparsable;
use crate::trace::obfuscate::sql::bytes;

use super::attempt;
use super::scan::Scanner;
use super::token::{Kind, Text, Token};

/// Bodies of functions inside of bodies of functions that are read. Deeper ones can't be: a tag that the outer body does not end at has to be
/// behind the first bytes of another one, and of three bodies two would be at the same place of the tag. What is deeper is hidden.
const DEPTH_MAX: usize = 2;

/// The tag that marks the body of a function.
const FUNCTION_TAG: &[u8] = b"$func$";

impl Scanner<'_> {
    /// A string that starts here. Its text is what it stands for, without the delimiters.
    pub(super) fn string(&mut self, delimiter: u8, kind: Kind) -> Result<Token, Unparsable> {
        self.at += 1;
        let is_needed = kind != Kind::Literal || self.settings.table_names;
        Ok(Token { kind, text: self.quoted(delimiter, is_needed)? })
    }

    /// The text up to `delimiter`, which is doubled where it is part of the text. Where the text is not needed, any may be returned.
    fn quoted(&mut self, delimiter: u8, is_needed: bool) -> Result<Text, Unparsable> {
        let start = self.at;
        let mut is_plain = true;
        loop {
            let byte = self.byte(0).ok_or(Unparsable)?;
            self.at += 1;
            if byte == delimiter {
                if self.byte(0) != Some(delimiter) {
                    break;
                }
                self.at += 1;
                is_plain = false;
            } else if byte == b'\\' {
                self.has_backslash = true;
                if !self.literal_backslashes {
                    // What follows is part of the text; of a longer character, its first byte.
                    self.byte(0).ok_or(Unparsable)?;
                    self.at += 1;
                    is_plain = false;
                }
            }
        }
        let end = self.at - 1;
        if !is_needed {
            return Ok(Text::Query(start, end));
        }
        let text = if is_plain {
            Text::Query(start, end)
        } else {
            self.unquote(start, end, delimiter);
            Text::Built
        };
        // A text of white space is replaced by delimiters with nothing between.
        Ok(match (is_blank(self.text(text)), delimiter) {
            (false, _) => text,
            (true, b'\'') => Text::Fixed("''"),
            (true, b'"') => Text::Fixed("\"\""),
            (true, b'`') => Text::Fixed("``"),
            (true, _) => Text::Fixed("$$"),
        })
    }

    /// Builds the text between `start` and `end`: doubled delimiters and, where they mean something, backslashes taken away.
    fn unquote(&mut self, start: usize, end: usize, delimiter: u8) {
        let built = &mut self.buffers.text;
        built.clear();
        let mut is_taken = false;
        for &byte in &self.query[start..end] {
            let is_backslash = byte == b'\\' && !self.literal_backslashes;
            if !is_taken && (byte == delimiter || is_backslash) {
                is_taken = true;
            } else {
                is_taken = false;
                built.push(byte);
            }
        }
    }

    /// The bytes of a text.
    #[inline]
    pub(super) fn text(&self, text: Text) -> &[u8] {
        match text {
            Text::Nothing => &[],
            Text::Query(start, end) => &self.query[start..end],
            Text::Built => &self.buffers.text,
            Text::Fixed(text) => text.as_bytes(),
        }
    }

    /// `$1` and `$?`, or a string between two tags.
    pub(super) fn dollar(&mut self) -> Result<Token, Unparsable> {
        let start = self.at;
        self.at += 1;
        match self.byte(0) {
            Some(b'?') => {
                self.at += 1;
                Ok(self.piece(Kind::Literal, start))
            }
            Some(b'0'..=b'9') => Ok(self.number(start)),
            _ => self.dollar_quoted(),
        }
    }

    fn dollar_quoted(&mut self) -> Result<Token, Unparsable> {
        let tag = self.quoted(b'$', true)?;
        let mut delimiter = std::mem::take(&mut self.buffers.tag);
        delimiter.clear();
        if self.text(tag) == b"$$" {
            delimiter.extend_from_slice(b"$$");
        } else {
            delimiter.push(b'$');
            delimiter.extend_from_slice(self.text(tag));
            delimiter.push(b'$');
        }
        let is_function = self.settings.dollar_quoted_func && delimiter == FUNCTION_TAG;
        let is_needed = is_function || self.settings.table_names;
        let found = self.dollar_body(&delimiter, is_needed);
        self.buffers.tag = delimiter;
        found?;
        if is_function && self.function_body() {
            return Ok(Token { kind: Kind::Other, text: Text::Built });
        }
        let is_empty = !is_needed || self.buffers.text.is_empty();
        let text = if is_empty { Text::Nothing } else { Text::Built };
        Ok(Token { kind: Kind::Literal, text })
    }

    /// Reads up to and with `delimiter`; builds the text before it if it is needed. A character counts as the byte that its code point ends
    /// with. A delimiter that starts inside of a failed one is not seen.
    fn dollar_body(&mut self, delimiter: &[u8], is_needed: bool) -> Result<(), Unparsable> {
        self.buffers.text.clear();
        let mut matched = 0;
        while matched < delimiter.len() {
            let first = self.byte(0).ok_or(Unparsable)?;
            let (low, count) = if first.is_ascii() {
                (first, 1)
            } else {
                let c = bytes::char_at(self.query, self.at).ok_or(Unparsable)?;
                (u32::from(c).to_le_bytes()[0], c.len_utf8())
            };
            if low == delimiter[matched] {
                matched += 1;
            } else {
                if is_needed {
                    let end = self.at + count;
                    self.buffers.text.extend_from_slice(&delimiter[..matched]);
                    self.buffers.text.extend_from_slice(&self.query[self.at..end]);
                }
                matched = 0;
            }
            self.at += count;
        }
        Ok(())
    }

    /// Obfuscates the body of a function, which was built, as a query of its own. False where that fails.
    fn function_body(&mut self) -> bool {
        if self.depth == DEPTH_MAX {
            return false;
        }
        let body = std::mem::take(&mut self.buffers.text);
        let mut inner = self.buffers.inner.take().unwrap_or_default();
        let mut result = std::mem::take(&mut inner.result);
        let Self { literal_backslashes, depth, settings, .. } = *self;
        let scanner = Scanner::new(&body, literal_backslashes, depth + 1, settings, &mut inner);
        let is_read = match attempt(scanner, None, &mut result).0 {
            Ok(is_changed) => {
                if !is_changed {
                    result.extend_from_slice(&body);
                }
                result.splice(..0, FUNCTION_TAG.iter().copied());
                result.extend_from_slice(FUNCTION_TAG);
                true
            }
            Err(Unparsable) => false,
        };
        // What is not needed any more is the buffer of the next one.
        let (text, spare) = if is_read { (result, body) } else { (body, result) };
        self.buffers.text = text;
        inner.result = spare;
        self.buffers.inner = Some(inner);
        is_read
    }
}

/// Whether there is nothing but white space.
fn is_blank(text: &[u8]) -> bool {
    !text.first().is_some_and(u8::is_ascii_graphic) && bytes::trim(text).is_empty()
}
