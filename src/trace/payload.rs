//! Payloads under construction: one table and one run of chunks for each distinct set of payload-level values, and the message around them.

use std::ops::Range;

use crate::ledger::Counts;
use crate::trace::encode;
use crate::trace::groups::Groups;
use crate::trace::head::OtherAttributes;
use crate::trace::late;
use crate::trace::stats::GroupId;
use crate::trace::strings::Ref;
use crate::trace::table::Table;
use crate::wire;

/// The values that a tracer payload has for all its chunks. Bodies whose values are equal share one payload.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Head<'a> {
    /// The container the tracer runs in.
    pub container_id: &'a str,
    /// The tracer's language.
    pub lang: &'a str,
    /// That language's version.
    pub lang_version: &'a str,
    /// The tracer's version.
    pub tracer_version: &'a str,
    /// The tracer's own id of its process.
    pub runtime_id: &'a str,
    /// `env`.
    pub env: &'a str,
    /// Host.
    pub hostname: &'a str,
    /// `version`.
    pub app_version: &'a str,
    /// Attribute `_dd.git.commit.sha`.
    pub git_commit_sha: &'a str,
    /// Attribute `_dd.apm_mode`.
    pub apm_mode: &'a str,
    /// Attribute `_dd.tags.process`.
    pub process_tags: &'a str,
    /// Attribute `_dd.sdk.otlp_export`.
    pub otlp_export: &'a str,
    /// Attribute `_dd.tags.container`.
    pub container_tags: &'a str,
    /// Further attributes, if there are any.
    pub others: Option<&'a OtherAttributes>,
}

pub(super) const HEAD_VALUES: usize = 13;

impl<'a> Head<'a> {
    pub(super) fn values(&self) -> [&'a str; HEAD_VALUES] {
        [
            self.container_id,
            self.lang,
            self.lang_version,
            self.tracer_version,
            self.runtime_id,
            self.env,
            self.hostname,
            self.app_version,
            self.git_commit_sha,
            self.apm_mode,
            self.process_tags,
            self.otlp_export,
            self.container_tags,
        ]
    }

    /// With these values, which are in the order of [`Head::values`].
    pub(super) fn of(values: &'a [String; HEAD_VALUES]) -> Self {
        let [
            container_id,
            lang,
            lang_version,
            tracer_version,
            runtime_id,
            env,
            hostname,
            app_version,
            git_commit_sha,
            apm_mode,
            process_tags,
            otlp_export,
            container_tags,
        ] = values.each_ref().map(String::as_str);
        Self {
            container_id,
            lang,
            lang_version,
            tracer_version,
            runtime_id,
            env,
            hostname,
            app_version,
            git_commit_sha,
            apm_mode,
            process_tags,
            otlp_export,
            container_tags,
            others: None,
        }
    }
}

/// The tags of the payload's own fields for the first values of [`Head::values`]; the rest are attributes.
const FIELD_TAGS: [u8; 8] = [0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x40, 0x48];

/// The tag of the payload's attributes.
const ATTRIBUTE: u8 = 0x52;

const ATTRIBUTE_KEYS: [&str; 5] = [
    "_dd.git.commit.sha",
    "_dd.apm_mode",
    "_dd.tags.process",
    "_dd.sdk.otlp_export",
    CONTAINER_TAGS,
];

/// The last of [`ATTRIBUTE_KEYS`].
pub(super) const CONTAINER_TAGS: &str = "_dd.tags.container";

/// What the user has set as tags, where the product is `datadog-init` (spec: serverless-init 3).
pub(super) const FUNCTION_TAGS: &str = "_dd.tags.function";

/// A tracer payload under construction.
#[derive(Debug, Default)]
pub struct Payload {
    head: [String; HEAD_VALUES],
    others: Option<OtherAttributes>,
    /// Its string table.
    pub table: Table,
    /// Its chunks, encoded.
    pub chunks: Vec<u8>,
    /// What is in it.
    pub counts: Counts,
    /// The numbers of strings that we add to spans.
    pub own: OwnKeys,
    /// The groups of stats that are known by the numbers of its strings.
    pub groups: Groups<GroupId>,
    /// In the older form: which of several heads the chunk at hand has (see [`crate::trace::older::Batch::set_head`]).
    pub head_number: u32,
}

/// The numbers of the strings that we add to spans ourselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnKeys {
    /// `_top_level`.
    pub top_level: Ref,
    /// `_dd.convertedv1`.
    pub converted: Ref,
}

/// Memory that an emptied payload keeps for its next use.
const KEPT_CHUNK_BYTES_MAX: usize = 4 << 20;

impl Payload {
    /// Starts anew for `head`.
    fn begin(&mut self, head: &Head<'_>) {
        self.table.clear();
        self.chunks.clear();
        self.chunks.shrink_to(KEPT_CHUNK_BYTES_MAX);
        self.counts = Counts::default();
        self.groups.clear();
        for (own, value) in self.head.iter_mut().zip(head.values()) {
            own.clear();
            own.push_str(value);
        }
        self.others = head.others.cloned();
        self.own = OwnKeys {
            top_level: self.table.strings.intern(b"_top_level"),
            converted: self.table.strings.intern(b"_dd.convertedv1"),
        };
    }

    fn is_for(&self, head: &Head<'_>) -> bool {
        self.head.iter().zip(head.values()).all(|(own, value)| own == value)
            && self.others.as_ref() == head.others
    }

    /// Bytes that it would have on the wire, uncompressed.
    pub fn encoded_bytes(&self) -> usize {
        self.table.strings.encoded().len() + self.chunks.len()
    }

    /// Puts tags on its spans that lack them.
    fn add_span_tags(&mut self, tags: &[(String, String)]) {
        // What spans are grouped by may be among them.
        self.groups.clear();
        if self.chunks.is_empty() {
            return;
        }
        let mut intern = |text: &String| self.table.strings.intern(text.as_bytes());
        let tags: Vec<_> = tags.iter().map(|(key, value)| (intern(key), intern(value))).collect();
        if let Some(chunks) = late::add(&self.chunks, &tags) {
            self.chunks = chunks;
        }
    }

    /// Appends it as a field of the agent payload.
    fn encode(&mut self, agent: &Agent<'_>, out: &mut Vec<u8>) {
        let mut rest = Vec::with_capacity(256);
        for (value, tag) in self.head.iter().zip(FIELD_TAGS) {
            wire::number(&mut rest, tag, u64::from(self.table.strings.intern(value.as_bytes())));
        }
        let own = self.head.iter().skip(FIELD_TAGS.len()).map(String::as_str);
        let attributes = ATTRIBUTE_KEYS.into_iter().zip(own);
        // What the tracer's container is says the tracer first.
        let of_agent =
            [(CONTAINER_TAGS, agent.container_tags), (FUNCTION_TAGS, agent.function_tags)];
        let of_agent = of_agent.into_iter().filter(|(key, _)| {
            *key != CONTAINER_TAGS || self.head.last().is_none_or(String::is_empty)
        });
        for (key, value) in attributes.chain(of_agent) {
            if !value.is_empty() {
                let key = self.table.strings.intern(key.as_bytes());
                let value = self.table.strings.intern(value.as_bytes());
                let mut room = wire::Room::open(&mut rest, 16);
                room.put_all(encode::text_entry(ATTRIBUTE, key, value));
                room.close();
            }
        }
        if let Some(others) = &self.others {
            others.encode(&mut rest, ATTRIBUTE, &mut self.table);
        }
        let strings = self.table.strings.encoded();
        out.push(0x5a);
        wire::varint(out, (strings.len() + rest.len() + self.chunks.len()) as u64);
        out.extend_from_slice(strings);
        out.extend_from_slice(&rest);
        out.extend_from_slice(&self.chunks);
    }
}

/// What an agent payload says beside its tracer payloads.
#[derive(Clone, Copy, Debug)]
pub struct Agent<'a> {
    /// The agent's host.
    pub hostname: &'a str,
    /// The agent's env.
    pub env: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The rate that the priority sampler aims at.
    pub target_tps: f64,
    /// The rate that the errors sampler aims at.
    pub errors_tps: f64,
    /// Whether the rare sampler is on.
    pub rare_sampler: bool,
    /// Attribute `_dd.tags.container` of tracer payloads that have none.
    pub container_tags: &'a str,
    /// Attribute `_dd.tags.function` of tracer payloads.
    pub function_tags: &'a str,
    /// The payload's tag `_dd.apm_mode`; empty for none.
    pub apm_mode: &'a str,
}

impl Agent<'_> {
    /// The tag as an entry of the map in field 6 (spec: trace-agent 6.1).
    fn encode_mode(&self, out: &mut Vec<u8>) {
        if self.apm_mode.is_empty() {
            return;
        }
        let entry = wire::open(out, 0x32);
        wire::bytes(out, 0x0a, b"_dd.apm_mode");
        wire::bytes(out, 0x12, self.apm_mode.as_bytes());
        wire::close(out, entry);
    }

    /// Appends it as the first fields of an agent payload.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        wire::bytes(out, 0x0a, self.hostname.as_bytes());
        wire::bytes(out, 0x12, self.env.as_bytes());
        self.encode_mode(out);
        wire::bytes(out, 0x3a, self.version.as_bytes());
        wire::double(out, 0x41, self.target_tps);
        wire::double(out, 0x49, self.errors_tps);
        wire::number(out, 0x50, u64::from(self.rare_sampler));
    }
}

/// The place of a tracer payload in the agent payload, and what is in it.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Its field, tag and length included.
    pub bytes: Range<usize>,
    /// What is in it.
    pub counts: Counts,
}

/// Payloads under construction at once; with more, all leave.
pub const PAYLOADS_OPEN_MAX: usize = 16;

/// The payloads that will leave together.
#[derive(Debug, Default)]
pub struct Batch {
    open: Vec<Payload>,
    spare: Vec<Payload>,
}

impl Batch {
    /// The index of the payload for `head`, which is opened if there is none; nothing where too many are open.
    pub fn payload(&mut self, head: &Head<'_>) -> Option<usize> {
        if let Some(index) = self.open.iter().position(|payload| payload.is_for(head)) {
            return Some(index);
        }
        if self.open.len() >= PAYLOADS_OPEN_MAX {
            return None;
        }
        let mut payload = self.spare.pop().unwrap_or_default();
        payload.begin(head);
        self.open.push(payload);
        Some(self.open.len() - 1)
    }

    /// A payload that is open.
    pub fn open(&mut self, index: usize) -> &mut Payload {
        &mut self.open[index]
    }

    /// Bytes that all payloads would have on the wire, uncompressed.
    pub fn encoded_bytes(&self) -> usize {
        self.open.iter().map(Payload::encoded_bytes).sum()
    }

    /// Puts tags on all spans that lack them; see [`late`].
    pub fn add_span_tags(&mut self, tags: &[(String, String)]) {
        self.open.iter_mut().for_each(|payload| payload.add_span_tags(tags));
    }

    /// Whether no payload has a chunk.
    pub fn is_empty(&self) -> bool {
        self.open.iter().all(|payload| payload.chunks.is_empty())
    }

    /// Appends the whole as an agent payload to `out`, empties the batch and says what was in it.
    pub fn encode(&mut self, agent: &Agent<'_>, out: &mut Vec<u8>) -> Vec<Encoded> {
        let mut encoded = Vec::with_capacity(self.open.len());
        agent.encode(out);
        for mut payload in self.open.drain(..) {
            if !payload.chunks.is_empty() {
                let from = out.len();
                payload.encode(agent, out);
                encoded.push(Encoded { bytes: from..out.len(), counts: payload.counts });
            }
            // One spare is enough: an app has one tracer, and memory of rare ones is given back.
            if self.spare.is_empty() {
                self.spare.push(payload);
            }
        }
        encoded
    }
}
