//! DogStatsD: metrics, events and service checks from the app's client libraries, by UDP and unix sockets (spec: metrics-logs 1).
//!
//! [`listen`] binds before the app is spawned, so that what is sent early waits in the sockets' buffers. The thread of [`run`] reads a whole
//! burst of packets at once ([`receive`]) and gives it to the [`inlet`]: lines are read by [`parse`], names go through [`enrich`] and the
//! [`mapper`], and the [`Aggregator`](crate::metrics::Aggregator) takes what is left. [`forward`] copies packets to another server, and [`say`] is what
//! people are told about lines that can't be read.
//!
//! The thread is this part's own, so that a flood of packets delays no trace and a burst of traces no packet; it has no runtime, and it sleeps
//! as long as nothing comes and nothing is held ([`serve`] is its loop). It flushes the aggregator about once a second, also for others that put samples into it
//! ([`Metrics`]). At the end it reads what is in the sockets' buffers and flushes all there is.
//!
//! Counting: every line is a sample (for each value), an event or a service check. What can't be read is rejected, what the user does not want
//! is filtered, and a packet that the kernel had no room for is one sample that was shed: what was in it, nobody knows.

mod enrich;
mod forward;
mod inlet;
mod listen;
mod mapper;
mod parse;
mod receive;
mod run;
mod say;
mod serve;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;

use crate::limits::{DOGSTATSD_MAPPED_NAMES_MAX, DOGSTATSD_PACKET_BYTES_MAX};

pub use inlet::{Inlet, Manner};
pub use listen::{Listeners, bind};
pub use mapper::{Mapping, MatchType, Profile};
pub use run::{Metrics, Outlet};

/// Names that get no namespace unless the settings say otherwise: those of Datadog's own parts and of well-known programs
/// (`statsd_metric_namespace_blacklist`).
pub const WITHOUT_NAMESPACE: [&str; 21] = [
    "datadog.agent",
    "datadog.dogstatsd",
    "datadog.process",
    "datadog.trace_agent",
    "datadog.tracer",
    "activemq",
    "activemq_58",
    "airflow",
    "cassandra",
    "confluent",
    "hazelcast",
    "hive",
    "ignite",
    "jboss",
    "jvm",
    "kafka",
    "presto",
    "sidekiq",
    "solr",
    "tomcat",
    "runtime",
];

/// Where DogStatsD listens, and what becomes of what comes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `DD_USE_DOGSTATSD`: whether anything listens.
    pub is_on: bool,
    /// The UDP port (`DD_DOGSTATSD_PORT`, 8125). Nothing switches UDP off (0 in the variable); 0 here is any free port (`__random__`).
    pub port: Option<u16>,
    /// Addresses for that port: those of `DD_BIND_HOST`, or all with `DD_DOGSTATSD_NON_LOCAL_TRAFFIC`. The first is the one that clients
    /// need; `::1` beside `127.0.0.1` is a convenience.
    pub hosts: Vec<IpAddr>,
    /// The unix socket for datagrams (`DD_DOGSTATSD_SOCKET`).
    pub socket: Option<PathBuf>,
    /// The user asked for that socket: then a line says why it can't be had.
    pub is_socket_asked_for: bool,
    /// The unix socket for streams of frames (`DD_DOGSTATSD_STREAM_SOCKET`).
    pub stream_socket: Option<PathBuf>,
    /// Bytes of a datagram or a frame at most (`DD_DOGSTATSD_BUFFER_SIZE`), up to [`DOGSTATSD_PACKET_BYTES_MAX`]. A longer datagram loses its last
    /// line, a longer frame its connection.
    pub packet_bytes_max: usize,
    /// Bytes of the kernel's buffer of a UDP socket (`DD_DOGSTATSD_SO_RCVBUF`); 0: as many as are of use and allowed.
    pub receive_buffer_bytes: usize,
    /// Whether the last line of a datagram by UDP needs a line feed (`DD_DOGSTATSD_EOL_REQUIRED` has `udp`).
    pub needs_line_feed_udp: bool,
    /// The same for the unix sockets (`uds`).
    pub needs_line_feed_unix: bool,
    /// Whether a metric's `T` counts (`DD_DOGSTATSD_NO_AGGREGATION_PIPELINE`).
    pub has_timestamps: bool,
    /// Goes before all names, with a dot (`DD_STATSD_METRIC_NAMESPACE`).
    pub namespace: String,
    /// But for names that begin so (`DD_STATSD_METRIC_NAMESPACE_BLACKLIST`).
    pub without_namespace: Vec<String>,
    /// Metrics that are dropped (`DD_METRIC_FILTERLIST`, else `DD_STATSD_METRIC_BLOCKLIST`), as they are called in the end.
    pub blocked: Vec<String>,
    /// Those are what names begin with (`…_MATCH_PREFIX`).
    pub is_blocked_by_prefix: bool,
    /// `DD_DOGSTATSD_MAPPER_PROFILES`.
    pub mapper_profiles: Vec<Profile>,
    /// Names whose mapping is kept (`DD_DOGSTATSD_MAPPER_CACHE_SIZE`).
    pub mapper_cached_max: usize,
    /// Another server that gets a copy of each packet by UDP (`DD_STATSD_FORWARD_HOST`, `DD_STATSD_FORWARD_PORT`).
    pub forward: Option<(String, u16)>,
}

impl Default for Settings {
    /// The agent's defaults, without a host or a socket to listen on.
    fn default() -> Self {
        Self {
            is_on: true,
            port: Some(8125),
            hosts: Vec::new(),
            socket: None,
            is_socket_asked_for: false,
            stream_socket: None,
            packet_bytes_max: 8192,
            receive_buffer_bytes: 0,
            needs_line_feed_udp: false,
            needs_line_feed_unix: false,
            has_timestamps: true,
            namespace: String::new(),
            without_namespace: WITHOUT_NAMESPACE.map(str::to_owned).to_vec(),
            blocked: Vec::new(),
            is_blocked_by_prefix: false,
            mapper_profiles: Vec::new(),
            mapper_cached_max: DOGSTATSD_MAPPED_NAMES_MAX,
            forward: None,
        }
    }
}

impl Settings {
    /// Bytes that are read of one packet.
    fn packet_bytes(&self) -> usize {
        self.packet_bytes_max.clamp(1, DOGSTATSD_PACKET_BYTES_MAX)
    }
}
