//! A query as tokens, for the modes with a lexer. Nothing is unreadable to it: what it does not know is a token of its own. A zero byte ends
//! the query. Some rules go on byte by byte where the text has longer characters, and can end a token inside of one.

use crate::trace::obfuscate::sql::bytes::{
    self, DIGIT, IDENTIFIER, LETTER, OPERATOR, PUNCTUATION, SPACE,
};

use super::{FUNCTION_TAG, keywords};

/// The dialects that make a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dbms {
    MySql,
    Oracle,
    Snowflake,
    SqlServer,
    /// Any other database.
    Other,
}

impl Dbms {
    /// By the name in a span's `db.type`.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "mysql" => Self::MySql,
            "oracle" => Self::Oracle,
            "snowflake" => Self::Snowflake,
            "mssql" | "sql-server" | "sqlserver" => Self::SqlServer,
            _ => Self::Other,
        }
    }
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The end of the query.
    End,
    Space,
    Comment,
    /// A comment, quoted name or dollar-quoted string that does not end. It is not hidden.
    Unfinished,
    /// A string, whether it ends or not.
    Text,
    Number,
    /// A name.
    Word,
    /// A name in quotes.
    QuotedName,
    /// A name before a parenthesis.
    Function,
    Operator,
    JsonOperator,
    /// `*`
    Wildcard,
    Punctuation,
    /// The body of a function, with its tags.
    FunctionBody,
    /// `$1`
    PositionalParameter,
    /// `@name`, `:name`
    BindParameter,
    /// `@@name`
    SystemVariable,
    /// A character with no meaning.
    Unknown,
    Command,
    Keyword,
    Boolean,
    Null,
    /// The name of a procedure follows.
    Procedure,
    With,
    As,
}

impl Kind {
    /// Neither space nor comment.
    pub(super) fn is_value(self) -> bool {
        !matches!(self, Self::Space | Self::Comment)
    }

    /// One bit of 32, for sets of kinds.
    #[inline]
    pub(super) fn bit(self) -> u32 {
        1 << (self as u32)
    }

    /// A name, in quotes or not.
    pub(super) fn is_name(self) -> bool {
        matches!(self, Self::Word | Self::QuotedName)
    }
}

/// A token, and what the lexer learnt on the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// A name with digits.
    pub(super) has_digits: bool,
    /// A name in quotes that would be one without them: a letter, then letters and digits.
    pub(super) is_simple: bool,
    /// The name of a table follows.
    pub(super) precedes_table: bool,
}

/// Reads a query token by token.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    query: &'a [u8],
    at: usize,
    dbms: Dbms,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, dbms: Dbms) -> Self {
        Self { text, query: text.as_bytes(), at: 0, dbms }
    }

    /// The next token; `End` after the last one.
    #[inline]
    pub(super) fn next(&mut self) -> Token {
        let start = self.at;
        let byte = self.byte(0);
        let kind = if bytes::is(byte, SPACE) {
            self.skip_space();
            Kind::Space
        } else if bytes::is(byte, LETTER) {
            return self.word(start);
        } else if bytes::is(byte, DIGIT) {
            self.number(byte)
        } else {
            match byte {
                0 => Kind::End,
                b'"' if self.dbms != Dbms::MySql => return self.quoted_name(b'"', b'"'),
                b'`' if self.dbms == Dbms::MySql => return self.quoted_name(b'`', b'`'),
                b'[' if self.dbms == Dbms::SqlServer => return self.quoted_name(b'[', b']'),
                b'"' | b'\'' => self.text(byte),
                b'-' | b'+' | b'/' => self.sign(byte),
                b'*' => self.take(Kind::Wildcard, 1),
                b'$' | b':' | b'#' | b'@' => return self.special(byte),
                0x80.. => return self.wide(),
                _ if bytes::is(byte, OPERATOR) => self.operator(byte),
                _ if bytes::is(byte, PUNCTUATION) => self.take(Kind::Punctuation, 1),
                _ => self.take(Kind::Unknown, 1),
            }
        };
        self.token(kind, start)
    }

    /// The byte `offset` bytes ahead, 0 at the end.
    #[inline]
    fn byte(&self, offset: usize) -> u8 {
        self.query.get(self.at + offset).copied().unwrap_or(0)
    }

    #[inline]
    fn skip(&mut self, is_skipped: impl Fn(u8) -> bool) {
        let mut at = self.at;
        while at < self.query.len() && is_skipped(self.query[at]) {
            at += 1;
        }
        self.at = at;
    }

    /// Leaves out space, where nobody needs to know of it.
    #[inline]
    pub(super) fn skip_space(&mut self) {
        self.skip(|byte| bytes::is(byte, SPACE));
    }

    #[inline]
    fn take(&mut self, kind: Kind, count: usize) -> Kind {
        self.at += count;
        kind
    }

    /// A token that goes up to here.
    #[inline]
    fn token(&self, kind: Kind, start: usize) -> Token {
        let end = self.at;
        Token { kind, start, end, has_digits: false, is_simple: false, precedes_table: false }
    }

    /// Whether a letter, `_`, digit or number is `offset` bytes ahead.
    fn is_alphanumeric(&self, offset: usize) -> bool {
        match self.byte(offset) {
            0x80.. => bytes::is_wide_alphanumeric(self.query, self.at + offset),
            byte => bytes::is(byte, LETTER | DIGIT),
        }
    }

    /// A keyword where a separator follows; else a name.
    #[inline]
    fn word(&mut self, start: usize) -> Token {
        self.skip(|byte| bytes::is(byte, LETTER));
        let next = self.byte(0);
        let is_separated = next == 0
            || bytes::is(next, PUNCTUATION | SPACE)
            || (next == b'/' && self.byte(1) == b'*');
        if is_separated && let Some(keyword) = keywords::find(&self.query[start..self.at]) {
            let token = self.token(keyword.kind, start);
            return Token { precedes_table: keyword.precedes_table, ..token };
        }
        let has_digits = self.name();
        let kind = if self.byte(0) == b'(' { Kind::Function } else { Kind::Word };
        Token { has_digits, ..self.token(kind, start) }
    }

    /// Goes on to the end of a name. Whether there are digits.
    #[inline]
    fn name(&mut self) -> bool {
        let mut has_digits = false;
        loop {
            let start = self.at;
            self.skip(|byte| bytes::is(byte, IDENTIFIER));
            has_digits |= self.query[start..self.at].iter().any(u8::is_ascii_digit);
            if self.byte(0) < 0x80 {
                return has_digits;
            }
            let Some(bytes) = bytes::wide_letter(self.query, self.at) else { return has_digits };
            self.at += bytes;
        }
    }

    /// A name that starts with a character beyond ASCII, or such a character that is no letter.
    fn wide(&mut self) -> Token {
        let start = self.at;
        if bytes::wide_letter(self.query, start).is_some() {
            let has_digits = self.name();
            return Token { has_digits, ..self.token(Kind::Word, start) };
        }
        self.at += bytes::char_at(self.query, start).map_or(1, char::len_utf8);
        self.token(Kind::Unknown, start)
    }

    /// A name between quotes. `a"."b` is inside of one.
    fn quoted_name(&mut self, open: u8, close: u8) -> Token {
        let start = self.at;
        let (mut has_digits, mut is_simple) = (false, true);
        self.at += 1;
        let mut first = true;
        loop {
            let byte = self.byte(0);
            if byte == close {
                if self.query[self.at..].starts_with(&[close, b'.', open]) {
                    self.at += 3;
                    is_simple = false;
                    continue;
                }
                break;
            }
            if byte == 0 {
                return self.token(Kind::Unfinished, start);
            }
            has_digits |= bytes::is(byte, DIGIT);
            if is_simple {
                is_simple = self.is_alphanumeric(0) && !(first && self.starts_with_number());
            }
            first = false;
            self.at += bytes::char_at(self.query, self.at).map_or(1, char::len_utf8);
        }
        self.at += 1;
        let is_simple = is_simple && !first;
        Token { has_digits, is_simple, ..self.token(Kind::QuotedName, start) }
    }

    /// Of a letter or number here, whether it is a number.
    fn starts_with_number(&self) -> bool {
        let is_letter =
            bytes::is(self.byte(0), LETTER) || bytes::wide_letter(self.query, self.at).is_some();
        !is_letter
    }

    /// A string. Where a backslash means something, the byte behind it is part of the string.
    fn text(&mut self, delimiter: u8) -> Kind {
        let has_escapes = !matches!(self.dbms, Dbms::SqlServer | Dbms::Oracle);
        self.at += 1;
        loop {
            match self.byte(0) {
                0 => break,
                b'\\' if has_escapes => {
                    self.at += 1;
                    if self.byte(0) != 0 {
                        self.at += 1;
                    }
                }
                byte => {
                    self.at += 1;
                    if byte == delimiter {
                        break;
                    }
                }
            }
        }
        Kind::Text
    }

    /// A number that starts with the digit `first`.
    fn number(&mut self, first: u8) -> Kind {
        match self.byte(1) {
            b'x' | b'X' if first == b'0' => {
                self.at += 2;
                self.skip(|byte| byte.is_ascii_hexdigit());
            }
            b'0'..=b'7' if first == b'0' => {
                self.at += 2;
                self.skip(|byte| matches!(byte, b'0'..=b'7'));
            }
            _ => self.decimal(),
        }
        Kind::Number
    }

    /// A digit or sign, then digits, points and exponents in any order.
    fn decimal(&mut self) {
        self.at += 1;
        loop {
            match self.byte(0) {
                b'0'..=b'9' | b'.' => self.at += 1,
                b'e' | b'E' => {
                    self.at += 1;
                    if matches!(self.byte(0), b'+' | b'-') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// Comments, numbers with a sign, and operators.
    fn sign(&mut self, byte: u8) -> Kind {
        match (byte, self.byte(1)) {
            (b'-', b'-') => self.line_comment(2),
            (b'/', b'*') => self.comment(),
            (b'+' | b'-', b'0'..=b'9' | b'.') => {
                self.decimal();
                Kind::Number
            }
            _ => self.operator(byte),
        }
    }

    /// A comment to the end of the line, which starts with `count` bytes.
    fn line_comment(&mut self, count: usize) -> Kind {
        self.at += count;
        self.skip(|byte| byte != b'\n' && byte != 0);
        Kind::Comment
    }

    fn comment(&mut self) -> Kind {
        self.at += 2;
        loop {
            match self.byte(0) {
                0 => return Kind::Unfinished,
                b'*' if self.byte(1) == b'/' => return self.take(Kind::Comment, 2),
                _ => self.at += 1,
            }
        }
    }

    /// An operator: a JSON operator, or as many signs as follow. `=?` and `=@` are two.
    fn operator(&mut self, byte: u8) -> Kind {
        let is_json = match (byte, self.byte(1)) {
            (b'-' | b'#', b'>') => {
                let is_text = self.byte(2) == b'>';
                return self.take(Kind::JsonOperator, 2 + usize::from(is_text));
            }
            (b'#', b'-') | (b'?', b'|' | b'&') | (b'<', b'@') => true,
            _ => false,
        };
        if is_json {
            return self.take(Kind::JsonOperator, 2);
        }
        let mut last = byte;
        self.at += 1;
        loop {
            let next = self.byte(0);
            let is_parameter = last == b'=' && matches!(next, b'?' | b'@');
            if !bytes::is(next, OPERATOR) || is_parameter {
                return Kind::Operator;
            }
            last = next;
            self.at += 1;
        }
    }

    /// What starts with one of the signs that mean different things to different databases.
    fn special(&mut self, byte: u8) -> Token {
        let start = self.at;
        let is_letter_next = self.is_alphanumeric(1) && {
            let next = self.byte(1);
            bytes::is(next, LETTER) || bytes::wide_letter(self.query, self.at + 1).is_some()
        };
        let kind = match (byte, self.dbms) {
            (b'$', _) if bytes::is(self.byte(1), DIGIT) => {
                self.at += 2;
                self.skip(|byte| bytes::is(byte, DIGIT));
                Kind::PositionalParameter
            }
            (b'$', Dbms::SqlServer) if is_letter_next => return self.marked_name(),
            (b'$', _) => self.dollar_quoted(),
            (b':', Dbms::Oracle) if self.is_alphanumeric(1) => self.parameter(Kind::BindParameter),
            (b'#', Dbms::SqlServer) => return self.marked_name(),
            (b'#', Dbms::MySql) => self.line_comment(1),
            (b'@', _) if self.byte(1) == b'@' => {
                if self.is_alphanumeric(2) {
                    self.parameter(Kind::SystemVariable)
                } else {
                    self.take(Kind::JsonOperator, 2)
                }
            }
            (b'@', Dbms::Snowflake) if self.is_alphanumeric(1) => return self.marked_name(),
            (b'@', _) if self.is_alphanumeric(1) => self.parameter(Kind::BindParameter),
            (b'@', _) if matches!(self.byte(1), b'?' | b'>') => self.take(Kind::JsonOperator, 2),
            _ => self.operator(byte),
        };
        self.token(kind, start)
    }

    /// A name that starts with a sign.
    fn marked_name(&mut self) -> Token {
        let start = self.at;
        let has_digits = self.name();
        let kind = if self.byte(0) == b'(' { Kind::Function } else { Kind::Word };
        Token { has_digits, ..self.token(kind, start) }
    }

    /// A sign and the byte behind it, then letters and digits. Of a longer character, the first byte is taken and ends it.
    fn parameter(&mut self, kind: Kind) -> Kind {
        self.at += 2;
        while self.is_alphanumeric(0) {
            self.at += 1;
        }
        kind
    }

    /// A string between two tags. Each character of the tag is looked for as the byte that its code point ends with.
    fn dollar_quoted(&mut self) -> Kind {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let tag_end = rest.bytes().skip(1).position(|byte| byte == b'$');
        let Some((tag, behind)) = tag_end.and_then(|end| rest.split_at_checked(end + 2)) else {
            return self.take(Kind::Unfinished, rest.len());
        };
        let found = if tag.is_ascii() {
            behind.find(tag)
        } else {
            // Between two dollars there are whole characters, so bytes that are no UTF-8 are not there.
            let bytes = tag.chars().map(|c| u32::from(c).to_le_bytes()[0]).collect();
            String::from_utf8(bytes).ok().and_then(|bytes| behind.find(&bytes))
        };
        let Some(found) = found else { return self.take(Kind::Unfinished, rest.len()) };
        let is_function = tag.as_bytes() == FUNCTION_TAG;
        let kind = if is_function { Kind::FunctionBody } else { Kind::Text };
        self.take(kind, tag.len() + found + tag.chars().count())
    }
}
