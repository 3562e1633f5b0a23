//! What becomes of each piece: left out, hidden, merged with its neighbours, or written as it is.

use crate::trace::normalise;
use crate::trace::obfuscate::sql::Unparsable;
use crate::trace::obfuscate::sql::bytes;
use crate::trace::obfuscate::sql::names::Names;
use crate::trace::obfuscate::sql::output::Output;

use super::scan::Scanner;
use super::token::{Kind, Text, Token};

/// What the filters know of the pieces before.
#[derive(Debug)]
pub(super) struct Filters {
    /// The last piece, as the filters left it.
    last: Kind,
    /// Hidden values since the last reset: all after the first are merged into it.
    values: usize,
    /// Parenthesised groups of hidden values since the last reset: all after the first are left out.
    groups: usize,
}

impl Filters {
    pub(super) fn new() -> Self {
        Self { last: Kind::Other, values: 0, groups: 0 }
    }

    /// Takes words and commas as long as nothing has to be done about them but to write them: most of a query is that.
    #[inline]
    pub(super) fn take_words(&mut self, scanner: &mut Scanner<'_>, output: &mut Output<'_>) {
        if self.last.has_effect() || self.groups > 1 {
            return;
        }
        while let Some((kind, start)) = scanner.plain_word() {
            output.copy(true, start, scanner.at);
            (self.values, self.groups, self.last) = (0, 0, kind);
            if scanner.byte(0) == Some(b',') {
                output.copy(false, scanner.at, scanner.at + 1);
                scanner.at += 1;
                self.last = Kind::Comma;
            }
        }
    }

    /// Takes one piece and writes what is left of it. A name of a table goes to `tables`, if given.
    #[inline]
    pub(super) fn take(
        &mut self,
        mut token: Token,
        scanner: &mut Scanner<'_>,
        tables: Option<&mut Names>,
        output: &mut Output<'_>,
    ) -> Result<(), Unparsable> {
        if scanner.settings.table_names {
            self.find_table(&mut token, scanner, tables);
        }
        self.discard(&mut token, scanner.settings.keep_sql_alias)?;
        self.hide(&mut token, scanner);
        let starts_query = self.group(&mut token);
        self.write(token, starts_query, scanner, output);
        self.last = token.kind;
        Ok(())
    }

    /// What follows `UPDATE` or `INTO`, and what starts with a letter and follows `FROM` or `JOIN`, is the name of a table.
    fn find_table(&self, token: &mut Token, scanner: &mut Scanner<'_>, tables: Option<&mut Names>) {
        let is_table = match self.last {
            Kind::From | Kind::Join => is_letter_first(scanner.text(token.text)),
            Kind::Update | Kind::Into => true,
            _ => false,
        };
        if !is_table {
            return;
        }
        token.kind = Kind::Table;
        if scanner.settings.replace_digits {
            token.text = collapsed(token.text, scanner);
        }
        if let Some(tables) = tables {
            tables.add(scanner.text(token.text));
        }
    }

    /// Leaves out comments, semicolons and aliases.
    #[inline]
    fn discard(&self, token: &mut Token, keep_sql_alias: bool) -> Result<(), Unparsable> {
        let is_in_brackets = self.last == Kind::BracketedAlias;
        if is_in_brackets && token.kind != Kind::CloseBracket {
            // Nothing but a name can be between the brackets.
            if token.kind != Kind::Word {
                return Err(Unparsable);
            }
            *token = Token { kind: Kind::BracketedAlias, text: Text::Nothing };
        } else if is_in_brackets || self.last == Kind::As {
            if token.kind == Kind::OpenBracket {
                *token = Token { kind: Kind::BracketedAlias, text: Text::Nothing };
            } else if !keep_sql_alias {
                *token = Token { kind: Kind::Discarded, text: Text::Nothing };
            }
        } else {
            match token.kind {
                Kind::Comment => *token = Token { kind: Kind::Discarded, text: Text::Nothing },
                Kind::Semicolon => *token = Token { kind: Kind::Group, text: Text::Nothing },
                Kind::As if !keep_sql_alias => token.text = Text::Nothing,
                _ => {}
            }
        }
        Ok(())
    }

    /// Hides values.
    #[inline]
    fn hide(&self, token: &mut Token, scanner: &mut Scanner<'_>) {
        let is_hidden = match token.kind {
            _ if self.last == Kind::Savepoint => true,
            Kind::DoubleQuoted => self.last == Kind::Equals,
            kind => kind == Kind::Literal,
        };
        if is_hidden {
            // A query that was obfuscated before stays in one piece.
            let is_hidden_already = scanner.text(token.text) == b"?";
            let text = if is_hidden_already { token.text } else { Text::Fixed("?") };
            *token = Token { kind: token.kind.into_group(), text };
        } else if scanner.settings.replace_digits && token.kind == Kind::Word {
            token.text = collapsed(token.text, scanner);
        }
    }

    /// Merges lists of values: `(?, ?), (?, ?)` becomes `( ? )`. True where the piece is the first word of a query whose parenthesis was
    /// left out, and so has to be written.
    #[inline]
    fn group(&mut self, token: &mut Token) -> bool {
        let kind = token.kind;
        let opens_values = self.last == Kind::Open && kind.is_group();
        if opens_values || (kind == Kind::Open && self.groups > 0) {
            self.groups += 1;
        }
        let can_start_query =
            matches!(kind, Kind::Select | Kind::Delete | Kind::Update | Kind::Word);
        if self.groups > 0 && self.last == Kind::GroupOpen && can_start_query {
            (self.values, self.groups) = (0, 0);
            return true;
        }
        let is_merged = if kind.is_group() {
            self.values += 1;
            self.values > 1
        } else {
            (self.values > 0 && kind == Kind::Comma) || self.groups > 1
        };
        if is_merged {
            *token = Token { kind: kind.into_group(), text: Text::Nothing };
        } else if !kind.is_group() && !matches!(kind, Kind::Comma | Kind::Open | Kind::Close) {
            (self.values, self.groups) = (0, 0);
        }
        false
    }

    /// Pieces are set apart by one space, but for commas and the `=` of `:=`.
    #[inline]
    fn write(
        &self,
        token: Token,
        starts_query: bool,
        scanner: &Scanner<'_>,
        output: &mut Output<'_>,
    ) {
        if starts_query {
            output.add(true, b"( ");
        }
        let is_joined = match token.kind {
            Kind::Comma => true,
            Kind::Equals => self.last == Kind::Colon,
            _ => starts_query,
        };
        match token.text {
            Text::Nothing => {}
            Text::Query(start, end) => output.copy(!is_joined, start, end),
            text => output.add(!is_joined, scanner.text(text)),
        }
    }
}

/// The text with each run of digits as one `?`.
fn collapsed(text: Text, scanner: &mut Scanner<'_>) -> Text {
    if !scanner.text(text).iter().any(u8::is_ascii_digit) {
        return text;
    }
    let mut built = std::mem::take(&mut scanner.buffers.digits);
    built.clear();
    bytes::push_collapsed(scanner.text(text), &mut built);
    // What was the text becomes the next buffer.
    scanner.buffers.digits = std::mem::replace(&mut scanner.buffers.text, built);
    Text::Built
}

fn is_letter_first(text: &[u8]) -> bool {
    match bytes::char_at(text, 0) {
        Some(c) if c.is_ascii() => c.is_ascii_alphabetic(),
        Some(c) => normalise::is_letter(c),
        None => false,
    }
}
