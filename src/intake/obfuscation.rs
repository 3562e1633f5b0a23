//! What `/info` says of what is hidden, in the agent's order of keys (spec: trace-agent 1.8). Tracers that hide things themselves do it by
//! these settings.

use serde::Serialize;

use crate::trace::obfuscate::{Settings, settings};

/// The version of the rules by which a tracer may hide values in the stats that it computes itself.
pub(super) const VERSION: u32 = 1;

/// The object `config.obfuscation`.
#[derive(Serialize)]
pub(super) struct Obfuscation<'a> {
    elastic_search: bool,
    mongo: bool,
    sql_exec_plan: bool,
    sql_exec_plan_normalize: bool,
    sql_obfuscation_mode: &'a str,
    /// Replace rules are not among these settings.
    tag_replace_rules: (),
    http: Url,
    remove_stack_traces: bool,
    redis: Redis,
    valkey: Redis,
    memcached: Memcached,
    credit_cards: Cards<'a>,
    sql: Sql<'a>,
    elasticsearch: Json<'a>,
    opensearch: Json<'a>,
    mongodb: Json<'a>,
}

#[derive(Serialize)]
struct Url {
    remove_query_string: bool,
    remove_path_digits: bool,
}

#[derive(Serialize)]
struct Redis {
    enabled: bool,
    remove_all_args: bool,
}

#[derive(Serialize)]
struct Memcached {
    enabled: bool,
    keep_command: bool,
}

#[derive(Serialize)]
struct Cards<'a> {
    enabled: bool,
    luhn: bool,
    keep_values: Option<&'a [String]>,
}

/// The agent's defaults.
#[derive(Default, Serialize)]
struct Sql<'a> {
    replace_digits: bool,
    keep_sql_alias: bool,
    dollar_quoted_func: bool,
    keep_null: bool,
    keep_boolean: bool,
    keep_positional_parameter: bool,
    keep_trailing_semicolon: bool,
    keep_identifier_quotation: bool,
    replace_bind_parameter: bool,
    remove_space_between_parentheses: bool,
    keep_json_path: bool,
    obfuscation_mode: &'a str,
}

#[derive(Serialize)]
struct Json<'a> {
    enabled: bool,
    keep_keys: Option<&'a [String]>,
}

impl<'a> From<&'a Settings> for Obfuscation<'a> {
    fn from(settings: &'a Settings) -> Self {
        Self {
            elastic_search: settings.elasticsearch.enabled,
            mongo: settings.mongodb.enabled,
            sql_exec_plan: settings.sql_exec_plan,
            sql_exec_plan_normalize: settings.sql_exec_plan_normalise,
            sql_obfuscation_mode: "",
            tag_replace_rules: (),
            http: Url {
                remove_query_string: settings.http.remove_query_string,
                remove_path_digits: settings.http.remove_paths_with_digits,
            },
            remove_stack_traces: settings.remove_stack_traces,
            redis: redis(settings.redis),
            valkey: redis(settings.valkey),
            memcached: Memcached {
                enabled: settings.memcached.enabled,
                keep_command: settings.memcached.keep_command,
            },
            credit_cards: Cards {
                enabled: settings.credit_cards.enabled,
                luhn: settings.credit_cards.luhn,
                keep_values: list(&settings.credit_cards.keep_values),
            },
            sql: Sql::default(),
            elasticsearch: json(&settings.elasticsearch),
            opensearch: json(&settings.opensearch),
            mongodb: json(&settings.mongodb),
        }
    }
}

fn redis(settings: settings::Redis) -> Redis {
    Redis { enabled: settings.enabled, remove_all_args: settings.remove_all_args }
}

fn json(settings: &settings::Json) -> Json<'_> {
    Json { enabled: settings.enabled, keep_keys: list(&settings.keep_values) }
}

/// A list as the agent writes it: `null` where there is none.
fn list(keys: &[String]) -> Option<&[String]> {
    (!keys.is_empty()).then_some(keys)
}
