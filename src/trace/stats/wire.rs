//! Stats payloads as they are sent: MessagePack maps with the field names of the agent.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use super::key::{StoredGroup, StoredPayload, group, payload, read_tags, unpack_flags};
use super::{Agent, BUCKET_NS, Flushed};
use crate::limits;
use crate::trace::fnv::Fnv64;
use crate::version;

/// Bytes of one payload, of which the first group that passes it is the last. As for traces.
const PAYLOAD_BYTES: usize = limits::TRACES_PAYLOAD_BYTES_MAX;
/// Bytes that a group takes beside its texts and sketches: the names of its fields, mostly.
const GROUP_BYTES: usize = 320;

/// The counts of a group as they are sent.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) hits: u64,
    pub(super) errors: u64,
    pub(super) duration: u64,
    pub(super) top_level_hits: u64,
    pub(super) ok: Vec<u8>,
    pub(super) error: Vec<u8>,
}

/// What a group's counts turn into when they leave.
pub(super) trait Leave {
    /// Bytes of the two sketches once they are encoded, at most.
    fn encoded_len(&self) -> usize;

    /// The counts and the encoded sketches.
    fn leave(self, random: &mut fastrand::Rng) -> Totals;
}

/// The groups of one payload key in one bucket.
#[derive(Debug)]
pub(super) struct Part<'a, V> {
    pub(super) payload: &'a StoredPayload,
    pub(super) start: u64,
    pub(super) groups: Vec<(&'a StoredGroup, V)>,
}

/// Encodes payloads, each handed to `sink` before the next is made. `parts` has the parts of one payload key side by side.
pub(super) fn encode<V: Leave>(
    agent: &Agent,
    client_computed: bool,
    parts: Vec<Part<'_, V>>,
    random: &mut fastrand::Rng,
    sink: &mut dyn FnMut(Flushed),
) {
    let all = parts.iter().flat_map(|part| &part.groups);
    let (groups, bytes) = all.fold((0, 0), |(groups, bytes), (key, value)| {
        (groups + 1, bytes + group_bytes(key, value))
    });
    let split = groups > limits::STATS_GROUPS_PER_PAYLOAD_MAX || bytes > PAYLOAD_BYTES;
    let mut payload = Builder::new(agent, client_computed, split);
    for part in parts {
        for (key, value) in part.groups {
            payload.bytes += group_bytes(key, &value);
            payload.add(part.payload, part.start, key, value.leave(random));
            if payload.groups >= limits::STATS_GROUPS_PER_PAYLOAD_MAX
                || payload.bytes >= PAYLOAD_BYTES
            {
                sink(payload.finish());
                payload = Builder::new(agent, client_computed, split);
            }
        }
    }
    if payload.groups > 0 {
        sink(payload.finish());
    }
}

fn group_bytes<V: Leave>(key: &StoredGroup, value: &V) -> usize {
    (0..group::COUNT).map(|place| key.text(place).len()).sum::<usize>()
        + value.encoded_len()
        + GROUP_BYTES
}

struct Builder<'a> {
    payload: StatsPayload<'a>,
    groups: usize,
    bytes: usize,
}

impl<'a> Builder<'a> {
    fn new(agent: &'a Agent, client_computed: bool, split_payload: bool) -> Self {
        let payload = StatsPayload {
            agent_hostname: &agent.hostname,
            agent_env: &agent.env,
            stats: Vec::new(),
            agent_version: version::AGENT,
            client_computed,
            split_payload,
        };
        Self { payload, groups: 0, bytes: 0 }
    }

    fn add(
        &mut self,
        payload: &'a StoredPayload,
        start: u64,
        key: &'a StoredGroup,
        totals: Totals,
    ) {
        self.groups += 1;
        let clients = &mut self.payload.stats;
        if clients.last().is_none_or(|last| last.key != payload) {
            clients.push(ClientStatsPayload::new(payload));
        }
        let Some(client) = clients.last_mut() else { return };
        if client.stats.last().is_none_or(|last| last.start != start) {
            let bucket = ClientStatsBucket {
                start,
                duration: BUCKET_NS,
                stats: Vec::new(),
                agent_time_shift: 0,
            };
            client.stats.push(bucket);
        }
        let Some(bucket) = client.stats.last_mut() else { return };
        bucket.stats.push(ClientGroupedStats::new(key, totals));
    }

    fn finish(self) -> Flushed {
        let mut body = Vec::with_capacity(self.bytes + 256);
        // Numbers, texts and bytes can always be written to a Vec.
        let written =
            self.payload.serialize(&mut rmp_serde::Serializer::new(&mut body).with_struct_map());
        debug_assert!(written.is_ok(), "{written:?}");
        Flushed { body, groups: self.groups as u64 }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StatsPayload<'a> {
    agent_hostname: &'a str,
    agent_env: &'a str,
    stats: Vec<ClientStatsPayload<'a>>,
    agent_version: &'static str,
    client_computed: bool,
    split_payload: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClientStatsPayload<'a> {
    #[serde(skip)]
    key: &'a StoredPayload,
    hostname: &'a str,
    env: &'a str,
    version: &'a str,
    stats: Vec<ClientStatsBucket<'a>>,
    lang: &'a str,
    tracer_version: &'a str,
    #[serde(rename = "RuntimeID")]
    runtime_id: &'a str,
    sequence: u64,
    agent_aggregation: &'a str,
    service: &'a str,
    #[serde(rename = "ContainerID")]
    container_id: &'a str,
    tags: [&'a str; 0],
    git_commit_sha: &'a str,
    image_tag: &'a str,
    process_tags_hash: u64,
    process_tags: &'a str,
}

impl<'a> ClientStatsPayload<'a> {
    fn new(key: &'a StoredPayload) -> Self {
        let process_tags = key.text(payload::PROCESS_TAGS);
        Self {
            key,
            hostname: key.text(payload::HOSTNAME),
            env: key.text(payload::ENV),
            version: key.text(payload::VERSION),
            stats: Vec::new(),
            lang: key.text(payload::LANG),
            // Several tracers may be in one payload, so nothing is said of one of them.
            tracer_version: "",
            runtime_id: "",
            sequence: 0,
            agent_aggregation: "",
            service: key.text(payload::SERVICE),
            container_id: key.text(payload::CONTAINER_ID),
            tags: [],
            git_commit_sha: key.text(payload::GIT_COMMIT_SHA),
            image_tag: key.text(payload::IMAGE_TAG),
            process_tags_hash: process_tags_hash(process_tags),
            process_tags,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClientStatsBucket<'a> {
    start: u64,
    duration: u64,
    stats: Vec<ClientGroupedStats<'a>>,
    agent_time_shift: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClientGroupedStats<'a> {
    service: &'a str,
    name: &'a str,
    resource: &'a str,
    #[serde(rename = "HTTPStatusCode")]
    http_status_code: u32,
    r#type: &'a str,
    #[serde(rename = "DBType")]
    db_type: &'a str,
    hits: u64,
    errors: u64,
    duration: u64,
    ok_summary: Bytes<'a>,
    error_summary: Bytes<'a>,
    synthetics: bool,
    top_level_hits: u64,
    span_kind: &'a str,
    peer_tags: Vec<Cow<'a, str>>,
    is_trace_root: u32,
    #[serde(rename = "GRPCStatusCode")]
    grpc_status_code: &'a str,
    #[serde(rename = "HTTPMethod")]
    http_method: &'a str,
    #[serde(rename = "HTTPEndpoint")]
    http_endpoint: &'a str,
    #[serde(rename = "srv_src")]
    service_source: &'a str,
    span_derived_primary_tags: [&'a str; 0],
    additional_metric_tags: Vec<Cow<'a, str>>,
}

impl<'a> ClientGroupedStats<'a> {
    fn new(key: &'a StoredGroup, totals: Totals) -> Self {
        let [http_status_code, _, flags] = key.numbers;
        let (synthetics, is_trace_root) = unpack_flags(flags);
        Self {
            service: key.text(group::SERVICE),
            name: key.text(group::NAME),
            resource: key.text(group::RESOURCE),
            http_status_code,
            r#type: key.text(group::KIND),
            db_type: "",
            hits: totals.hits,
            errors: totals.errors,
            duration: totals.duration,
            ok_summary: Bytes(Cow::Owned(totals.ok)),
            error_summary: Bytes(Cow::Owned(totals.error)),
            synthetics,
            top_level_hits: totals.top_level_hits,
            span_kind: key.text(group::SPAN_KIND),
            peer_tags: read_tags(key.text(group::PEER_TAGS)),
            is_trace_root,
            grpc_status_code: key.text(group::GRPC_STATUS),
            http_method: key.text(group::HTTP_METHOD),
            http_endpoint: key.text(group::HTTP_ENDPOINT),
            service_source: key.text(group::SERVICE_SOURCE),
            span_derived_primary_tags: [],
            additional_metric_tags: read_tags(key.text(group::METRIC_TAGS)),
        }
    }
}

/// Bytes that are written as bytes and not as an array of numbers.
struct Bytes<'a>(Cow<'a, [u8]>);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// The hash that stands for process tags in keys: of the tags in ascending order with a zero byte between them; 0 for none.
fn process_tags_hash(process_tags: &str) -> u64 {
    if process_tags.is_empty() {
        return 0;
    }
    let mut tags: Vec<&str> = process_tags.split(',').collect();
    tags.sort_unstable();
    let mut hash = Fnv64::EMPTY;
    for (at, tag) in tags.iter().enumerate() {
        if at > 0 {
            hash = hash.then(&[0]);
        }
        hash = hash.then(tag.as_bytes());
    }
    hash.value()
}

#[cfg(test)]
mod tests {
    use super::process_tags_hash;

    #[test]
    fn process_tags_hash_as_the_agents() {
        assert_eq!(process_tags_hash("a:b,c:d"), 957_091_387_073_971_591);
        assert_eq!(process_tags_hash("c:d,a:b"), 957_091_387_073_971_591);
        assert_eq!(process_tags_hash(""), 0);
        assert_eq!(
            process_tags_hash(
                "entrypoint.name:hello,entrypoint.type:class,entrypoint.workdir:app,svc.user:true"
            ),
            6_716_081_865_054_456_282
        );
    }
}
