//! What becomes of texts between normalising and counting, in the agent's order: what users typed is hidden (obfuscated), what is too long is
//! cut, and what the user's own rules find is replaced (spec: trace-agent 3.7, 7.1). All of it happens before a text enters the string table,
//! so what was taken out of a span is nowhere in the payload.

pub mod older;
pub mod replace;
mod scalar;
mod span_type;

use std::borrow::Cow;

pub use scalar::{Scalar, double_text};
pub use span_type::SpanType;

use crate::trace::keys::{Class, Hidden};
use crate::trace::model::{Attribute, Value};
use crate::trace::normalise;
use crate::trace::obfuscate::json::Json;
use crate::trace::obfuscate::sql::{Mode, Sql};
use crate::trace::obfuscate::{self, Outcome, cards, memcached, redis, url};

use replace::Rules;

/// The least number that has as many digits as a card's.
const CARD_MIN: f64 = 1e11;

/// What stands for SQL that can't be read.
pub const UNPARSABLE: &str = "Non-parsable SQL query";

/// Everything that changes texts.
#[derive(Debug)]
pub struct Redactor {
    settings: obfuscate::Settings,
    sql: Sql,
    elasticsearch: Json,
    opensearch: Json,
    mongodb: Json,
    /// The replace rules.
    pub rules: Rules,
    out: String,
}

/// What a tag's value becomes.
#[derive(Debug, PartialEq)]
pub enum Verdict<'a> {
    /// It stays.
    Keep,
    /// Another text takes its place.
    Text(&'a str),
    /// The tag goes.
    Drop,
}

impl Redactor {
    /// By these settings.
    pub fn new(settings: obfuscate::Settings, rules: Rules) -> Self {
        Self {
            sql: match settings.cache_bytes {
                0 => Sql::new(settings.sql.clone()),
                bytes => Sql::with_cache(settings.sql.clone(), bytes),
            },
            elasticsearch: Json::new(&settings.elasticsearch),
            opensearch: Json::new(&settings.opensearch),
            mongodb: Json::new(&settings.mongodb),
            settings,
            rules,
            out: String::new(),
        }
    }

    /// Whether an attribute has to be looked at more closely where there are no replace rules; with them all have. Nearly none has.
    #[inline(always)]
    pub fn is_concerned(kind: SpanType, attribute: &Attribute, source: &[u8]) -> bool {
        let class = attribute.class;
        let may_be_card = match attribute.value {
            Value::Text(text) => cards::may_be_card(text.of(source)),
            Value::Number(number) => number.abs() >= CARD_MIN,
            Value::Bytes(_) => true,
        };
        kind.hides(class.hidden) || may_be_card && !class.is_exempt()
    }

    /// Whether SQL is read by the dialect of its database.
    pub fn reads_dialects(&self) -> bool {
        self.settings.sql.mode != Mode::Legacy
    }

    /// The tables that the SQL text hidden last names, with commas between; empty unless they are asked for.
    pub fn tables(&self) -> &str {
        self.sql.tables()
    }

    /// Hides what has to be hidden of a resource.
    pub fn resource(&mut self, kind: SpanType, resource: &str, dbms: &str) -> Verdict<'_> {
        let outcome = match kind {
            SpanType::Sql if resource.is_empty() => Outcome::Unchanged,
            SpanType::Sql => return self.hide_sql(resource, dbms),
            SpanType::Redis | SpanType::Valkey => redis::quantise(resource, &mut self.out),
            _ => Outcome::Unchanged,
        };
        self.verdict(outcome)
    }

    /// A resource through all steps: hidden, cut at `bytes_max`, replaced.
    pub fn whole_resource<'a>(
        &mut self,
        kind: SpanType,
        resource: &'a str,
        dbms: &str,
        bytes_max: usize,
    ) -> Cow<'a, str> {
        let cut = match self.resource(kind, resource, dbms) {
            Verdict::Text(text) => Cow::Owned(normalise::truncate(text, bytes_max).to_owned()),
            Verdict::Keep | Verdict::Drop => {
                Cow::Borrowed(normalise::truncate(resource, bytes_max))
            }
        };
        self.rules.resource(&cut).map_or(cut, Cow::Owned)
    }

    fn verdict(&self, outcome: Outcome) -> Verdict<'_> {
        match outcome {
            Outcome::Unchanged => Verdict::Keep,
            Outcome::Changed => Verdict::Text(&self.out),
        }
    }

    fn hide_sql(&mut self, query: &str, dbms: &str) -> Verdict<'_> {
        match self.sql.obfuscate(query, dbms, &mut self.out) {
            Ok(outcome) => self.verdict(outcome),
            Err(_) => Verdict::Text(UNPARSABLE),
        }
    }

    /// Hides what has to be hidden of a tag's value.
    pub fn hide(
        &mut self,
        kind: SpanType,
        class: Class,
        mut value: &str,
        dbms: &str,
    ) -> Verdict<'_> {
        let is_card = self.settings.credit_cards.enabled
            && !class.is_exempt()
            && cards::is_card(value.as_bytes(), self.settings.credit_cards.luhn);
        if is_card {
            value = cards::HIDDEN;
        }
        let outcome = match class.hidden {
            hidden if !kind.hides(hidden) => Outcome::Unchanged,
            Hidden::SqlQuery if value.is_empty() => return Verdict::Drop,
            _ if value.is_empty() => Outcome::Unchanged,
            Hidden::SqlQuery | Hidden::SqlText => match self.hide_sql(value, dbms) {
                // The borrow ends here; what it says is in the buffer or constant.
                Verdict::Text(UNPARSABLE) => return Verdict::Text(UNPARSABLE),
                Verdict::Text(_) => Outcome::Changed,
                _ => Outcome::Unchanged,
            },
            hidden => self.hide_other(hidden, value),
        };
        match outcome {
            Outcome::Unchanged if is_card => Verdict::Text(cards::HIDDEN),
            outcome => self.verdict(outcome),
        }
    }

    fn hide_other(&mut self, hidden: Hidden, value: &str) -> Outcome {
        let Self { settings, sql, out, .. } = self;
        let mut sql = |query: &str, out: &mut String| sql.obfuscate(query, "", out).ok();
        match hidden {
            Hidden::RedisCommand if settings.redis.enabled => {
                redis::obfuscate_command(value, settings.redis.remove_all_args, out)
            }
            Hidden::ValkeyCommand if settings.valkey.enabled => {
                redis::obfuscate_command(value, settings.valkey.remove_all_args, out)
            }
            Hidden::MemcachedCommand if settings.memcached.enabled => {
                memcached::obfuscate(value, settings.memcached.keep_command, out)
            }
            Hidden::HttpUrl => url::obfuscate(value, &settings.http, out),
            Hidden::MongoQuery if settings.mongodb.enabled => {
                self.mongodb.obfuscate(value, &mut sql, out)
            }
            Hidden::ElasticBody if settings.elasticsearch.enabled => {
                self.elasticsearch.obfuscate(value, &mut sql, out)
            }
            Hidden::OpenSearchBody if settings.opensearch.enabled => {
                self.opensearch.obfuscate(value, &mut sql, out)
            }
            _ => Outcome::Unchanged,
        }
    }

    /// A text tag through all steps: hidden, cut, replaced. Nothing where the tag goes.
    pub fn text<'a>(
        &mut self,
        kind: SpanType,
        class: Class,
        key: &str,
        value: &'a str,
        dbms: &str,
    ) -> Option<Scalar<'a>> {
        let hidden = self.hidden(kind, class, key, value, dbms)?;
        self.rules.attribute(key, Scalar::Text(hidden))
    }

    /// A text tag through the first steps: hidden, cut. Nothing where the tag goes.
    #[inline(always)]
    fn hidden<'a>(
        &mut self,
        kind: SpanType,
        class: Class,
        key: &str,
        value: &'a str,
        dbms: &str,
    ) -> Option<Cow<'a, str>> {
        let hidden = match self.hide(kind, class, value, dbms) {
            Verdict::Keep => Cow::Borrowed(value),
            Verdict::Text(text) => Cow::Owned(text.to_owned()),
            Verdict::Drop => return None,
        };
        Some(match normalise::meta_value(key, &hidden) {
            Cow::Owned(cut) => Cow::Owned(cut),
            Cow::Borrowed(_) => hidden,
        })
    }

    /// A number tag through the same steps: where a text of that key would be hidden it becomes one.
    pub fn number(
        &mut self,
        kind: SpanType,
        class: Class,
        key: &str,
        number: f64,
        dbms: &str,
    ) -> Option<Scalar<'static>> {
        let text = double_text(number);
        let hidden = match self.hide(kind, class, &text, dbms) {
            Verdict::Text(text) => Scalar::Text(Cow::Owned(text.to_owned())),
            Verdict::Keep if kind.hides(class.hidden) => Scalar::Text(Cow::Owned(text)),
            Verdict::Keep => Scalar::Double(number),
            Verdict::Drop => return None,
        };
        self.rules.attribute(key, hidden)
    }
}
