//! What `/info` says of what is hidden, in the agent's order of keys (spec: trace-agent 1.8). Tracers that hide things themselves do it by
//! these settings.

use serde::Serialize;

use crate::trace::obfuscate::{Settings, settings, sql};
use crate::trace::redact::replace;

/// The version of the rules by which a tracer may hide values in the stats that it computes itself: 2 asks it to do so by the options given,
/// which are not the agent's defaults.
pub(super) fn version(settings: &sql::Settings) -> u32 {
    let without_tables = sql::Settings { table_names: false, ..settings.clone() };
    if without_tables == sql::Settings::default() { 1 } else { 2 }
}

/// A replace rule.
#[derive(Serialize)]
struct Rule {
    name: String,
    pattern: String,
    repl: String,
}

/// The object `config.obfuscation`.
#[derive(Serialize)]
pub(super) struct Obfuscation<'a> {
    elastic_search: bool,
    mongo: bool,
    sql_exec_plan: bool,
    sql_exec_plan_normalize: bool,
    sql_obfuscation_mode: &'a str,
    tag_replace_rules: Option<Vec<Rule>>,
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

#[derive(Serialize)]
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

impl<'a> Obfuscation<'a> {
    /// The object for these settings and replace rules.
    pub(super) fn new(settings: &'a Settings, rules: Vec<replace::Setting>) -> Self {
        let rules: Vec<Rule> = rules
            .into_iter()
            .map(|replace::Setting { name, pattern, repl }| Rule { name, pattern, repl })
            .collect();
        Self {
            elastic_search: settings.elasticsearch.enabled,
            mongo: settings.mongodb.enabled,
            sql_exec_plan: settings.sql_exec_plan,
            sql_exec_plan_normalize: settings.sql_exec_plan_normalise,
            sql_obfuscation_mode: mode(settings.sql.mode),
            tag_replace_rules: (!rules.is_empty()).then_some(rules),
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
            sql: Sql {
                replace_digits: settings.sql.replace_digits,
                keep_sql_alias: settings.sql.keep_sql_alias,
                dollar_quoted_func: settings.sql.dollar_quoted_func,
                keep_null: settings.sql.keep_null,
                keep_boolean: settings.sql.keep_boolean,
                keep_positional_parameter: settings.sql.keep_positional_parameter,
                keep_trailing_semicolon: settings.sql.keep_trailing_semicolon,
                keep_identifier_quotation: settings.sql.keep_identifier_quotation,
                replace_bind_parameter: settings.sql.replace_bind_parameter,
                remove_space_between_parentheses: settings.sql.remove_space_between_parentheses,
                keep_json_path: settings.sql.keep_json_path,
                obfuscation_mode: mode(settings.sql.mode),
            },
            elasticsearch: json(&settings.elasticsearch),
            opensearch: json(&settings.opensearch),
            mongodb: json(&settings.mongodb),
        }
    }
}

fn mode(mode: sql::Mode) -> &'static str {
    match mode {
        sql::Mode::Legacy => "",
        sql::Mode::ObfuscateOnly => "obfuscate_only",
        sql::Mode::NormaliseOnly => "normalize_only",
        sql::Mode::ObfuscateAndNormalise => "obfuscate_and_normalize",
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
