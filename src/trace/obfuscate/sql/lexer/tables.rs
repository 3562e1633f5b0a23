//! The names of the tables of a query, for the modes with a lexer.

use crate::trace::obfuscate::sql::names::Names;

use super::normalise::Last;
use super::scan::{Kind, Token};

/// Collects names. Common table expressions are no tables.
#[derive(Debug)]
pub(super) struct Tables<'a> {
    pub(super) names: &'a mut Names,
    pub(super) expressions: &'a mut Names,
    pub(super) name: &'a mut Vec<u8>,
    /// A comma is followed by the name of another table.
    pub(super) is_list: bool,
}

impl Tables<'_> {
    /// Looks at the next token, whose value is `value`.
    pub(super) fn see(&mut self, token: &Token, value: &[u8], last: Option<&Last>) {
        match token.kind {
            Kind::Command | Kind::Keyword => self.is_list = false,
            Kind::Punctuation if matches!(value, b"(" | b")") => self.is_list = false,
            Kind::Word | Kind::QuotedName | Kind::Function => {
                let Some(last) = last else { return };
                self.name.clear();
                let is_quoted = token.kind == Kind::QuotedName;
                self.name.extend(value.iter().filter(|byte| !is_quoted || !is_quote(**byte)));
                self.see_name(last);
            }
            _ => {}
        }
    }

    fn see_name(&mut self, last: &Last) {
        if last.kind == Kind::With {
            self.expressions.add(self.name);
            return;
        }
        let follows_comma = last.kind == Kind::Punctuation && last.sign == b',';
        self.is_list |= last.precedes_table;
        let is_table = last.precedes_table || (self.is_list && follows_comma);
        if is_table && !self.expressions.contains(self.name) {
            self.names.add(self.name);
        }
    }
}

/// One of the signs that names can be in, in any dialect.
pub(super) fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'[' | b']' | b'`')
}
