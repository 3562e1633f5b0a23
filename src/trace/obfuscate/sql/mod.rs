//! SQL without its values (spec: trace-agent 7.6). Literals become `?`; in most modes, comments and aliases go and lists of values become one
//! value, so that queries that differ in values alone become the same text.
//!
//! Two independent sets of rules, as the agent has them: [`legacy`], the default, and [`lexer`], which the other modes use. Both were compared
//! with the agent's own on generated queries; where a query is malformed, their oddities are kept.
//!
//! A query is read once, byte by byte with a table of classes. Nothing is allocated per query once the buffers have grown.

mod bytes;
mod legacy;
mod lexer;
mod names;
mod output;

#[cfg(test)]
mod recorded_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::mem;

use super::Outcome;
use super::cache::{Cache, Kept};

use self::legacy::Legacy;
use self::lexer::Lexing;
use self::names::Names;

/// Bytes of buffers that are kept from query to query. What a longer query needed is freed after it.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// What is done to a query (`DD_APM_SQL_OBFUSCATION_MODE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The default, an empty setting: values hidden and the query normalised, by the older rules, which know no dialect.
    #[default]
    Legacy,
    /// `obfuscate_only`: values hidden; all else as it was, but for white space around the query.
    ObfuscateOnly,
    /// `normalize_only`: comments and aliases left out and space made regular; values stay.
    NormaliseOnly,
    /// `obfuscate_and_normalize`: both.
    ObfuscateAndNormalise,
}

/// The options of the agent's `sql` section (spec: trace-agent 1.8). The default of each is off. The legacy mode looks at the first four only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What is done.
    pub mode: Mode,
    /// The names of tables are collected ([`Sql::tables`]). In the legacy mode that has an effect on the result too: a value in the place of a
    /// table's name is not hidden.
    pub table_names: bool,
    /// Each run of digits in a name becomes `?`.
    pub replace_digits: bool,
    /// Aliases stay: `AS name`.
    pub keep_sql_alias: bool,
    /// What is between `$func$` and `$func$` is treated as a query instead of a string.
    pub dollar_quoted_func: bool,
    /// `NULL` stays.
    pub keep_null: bool,
    /// `TRUE` and `FALSE` stay.
    pub keep_boolean: bool,
    /// `$1` stays.
    pub keep_positional_parameter: bool,
    /// A semicolon at the end stays.
    pub keep_trailing_semicolon: bool,
    /// Quotes around names stay.
    pub keep_identifier_quotation: bool,
    /// `@name`, and with Oracle `:name`, becomes `?`.
    pub replace_bind_parameter: bool,
    /// No space inside of parentheses and brackets.
    pub remove_space_between_parentheses: bool,
    /// The operand of a JSON operator stays.
    pub keep_json_path: bool,
}

/// The query could not be read, or nothing of it would be left. It may hold values anywhere, so nothing of it may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unparsable;

impl fmt::Display for Unparsable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the query can't be read")
    }
}

impl std::error::Error for Unparsable {}

/// Obfuscates queries, one after the other.
#[derive(Debug, Default)]
pub struct Sql {
    settings: Settings,
    cache: Option<Box<Cache>>,
    legacy: Legacy,
    lexing: Lexing,
    names: Names,
    /// The names of tables, each once, with commas between.
    tables: String,
}

impl Sql {
    /// One that has seen no query, and that reads each anew.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// One that has seen no query, and that keeps results within `bytes_max` bytes; 0: none. The results are those of one that keeps none.
    #[must_use]
    pub fn with_cache(settings: Settings, bytes_max: usize) -> Self {
        let cache = (bytes_max > 0).then(|| Box::new(Cache::new(bytes_max)));
        Self { cache, ..Self::new(settings) }
    }

    /// Obfuscates `query`. The result is in `out`, which is cleared first, where it is [`Outcome::Changed`].
    ///
    /// `dbms` says which database it is for (the span's `db.type`); empty or unknown: no dialect. The legacy mode does not look at it.
    ///
    /// Where a rule cuts a character in two, what is left of it becomes U+FFFD.
    ///
    /// # Errors
    ///
    /// In the legacy mode, when the query can't be read or when nothing is left of it; `out` is empty then. The other modes read anything.
    pub fn obfuscate(
        &mut self,
        query: &str,
        dbms: &str,
        out: &mut String,
    ) -> Result<Outcome, Unparsable> {
        let Some(mut cache) = self.cache.take() else { return self.read(query, dbms, out) };
        let context = if self.settings.mode == Mode::Legacy { "" } else { dbms };
        let result = match cache.find(context, query) {
            Ok(kept) => {
                out.clear();
                out.push_str(kept.result);
                self.tables.clear();
                self.tables.push_str(kept.extra);
                Ok(kept.outcome)
            }
            Err(missed) => {
                let was_literal = self.legacy.literal_backslashes;
                let result = self.read(query, dbms, out);
                if self.legacy.literal_backslashes != was_literal {
                    // Other queries with backslashes are read differently from now on.
                    cache.clear();
                }
                if let Ok(outcome) = result {
                    let kept = Kept { outcome, result: out, extra: &self.tables };
                    cache.keep(missed, context, query, kept);
                }
                result
            }
        };
        self.cache = Some(cache);
        result
    }

    fn read(&mut self, query: &str, dbms: &str, out: &mut String) -> Result<Outcome, Unparsable> {
        let Self { settings, legacy, lexing, names, tables, .. } = self;
        names.clear();
        tables.clear();
        let mut bytes = mem::take(out).into_bytes();
        let result = match settings.mode {
            Mode::Legacy => legacy.obfuscate(query.as_bytes(), settings, names, &mut bytes),
            _ => Ok(lexing.obfuscate(query, dbms, settings, names, &mut bytes)),
        };
        let is_same = match result {
            Ok(is_changed) => !is_changed || bytes == query.as_bytes(),
            Err(Unparsable) => true,
        };
        if is_same {
            bytes.clear();
        }
        *out = into_text(bytes);
        if settings.table_names && result.is_ok() {
            join(names, settings.mode, tables);
        }
        legacy.shrink(BUFFER_BYTES_MAX);
        lexing.shrink(BUFFER_BYTES_MAX);
        names.shrink(BUFFER_BYTES_MAX);
        result.map(|_| if is_same { Outcome::Unchanged } else { Outcome::Changed })
    }

    /// The tables that the last query names, with commas between (the tag `sql.tables`). Empty unless the settings ask for them, and in
    /// [`Mode::ObfuscateOnly`].
    #[must_use]
    pub fn tables(&self) -> &str {
        &self.tables
    }
}

/// Joins names by commas. The legacy mode sets none behind an empty first name.
fn join(names: &Names, mode: Mode, joined: &mut String) {
    for (at, name) in names.iter().enumerate() {
        if if mode == Mode::Legacy { !joined.is_empty() } else { at > 0 } {
            joined.push(',');
        }
        joined.push_str(&String::from_utf8_lossy(name));
    }
}

/// Makes bytes a text, in place where they are one.
fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
