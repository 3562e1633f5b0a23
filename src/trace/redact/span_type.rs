//! The types of spans whose texts have something to hide.

use crate::trace::keys::Hidden;

/// A span's type, as far as it matters (spec: trace-agent 7.1). The comparison is exact, as the agent's is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpanType {
    /// Any other.
    #[default]
    Other,
    /// `sql`, `cassandra`.
    Sql,
    /// `redis`.
    Redis,
    /// `valkey`.
    Valkey,
    /// `memcached`.
    Memcached,
    /// `web`, `http`.
    Web,
    /// `mongodb`.
    MongoDb,
    /// `elasticsearch`, `opensearch`.
    Search,
}

impl SpanType {
    /// Of the text of a span's type.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        match text {
            b"sql" | b"cassandra" => Self::Sql,
            b"redis" => Self::Redis,
            b"valkey" => Self::Valkey,
            b"memcached" => Self::Memcached,
            b"web" | b"http" => Self::Web,
            b"mongodb" => Self::MongoDb,
            b"elasticsearch" | b"opensearch" => Self::Search,
            _ => Self::Other,
        }
    }

    /// Whether a tag of this kind is hidden in spans of this type.
    #[inline(always)]
    #[must_use]
    pub fn hides(self, hidden: Hidden) -> bool {
        hidden != Hidden::Nothing
            && match self {
                Self::Other => false,
                Self::Sql => matches!(hidden, Hidden::SqlQuery | Hidden::SqlText),
                Self::Redis => hidden == Hidden::RedisCommand,
                Self::Valkey => hidden == Hidden::ValkeyCommand,
                Self::Memcached => hidden == Hidden::MemcachedCommand,
                Self::Web => hidden == Hidden::HttpUrl,
                Self::MongoDb => hidden == Hidden::MongoQuery,
                Self::Search => matches!(hidden, Hidden::ElasticBody | Hidden::OpenSearchBody),
            }
    }

    /// Whether resources of spans of this type are hidden.
    #[inline(always)]
    #[must_use]
    pub fn hides_resource(self) -> bool {
        matches!(self, Self::Sql | Self::Redis | Self::Valkey)
    }
}
