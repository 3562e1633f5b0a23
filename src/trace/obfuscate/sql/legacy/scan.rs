//! A query as pieces, in one pass. The rules are those of the agent's older tokenizer, with its oddities: what comes out for a query that no
//! database would take is part of what users see.

use crate::trace::obfuscate::sql::bytes::{self, BLANK, DIGIT, LETTER, WORD};
use crate::trace::obfuscate::sql::{Settings, Unparsable};

use super::Buffers;
use super::token::{Kind, Text, Token, wide_word_kind, word_kind};

/// Reads a query piece by piece.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    pub(super) query: &'a [u8],
    /// Where the next piece starts, or blanks before it.
    pub(super) at: usize,
    /// Braces of an escape sequence that starts the query and is open.
    braces: usize,
    /// The byte at `at` is read as a dot, whatever it is.
    is_dot: bool,
    /// A backslash in a string stands for itself.
    pub(super) literal_backslashes: bool,
    /// There was a backslash in a string, so the other reading may work where this one does not.
    pub(super) has_backslash: bool,
    /// How many bodies of functions this query is inside of.
    pub(super) depth: usize,
    pub(super) settings: &'a Settings,
    /// Names may have to be changed or collected.
    is_renaming: bool,
    pub(super) buffers: &'a mut Buffers,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(
        query: &'a [u8],
        literal_backslashes: bool,
        depth: usize,
        settings: &'a Settings,
        buffers: &'a mut Buffers,
    ) -> Self {
        Self {
            query,
            at: 0,
            braces: 0,
            is_dot: false,
            literal_backslashes,
            has_backslash: false,
            depth,
            settings,
            is_renaming: settings.replace_digits || settings.table_names,
            buffers,
        }
    }

    /// The next piece; `End` after the last one.
    pub(super) fn next(&mut self) -> Result<Token, Unparsable> {
        if self.is_dot {
            self.is_dot = false;
            return Ok(self.dot(self.at));
        }
        self.skip_blanks();
        let start = self.at;
        let Some(byte) = self.byte(0) else {
            return Ok(Token { kind: Kind::End, text: Text::Nothing });
        };
        if bytes::is(byte, LETTER) || byte == b'@' {
            self.at += 1;
            return Ok(self.word(start));
        }
        if bytes::is(byte, DIGIT) {
            return Ok(self.number(start));
        }
        match byte {
            b'\'' => self.string(byte, Kind::Literal),
            b'"' => self.string(byte, Kind::DoubleQuoted),
            b'`' => self.string(byte, Kind::Word),
            b'$' => self.dollar(),
            b':' => self.colon(),
            b'%' => self.percent(),
            b'!' => self.exclamation(),
            b'{' | b'}' => self.brace(byte),
            b'-' => Ok(self.minus()),
            b'.' => Ok(self.dot(start)),
            b'/' => self.slash(),
            b'#' => Ok(self.line_comment(2)),
            0x80.. => {
                self.at += self.letter(0).ok_or(Unparsable)?;
                Ok(self.word(start))
            }
            _ => self.sign(byte),
        }
    }

    /// An ASCII word that comes next and that the filters have nothing to do with, unless what is before it has an effect on it: its kind and
    /// where it starts. Else nothing is read.
    #[inline]
    pub(super) fn plain_word(&mut self) -> Option<(Kind, usize)> {
        let start = self.at + usize::from(self.byte(0) == Some(b' '));
        let mut end = start;
        while end < self.query.len() && bytes::is(self.query[end], WORD) {
            end += 1;
        }
        let is_ascii = self.query.get(end).is_none_or(u8::is_ascii);
        if start == end || !bytes::is(self.query[start], LETTER) || !is_ascii {
            return None;
        }
        let kind = word_kind(&self.query[start..end]);
        if !kind.is_plain() || self.is_dot || self.is_renaming {
            return None;
        }
        self.at = end;
        Some((kind, start))
    }

    /// The byte `offset` bytes ahead.
    #[inline]
    pub(super) fn byte(&self, offset: usize) -> Option<u8> {
        self.query.get(self.at + offset).copied()
    }

    /// Bytes of the letter `offset` bytes ahead, which may be `_`, `@` or `#`.
    fn letter(&self, offset: usize) -> Option<usize> {
        match self.byte(offset)? {
            b'@' | b'#' => Some(1),
            byte if bytes::is(byte, LETTER) => Some(1),
            0x80.. => bytes::wide_letter(self.query, self.at + offset),
            _ => None,
        }
    }

    fn is_digit(&self, offset: usize) -> bool {
        self.byte(offset).is_some_and(|byte| bytes::is(byte, DIGIT))
    }

    /// Bytes of the white space `offset` bytes ahead.
    #[inline]
    fn blank(&self, offset: usize) -> Option<usize> {
        match self.byte(offset)? {
            byte if bytes::is(byte, BLANK) => Some(1),
            0x80.. => {
                let c = bytes::char_at(self.query, self.at + offset)?;
                c.is_whitespace().then(|| c.len_utf8())
            }
            _ => None,
        }
    }

    /// A zero byte right behind a piece counts as a blank; any other one does not.
    #[inline]
    fn skip_blanks(&mut self) {
        if self.byte(0) == Some(0) && self.at > 0 {
            self.at += 1;
        }
        if self.byte(0) == Some(b' ') {
            self.at += 1;
        }
        while let Some(bytes) = self.blank(0) {
            self.at += bytes;
        }
    }

    /// A piece that goes up to here.
    #[inline]
    pub(super) fn piece(&self, kind: Kind, start: usize) -> Token {
        Token { kind, text: Text::Query(start, self.at) }
    }

    /// A piece of the next `count` bytes.
    #[inline]
    fn take(&mut self, kind: Kind, count: usize) -> Token {
        let start = self.at;
        self.at += count;
        self.piece(kind, start)
    }

    /// The rest of a word that starts at `start`, with its first character behind us.
    #[inline]
    fn word(&mut self, start: usize) -> Token {
        let mut is_wide = self.query[start] >= 0x80;
        loop {
            self.skip(|byte| bytes::is(byte, WORD));
            if self.byte(0).is_none_or(|byte| byte.is_ascii()) {
                break;
            }
            let Some(bytes) = bytes::wide_letter(self.query, self.at) else { break };
            (self.at, is_wide) = (self.at + bytes, true);
        }
        let word = &self.query[start..self.at];
        self.piece(if is_wide { wide_word_kind(word) } else { word_kind(word) }, start)
    }

    /// A number from here on, of a piece that starts at `start`. There may be no digit.
    pub(super) fn number(&mut self, start: usize) -> Token {
        if self.byte(0) == Some(b'0') {
            self.at += 1;
            if matches!(self.byte(0), Some(b'x' | b'X')) {
                self.at += 1;
                self.skip(|byte| byte.is_ascii_hexdigit());
                return self.piece(Kind::Literal, start);
            }
        }
        self.skip(|byte| byte.is_ascii_digit());
        if self.byte(0) == Some(b'.') {
            self.at += 1;
        }
        self.fraction(start)
    }

    /// The digits behind the point of a number, and its exponent.
    fn fraction(&mut self, start: usize) -> Token {
        self.skip(|byte| byte.is_ascii_digit());
        if matches!(self.byte(0), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(0), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.skip(|byte| byte.is_ascii_digit());
        }
        self.piece(Kind::Literal, start)
    }

    #[inline]
    fn skip(&mut self, is_skipped: impl Fn(u8) -> bool) {
        let mut at = self.at;
        while at < self.query.len() && is_skipped(self.query[at]) {
            at += 1;
        }
        self.at = at;
    }

    /// A dot at `start`, which starts a number where a digit follows.
    fn dot(&mut self, start: usize) -> Token {
        self.at += 1;
        if self.is_digit(0) { self.fraction(start) } else { self.piece(Kind::Other, start) }
    }

    /// Comments, numbers with a sign, and the operator. `->` is a number and `>`. Of `-.` and what is not a digit, the last byte goes to the
    /// next piece, where it counts as a dot.
    fn minus(&mut self) -> Token {
        let start = self.at;
        match self.byte(1) {
            Some(b'-') => self.line_comment(2),
            Some(b'>' | b'0'..=b'9') => {
                self.at += 1;
                self.number(start)
            }
            Some(b'.') if self.is_digit(2) => {
                self.at += 2;
                self.fraction(start)
            }
            Some(b'.') => match bytes::char_at(self.query, self.at + 2) {
                Some(c) => {
                    self.is_dot = true;
                    self.take(Kind::Other, 1 + c.len_utf8())
                }
                None => self.take(Kind::Other, 1),
            },
            _ => self.take(Kind::Other, 1),
        }
    }

    /// A comment to the end of the line. The first `skipped` bytes are not looked at: behind `#`, that can be the end of the line.
    fn line_comment(&mut self, skipped: usize) -> Token {
        let start = self.at;
        let rest = self.query.get(start + skipped..).unwrap_or_default();
        self.at = match rest.iter().position(|&byte| byte == b'\n') {
            Some(end) => start + skipped + end + 1,
            None => self.query.len(),
        };
        self.piece(Kind::Comment, start)
    }

    fn slash(&mut self) -> Result<Token, Unparsable> {
        let start = self.at;
        match self.byte(1) {
            Some(b'/') => Ok(self.line_comment(2)),
            Some(b'*') => {
                let rest = &self.query[start + 2..];
                let end = rest.windows(2).position(|pair| pair == b"*/").ok_or(Unparsable)?;
                Ok(self.take(Kind::Comment, 2 + end + 2))
            }
            _ => Ok(self.take(Kind::Other, 1)),
        }
    }

    /// `::`, `:=`, labels and slices of arrays; else a bind variable.
    fn colon(&mut self) -> Result<Token, Unparsable> {
        let start = self.at;
        match self.byte(1) {
            Some(b':') => return Ok(self.take(Kind::Other, 2)),
            Some(b'=' | b']' | b'$') => return Ok(self.take(Kind::Colon, 1)),
            _ if self.blank(1).is_some() => return Ok(self.take(Kind::Colon, 1)),
            _ => {}
        }
        self.at += 1;
        if self.letter(0).is_none() && !self.is_digit(0) {
            return Err(Unparsable);
        }
        while let Some(byte) = self.byte(0) {
            self.at += match byte {
                b'*' | b'$' => break,
                _ if bytes::is(byte, WORD) => 1,
                _ => match bytes::wide_letter(self.query, self.at) {
                    Some(bytes) => bytes,
                    None => break,
                },
            };
        }
        Ok(self.piece(Kind::Other, start))
    }

    /// `%(name)s`, `%s`, or the operator.
    fn percent(&mut self) -> Result<Token, Unparsable> {
        let start = self.at;
        if self.byte(1) == Some(b'(') {
            let rest = &self.query[start..];
            self.at += rest.iter().position(|&byte| byte == b')').ok_or(Unparsable)? + 1;
            self.at += self.letter(0).ok_or(Unparsable)?;
            return Ok(self.piece(Kind::Literal, start));
        }
        Ok(match self.letter(1) {
            Some(bytes) => self.take(Kind::Literal, 1 + bytes),
            None => self.take(Kind::Other, 1),
        })
    }

    /// `!=`, `!~`, `!~*`, or `!` before an operand.
    fn exclamation(&mut self) -> Result<Token, Unparsable> {
        match self.byte(1) {
            Some(b'~') if self.byte(2) == Some(b'*') => Ok(self.take(Kind::Other, 3)),
            Some(b'=' | b'~') => Ok(self.take(Kind::Other, 2)),
            Some(b'(' | b'`' | b'\'' | b'"' | b'+' | b'-' | b'0'..=b'9') => {
                Ok(self.take(Kind::Other, 1))
            }
            _ if self.blank(1).is_some() || self.letter(1).is_some() => {
                Ok(self.take(Kind::Other, 1))
            }
            _ => Err(Unparsable),
        }
    }

    /// An escape sequence is one literal, but for one that starts the query: of that one the braces are pieces.
    fn brace(&mut self, byte: u8) -> Result<Token, Unparsable> {
        if byte == b'}' {
            self.braces = self.braces.checked_sub(1).ok_or(Unparsable)?;
            return Ok(self.take(Kind::Other, 1));
        }
        let starts_query = self.at == 0 && self.byte(1).is_none_or(|byte| byte.is_ascii());
        if starts_query || self.braces > 0 {
            self.braces += 1;
            return Ok(self.take(Kind::Other, 1));
        }
        let rest = &self.query[self.at..];
        let end = rest.iter().position(|&byte| byte == b'}').ok_or(Unparsable)?;
        Ok(self.take(Kind::Literal, end + 1))
    }

    fn sign(&mut self, byte: u8) -> Result<Token, Unparsable> {
        let next = self.byte(1);
        let (kind, count) = match byte {
            b'=' => (Kind::Equals, 1),
            b',' => (Kind::Comma, 1),
            b';' => (Kind::Semicolon, 1),
            b'(' => (Kind::Open, 1),
            b')' => (Kind::Close, 1),
            b'[' => (Kind::OpenBracket, 1),
            b']' => (Kind::CloseBracket, 1),
            b'?' => (Kind::Literal, 1),
            b'<' if next == Some(b'=') && self.byte(2) == Some(b'>') => (Kind::Other, 3),
            b'<' if matches!(next, Some(b'>' | b'=')) => (Kind::Other, 2),
            b'>' if next == Some(b'=') => (Kind::Other, 2),
            b'~' if next == Some(b'*') => (Kind::Other, 2),
            b'<' | b'>' | b'~' | b'+' | b'*' | b'&' | b'|' | b'^' => (Kind::Other, 1),
            _ => return Err(Unparsable),
        };
        Ok(self.take(kind, count))
    }
}
