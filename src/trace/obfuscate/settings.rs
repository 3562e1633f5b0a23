//! What is hidden and what is not. The defaults are the agent's (spec: trace-agent 13.1).

use super::sql;

/// Bytes of results that are kept for SQL texts that come again (`apm_config.obfuscation.cache.max_size`).
pub const CACHE_BYTES: usize = 5_000_000;

/// Settings of all obfuscators (`DD_APM_OBFUSCATION_*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// SQL in resources and tags.
    pub sql: sql::Settings,
    /// Bytes of results that are kept for SQL texts that come again; 0 keeps none.
    pub cache_bytes: usize,
    /// Card numbers in tags.
    pub credit_cards: Cards,
    /// Bodies of Elasticsearch queries.
    pub elasticsearch: Json,
    /// Bodies of OpenSearch queries.
    pub opensearch: Json,
    /// MongoDB queries.
    pub mongodb: Json,
    /// URLs of requests.
    pub http: Url,
    /// Memcached commands.
    pub memcached: Memcached,
    /// Redis commands.
    pub redis: Redis,
    /// Valkey commands.
    pub valkey: Redis,
    /// The tag `error.stack` becomes `?`, which is the work of a replace rule.
    pub remove_stack_traces: bool,
    /// Execution plans of databases are hidden, which `/info` tells: no span carries any.
    pub sql_exec_plan: bool,
    /// The same for their costs and estimates.
    pub sql_exec_plan_normalise: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sql: sql::Settings::default(),
            cache_bytes: CACHE_BYTES,
            credit_cards: Cards::default(),
            elasticsearch: Json::default(),
            opensearch: Json::default(),
            mongodb: Json::default(),
            http: Url::default(),
            memcached: Memcached::default(),
            redis: Redis::default(),
            valkey: Redis::default(),
            remove_stack_traces: false,
            sql_exec_plan: false,
            sql_exec_plan_normalise: false,
        }
    }
}

/// Settings of one kind of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json {
    /// Whether anything is hidden.
    pub enabled: bool,
    /// Keys whose values stay as they are, with all that is in them.
    pub keep_values: Vec<String>,
    /// Keys whose values are SQL.
    pub obfuscate_sql_values: Vec<String>,
}

impl Default for Json {
    fn default() -> Self {
        Self { enabled: true, keep_values: Vec::new(), obfuscate_sql_values: Vec::new() }
    }
}

/// Settings for card numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cards {
    /// Whether they are looked for.
    pub enabled: bool,
    /// Whether the check digit has to be right: fewer other numbers are taken for cards then.
    pub luhn: bool,
    /// Tags that are not looked at.
    pub keep_values: Vec<String>,
}

impl Default for Cards {
    fn default() -> Self {
        Self { enabled: true, luhn: false, keep_values: Vec::new() }
    }
}

/// Settings for URLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Url {
    /// What follows the `?` goes.
    pub remove_query_string: bool,
    /// Segments of the path that have a digit become `?`.
    pub remove_paths_with_digits: bool,
}

/// Settings for Memcached commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memcached {
    /// Whether anything is hidden.
    pub enabled: bool,
    /// The command itself stays, without its value.
    pub keep_command: bool,
}

impl Default for Memcached {
    fn default() -> Self {
        Self { enabled: true, keep_command: false }
    }
}

/// Settings for Redis or Valkey commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redis {
    /// Whether anything is hidden in the raw command. Resources are quantised in any case.
    pub enabled: bool,
    /// All arguments go, not only those that hold values.
    pub remove_all_args: bool,
}

impl Default for Redis {
    fn default() -> Self {
        Self { enabled: true, remove_all_args: false }
    }
}
