//! What an attribute's key means to us, found once per key and body position instead of once per rule.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::trace::normalise::is_long_key;
use crate::trace::obfuscate::cards;

/// The meaning of a key that some rule looks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Meaning {
    /// No rule looks for it.
    #[default]
    None,
    /// `env`.
    Env,
    /// `version`.
    Version,
    /// `component`.
    Component,
    /// `span.kind`.
    SpanKind,
    /// `_dd.hostname`.
    Hostname,
    /// `_dd.git.commit.sha`.
    GitCommitSha,
    /// `_dd.apm_mode`.
    ApmMode,
    /// `_dd.tags.process`.
    ProcessTags,
    /// `_dd.sdk.otlp_export`.
    OtlpExport,
    /// `_sampling_priority_v1`.
    Priority,
    /// `_dd.origin`.
    Origin,
    /// `_dd.p.tid`: the upper 64 bits of the trace id, in hex.
    TraceIdHigh,
    /// `_dd.p.dm`: how the sampling decision was made.
    DecisionMaker,
    /// `_top_level`.
    TopLevel,
    /// `_dd.top_level`.
    ClientTopLevel,
    /// `_dd.measured`.
    Measured,
    /// `_dd.partial_version`.
    PartialVersion,
    /// `_sample_rate`.
    SampleRate,
    /// `_dd1.sr.rapre`.
    PreSampleRate,
    /// `_dd.agent_psr`.
    AgentSampleRate,
    /// `_dd.rule_psr`.
    RuleSampleRate,
    /// `_sampling_priority_rate_v1`.
    PrioritySampleRate,
    /// `http.status_code`.
    HttpStatus,
    /// `http.response.status_code`.
    HttpResponseStatus,
    /// `rpc.grpc.status_code`, the first of five keys with a gRPC status.
    GrpcStatus,
    /// `grpc.code`.
    GrpcCode,
    /// `rpc.grpc.status.code`.
    RpcGrpcStatusCode,
    /// `grpc.status.code`.
    GrpcStatusCode,
    /// `rpc.response.status_code`.
    RpcResponseStatusCode,
    /// `peer.service`.
    PeerService,
    /// `_dd.base_service`.
    BaseService,
    /// `_dd.svc_src`.
    ServiceSource,
    /// `error.message` or `error.msg`.
    ErrorMessage,
    /// `error.type`.
    ErrorType,
    /// `_dd1.sr.rcusr`: the tracer's rate, as events name it.
    ClientRate,
    /// `_dd1.sr.eausr`: the share of such spans that become analytics events.
    EventRate,
    /// `_dd1.sr.eamax`: the rate by which the number of events was limited.
    EventLimitRate,
    /// `_dd.span_sampling.mechanism`: the tracer has sampled the span by itself.
    SpanSampling,
    /// `_dd.span_events.has_exception`.
    HasException,
    /// `http.url`.
    HttpUrl,
    /// `tcp.remote.host`.
    TcpRemoteHost,
    /// `tcp.remote.port`.
    TcpRemotePort,
    /// `dns.address`.
    DnsAddress,
}

impl Meaning {
    /// Whether the payload takes its value from spans (spec: trace-agent 2.6).
    fn is_of_payload(self) -> bool {
        matches!(
            self,
            Self::Env | Self::Version | Self::Hostname | Self::GitCommitSha | Self::ApmMode
        )
    }

    /// Whether the payload has a field of its own for the value. In JSON bodies the agent sends it in that field alone.
    pub fn has_field(self) -> bool {
        matches!(self, Self::Env | Self::Version | Self::Component | Self::SpanKind)
    }

    /// Whether a text that is a number counts as the number.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            Self::TopLevel
                | Self::ClientTopLevel
                | Self::Measured
                | Self::PartialVersion
                | Self::SampleRate
                | Self::PreSampleRate
                | Self::AgentSampleRate
                | Self::RuleSampleRate
                | Self::PrioritySampleRate
        )
    }
}

/// What a key's values hold that is hidden in spans of the type that goes with it (spec: trace-agent 7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hidden {
    /// Nothing.
    #[default]
    Nothing,
    /// `sql.query`, which goes where it is empty.
    SqlQuery,
    /// `db.statement`, `db.query.text`.
    SqlText,
    /// `redis.raw_command`.
    RedisCommand,
    /// `valkey.raw_command`.
    ValkeyCommand,
    /// `memcached.command`.
    MemcachedCommand,
    /// `http.url`.
    HttpUrl,
    /// `mongodb.query`.
    MongoQuery,
    /// `elasticsearch.body`.
    ElasticBody,
    /// `opensearch.body`.
    OpenSearchBody,
}

const HIDDEN: [(&str, Hidden); 10] = [
    ("sql.query", Hidden::SqlQuery),
    ("db.statement", Hidden::SqlText),
    ("db.query.text", Hidden::SqlText),
    ("redis.raw_command", Hidden::RedisCommand),
    ("valkey.raw_command", Hidden::ValkeyCommand),
    ("memcached.command", Hidden::MemcachedCommand),
    ("http.url", Hidden::HttpUrl),
    ("mongodb.query", Hidden::MongoQuery),
    ("elasticsearch.body", Hidden::ElasticBody),
    ("opensearch.body", Hidden::OpenSearchBody),
];

/// A key's meaning, and the lists that users and the agent put keys on. One word, so that the usual key, which nothing looks for, costs one
/// comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(4))]
pub struct Class {
    /// What rules look for.
    pub meaning: Meaning,
    /// Bits: a peer tag, a primary tag, never a card number, a value of the payload, longer than keys may be.
    lists: u8,
    /// What its values hold that is hidden.
    pub hidden: Hidden,
    /// One more than the index of the span tag of this key that the user set, 0 for none.
    pub span_tag: u8,
}

const PEER: u8 = 1;
const PRIMARY: u8 = 2;
const EXEMPT: u8 = 4;
const PAYLOAD: u8 = 8;
const LONG: u8 = 16;

impl Class {
    /// Whether nothing looks for the key.
    #[inline(always)]
    pub fn is_none(self) -> bool {
        self.meaning as u8 | self.lists & !EXEMPT | self.span_tag == 0
    }

    /// Whether stats may look for its values.
    #[inline(always)]
    pub fn is_listed(self) -> bool {
        self.lists & (PEER | PRIMARY) != 0
            || self.span_tag > 0
            || self.meaning == Meaning::ServiceSource
    }

    /// Whether it is longer than the key of a text attribute may be.
    #[inline(always)]
    pub fn is_long(self) -> bool {
        self.lists & LONG != 0
    }

    /// Whether the payload takes a value of this key from spans.
    #[inline(always)]
    pub fn is_of_payload(self) -> bool {
        self.lists & PAYLOAD != 0
    }

    /// Whether its values are never taken for card numbers.
    #[inline(always)]
    pub fn is_exempt(self) -> bool {
        self.lists & EXEMPT != 0
    }

    /// Whether it is one of the peer tags that stats are grouped by.
    #[inline(always)]
    pub fn is_peer(self) -> bool {
        self.lists & PEER != 0
    }

    /// Whether it is one of the tags that stats are grouped by at the user's wish.
    #[inline(always)]
    pub fn is_primary(self) -> bool {
        self.lists & PRIMARY != 0
    }
}

impl Class {
    /// The class of an attribute whose body has a field for what other bodies have in attributes of such keys: then the attribute is like any
    /// other.
    #[must_use]
    pub fn of_plain_attribute(self) -> Self {
        if self.meaning.has_field() {
            Self { meaning: Meaning::None, lists: self.lists & EXEMPT, ..self }
        } else {
            self
        }
    }
}

/// The keys that something looks for.
#[derive(Debug)]
pub struct Keys {
    classes: HashMap<Box<[u8]>, Class, RandomState>,
}

/// A key whose value is a field of the span, and that stats are grouped by.
#[derive(Clone, Debug)]
pub struct FieldTag {
    /// The key.
    pub key: String,
    /// Its meaning and its lists.
    pub class: Class,
}

/// Span tags of the user that are looked for; further ones are left out.
pub const SPAN_TAGS_MAX: usize = 64;

const MEANINGS: [(&str, Meaning); 44] = [
    ("env", Meaning::Env),
    ("version", Meaning::Version),
    ("component", Meaning::Component),
    ("span.kind", Meaning::SpanKind),
    ("_dd.hostname", Meaning::Hostname),
    ("_dd.git.commit.sha", Meaning::GitCommitSha),
    ("_dd.apm_mode", Meaning::ApmMode),
    ("_dd.tags.process", Meaning::ProcessTags),
    ("_dd.sdk.otlp_export", Meaning::OtlpExport),
    ("_sampling_priority_v1", Meaning::Priority),
    ("_dd.origin", Meaning::Origin),
    ("_dd.p.tid", Meaning::TraceIdHigh),
    ("_dd.p.dm", Meaning::DecisionMaker),
    ("_top_level", Meaning::TopLevel),
    ("_dd.top_level", Meaning::ClientTopLevel),
    ("_dd.measured", Meaning::Measured),
    ("_dd.partial_version", Meaning::PartialVersion),
    ("_sample_rate", Meaning::SampleRate),
    ("_dd1.sr.rapre", Meaning::PreSampleRate),
    ("_dd.agent_psr", Meaning::AgentSampleRate),
    ("_dd.rule_psr", Meaning::RuleSampleRate),
    ("_sampling_priority_rate_v1", Meaning::PrioritySampleRate),
    ("http.status_code", Meaning::HttpStatus),
    ("http.response.status_code", Meaning::HttpResponseStatus),
    ("rpc.grpc.status_code", Meaning::GrpcStatus),
    ("grpc.code", Meaning::GrpcCode),
    ("rpc.grpc.status.code", Meaning::RpcGrpcStatusCode),
    ("grpc.status.code", Meaning::GrpcStatusCode),
    ("rpc.response.status_code", Meaning::RpcResponseStatusCode),
    ("peer.service", Meaning::PeerService),
    ("_dd.base_service", Meaning::BaseService),
    ("_dd.svc_src", Meaning::ServiceSource),
    ("error.message", Meaning::ErrorMessage),
    ("error.msg", Meaning::ErrorMessage),
    ("error.type", Meaning::ErrorType),
    ("_dd1.sr.rcusr", Meaning::ClientRate),
    ("_dd1.sr.eausr", Meaning::EventRate),
    ("_dd1.sr.eamax", Meaning::EventLimitRate),
    ("_dd.span_sampling.mechanism", Meaning::SpanSampling),
    ("_dd.span_events.has_exception", Meaning::HasException),
    ("http.url", Meaning::HttpUrl),
    ("tcp.remote.host", Meaning::TcpRemoteHost),
    ("tcp.remote.port", Meaning::TcpRemotePort),
    ("dns.address", Meaning::DnsAddress),
];

impl Keys {
    /// The fixed keys, and those of the lists: peer tags, primary tags, and the span tags by their index.
    pub fn new<'a>(
        peer: impl IntoIterator<Item = &'a str>,
        primary: impl IntoIterator<Item = &'a str>,
        span_tags: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut classes: HashMap<Box<[u8]>, Class, RandomState> = HashMap::default();
        for (key, meaning) in MEANINGS {
            let class = classes.entry(key.as_bytes().into()).or_default();
            class.meaning = meaning;
            class.lists |= if meaning.is_of_payload() { PAYLOAD } else { 0 };
        }
        for key in peer {
            classes.entry(key.as_bytes().into()).or_default().lists |= PEER;
        }
        for key in primary {
            classes.entry(key.as_bytes().into()).or_default().lists |= PRIMARY;
        }
        for (number, key) in (1..).zip(span_tags.into_iter().take(SPAN_TAGS_MAX)) {
            classes.entry(key.as_bytes().into()).or_default().span_tag = number;
        }
        for (key, hidden) in HIDDEN {
            classes.entry(key.as_bytes().into()).or_default().hidden = hidden;
        }
        let mut keys = Self { classes };
        keys.exempt(cards::EXEMPT);
        keys
    }

    /// The same, with further keys whose values are never taken for card numbers.
    #[must_use]
    pub fn keeping<'a>(mut self, keys: impl IntoIterator<Item = &'a str>) -> Self {
        self.exempt(keys);
        self
    }

    fn exempt<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>) {
        for key in keys {
            self.classes.entry(key.as_bytes().into()).or_default().lists |= EXEMPT;
        }
    }

    /// The keys of spans' own fields that are peer tags or primary tags.
    pub fn field_tags(&self) -> Vec<FieldTag> {
        let fields = MEANINGS.iter().filter(|(_, meaning)| meaning.has_field());
        let tags = fields
            .map(|(key, _)| FieldTag { key: (*key).to_owned(), class: self.class(key.as_bytes()) });
        tags.filter(|tag| tag.class.is_peer() || tag.class.is_primary()).collect()
    }

    /// The class of `key`.
    pub fn class(&self, key: &[u8]) -> Class {
        let mut class = self.classes.get(key).copied().unwrap_or_default();
        if key.first() == Some(&b'_') {
            class.lists |= EXEMPT;
        }
        if is_long_key(key) {
            class.lists |= LONG;
        }
        class
    }
}

#[cfg(test)]
mod tests {
    use super::{Keys, Meaning};

    #[test]
    fn a_key_can_be_on_several_lists() {
        let keys = Keys::new(["peer.service", "db.name"], ["team"], ["team", "env"]);
        let peer = keys.class(b"peer.service");
        assert!(peer.is_peer() && peer.meaning == Meaning::PeerService);
        let env = keys.class(b"env");
        assert_eq!((env.meaning, env.span_tag), (Meaning::Env, 2));
        assert!(keys.class(b"team").is_primary() && keys.class(b"team").span_tag == 1);
        assert!(keys.class(b"nobody.looks").is_none());
    }
}
