//! The settings of what is hidden: their variables, and how they are read.

use super::keys::Key;
use super::parse;
use super::read::Reader;
use crate::trace::obfuscate::sql::{self, Mode};
use crate::trace::obfuscate::{Settings, settings};

/// All of them in the order of the README.
pub const KEYS: &[&Key] = &[
    &SQL_MODE,
    &CACHE,
    &CACHE_BYTES,
    &CARDS,
    &CARDS_LUHN,
    &CARDS_KEEP,
    &URL_QUERY,
    &URL_DIGITS,
    &REDIS,
    &REDIS_ARGS,
    &VALKEY,
    &VALKEY_ARGS,
    &MEMCACHED,
    &MEMCACHED_COMMAND,
    &MONGODB,
    &MONGODB_KEEP,
    &MONGODB_SQL,
    &ELASTICSEARCH,
    &ELASTICSEARCH_KEEP,
    &ELASTICSEARCH_SQL,
    &OPENSEARCH,
    &OPENSEARCH_KEEP,
    &OPENSEARCH_SQL,
    &STACKS,
    &PLANS,
    &PLANS_NORMALISED,
];

/// The mode of SQL.
pub const SQL_MODE: Key = Key {
    names: &["DD_APM_SQL_OBFUSCATION_MODE"],
    yaml: &["apm_config.sql_obfuscation_mode"],
    default: "",
    meaning: "How SQL is treated. Unset: values become `?` and the text is made regular. `obfuscate_only`: values become `?`, the rest stays as it \
              is. `obfuscate_and_normalize`: both, by newer rules that know dialects (`db.type`). `normalize_only`: values stay in clear.",
};
/// The cache for SQL.
pub const CACHE: Key = Key {
    names: &["DD_APM_OBFUSCATION_CACHE_ENABLED"],
    yaml: &["apm_config.obfuscation.cache.enabled"],
    default: "true",
    meaning: "Keep results for SQL texts that come again.",
};
/// Its size.
pub const CACHE_BYTES: Key = Key {
    names: &["DD_APM_OBFUSCATION_CACHE_MAX_SIZE"],
    yaml: &["apm_config.obfuscation.cache.max_size"],
    default: "5000000",
    meaning: "Memory for those results, as bytes or with `KiB`, `MiB`.",
};
/// Card numbers.
pub const CARDS: Key = Key {
    names: &["DD_APM_OBFUSCATION_CREDIT_CARDS_ENABLED"],
    yaml: &["apm_config.obfuscation.credit_cards.enabled"],
    default: "true",
    meaning: "A tag that is nothing but a card number becomes `?`.",
};
/// The check digit of card numbers.
pub const CARDS_LUHN: Key = Key {
    names: &["DD_APM_OBFUSCATION_CREDIT_CARDS_LUHN"],
    yaml: &["apm_config.obfuscation.credit_cards.luhn"],
    default: "false",
    meaning: "Only where the check digit is right. For apps whose own long numbers look like cards.",
};
/// Tags without card numbers.
pub const CARDS_KEEP: Key = Key {
    names: &["DD_APM_OBFUSCATION_CREDIT_CARDS_KEEP_VALUES"],
    yaml: &["apm_config.obfuscation.credit_cards.keep_values"],
    default: "[]",
    meaning: "Tags that never hold card numbers, as a JSON array or between commas.",
};
/// Query strings.
pub const URL_QUERY: Key = Key {
    names: &["DD_APM_OBFUSCATION_HTTP_REMOVE_QUERY_STRING"],
    yaml: &["apm_config.obfuscation.http.remove_query_string"],
    default: "false",
    meaning: "The query string of `http.url` goes. A user and password in it go in any case.",
};
/// Digits in paths.
pub const URL_DIGITS: Key = Key {
    names: &["DD_APM_OBFUSCATION_HTTP_REMOVE_PATHS_WITH_DIGITS"],
    yaml: &["apm_config.obfuscation.http.remove_paths_with_digits"],
    default: "false",
    meaning: "Segments of the path of `http.url` with a digit in them become `?`.",
};
/// Redis commands.
pub const REDIS: Key = Key {
    names: &["DD_APM_OBFUSCATION_REDIS_ENABLED"],
    yaml: &["apm_config.obfuscation.redis.enabled"],
    default: "true",
    meaning: "Values in `redis.raw_command` become `?`. The resource names the commands alone in any case.",
};
/// All arguments of Redis commands.
pub const REDIS_ARGS: Key = Key {
    names: &["DD_APM_OBFUSCATION_REDIS_REMOVE_ALL_ARGS"],
    yaml: &["apm_config.obfuscation.redis.remove_all_args"],
    default: "false",
    meaning: "All arguments become one `?`, keys included.",
};
/// Valkey commands.
pub const VALKEY: Key = Key {
    names: &["DD_APM_OBFUSCATION_VALKEY_ENABLED"],
    yaml: &["apm_config.obfuscation.valkey.enabled"],
    default: "true",
    meaning: "The same for `valkey.raw_command`.",
};
/// All arguments of Valkey commands.
pub const VALKEY_ARGS: Key = Key {
    names: &["DD_APM_OBFUSCATION_VALKEY_REMOVE_ALL_ARGS"],
    yaml: &["apm_config.obfuscation.valkey.remove_all_args"],
    default: "false",
    meaning: "The same for Valkey.",
};
/// Memcached commands.
pub const MEMCACHED: Key = Key {
    names: &["DD_APM_OBFUSCATION_MEMCACHED_ENABLED"],
    yaml: &["apm_config.obfuscation.memcached.enabled"],
    default: "true",
    meaning: "`memcached.command` is emptied.",
};
/// The first line of Memcached commands.
pub const MEMCACHED_COMMAND: Key = Key {
    names: &["DD_APM_OBFUSCATION_MEMCACHED_KEEP_COMMAND"],
    yaml: &["apm_config.obfuscation.memcached.keep_command"],
    default: "false",
    meaning: "Its first line, the command with its keys, stays.",
};
/// MongoDB queries.
pub const MONGODB: Key = Key {
    names: &["DD_APM_OBFUSCATION_MONGODB_ENABLED"],
    yaml: &["apm_config.obfuscation.mongodb.enabled"],
    default: "true",
    meaning: "Values in the JSON of `mongodb.query` become `?`.",
};
/// Values of MongoDB queries that stay.
pub const MONGODB_KEEP: Key = Key {
    names: &["DD_APM_OBFUSCATION_MONGODB_KEEP_VALUES"],
    yaml: &["apm_config.obfuscation.mongodb.keep_values"],
    default: "[]",
    meaning: "Keys whose values stay, with all that is in them, as a JSON array or between commas.",
};
/// SQL in MongoDB queries.
pub const MONGODB_SQL: Key = Key {
    names: &["DD_APM_OBFUSCATION_MONGODB_OBFUSCATE_SQL_VALUES"],
    yaml: &["apm_config.obfuscation.mongodb.obfuscate_sql_values"],
    default: "[]",
    meaning: "Keys whose values are SQL, of which only the values are hidden.",
};
/// Elasticsearch queries.
pub const ELASTICSEARCH: Key = Key {
    names: &["DD_APM_OBFUSCATION_ELASTICSEARCH_ENABLED"],
    yaml: &["apm_config.obfuscation.elasticsearch.enabled"],
    default: "true",
    meaning: "Values in the JSON of `elasticsearch.body` become `?`.",
};
/// Values of Elasticsearch queries that stay.
pub const ELASTICSEARCH_KEEP: Key = Key {
    names: &["DD_APM_OBFUSCATION_ELASTICSEARCH_KEEP_VALUES"],
    yaml: &["apm_config.obfuscation.elasticsearch.keep_values"],
    default: "[]",
    meaning: "As for MongoDB.",
};
/// SQL in Elasticsearch queries.
pub const ELASTICSEARCH_SQL: Key = Key {
    names: &["DD_APM_OBFUSCATION_ELASTICSEARCH_OBFUSCATE_SQL_VALUES"],
    yaml: &["apm_config.obfuscation.elasticsearch.obfuscate_sql_values"],
    default: "[]",
    meaning: "As for MongoDB.",
};
/// OpenSearch queries.
pub const OPENSEARCH: Key = Key {
    names: &["DD_APM_OBFUSCATION_OPENSEARCH_ENABLED"],
    yaml: &["apm_config.obfuscation.opensearch.enabled"],
    default: "true",
    meaning: "Values in the JSON of `opensearch.body` become `?`.",
};
/// Values of OpenSearch queries that stay.
pub const OPENSEARCH_KEEP: Key = Key {
    names: &["DD_APM_OBFUSCATION_OPENSEARCH_KEEP_VALUES"],
    yaml: &["apm_config.obfuscation.opensearch.keep_values"],
    default: "[]",
    meaning: "As for MongoDB.",
};
/// SQL in OpenSearch queries.
pub const OPENSEARCH_SQL: Key = Key {
    names: &["DD_APM_OBFUSCATION_OPENSEARCH_OBFUSCATE_SQL_VALUES"],
    yaml: &["apm_config.obfuscation.opensearch.obfuscate_sql_values"],
    default: "[]",
    meaning: "As for MongoDB.",
};
/// Stack traces.
pub const STACKS: Key = Key {
    names: &["DD_APM_OBFUSCATION_REMOVE_STACK_TRACES"],
    yaml: &["apm_config.obfuscation.remove_stack_traces"],
    default: "false",
    meaning: "`error.stack` becomes `?`.",
};
/// Execution plans.
pub const PLANS: Key = Key {
    names: &["DD_APM_OBFUSCATION_SQL_EXEC_PLAN_ENABLED"],
    yaml: &["apm_config.obfuscation.sql_exec_plan.enabled"],
    default: "false",
    meaning: "Told to tracers in `/info`. No span carries execution plans, so nothing else follows from it, nor does it in Datadog's agent.",
};
/// Execution plans without estimates.
pub const PLANS_NORMALISED: Key = Key {
    names: &["DD_APM_OBFUSCATION_SQL_EXEC_PLAN_NORMALIZE_ENABLED"],
    yaml: &["apm_config.obfuscation.sql_exec_plan_normalize.enabled"],
    default: "false",
    meaning: "The same.",
};

impl Reader<'_> {
    /// What is hidden, as the agent has it where nothing is set.
    pub(super) fn obfuscation(&mut self, features: &[String]) -> Settings {
        let cache_bytes = self.take(&CACHE_BYTES, settings::CACHE_BYTES, parse::bytes);
        let is_cached = self.take(&CACHE, true, parse::boolean);
        Settings {
            sql: self.sql(features),
            cache_bytes: if is_cached { cache_bytes } else { 0 },
            credit_cards: settings::Cards {
                enabled: self.take(&CARDS, true, parse::boolean),
                luhn: self.take(&CARDS_LUHN, false, parse::boolean),
                keep_values: self.take(&CARDS_KEEP, Vec::new(), parse::list),
            },
            elasticsearch: self.json(&ELASTICSEARCH, &ELASTICSEARCH_KEEP, &ELASTICSEARCH_SQL),
            opensearch: self.json(&OPENSEARCH, &OPENSEARCH_KEEP, &OPENSEARCH_SQL),
            mongodb: self.json(&MONGODB, &MONGODB_KEEP, &MONGODB_SQL),
            http: settings::Url {
                remove_query_string: self.take(&URL_QUERY, false, parse::boolean),
                remove_paths_with_digits: self.take(&URL_DIGITS, false, parse::boolean),
            },
            memcached: settings::Memcached {
                enabled: self.take(&MEMCACHED, true, parse::boolean),
                keep_command: self.take(&MEMCACHED_COMMAND, false, parse::boolean),
            },
            redis: self.redis(&REDIS, &REDIS_ARGS),
            valkey: self.redis(&VALKEY, &VALKEY_ARGS),
            remove_stack_traces: self.take(&STACKS, false, parse::boolean),
            sql_exec_plan: self.take(&PLANS, false, parse::boolean),
            sql_exec_plan_normalise: self.take(&PLANS_NORMALISED, false, parse::boolean),
        }
    }

    /// The agent has no variables for the other options of SQL, which are features (spec: trace-agent 4.9).
    fn sql(&mut self, features: &[String]) -> sql::Settings {
        let has = |feature: &str| features.iter().any(|own| own == feature);
        let default = if has("sqllexer") { Mode::ObfuscateOnly } else { Mode::Legacy };
        sql::Settings {
            mode: self.take(&SQL_MODE, default, |text| {
                Ok(match text {
                    "obfuscate_only" => Mode::ObfuscateOnly,
                    "normalize_only" => Mode::NormaliseOnly,
                    "obfuscate_and_normalize" => Mode::ObfuscateAndNormalise,
                    _ => {
                        let modes = "obfuscate_only, normalize_only, obfuscate_and_normalize";
                        return Err(format!("is not one of {modes}"));
                    }
                })
            }),
            table_names: has("table_names"),
            replace_digits: has("quantize_sql_tables") || has("replace_sql_digits"),
            keep_sql_alias: has("keep_sql_alias"),
            dollar_quoted_func: has("dollar_quoted_func"),
            ..sql::Settings::default()
        }
    }

    fn json(&mut self, enabled: &Key, keep: &Key, sql: &Key) -> settings::Json {
        settings::Json {
            enabled: self.take(enabled, true, parse::boolean),
            keep_values: self.take(keep, Vec::new(), parse::list),
            obfuscate_sql_values: self.take(sql, Vec::new(), parse::list),
        }
    }

    fn redis(&mut self, enabled: &Key, remove_all_args: &Key) -> settings::Redis {
        settings::Redis {
            enabled: self.take(enabled, true, parse::boolean),
            remove_all_args: self.take(remove_all_args, false, parse::boolean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Env, read};
    use super::{KEYS, Mode, Settings};

    const LIST: &str = "[\"a\", \"b c\"]";

    fn list() -> Vec<String> {
        vec!["a".to_owned(), "b c".to_owned()]
    }

    fn of(pairs: &[(&str, &str)]) -> Settings {
        let (settings, problems) = read(&Env::of(pairs), super::super::Mode::Wrapper);
        assert!(problems.is_empty(), "{problems:?}");
        settings.pipeline.obfuscation
    }

    #[test]
    fn the_defaults_are_those_of_the_code() {
        assert_eq!(of(&[]), Settings::default());
    }

    #[test]
    fn every_variable_changes_what_it_is_named_after() {
        let of_one =
            |name: &str, value: &str| of(&[(&format!("DD_APM_OBFUSCATION_{name}"), value)]);
        let changed = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings
        };
        let cases: [(&str, &str, Settings); 25] = [
            ("CACHE_ENABLED", "false", changed(|s| s.cache_bytes = 0)),
            ("CACHE_MAX_SIZE", "1MiB", changed(|s| s.cache_bytes = 1 << 20)),
            ("CREDIT_CARDS_ENABLED", "false", changed(|s| s.credit_cards.enabled = false)),
            ("CREDIT_CARDS_LUHN", "true", changed(|s| s.credit_cards.luhn = true)),
            ("HTTP_REMOVE_QUERY_STRING", "1", changed(|s| s.http.remove_query_string = true)),
            (
                "HTTP_REMOVE_PATHS_WITH_DIGITS",
                "True",
                changed(|s| s.http.remove_paths_with_digits = true),
            ),
            ("REDIS_ENABLED", "false", changed(|s| s.redis.enabled = false)),
            ("REDIS_REMOVE_ALL_ARGS", "true", changed(|s| s.redis.remove_all_args = true)),
            ("VALKEY_ENABLED", "false", changed(|s| s.valkey.enabled = false)),
            ("VALKEY_REMOVE_ALL_ARGS", "true", changed(|s| s.valkey.remove_all_args = true)),
            ("MEMCACHED_ENABLED", "false", changed(|s| s.memcached.enabled = false)),
            ("MEMCACHED_KEEP_COMMAND", "true", changed(|s| s.memcached.keep_command = true)),
            ("MONGODB_ENABLED", "false", changed(|s| s.mongodb.enabled = false)),
            ("ELASTICSEARCH_ENABLED", "false", changed(|s| s.elasticsearch.enabled = false)),
            ("OPENSEARCH_ENABLED", "false", changed(|s| s.opensearch.enabled = false)),
            ("REMOVE_STACK_TRACES", "true", changed(|s| s.remove_stack_traces = true)),
            ("SQL_EXEC_PLAN_ENABLED", "true", changed(|s| s.sql_exec_plan = true)),
            (
                "SQL_EXEC_PLAN_NORMALIZE_ENABLED",
                "true",
                changed(|s| s.sql_exec_plan_normalise = true),
            ),
            ("CREDIT_CARDS_KEEP_VALUES", LIST, changed(|s| s.credit_cards.keep_values = list())),
            ("MONGODB_KEEP_VALUES", LIST, changed(|s| s.mongodb.keep_values = list())),
            (
                "MONGODB_OBFUSCATE_SQL_VALUES",
                LIST,
                changed(|s| s.mongodb.obfuscate_sql_values = list()),
            ),
            ("ELASTICSEARCH_KEEP_VALUES", LIST, changed(|s| s.elasticsearch.keep_values = list())),
            (
                "ELASTICSEARCH_OBFUSCATE_SQL_VALUES",
                LIST,
                changed(|s| s.elasticsearch.obfuscate_sql_values = list()),
            ),
            ("OPENSEARCH_KEEP_VALUES", LIST, changed(|s| s.opensearch.keep_values = list())),
            (
                "OPENSEARCH_OBFUSCATE_SQL_VALUES",
                LIST,
                changed(|s| s.opensearch.obfuscate_sql_values = list()),
            ),
        ];
        // All but the mode of SQL, whose name begins otherwise.
        assert_eq!(cases.len() + 1, KEYS.len());
        for (name, value, expect) in cases {
            assert_eq!(of_one(name, value), expect, "{name}={value}");
        }
    }

    #[test]
    fn modes_and_features_of_sql_are_read() {
        let mode = |value| of(&[("DD_APM_SQL_OBFUSCATION_MODE", value)]).sql.mode;
        assert_eq!(mode("obfuscate_only"), Mode::ObfuscateOnly);
        assert_eq!(mode("normalize_only"), Mode::NormaliseOnly);
        assert_eq!(mode("obfuscate_and_normalize"), Mode::ObfuscateAndNormalise);
        let features = "table_names,keep_sql_alias,dollar_quoted_func,replace_sql_digits,sqllexer";
        let sql = of(&[("DD_APM_FEATURES", features)]).sql;
        assert!(sql.table_names && sql.keep_sql_alias && sql.dollar_quoted_func);
        assert!(sql.replace_digits && sql.mode == Mode::ObfuscateOnly);
        let (_, problems) =
            read(&Env::of(&[("DD_APM_SQL_OBFUSCATION_MODE", "all")]), super::super::Mode::Wrapper);
        assert!(problems[0].to_string().contains("is not one of obfuscate_only"), "{problems:?}");
    }

    #[test]
    fn lists_may_be_words_too() {
        let keep =
            |text| of(&[("DD_APM_OBFUSCATION_MONGODB_KEEP_VALUES", text)]).mongodb.keep_values;
        assert_eq!(keep("a b"), ["a", "b"]);
        assert_eq!(keep("a, b"), ["a", "b"]);
    }
}
