//! Every bound of the process with its reason, and the relations between them, checked when it is compiled.

/// Bytes of one request body: the agent's `max_payload_size` (spec: trace-agent 1.3).
pub const BODY_BYTES_MAX: usize = 26_214_400;

/// Bytes of all request bodies of tracers in flight together. Above it a new body waits until the data plane has caught up.
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

/// Items of all arrays and maps of one body together. An empty item is one byte in the body and up to 72 once decoded; the densest bodies of
/// tracers (v0.5, numbers for all strings) have some six million in 25 MiB.
pub const BODY_ITEMS_MAX: usize = 1 << 23;

/// Spans of one body, and chunks of one body. The smallest span is one byte, and a hundred times that once decoded; tracers send some ten
/// thousand.
pub const BODY_SPANS_MAX: usize = 1 << 20;

/// Bytes of the spans of one OTLP request once each has the attributes of its resource: as much as bodies may take together. A collector's
/// largest batch has a third of it.
pub const OTLP_SPANS_BYTES_MAX: usize = BODIES_IN_FLIGHT_BYTES_MAX;

/// Bytes of request bodies in flight together on each port of OTLP, beside one body of the largest size. SDKs send some hundred kilobytes at a time,
/// one request after the other.
pub const OTLP_BODIES_SHARED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Attributes of one span, library or resource in OTLP. SDKs stop at 128.
pub const OTLP_ATTRIBUTES_MAX: usize = 1 << 16;

/// Bytes of the last totals of OTLP metrics, from which the next are subtracted: some fifty thousand metrics. A further one is shed.
pub const OTLP_TOTALS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of OTLP metrics that are written and wait to be handed on together; more are handed on at once.
pub const OTLP_POINTS_GATHERED_BYTES: usize = 256 * 1024;

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

/// Bytes of the largest request that is passed on, unless a setting says more: a profile (the agent's `profiling_max_request_bytes`).
pub const PROXY_BODY_BYTES_MAX: usize = 52_428_800;

/// Bytes of bodies that are held while they are passed on, so that they can be sent again or to several places, all together. What is only
/// passed on is not held.
pub const PROXY_HELD_BYTES_MAX: usize = PROXY_BODY_BYTES_MAX;

/// Bytes of one body that are held for another attempt. A larger one has one attempt.
pub const PROXY_AGAIN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Requests that are passed on at once, copies included. Each holds up to two pieces of 64 KiB in each direction.
pub const PROXY_AT_ONCE_MAX: usize = 32;

/// Bytes of telemetry that waits to be passed on (the agent's figure, as the next two).
pub const TELEMETRY_BYTES_MAX: usize = 25_000_000;

/// Telemetry requests that wait or are under way.
pub const TELEMETRY_REQUESTS_MAX: usize = 100;

/// Telemetry requests under way at once.
pub const TELEMETRY_AT_ONCE_MAX: usize = 20;

/// Bytes of spans that wait to be shown. Above it further ones are not shown.
pub const VIEW_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of the app's output that wait for the logs to take them, in two halves. What comes on top is shed. At the end all that is in both pipes of
/// the app, a MiB each, comes at once and must find room in one of them.
pub const LOGS_RING_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of log files that were read and are not entries yet. It is little, because the rest can stay in the files.
pub const LOGS_FILES_BYTES: usize = 1024 * 1024;

/// Bytes of one line on stderr, its line feed included: what a pipe takes in one piece (`man 7 pipe`, `PIPE_BUF`).
pub const LOG_LINE_BYTES_MAX: usize = 4096;

/// Metrics with different names or tags that are known at once. Each takes some 200 bytes.
pub const METRIC_CONTEXTS_MAX: usize = 1 << 16;

/// Bytes of metrics that are held until their buckets of 10 seconds have ended.
pub const METRIC_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of a body of series as the intake gets it (spec: metrics-logs 3.4).
pub const SERIES_COMPRESSED_BYTES_MAX: usize = 512_000;

/// Bytes of a body of series that is going to be compressed. The intake takes 5,242,880; what has different tags in each series shrinks to a
/// quarter, anything else to less.
pub const SERIES_BODY_BYTES_MAX: usize = 4 * SERIES_COMPRESSED_BYTES_MAX;

/// Points of a body of series (spec: metrics-logs 3.4).
pub const SERIES_POINTS_MAX: u64 = 10_000;

/// Bytes of a body of sketches: the agent's limit for a compressed one, which so holds whatever compression does.
pub const SKETCHES_BODY_BYTES_MAX: usize = 2_621_440;

/// Bytes of series or sketches that are not cut apart where the intake says that a body is too large.
pub const METRIC_PART_BYTES: usize = 16 * 1024;

/// Bytes of a body of events or service checks, by the same reason as that of sketches.
pub const MESSAGES_BODY_BYTES_MAX: usize = 2_621_440;

/// Events or service checks in a body (spec: metrics-logs 3.2).
pub const MESSAGES_PER_BODY_MAX: usize = 100;

/// Bytes of events and service checks that wait for the next flush, which is a second away.
pub const MESSAGES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a DogStatsD datagram or frame, whatever the settings say: what a UDP datagram may have.
pub const DOGSTATSD_PACKET_BYTES_MAX: usize = 65_536;

/// Bytes that are asked of the kernel as the buffer of a UDP socket. Each datagram counts with its overhead (some 800 bytes for a short one),
/// so this is a hundredth of a second of a flood.
pub const DOGSTATSD_RECEIVE_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Connections to the DogStatsD stream socket at once; further ones wait. Each holds less than a frame.
pub const DOGSTATSD_STREAMS_MAX: usize = 256;

/// Names of metrics whose mapping is kept (the agent's figure), each of 512 bytes at most.
pub const DOGSTATSD_MAPPED_NAMES_MAX: usize = 1000;

const _: () = assert!(SERIES_BODY_BYTES_MAX < 5_242_880 && SERIES_BODY_BYTES_MAX < QUEUE_BYTES_MIN);
const _: () =
    assert!(SKETCHES_BODY_BYTES_MAX < QUEUE_BYTES_MIN && MESSAGES_BODY_BYTES_MAX < QUEUE_BYTES_MIN);
const _: () = assert!(MESSAGES_BYTES_MAX > MESSAGES_BODY_BYTES_MAX);
const _: () = assert!(BODIES_IN_FLIGHT_BYTES_MAX >= BODY_BYTES_MAX);
const _: () = assert!(PROXY_HELD_BYTES_MAX >= PROXY_BODY_BYTES_MAX);
const _: () = assert!(TELEMETRY_AT_ONCE_MAX < TELEMETRY_REQUESTS_MAX);
const _: () = assert!(QUEUE_BYTES_DEFAULT > TRACES_PAYLOAD_BYTES_MAX);
const _: () =
    assert!(QUEUE_BYTES_MIN > TRACES_PAYLOAD_BYTES_MAX && QUEUE_BYTES_MIN <= QUEUE_BYTES_DEFAULT);
