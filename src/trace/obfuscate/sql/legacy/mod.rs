//! The default mode: the rules of the agent's older tokenizer (spec: trace-agent 7.6). It knows no dialect of SQL. A query is read as pieces
//! ([`scan`], [`quoted`]); each goes through a row of filters ([`filters`]), and what is left is joined by single spaces.

mod filters;
mod quoted;
mod scan;
mod token;

use super::names::Names;
use super::output::Output;
use super::{Settings, Unparsable};

use self::filters::Filters;
use self::scan::Scanner;
use self::token::Kind;

/// Buffers that are used from query to query.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The text of a piece that does not lie in the query as it is.
    text: Vec<u8>,
    /// The next such text, while it is built from the last one.
    digits: Vec<u8>,
    /// The tag of a dollar-quoted string, with its dollars.
    tag: Vec<u8>,
    /// The result for the body of a function.
    result: Vec<u8>,
    /// Those for the body of a function inside of this query.
    inner: Option<Box<Buffers>>,
}

impl Buffers {
    fn capacity(&self) -> usize {
        let own = self.text.capacity() + self.digits.capacity() + self.tag.capacity();
        own + self.result.capacity() + self.inner.as_ref().map_or(0, |inner| inner.capacity())
    }
}

/// The legacy mode, and what it has learnt.
#[derive(Debug, Default)]
pub(super) struct Legacy {
    /// Whether a backslash in a string stands for itself. Databases differ, and a query does not say which one it is for: where one reading
    /// fails, the other one is tried, and if it works, it is the first one from then on.
    pub(super) literal_backslashes: bool,
    buffers: Buffers,
}

impl Legacy {
    /// Frees the buffers if they hold more than `bytes_max`.
    pub(super) fn shrink(&mut self, bytes_max: usize) {
        if self.buffers.capacity() > bytes_max {
            self.buffers = Buffers::default();
        }
    }

    /// Obfuscates `query` into `out`; false where `query` is the result. An error where neither reading of backslashes works, and where
    /// nothing would be left.
    pub(super) fn obfuscate(
        &mut self,
        query: &[u8],
        settings: &Settings,
        tables: &mut Names,
        out: &mut Vec<u8>,
    ) -> Result<bool, Unparsable> {
        let mut read = |literal_backslashes, out: &mut Vec<u8>| {
            if settings.table_names {
                tables.clear();
            }
            let scanner = Scanner::new(query, literal_backslashes, 0, settings, &mut self.buffers);
            attempt(scanner, Some(&mut *tables), out)
        };
        let (result, has_backslash) = read(self.literal_backslashes, out);
        if result.is_ok() || !has_backslash {
            return result;
        }
        let (result, _) = read(!self.literal_backslashes, out);
        if result.is_ok() {
            self.literal_backslashes = !self.literal_backslashes;
        }
        result
    }
}

/// One reading of a query. The result, false where it is the query; and whether a backslash was seen.
fn attempt(
    mut scanner: Scanner<'_>,
    tables: Option<&mut Names>,
    out: &mut Vec<u8>,
) -> (Result<bool, Unparsable>, bool) {
    let result = read(&mut scanner, tables, out);
    (result, scanner.has_backslash)
}

fn read(
    scanner: &mut Scanner<'_>,
    mut tables: Option<&mut Names>,
    out: &mut Vec<u8>,
) -> Result<bool, Unparsable> {
    let mut output = Output::new(scanner.query, out);
    let mut filters = Filters::new();
    loop {
        filters.take_words(scanner, &mut output);
        let token = scanner.next()?;
        if token.kind == Kind::End {
            break;
        }
        filters.take(token, scanner, tables.as_deref_mut(), &mut output)?;
    }
    if output.is_empty() { Err(Unparsable) } else { Ok(output.finish()) }
}
