//! The value that a token has once values are hidden.

use std::borrow::Cow;

use crate::trace::obfuscate::sql::bytes;
use crate::trace::obfuscate::sql::{Mode, Settings};

use super::FUNCTION_TAG;
use super::scan::{Dbms, Kind, Lexer, Token};

/// Where the value of a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// In the query.
    Query,
    /// It is hidden: `?`.
    Hidden,
    /// It was built.
    Built,
}

/// The bytes of a value.
#[inline]
pub(super) fn bytes_of<'a>(
    value: Value,
    token: &Token,
    query: &'a [u8],
    built: &'a [u8],
) -> &'a [u8] {
    match value {
        Value::Query => &query[token.start..token.end],
        Value::Hidden => b"?",
        Value::Built => built,
    }
}

/// How far an `EXTRACT(field` has been read. Its field is hidden, because databases report such queries with a parameter in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extract {
    Outside,
    Name,
    Open,
}

/// Hides the values of one query.
#[derive(Debug)]
pub(super) struct Hider<'a> {
    settings: &'a Settings,
    dbms: Dbms,
    is_active: bool,
    /// The kinds of tokens that are hidden, as bits.
    hidden: u32,
    follows_json_operator: bool,
    extract: Extract,
}

impl<'a> Hider<'a> {
    /// One that does nothing where the mode leaves values alone.
    pub(super) fn new(settings: &'a Settings, dbms: Dbms) -> Self {
        let is_active = settings.mode != Mode::NormaliseOnly;
        let hidden = hidden_kinds(settings);
        let extract = Extract::Outside;
        Self { settings, dbms, is_active, hidden, follows_json_operator: false, extract }
    }

    /// One that does nothing.
    pub(super) fn idle(settings: &'a Settings) -> Self {
        Self { is_active: false, ..Self::new(settings, Dbms::Other) }
    }

    /// The value of the next token. `built` holds it where it is [`Value::Built`].
    #[inline]
    pub(super) fn value(&mut self, query: &[u8], token: &Token, built: &mut Vec<u8>) -> Value {
        if !self.is_active || !token.kind.is_value() {
            return Value::Query;
        }
        let mut value = self.plain_value(query, token, built);
        if token.kind == Kind::Function || self.extract != Extract::Outside {
            self.read_extract(&query[token.start..token.end], token.kind, &mut value);
        }
        self.follows_json_operator = token.kind == Kind::JsonOperator;
        value
    }

    #[inline]
    fn plain_value(&self, query: &[u8], token: &Token, built: &mut Vec<u8>) -> Value {
        if token.kind.bit() & self.hidden != 0 {
            let is_path = self.follows_json_operator && self.settings.keep_json_path;
            let is_kept = is_path && matches!(token.kind, Kind::Number | Kind::Text);
            return if is_kept { Value::Query } else { Value::Hidden };
        }
        if token.kind == Kind::FunctionBody {
            self.function_body(&query[token.start..token.end], built);
            return Value::Built;
        }
        if token.has_digits && self.settings.replace_digits && token.kind.is_name() {
            built.clear();
            bytes::push_collapsed(&query[token.start..token.end], built);
            return Value::Built;
        }
        Value::Query
    }

    /// Hides the field of an `EXTRACT`.
    fn read_extract(&mut self, text: &[u8], kind: Kind, value: &mut Value) {
        let can_be_field = matches!(kind, Kind::Word | Kind::Keyword);
        if self.extract == Extract::Open && can_be_field && is_extract_field(text) {
            *value = Value::Hidden;
        }
        self.extract = match kind {
            Kind::Function if text.eq_ignore_ascii_case(b"EXTRACT") => Extract::Name,
            Kind::Punctuation if self.extract == Extract::Name && text == b"(" => Extract::Open,
            _ => Extract::Outside,
        };
    }

    /// Hides the values in the body of a function, which stays between its tags. There can be no such body in it: the first tag ends it.
    fn function_body(&self, quoted: &[u8], built: &mut Vec<u8>) {
        let body = &quoted[FUNCTION_TAG.len()..quoted.len() - FUNCTION_TAG.len()];
        built.clear();
        let mut part = std::mem::take(built);
        let text = text_of(body);
        let body = text.as_bytes();
        let mut lexer = Lexer::new(&text, self.dbms);
        let mut hider = Hider::new(self.settings, self.dbms);
        loop {
            let token = lexer.next();
            if token.kind == Kind::End {
                break;
            }
            let value = hider.value(body, &token, built);
            part.extend_from_slice(bytes_of(value, &token, body, built));
        }
        let body = bytes::trim(&part);
        built.clear();
        built.extend_from_slice(FUNCTION_TAG);
        built.extend_from_slice(body);
        built.extend_from_slice(FUNCTION_TAG);
    }
}

/// The body of a function as a text. Where a character was cut in two, what is left of it is U+FFFD here, as it will be in the result.
pub(super) fn text_of(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body)
}

/// The kinds of tokens that are hidden, as bits.
fn hidden_kinds(settings: &Settings) -> u32 {
    let kinds = [
        (Kind::Number, true),
        (Kind::Text, true),
        (Kind::PositionalParameter, !settings.keep_positional_parameter),
        (Kind::BindParameter, settings.replace_bind_parameter),
        (Kind::Boolean, !settings.keep_boolean),
        (Kind::Null, !settings.keep_null),
        (Kind::FunctionBody, !settings.dollar_quoted_func),
    ];
    kinds.iter().filter(|(_, is_hidden)| *is_hidden).fold(0, |bits, (kind, _)| bits | kind.bit())
}

/// Whether `name` is a field of a time, as Postgres names them. Two letters beyond ASCII count as the ASCII letters they fold to.
fn is_extract_field(name: &[u8]) -> bool {
    const FIELDS: [&str; 22] = [
        "century",
        "day",
        "decade",
        "dow",
        "doy",
        "epoch",
        "hour",
        "isodow",
        "isoyear",
        "julian",
        "microseconds",
        "millennium",
        "milliseconds",
        "minute",
        "month",
        "quarter",
        "second",
        "timezone",
        "timezone_hour",
        "timezone_minute",
        "week",
        "year",
    ];
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let folded = || {
        name.chars().map(|c| match c {
            'ſ' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        })
    };
    FIELDS.iter().any(|field| field.chars().eq(folded()))
}
