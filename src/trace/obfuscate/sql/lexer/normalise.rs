//! Joins tokens by single spaces, leaves out comments and aliases, and makes one value of a list of hidden ones.

use crate::trace::obfuscate::sql::Settings;
use crate::trace::obfuscate::sql::output::Output;

use super::hide::{Value, bytes_of};
use super::scan::{Kind, Token};
use super::tables::is_quote;

/// What later tokens need to know of the last one that was neither space nor comment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    pub(super) kind: Kind,
    /// The value, where it is one byte; else 0.
    pub(super) sign: u8,
    pub(super) precedes_table: bool,
    /// The value is a name with a dot at its end.
    ends_with_dot: bool,
    start: usize,
    end: usize,
}

/// A parenthesis that starts the query. It is left out, unless there is a command in it or nothing behind it: drivers put the declaration of
/// parameters there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    /// No token was seen.
    Unread,
    /// The parenthesis is open, with so many inside of it.
    Open(usize),
    /// It is closed, and nothing followed.
    Closed,
    /// It is dealt with, or there is none.
    Past,
}

/// Writes the normalised query.
#[derive(Debug)]
pub(super) struct Normaliser<'a> {
    settings: &'a Settings,
    query: &'a [u8],
    output: Output<'a>,
    /// The parenthesis that starts the query, while it is not known whether it stays.
    head_text: &'a mut Vec<u8>,
    head: Head,
    head_has_command: bool,
    pub(super) last: Option<Last>,
    /// We are in a list of hidden values.
    is_list: bool,
    /// The last thing written was a colon; what was before it.
    before_colon: Option<Option<Kind>>,
}

impl<'a> Normaliser<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        query: &'a [u8],
        head_text: &'a mut Vec<u8>,
        out: &'a mut Vec<u8>,
    ) -> Self {
        head_text.clear();
        Self {
            settings,
            query,
            output: Output::new(query, out),
            head_text,
            head: Head::Unread,
            head_has_command: false,
            last: None,
            is_list: false,
            before_colon: None,
        }
    }

    /// Takes the next token. `built` holds its value where it is [`Value::Built`], and a name without its quotes goes there.
    #[inline]
    pub(super) fn take(&mut self, token: &Token, mut value: Value, built: &mut Vec<u8>) {
        if !token.kind.is_value() {
            return;
        }
        if token.kind == Kind::QuotedName && self.loses_quotes(token, value, built) {
            if value == Value::Query {
                built.clear();
                built.extend_from_slice(&self.query[token.start..token.end]);
            }
            built.retain(|byte| !is_quote(*byte));
            value = Value::Built;
        }
        let bytes = bytes_of(value, token, self.query, built);
        let sign = if let [byte] = bytes { *byte } else { 0 };
        let ends_with_dot = bytes.len() > 1 && bytes.ends_with(b".");
        if !self.starts_head(token, sign) {
            self.leave_head();
            self.normalise(token, value, sign, built);
        }
        let Token { kind, start, end, precedes_table, .. } = *token;
        self.last = Some(Last { kind, sign, precedes_table, ends_with_dot, start, end });
    }

    /// Ends the query. False: the result is the query.
    pub(super) fn finish(mut self) -> bool {
        if matches!(self.head, Head::Open(_) | Head::Closed) {
            self.output.add(false, self.head_text);
        }
        self.output.finish_trimmed(!self.settings.keep_trailing_semicolon)
    }

    /// Quotes go where the name would be one token without them, and an alias one of letters and digits.
    fn loses_quotes(&self, token: &Token, value: Value, built: &[u8]) -> bool {
        let is_alias = self.last.is_some_and(|last| last.kind == Kind::As);
        let has_space = || {
            let bytes = bytes_of(value, token, self.query, built);
            bytes.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        };
        !self.settings.keep_identifier_quotation && (token.is_simple || !is_alias) && !has_space()
    }

    /// Whether the token is a parenthesis that starts the query.
    #[inline]
    fn starts_head(&mut self, token: &Token, sign: u8) -> bool {
        if self.head != Head::Unread {
            return false;
        }
        let is_open = token.kind == Kind::Punctuation && sign == b'(';
        self.head = if is_open { Head::Open(0) } else { Head::Past };
        if is_open {
            self.head_text.push(b'(');
        }
        is_open
    }

    /// Decides about the parenthesis that starts the query once something follows it.
    #[inline]
    fn leave_head(&mut self) {
        if self.head == Head::Closed {
            self.head = Head::Past;
            if self.head_has_command {
                self.output.add(false, self.head_text);
            }
        }
    }

    fn normalise(&mut self, token: &Token, value: Value, sign: u8, built: &[u8]) {
        if !self.settings.keep_sql_alias {
            if token.kind == Kind::As {
                return;
            }
            if let Some(last) = self.last.filter(|last| last.kind == Kind::As) {
                if token.kind.is_name() {
                    return;
                }
                // No alias follows: it is the AS of a common table expression, or of a cast.
                let is_spaced = self.is_spaced(token, sign);
                self.output.copy(is_spaced, last.start, last.end);
            }
        }
        if self.joins_list(sign) {
            return;
        }
        let is_spaced = self.is_spaced(token, sign);
        if let Head::Open(depth) = self.head {
            self.write_head(
                token,
                sign,
                depth,
                is_spaced,
                bytes_of(value, token, self.query, built),
            );
        } else {
            match value {
                Value::Query => self.output.copy(is_spaced, token.start, token.end),
                _ if sign == b'?' && self.query[token.start..token.end] == *b"?" => {
                    self.output.copy(is_spaced, token.start, token.end);
                }
                _ => self.output.add(is_spaced, bytes_of(value, token, self.query, built)),
            }
        }
        self.before_colon = (sign == b':').then(|| self.last.map(|last| last.kind));
    }

    fn write_head(&mut self, token: &Token, sign: u8, depth: usize, is_spaced: bool, value: &[u8]) {
        if is_spaced {
            self.head_text.push(b' ');
        }
        self.head_text.extend_from_slice(value);
        self.head_has_command |= token.kind == Kind::Command;
        if token.kind == Kind::Punctuation {
            self.head = match (sign, depth) {
                (b'(', _) => Head::Open(depth + 1),
                (b')', 0) => Head::Closed,
                (b')', _) => Head::Open(depth - 1),
                _ => self.head,
            };
        }
    }

    /// Whether the token is part of a list of hidden values that is written already.
    #[inline]
    fn joins_list(&mut self, sign: u8) -> bool {
        let last = self.last.map_or(0, |last| last.sign);
        match (sign, last) {
            (b'?', _) if self.last.is_none() => return false,
            (b'?', b'(' | b'[') => self.is_list = true,
            (b'?', b',') | (b',', b'?') if self.is_list => return true,
            _ => {}
        }
        if self.is_list && matches!(sign, b')' | b']') {
            self.is_list = false;
        } else if self.is_list && sign != b'?' && last == b',' {
            // The comma was left out, but what follows it is no value.
            self.output.add(false, b",");
        }
        false
    }

    /// Whether a space comes before the token.
    #[inline]
    fn is_spaced(&self, token: &Token, sign: u8) -> bool {
        let Some(last) = self.last else { return !matches!(sign, b',' | b';') };
        if self.settings.remove_space_between_parentheses
            && (last.kind == Kind::Function
                || matches!(last.sign, b'(' | b'[')
                || matches!(sign, b')' | b']'))
        {
            return false;
        }
        if token.kind.is_name() {
            // `a.` and `[b]` are two tokens; `:a` is a parameter, but `a :b` a label or a path.
            let is_parameter = last.sign == b':'
                && self.before_colon.is_some_and(|kind| !kind.is_some_and(Kind::is_name));
            if last.ends_with_dot || is_parameter {
                return false;
            }
        }
        match sign {
            b',' | b';' => false,
            b'=' => last.sign != b':',
            _ => true,
        }
    }
}
