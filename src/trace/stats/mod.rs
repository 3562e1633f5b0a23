//! Stats: hits, errors and latencies of spans by group and time bucket. They are what Datadog shows as request rates and percentiles, and
//! they count every span, also those that the samplers drop. Source: the agent's behaviour, observed with 7.85.2.
//!
//! [`Concentrator`] counts spans, in buckets of 10 seconds. [`ClientStats`] takes stats that tracers have computed and adds up those of one
//! key, in buckets of 2 seconds. Both hand out [`Flushed`] payloads, never waiting for anybody.
//!
//! What a span is counted under is a [`GroupKey`] within a [`PayloadKey`]; `key` makes one text of each, which is hashed and compared
//! once, and `table` gives it a number. From there on a group is that number: [`Concentrator::add`] is an array access.

mod bucket;
mod client;
mod concentrator;
mod grpc;
mod key;
mod peer_tags;
mod sketch;
mod table;
mod wire;

pub use client::{ClientStats, DecodeError};
pub use concentrator::{Concentrator, GroupId, Hit};
pub use grpc::{GRPC_STATUS_KEYS, grpc_status_code};
pub use key::{GroupKey, PayloadKey};
pub use peer_tags::peer_tag_keys;

/// Nanoseconds of one bucket of the concentrator, and what every bucket says it lasts.
pub const BUCKET_NS: u64 = 10_000_000_000;

/// A payload that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// MessagePack of a stats payload, not compressed.
    pub body: Vec<u8>,
    /// The groups in it.
    pub groups: u64,
}

/// What payloads say of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The agent's env, never empty.
    pub env: String,
    /// The agent's host, or empty.
    pub hostname: String,
}
