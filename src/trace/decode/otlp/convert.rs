//! Resources to payloads: the spans of each trace together, with the sampling decision that holds for all of them (spec: trace-agent 9.2, 9.4).

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::lists::repeated;
use super::resource::Resource;
use super::span::{Converted, Scope, Shared};
use super::wire::Fields;
use super::{Error, Fallible, Rules, msgpack};
use crate::limits::OTLP_SPANS_BYTES_MAX;
use crate::trace::normalise;

/// A converted request.
#[derive(Debug, Default)]
pub struct Export {
    /// One for each resource that has spans.
    pub payloads: Vec<Payload>,
    /// Spans that are left out because they belong to no trace.
    pub without_trace: u64,
}

/// The spans of one resource.
#[derive(Debug, Default)]
pub struct Payload {
    /// The SDK's language.
    pub lang: String,
    /// The SDK's version, as that of a tracer.
    pub tracer_version: String,
    /// The host.
    pub hostname: String,
    /// The env, as a tag value; that of a span where the resource names none.
    pub env: String,
    /// The version of the first trace that has one.
    pub app_version: String,
    /// The container.
    pub container_id: String,
    /// The container's tags, between commas.
    pub container_tags: String,
    /// Whether stats have been computed before, where the resource says so or not.
    pub computed_stats: Option<bool>,
    /// The share of traces that was kept, with two places after the point.
    pub sampling_rate: String,
    /// What holds for each chunk.
    pub chunks: Vec<Chunk>,
    /// Spans of all chunks.
    pub spans: u64,
    /// The chunks, as a body of v0.4.
    pub msgpack: Vec<u8>,
}

/// What holds for all spans of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The priority; nothing where it is decided later.
    pub priority: Option<i32>,
    /// The upper 64 bits of the trace id.
    pub trace_id_high: u64,
}

/// What a payload and a chunk count for beside their bytes.
const PAYLOAD_BYTES: usize = 512;
const CHUNK_BYTES: usize = 64;

const AUTO_DROP: i32 = 0;
const AUTO_KEEP: i32 = 1;
const USER_KEEP: i32 = 2;

/// How it came that a trace is kept (`_dd.p.dm`).
const BY_APP: &str = "-4";
const BY_SHARE: &str = "-9";

/// Converts the content of an `ExportTraceServiceRequest`, which has been checked.
pub(super) fn request(bytes: &[u8], rules: &Rules, hostname: &str) -> Fallible<Export> {
    let mut export = Export::default();
    let mut room = Room { left: OTLP_SPANS_BYTES_MAX };
    for resource_spans in repeated(bytes, 1) {
        let content = Fields::of(resource_spans).filter(|(number, _)| *number == 1).last();
        let resource = Resource::of(content.map_or(&[], |(_, field)| field.bytes()))?;
        let traces = Traces::of(resource_spans, &mut export.without_trace)?;
        if !traces.spans.is_empty() {
            room.take(PAYLOAD_BYTES)?;
            export.payloads.push(payload(&resource, &traces, rules, hostname, &mut room)?);
        }
    }
    Ok(export)
}

/// The bytes that converted spans may still take.
struct Room {
    left: usize,
}

impl Room {
    fn take(&mut self, bytes: usize) -> Fallible<()> {
        self.left = self.left.checked_sub(bytes).ok_or(Error::TooLarge)?;
        Ok(())
    }
}

/// The spans of a resource by the trace that they belong to, traces in the order in which they come first.
#[derive(Debug, Default)]
struct Traces<'a> {
    scopes: Vec<Scope<'a>>,
    /// Trace, library and content of each span, sorted by trace.
    spans: Vec<(u32, u32, &'a [u8])>,
}

impl<'a> Traces<'a> {
    /// Reads the libraries and which spans there are. Spans without a trace are counted in `without_trace` and left out.
    #[expect(clippy::cast_possible_truncation, reason = "fewer than bytes in a body")]
    fn of(resource_spans: &'a [u8], without_trace: &mut u64) -> Fallible<Self> {
        let mut traces = Self::default();
        let mut numbers: HashMap<u64, u32, RandomState> = HashMap::default();
        for scope_spans in repeated(resource_spans, 2) {
            let before = traces.spans.len();
            for span in repeated(scope_spans, 2) {
                match trace_id_low(span) {
                    0 => *without_trace += 1,
                    id => {
                        let next = numbers.len() as u32;
                        let trace = *numbers.entry(id).or_insert(next);
                        traces.spans.push((trace, traces.scopes.len() as u32, span));
                    }
                }
            }
            if traces.spans.len() > before {
                let scope = repeated(scope_spans, 1).last().unwrap_or_default();
                traces.scopes.push(Scope::of(scope)?);
            }
        }
        traces.spans.sort_by_key(|(trace, _, _)| *trace);
        Ok(traces)
    }
}

/// The half of the trace id that Datadog's tracers have: spans that agree in it belong together.
fn trace_id_low(span: &[u8]) -> u64 {
    let id = repeated(span, 1).last().unwrap_or_default();
    id.last_chunk().map_or(0, |low| u64::from_be_bytes(*low))
}

fn payload<'a>(
    resource: &'a Resource<'a>,
    traces: &'a Traces<'a>,
    rules: &Rules,
    hostname: &str,
    room: &mut Room,
) -> Fallible<Payload> {
    let shared = Shared::of(resource);
    let mut payload = Payload {
        lang: resource.lang.clone(),
        tracer_version: resource.tracer_version.clone(),
        hostname: resource.host.clone().unwrap_or_else(|| hostname.to_owned()),
        env: resource.env.clone(),
        container_id: resource.container_id.clone(),
        container_tags: resource.container_tags.clone(),
        computed_stats: resource.computed_stats,
        sampling_rate: format!("{:.2}", rules.sampling_rate()),
        spans: traces.spans.len() as u64,
        ..Payload::default()
    };
    let count = traces.spans.chunk_by(|one, next| one.0 == next.0).count();
    msgpack::list(&mut payload.msgpack, count);
    let mut writer = Writer {
        shared: &shared,
        traces,
        rules,
        first: Converted::default(),
        next: Converted::default(),
        rest: Vec::new(),
    };
    for trace in traces.spans.chunk_by(|one, next| one.0 == next.0) {
        room.take(CHUNK_BYTES)?;
        writer.trace(trace, &mut payload, room)?;
    }
    Ok(payload)
}

/// Writes trace by trace, in memory that serves all of them.
struct Writer<'a> {
    shared: &'a Shared<'a>,
    traces: &'a Traces<'a>,
    rules: &'a Rules,
    /// The first span of the trace, which waits for what the others say.
    first: Converted<'a>,
    next: Converted<'a>,
    rest: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn trace(
        &mut self,
        spans: &[(u32, u32, &'a [u8])],
        payload: &mut Payload,
        room: &mut Room,
    ) -> Fallible<()> {
        let mut said = Said::default();
        self.rest.clear();
        for (index, (_, scope, content)) in spans.iter().enumerate() {
            let span = if index == 0 { &mut self.first } else { &mut self.next };
            let scope = &self.traces.scopes[*scope as usize];
            span.take(content, self.shared, scope, self.rules)?;
            said.hear(span);
            if index > 0 {
                let before = self.rest.len();
                msgpack::span(&mut self.rest, &self.next);
                room.take(self.rest.len() - before)?;
            }
        }
        let priority = self.decide(&said);
        let before = payload.msgpack.len();
        msgpack::list(&mut payload.msgpack, spans.len());
        msgpack::span(&mut payload.msgpack, &self.first);
        room.take(payload.msgpack.len() - before)?;
        payload.msgpack.append(&mut self.rest);
        payload.chunks.push(Chunk { priority, trace_id_high: (self.first.trace_id >> 64) as u64 });
        if payload.env.is_empty() {
            payload.env = normalise::tag_value(&said.env.text).into_owned();
        }
        if payload.app_version.is_empty() {
            payload.app_version = said.version.text;
        }
        if payload.hostname.is_empty() {
            payload.hostname = said.hostname.text;
        }
        Ok(())
    }

    /// The priority: the app's own wish, or the word of the sampler that keeps a share of all traces by their ids. The first span of a trace that
    /// is kept says which of them it was.
    fn decide(&mut self, said: &Said) -> Option<i32> {
        if self.rules.decided_later {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low half of the trace id is meant"
        )]
        let id = self.first.trace_id as u64;
        let (priority, by) = match said.priority {
            Some(priority) => (priority, BY_APP),
            None if is_kept(id, self.rules.sampling_rate()) => (AUTO_KEEP, BY_SHARE),
            None => (AUTO_DROP, BY_SHARE),
        };
        if matches!(priority, AUTO_KEEP | USER_KEEP) {
            self.first.texts.set("_dd.p.dm", by.into());
        }
        Some(priority)
    }
}

/// Whether a trace is among the share that is kept: the hash that all of Datadog's samplers use.
fn is_kept(trace_id: u64, rate: f64) -> bool {
    const FACTOR: u64 = 1_111_111_111_111_111_111;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate below 1"
    )]
    let bound = (rate * u64::MAX as f64) as u64;
    rate >= 1.0 || trace_id.wrapping_mul(FACTOR) < bound
}

/// A priority in eight bits, as the agent has it; a number beyond 32 bits has none of them.
#[expect(clippy::cast_possible_truncation, reason = "eight bits are what is wanted")]
fn priority(number: f64) -> i32 {
    let is_small = number > f64::from(i32::MIN) && number <= f64::from(i32::MAX);
    if is_small { i32::from(number as i32 as i8) } else { 0 }
}

/// What the spans of a trace say of it.
#[derive(Debug, Default)]
struct Said {
    /// That of the last span that has one.
    priority: Option<i32>,
    env: Word,
    version: Word,
    hostname: Word,
}

/// A tag of the root, else of the first span that has it.
#[derive(Debug, Default)]
struct Word {
    text: String,
    is_of_root: bool,
}

impl Said {
    fn hear(&mut self, span: &Converted<'_>) {
        if let Some(number) = span.numbers.get("_sampling_priority_v1") {
            self.priority = Some(priority(*number));
        }
        for (word, key) in [
            (&mut self.env, "env"),
            (&mut self.version, "version"),
            (&mut self.hostname, "_dd.hostname"),
        ] {
            word.hear(span, key);
        }
    }
}

impl Word {
    /// Of several roots the last counts.
    fn hear(&mut self, span: &Converted<'_>, key: &str) {
        let is_root = span.parent_id == 0;
        if !is_root && (self.is_of_root || !self.text.is_empty()) {
            return;
        }
        if let Some(text) = span.texts.get(key).filter(|text| !text.is_empty()) {
            self.text.clear();
            self.text.push_str(text);
            self.is_of_root = is_root;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_kept, priority};

    #[test]
    fn priorities_have_eight_bits() {
        for (number, expect) in [(2.0, 2), (-1.9, -1), (300.0, 44), (1e21, 0), (f64::NAN, 0)] {
            assert_eq!(priority(number), expect, "{number}");
        }
    }

    #[test]
    fn a_rate_keeps_its_share() {
        let kept = (1..=10_000_u64)
            .filter(|id| is_kept(id.wrapping_mul(0x9e37_79b9_7f4a_7c15), 0.3))
            .count();
        assert!((2900..3100).contains(&kept), "{kept}");
        assert!(is_kept(u64::MAX, 1.0) && !is_kept(3, 0.0));
    }
}
