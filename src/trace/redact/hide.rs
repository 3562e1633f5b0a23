//! What users typed, hidden: which obfuscator looks at a text, and what becomes of it (spec: trace-agent 7.1).

use super::SpanType;
use crate::trace::keys::{Class, Hidden};
use crate::trace::obfuscate::json::Json;
use crate::trace::obfuscate::sql::{Mode, Sql};
use crate::trace::obfuscate::{Outcome, Settings, cards, memcached, redis, url};

/// What stands for SQL that can't be read.
const UNPARSABLE: &str = "Non-parsable SQL query";

/// What a text becomes. A new one lies in the obfuscators' own buffer, until they look at the next.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict<'a> {
    /// It stays.
    Keep,
    /// Another text takes its place.
    Text(&'a str),
    /// The tag goes.
    Drop,
}

impl<'a> Verdict<'a> {
    /// What becomes of `text`; nothing where it goes.
    pub(super) fn of(self, text: &'a str) -> Option<&'a str> {
        match self {
            Self::Keep => Some(text),
            Self::Text(new) => Some(new),
            Self::Drop => None,
        }
    }
}

/// All obfuscators, and the buffer that they write to.
#[derive(Debug)]
pub(super) struct Hider {
    settings: Settings,
    sql: Sql,
    elasticsearch: Json,
    opensearch: Json,
    mongodb: Json,
    out: String,
}

impl Hider {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            sql: match settings.cache_bytes {
                0 => Sql::new(settings.sql.clone()),
                bytes => Sql::with_cache(settings.sql.clone(), bytes),
            },
            elasticsearch: Json::new(&settings.elasticsearch),
            opensearch: Json::new(&settings.opensearch),
            mongodb: Json::new(&settings.mongodb),
            settings,
            out: String::new(),
        }
    }

    /// Whether SQL is read by the dialect of its database.
    pub(super) fn reads_dialects(&self) -> bool {
        self.settings.sql.mode != Mode::Legacy
    }

    /// The tables that the SQL text hidden last names, with commas between; empty unless they are asked for.
    pub(super) fn tables(&self) -> &str {
        self.sql.tables()
    }

    /// Hides what has to be hidden of a resource.
    pub(super) fn resource(&mut self, kind: SpanType, resource: &str, dbms: &str) -> Verdict<'_> {
        let outcome = match kind {
            _ if resource.is_empty() => Outcome::Unchanged,
            SpanType::Sql => match self.sql.obfuscate(resource, dbms, &mut self.out) {
                Ok(outcome) => outcome,
                Err(_) => return Verdict::Text(UNPARSABLE),
            },
            SpanType::Redis | SpanType::Valkey => redis::quantise(resource, &mut self.out),
            _ => Outcome::Unchanged,
        };
        self.verdict(outcome)
    }

    /// Hides what has to be hidden of a tag's value.
    pub(super) fn tag(
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
            Hidden::SqlQuery | Hidden::SqlText => {
                match self.sql.obfuscate(value, dbms, &mut self.out) {
                    Ok(outcome) => outcome,
                    Err(_) => return Verdict::Text(UNPARSABLE),
                }
            }
            hidden => self.other(hidden, value),
        };
        match outcome {
            Outcome::Unchanged if is_card => Verdict::Text(cards::HIDDEN),
            outcome => self.verdict(outcome),
        }
    }

    /// Whether a text under this key is the number of a card that has to be hidden.
    pub(super) fn is_card(&self, key: &str, text: &str) -> bool {
        let settings = &self.settings.credit_cards;
        settings.enabled
            && cards::is_card(text.as_bytes(), settings.luhn)
            && !cards::key_is_exempt(key, &settings.keep_values)
    }

    fn other(&mut self, hidden: Hidden, value: &str) -> Outcome {
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

    fn verdict(&self, outcome: Outcome) -> Verdict<'_> {
        match outcome {
            Outcome::Unchanged => Verdict::Keep,
            Outcome::Changed => Verdict::Text(&self.out),
        }
    }
}
