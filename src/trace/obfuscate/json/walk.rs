//! One pass over a JSON text, token by token.

use super::literal::{self, End};
use super::unquote::unquote;
use super::{Json, Sql, UNPARSABLE_SQL, Work};
use crate::trace::obfuscate::Outcome;

/// The text is no JSON from here on, or ends too early.
#[derive(Debug)]
pub(super) struct Broken;

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// A value.
    Value,
    /// The first value of an array, or its end.
    ValueOrEnd,
    /// A key.
    Key,
    /// The first key of an object, or its end.
    KeyOrEnd,
    /// The colon behind a key.
    Colon,
    /// A comma or the end of what is open.
    Next,
    /// Another document, or nothing.
    Document,
}

/// What is done to a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It is a key, which is shown, or taken for one.
    Key,
    /// It is a value.
    Value,
}

/// A pass over `text`.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    text: &'a str,
    at: usize,
    out: &'a mut String,
    keep: &'a [String],
    sql: &'a [String],
    work: &'a mut Work,
    expect: Expect,
    /// What a literal would be.
    role: Role,
    /// The `"?"` of the value is written.
    is_hidden: bool,
    /// The depth of the object with the key whose value is kept.
    kept: Option<usize>,
    /// The value to come is SQL.
    is_sql: bool,
    /// Where the value that is SQL stands in `text`.
    sql_value: (usize, usize),
    /// Whether the first document was an object. The agent takes a document that is a lone literal for a key then, and shows it.
    is_first_object: Option<bool>,
}

impl<'a> Walk<'a> {
    /// From the start of `text` on, with output to `out`.
    pub(super) fn new(rules: &'a mut Json, text: &'a str, out: &'a mut String) -> Self {
        rules.work.nest.clear();
        rules.work.key.clear();
        Self {
            text,
            at: 0,
            out,
            keep: &rules.keep,
            sql: &rules.sql,
            work: &mut rules.work,
            expect: Expect::Value,
            role: Role::Value,
            is_hidden: false,
            kept: None,
            is_sql: false,
            sql_value: (0, 0),
            is_first_object: None,
        }
    }

    /// Writes all that can be read.
    ///
    /// # Errors
    /// When something is no JSON, or missing at the end.
    pub(super) fn run(mut self, sql: &mut Sql<'_>) -> Result<(), Broken> {
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' if self.expect != Expect::Document => self.at += 1,
                b' ' | b'\t' | b'\r' | b'\n' => self.copy(byte),
                _ => self.token(byte, sql)?,
            }
        }
        if self.expect == Expect::Document { Ok(()) } else { Err(Broken) }
    }

    fn token(&mut self, byte: u8, sql: &mut Sql<'_>) -> Result<(), Broken> {
        let is_value = matches!(self.expect, Expect::Value | Expect::ValueOrEnd | Expect::Document);
        match (byte, self.expect) {
            (b'{', _) if is_value => self.open(byte, true),
            (b'[', _) if is_value => self.open(byte, false),
            (b'}', Expect::KeyOrEnd | Expect::Next) => self.close(byte, true, sql)?,
            (b']', Expect::ValueOrEnd | Expect::Next) => self.close(byte, false, sql)?,
            (b',', Expect::Next) => {
                self.end_value(sql);
                let is_object = self.work.nest.is_object() == Some(true);
                self.next_is_key(is_object);
                self.expect = if is_object { Expect::Key } else { Expect::Value };
                self.copy(byte);
            }
            (b':', Expect::Colon) => {
                self.end_key();
                self.expect = Expect::Value;
                self.copy(byte);
            }
            (b'"', Expect::Key | Expect::KeyOrEnd) => {
                self.literal()?;
                self.expect = Expect::Colon;
            }
            _ if is_value => {
                self.literal()?;
                self.end_inner();
            }
            _ => return Err(Broken),
        }
        Ok(())
    }

    fn copy(&mut self, byte: u8) {
        self.out.push(char::from(byte));
        self.at += 1;
    }

    fn open(&mut self, byte: u8, is_object: bool) {
        if self.work.nest.depth() == 0 {
            self.is_first_object.get_or_insert(is_object);
        }
        self.work.nest.open(is_object);
        self.next_is_key(is_object);
        self.is_sql = false;
        self.expect = if is_object { Expect::KeyOrEnd } else { Expect::ValueOrEnd };
        self.copy(byte);
    }

    fn close(&mut self, byte: u8, is_object: bool, sql: &mut Sql<'_>) -> Result<(), Broken> {
        if self.work.nest.is_object() != Some(is_object) {
            return Err(Broken);
        }
        self.end_value(sql);
        self.work.nest.close();
        let around = self.work.nest.is_object().or(self.is_first_object);
        self.next_is_key(around == Some(true));
        self.copy(byte);
        self.end_inner();
        Ok(())
    }

    /// A value is read, with its comma or bracket to come.
    fn end_inner(&mut self) {
        let is_inside = self.work.nest.depth() > 0;
        self.expect = if is_inside { Expect::Next } else { Expect::Document };
    }

    fn next_is_key(&mut self, is_key: bool) {
        self.role = if is_key { Role::Key } else { Role::Value };
        self.is_hidden = false;
    }

    /// A string, a number or a word. Its part that is right is shown where it may be.
    fn literal(&mut self) -> Result<(), Broken> {
        let bytes = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let (length, end) = literal::scan(bytes).ok_or(Broken)?;
        let start = self.at;
        self.at += length;
        let text = self.text.get(start..self.at).unwrap_or_default();
        if self.is_sql {
            self.sql_value = (start, self.at);
        } else if self.role == Role::Key {
            self.out.push_str(text);
            if !self.keep.is_empty() || !self.sql.is_empty() {
                self.work.key.push_str(text);
            }
        } else if self.kept.is_some() {
            self.out.push_str(text);
        } else if !self.is_hidden {
            self.out.push_str("\"?\"");
            self.is_hidden = true;
        }
        if end == End::Whole { Ok(()) } else { Err(Broken) }
    }

    /// The key is read: it may say what becomes of its value. Keys are compared as they are written, escapes and all.
    fn end_key(&mut self) {
        self.role = Role::Value;
        if self.keep.is_empty() && self.sql.is_empty() {
            return;
        }
        let key = self.work.key.trim_matches('"');
        let is_on = |list: &[String]| list.iter().any(|own| own == key);
        if self.kept.is_none() && is_on(self.keep) {
            self.kept = Some(self.work.nest.depth());
        } else if is_on(self.sql) {
            self.is_sql = true;
        }
        self.work.key.clear();
    }

    /// A value has ended, which is known from its comma or bracket.
    fn end_value(&mut self, sql: &mut Sql<'_>) {
        if self.is_sql {
            self.is_sql = false;
            let literal = self.text.get(self.sql_value.0..self.sql_value.1).unwrap_or_default();
            let text = unquote(literal, &mut self.work.plain_sql);
            let hidden = &mut self.work.hidden_sql;
            let shown = match sql(text, hidden) {
                Some(Outcome::Changed) => hidden,
                Some(Outcome::Unchanged) => text,
                None => UNPARSABLE_SQL,
            };
            // As it is: the agent does not write it as a JSON string again.
            self.out.push('"');
            self.out.push_str(shown);
            self.out.push('"');
        } else if self.kept == Some(self.work.nest.depth()) {
            self.kept = None;
        }
    }
}
