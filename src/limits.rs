//! Every bound of the process with its reason, and the relations between them, checked when it is compiled.

/// Bytes of one request body: the agent's `max_payload_size` (spec: trace-agent 1.3).
pub const BODY_BYTES_MAX: usize = 26_214_400;

/// Bytes of all request bodies in flight together. Above it a new body waits until the data plane has caught up.
pub const BODIES_IN_FLIGHT_BYTES_MAX: usize = 2 * BODY_BYTES_MAX;

/// Bytes of one request's head.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Connections at once (the agent's `connection_limit`).
pub const CONNECTIONS_MAX: usize = 2000;

/// Bytes of an uncompressed traces payload at which the batch leaves (spec: trace-agent 6.3). The intake takes at most this much.
pub const TRACES_PAYLOAD_BYTES_MAX: usize = 3_200_000;

/// Groups in one stats payload (spec: trace-agent 5.4).
pub const STATS_GROUPS_PER_PAYLOAD_MAX: usize = 4000;

/// Bytes of stats groups that are held at once. Above it the buckets leave early: the intake adds up partial buckets.
pub const STATS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Items of one array or map in a body: the agent's own bound (spec: trace-agent 1.5).
pub const DECODE_ITEMS_MAX: usize = 25_000_000;

/// Nesting depth of a value that is skipped or read.
pub const DECODE_DEPTH_MAX: usize = 64;

/// Bytes of `datadog.yaml`. The agent's own template, which is nearly all comments, is a quarter of that.
pub const CONF_FILE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes that the relay's queue holds unless `DD_PILLION_QUEUE_BYTES` says otherwise.
pub const QUEUE_BYTES_DEFAULT: usize = 32 * 1024 * 1024;

/// The least that the relay's queue may be set to: one full payload and the next.
pub const QUEUE_BYTES_MIN: usize = 4 * 1024 * 1024;

/// Sends under way at once to one endpoint (the agent's default of 5 connections).
pub const SENDS_IN_FLIGHT_MAX: usize = 5;

/// Bytes of spans that wait to be shown. Above it further ones are not shown.
pub const VIEW_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of one line on stderr, its line feed included: what a pipe takes in one piece (`man 7 pipe`, `PIPE_BUF`).
pub const LOG_LINE_BYTES_MAX: usize = 4096;

const _: () = assert!(BODIES_IN_FLIGHT_BYTES_MAX >= BODY_BYTES_MAX);
const _: () = assert!(QUEUE_BYTES_DEFAULT > TRACES_PAYLOAD_BYTES_MAX);
const _: () =
    assert!(QUEUE_BYTES_MIN > TRACES_PAYLOAD_BYTES_MAX && QUEUE_BYTES_MIN <= QUEUE_BYTES_DEFAULT);
