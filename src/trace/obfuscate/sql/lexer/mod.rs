//! The modes with a lexer that knows dialects (spec: trace-agent 7.6). A query is read as tokens ([`scan`]); values are hidden ([`hide`]),
//! the query is normalised ([`normalise`]), or both.

mod hide;
mod keywords;
mod normalise;
mod scan;
mod tables;

use super::names::Names;
use super::output::Output;
use super::{Mode, Settings};

use self::hide::{Hider, Value, bytes_of, text_of};
use self::normalise::Normaliser;
use self::scan::{Dbms, Kind, Lexer};
use self::tables::Tables;

/// What is before and behind the body of a function.
const FUNCTION_TAG: &[u8] = b"$func$";

/// Buffers that are used from query to query.
#[derive(Debug, Default)]
pub(super) struct Lexing {
    /// The value of a token that does not lie in the query as it is.
    built: Vec<u8>,
    /// A parenthesis that starts the query.
    head: Vec<u8>,
    /// The name of a table.
    name: Vec<u8>,
    /// The result for the body of a function.
    result: Vec<u8>,
    /// Names of common table expressions.
    expressions: Names,
    /// Those for the body of a function.
    inner: Option<Box<Lexing>>,
}

impl Lexing {
    /// Obfuscates `query` into `out`; false where `query` is the result.
    pub(super) fn obfuscate(
        &mut self,
        query: &str,
        dbms: &str,
        settings: &Settings,
        names: &mut Names,
        out: &mut Vec<u8>,
    ) -> bool {
        let dbms = Dbms::named(dbms);
        if settings.mode == Mode::ObfuscateOnly {
            return self.hide(query, dbms, settings, out);
        }
        let names = settings.table_names.then_some(names);
        self.normalise(query, Hider::new(settings, dbms), dbms, settings, names, out)
    }

    /// Frees the buffers if they hold more than `bytes_max`.
    pub(super) fn shrink(&mut self, bytes_max: usize) {
        if self.capacity() > bytes_max {
            *self = Self::default();
        }
        self.expressions.shrink(bytes_max);
    }

    fn capacity(&self) -> usize {
        let own = self.built.capacity() + self.head.capacity() + self.name.capacity();
        own + self.result.capacity() + self.inner.as_ref().map_or(0, |inner| inner.capacity())
    }

    fn hide(&mut self, text: &str, dbms: Dbms, settings: &Settings, out: &mut Vec<u8>) -> bool {
        let query = text.as_bytes();
        let mut output = Output::new(query, out);
        let mut hider = Hider::new(settings, dbms);
        let mut lexer = Lexer::new(text, dbms);
        loop {
            let token = lexer.next();
            if token.kind == Kind::End {
                return output.finish_trimmed(false);
            }
            match hider.value(query, &token, &mut self.built) {
                Value::Query => output.copy(false, token.start, token.end),
                value => output.add(false, bytes_of(value, &token, query, &self.built)),
            }
        }
    }

    fn normalise(
        &mut self,
        text: &str,
        mut hider: Hider<'_>,
        dbms: Dbms,
        settings: &Settings,
        names: Option<&mut Names>,
        out: &mut Vec<u8>,
    ) -> bool {
        let Self { built, head, name, result, expressions, inner } = self;
        let query = text.as_bytes();
        expressions.clear();
        let mut tables = names.map(|names| Tables { names, expressions, name, is_list: false });
        let mut normaliser = Normaliser::new(settings, query, head, out);
        let mut lexer = Lexer::new(text, dbms);
        loop {
            lexer.skip_space();
            let token = lexer.next();
            if token.kind == Kind::End {
                return normaliser.finish();
            }
            let mut value = hider.value(query, &token, built);
            if let Some(tables) = &mut tables {
                let bytes = bytes_of(value, &token, query, built);
                tables.see(&token, bytes, normaliser.last.as_ref());
            }
            if token.kind == Kind::FunctionBody && value != Value::Hidden {
                let quoted = bytes_of(value, &token, query, built);
                normalise_body(quoted, settings, inner, result);
                std::mem::swap(built, result);
                value = Value::Built;
            }
            normaliser.take(&token, value, built);
        }
    }
}

/// Normalises the body of a function, between its tags, into `out`. Of its dialect nothing is known. It holds no such body: the first tag
/// ends it.
fn normalise_body(
    quoted: &[u8],
    settings: &Settings,
    inner: &mut Option<Box<Lexing>>,
    out: &mut Vec<u8>,
) {
    let body = &quoted[FUNCTION_TAG.len()..quoted.len() - FUNCTION_TAG.len()];
    let dbms = Dbms::Other;
    let inner = inner.get_or_insert_default();
    let hider = Hider::idle(settings);
    let text = text_of(body);
    let is_changed = inner.normalise(&text, hider, dbms, settings, None, out);
    if !is_changed {
        out.extend_from_slice(text.as_bytes());
    }
    out.splice(..0, FUNCTION_TAG.iter().copied());
    out.extend_from_slice(FUNCTION_TAG);
}
