//! Payloads of the older form under construction (`AgentPayload.tracerPayloads`), in which spans carry their strings themselves.
//!
//! A chunk is encoded as soon as it is worked on, but which payload it belongs to is known only after the last chunk of its body: what one
//! chunk leaves open (env, host, version) a later one may say (spec: trace-agent 3.7). So the chunks of one body lie on a desk until then.

mod facts;

pub use facts::Facts;

use crate::ledger::Counts;
use crate::trace::chunk::Work;
use crate::trace::head::OtherAttributes;
use crate::trace::late;
use crate::trace::model::Body;
use crate::trace::payload::{
    Agent, CONTAINER_TAGS, Encoded, FUNCTION_TAGS, HEAD_VALUES, Head, OwnKeys, Payload,
};
use crate::trace::strings::Ref;
use crate::trace::table::as_text;
use crate::wire;

/// Strings and numbers of strings that the desk keeps from one body to the next, in bytes of text.
const DESK_BYTES_MAX: usize = 4 << 20;

/// The tag of a payload in the message around it.
const PAYLOAD: u8 = 0x2a;

/// Payloads under construction at once, and sets of values that stats are told apart by; with more, all are started anew.
const HEADS_MAX: usize = 16;

/// Memory that an emptied list of chunks keeps for its next use.
const KEPT_CHUNK_BYTES_MAX: usize = 4 << 20;

/// The numbers of keys whose values make up a payload's values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Keys {
    env: Ref,
    hostname: Ref,
    version: Ref,
    git_commit_sha: Ref,
    apm_mode: Ref,
}

/// A payload's values, kept.
type Values = [String; HEAD_VALUES];

/// A payload with its chunks, encoded.
#[derive(Debug)]
struct Open {
    values: Values,
    others: Option<OtherAttributes>,
    chunks: Vec<u8>,
    counts: Counts,
}

/// The payloads that will leave together.
#[derive(Debug)]
pub struct Batch {
    /// Where a body is worked on: its strings, what is known by their numbers, and its chunks until their payload is known. It has no values.
    pub desk: Payload,
    keys: Keys,
    heads: Vec<Values>,
    open: Vec<Open>,
    spare: Vec<u8>,
}

impl Default for Batch {
    fn default() -> Self {
        let mut batch = Self {
            desk: Payload::default(),
            keys: Keys::default(),
            heads: Vec::new(),
            open: Vec::new(),
            spare: Vec::new(),
        };
        batch.renew_desk();
        batch
    }
}

impl Batch {
    /// Prepares for a body.
    pub fn begin_body(&mut self, body: &Body) {
        if self.desk.table.strings.encoded().len() > DESK_BYTES_MAX {
            self.renew_desk();
        }
        self.desk.table.begin_body(body.strings.len(), &body.hashes);
    }

    fn renew_desk(&mut self) {
        let Payload { table, groups, own, .. } = &mut self.desk;
        table.clear();
        groups.clear();
        self.heads.clear();
        let mut key = |text: &str| table.strings.intern(text.as_bytes());
        *own = OwnKeys { top_level: key("_top_level"), ..OwnKeys::default() };
        self.keys = Keys {
            env: key("env"),
            hostname: key("_dd.hostname"),
            version: key("version"),
            git_commit_sha: key("_dd.git.commit.sha"),
            apm_mode: key("_dd.apm_mode"),
        };
    }

    /// Takes in what the chunk that is being worked on says of its payload.
    pub fn see(&self, facts: &mut Facts<'_>, work: &Work) {
        facts.see(work, &self.keys, &self.desk.table.strings);
    }

    /// Gives the desk the number that stands for these values in stats. It stays theirs as long as the numbers of strings stay.
    #[expect(clippy::cast_possible_truncation, reason = "at most HEADS_MAX")]
    pub fn set_head(&mut self, head: &Head<'_>) {
        let values = head.values();
        let known = self.heads.iter().rposition(|own| *own == values);
        let number = known.unwrap_or_else(|| {
            if self.heads.len() >= HEADS_MAX {
                self.heads.clear();
                self.desk.groups.clear();
            }
            self.heads.push(values.map(str::to_owned));
            self.heads.len() - 1
        });
        self.desk.head_number = number as u32;
    }

    /// Moves the chunks of the desk to the payload with these values. Says whether the batch has as many payloads as it may have.
    pub fn finish_body(&mut self, head: &Head<'_>) -> bool {
        let chunks = &mut self.desk.chunks;
        if !chunks.is_empty() {
            let counts = std::mem::take(&mut self.desk.counts);
            let values = head.values();
            let found = self
                .open
                .iter_mut()
                .find(|open| open.values == values && open.others.as_ref() == head.others);
            if let Some(open) = found {
                open.chunks.extend_from_slice(chunks);
                open.counts.add(counts);
            } else {
                let mut own = std::mem::take(&mut self.spare);
                own.extend_from_slice(chunks);
                let values = values.map(str::to_owned);
                let others = head.others.cloned();
                self.open.push(Open { values, others, chunks: own, counts });
            }
            chunks.clear();
            chunks.shrink_to(KEPT_CHUNK_BYTES_MAX);
        }
        self.open.len() >= HEADS_MAX
    }

    /// Puts tags on all spans that lack them; see [`late`].
    pub fn add_span_tags(&mut self, tags: &[(String, String)]) {
        self.desk.groups.clear();
        for open in &mut self.open {
            if let Some(chunks) = late::add_older(&open.chunks, tags) {
                open.chunks = chunks;
            }
        }
    }

    /// Bytes that all payloads would have on the wire, uncompressed.
    pub fn encoded_bytes(&self) -> usize {
        self.open.iter().map(|open| open.chunks.len()).sum::<usize>() + self.desk.chunks.len()
    }

    /// Whether no payload has a chunk.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Appends the whole as an agent payload to `out`, empties the batch and says what was in it.
    pub fn encode(&mut self, agent: &Agent<'_>, out: &mut Vec<u8>) -> Vec<Encoded> {
        agent.encode(out);
        let mut encoded = Vec::with_capacity(self.open.len());
        let mut rest = Vec::with_capacity(256);
        for mut open in self.open.drain(..) {
            rest.clear();
            let head = Head { others: open.others.as_ref(), ..Head::of(&open.values) };
            values(&head, agent, &mut rest);
            let from = out.len();
            out.push(PAYLOAD);
            wire::varint(out, (rest.len() + open.chunks.len()) as u64);
            out.extend_from_slice(&rest);
            out.extend_from_slice(&open.chunks);
            encoded.push(Encoded { bytes: from..out.len(), counts: open.counts });
            // One spare is enough: an app has one tracer, and memory of rare ones is given back.
            open.chunks.clear();
            open.chunks.shrink_to(KEPT_CHUNK_BYTES_MAX);
            self.spare = open.chunks;
        }
        encoded
    }
}

/// Appends a payload's values as its fields. What a span says for stats alone (the commit) is not among them, what the body's own tags say is.
fn values(head: &Head<'_>, agent: &Agent<'_>, out: &mut Vec<u8>) {
    for (tag, value) in [
        (0x0a, head.container_id),
        (0x12, head.lang),
        (0x1a, head.lang_version),
        (0x22, head.tracer_version),
        (0x2a, head.runtime_id),
        (0x42, head.env),
        (0x4a, head.hostname),
        (0x52, head.app_version),
    ] {
        wire::bytes(out, tag, value.as_bytes());
    }
    // What the tracer's container is says the tracer first.
    let of_tracer = Some(head.container_tags).filter(|tags| !tags.is_empty());
    let container_tags = of_tracer.unwrap_or(agent.container_tags);
    for (key, value) in [
        ("_dd.git.commit.sha", head.git_commit_sha),
        ("_dd.apm_mode", head.apm_mode),
        ("_dd.tags.process", head.process_tags),
        ("_dd.sdk.otlp_export", head.otlp_export),
        (CONTAINER_TAGS, container_tags),
        (FUNCTION_TAGS, agent.function_tags),
    ] {
        if !value.is_empty() {
            tag(key.as_bytes(), value.as_bytes(), out);
        }
    }
    for (key, value) in head.others.into_iter().flat_map(OtherAttributes::texts) {
        tag(as_text(key).as_bytes(), as_text(value).as_bytes(), out);
    }
}

/// Appends a tag of a payload.
fn tag(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let entry = wire::open(out, 0x3a);
    wire::bytes(out, 0x0a, key);
    wire::bytes(out, 0x12, value);
    wire::close(out, entry);
}
