//! What becomes of texts between normalising and counting, in the agent's order: what users typed is hidden (obfuscated), what is too long is
//! cut, and what the user's own rules find is replaced (spec: trace-agent 3.7, 7.1). All of it happens before a text enters the string table,
//! so what was taken out of a span is nowhere in the payload.

mod hide;
pub mod older;
pub mod replace;
mod scalar;
mod span_type;

use std::borrow::Cow;

pub use scalar::{Scalar, double_text};
pub use span_type::SpanType;

use crate::trace::keys::Class;
use crate::trace::model::{Attribute, Value};
use crate::trace::normalise;
use crate::trace::obfuscate::{self, cards};

use hide::{Hider, Verdict};
use replace::Rules;

/// The least number that has as many digits as a card's.
const CARD_MIN: f64 = 1e11;

/// Everything that changes texts.
#[derive(Debug)]
pub struct Redactor {
    hider: Hider,
    /// The replace rules.
    pub rules: Rules,
    /// A number as text.
    digits: String,
}

impl Redactor {
    /// By these settings.
    pub fn new(settings: obfuscate::Settings, rules: Rules) -> Self {
        Self { hider: Hider::new(settings), rules, digits: String::new() }
    }

    /// Whether an attribute has to be looked at more closely where there are no replace rules; with them all have. Nearly none has.
    #[inline(always)]
    pub fn is_concerned(kind: SpanType, attribute: &Attribute, source: &[u8]) -> bool {
        let class = attribute.class;
        if kind.hides(class.hidden) {
            return true;
        }
        !class.is_exempt()
            && match attribute.value {
                Value::Text(text) | Value::Bytes(text) => cards::may_be_card(text.of(source)),
                Value::Number(number) => number.abs() >= CARD_MIN,
                Value::Int(int) => int.unsigned_abs() >= CARD_MIN as u64,
                Value::None
                | Value::Unknown(_)
                | Value::Bool(_)
                | Value::Array(_)
                | Value::Map(_) => false,
            }
    }

    /// Whether SQL is read by the dialect of its database.
    pub fn reads_dialects(&self) -> bool {
        self.hider.reads_dialects()
    }

    /// The tables that the SQL text hidden last names, with commas between; empty unless they are asked for.
    pub fn tables(&self) -> &str {
        self.hider.tables()
    }

    /// A resource through all steps: hidden, cut at `bytes_max`, replaced.
    pub fn whole_resource<'a>(
        &'a mut self,
        kind: SpanType,
        resource: &'a str,
        dbms: &str,
        bytes_max: usize,
    ) -> Cow<'a, str> {
        let hidden = match self.hider.resource(kind, resource, dbms) {
            Verdict::Text(text) => text,
            Verdict::Keep | Verdict::Drop => resource,
        };
        let cut = normalise::truncate(hidden, bytes_max);
        self.rules.resource(cut).map_or(Cow::Borrowed(cut), Cow::Owned)
    }

    /// A text tag through all steps: hidden, cut, replaced. Nothing where the tag goes. What comes out is usually `value` itself or lies in
    /// the redactor's own buffer.
    pub fn text<'a>(
        &'a mut self,
        kind: SpanType,
        class: Class,
        key: &str,
        value: &'a str,
        dbms: &str,
    ) -> Option<Scalar<'a>> {
        let hidden = self.hider.tag(kind, class, value, dbms).of(value)?;
        self.rules.attribute(key, Scalar::Text(normalise::meta_value(key, hidden)))
    }

    /// A tag of bytes through the same steps, by their text; bytes are never cut.
    pub fn bytes<'a>(
        &'a mut self,
        kind: SpanType,
        class: Class,
        key: &str,
        value: &'a str,
        dbms: &str,
    ) -> Option<Scalar<'a>> {
        let hidden = self.hider.tag(kind, class, value, dbms).of(value)?;
        self.rules.attribute(key, Scalar::Text(Cow::Borrowed(hidden)))
    }

    /// A number tag through the same steps: where a text of that key would be hidden it becomes one.
    pub fn number(
        &mut self,
        kind: SpanType,
        class: Class,
        key: &str,
        number: f64,
        dbms: &str,
    ) -> Option<Scalar<'_>> {
        self.digits.clear();
        scalar::write_double(number, &mut self.digits);
        let hidden = match self.hider.tag(kind, class, &self.digits, dbms) {
            Verdict::Text(text) => Scalar::Text(Cow::Borrowed(text)),
            Verdict::Keep if kind.hides(class.hidden) => Scalar::Text(Cow::Borrowed(&self.digits)),
            Verdict::Keep => Scalar::Double(number),
            Verdict::Drop => return None,
        };
        self.rules.attribute(key, hidden)
    }
}
