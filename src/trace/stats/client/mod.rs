//! Stats that tracers have computed themselves: decoded, made uniform and added up by key, in buckets of 2 seconds that never start in the
//! same second as the concentrator's.

mod decode;

use std::borrow::Cow;

use decode::{Header, SentGroup};

pub use decode::DecodeError;

use super::bucket::{Bucket, send};
use super::key::{GroupDraft, PayloadDraft, PayloadKey, flags, write_tags};
use super::sketch::{Merged, encoded_len};
use super::wire::{Leave, Totals};
use super::{Agent, Flushed};
use crate::limits;
use crate::trace::filter::Filters;
use crate::trace::redact::{Redactor, SpanType};
use crate::trace::{Tracer, normalise};

const SECOND_NS: u64 = 1_000_000_000;
/// Nanoseconds of one bucket. The tracers' own last 10 seconds, and what is sent says so.
const BUCKET_NS: u64 = 2 * SECOND_NS;
/// How long a bucket waits for other tracers' stats of the same time.
const WAIT_NS: u64 = 18 * SECOND_NS;

/// Stats of tracers that wait to be sent.
#[derive(Debug)]
pub struct ClientStats {
    agent: Agent,
    resource_bytes_max: usize,
    oldest: u64,
    buckets: Vec<Bucket<Group>>,
    group_draft: GroupDraft,
    payload_draft: PayloadDraft,
    random: fastrand::Rng,
}

#[derive(Debug, Default)]
struct Group {
    seen: bool,
    hits: u64,
    errors: u64,
    duration: u64,
    top_level_hits: u64,
    ok: Summary,
    error: Summary,
}

/// A sketch of a group.
#[derive(Debug)]
enum Summary {
    /// As it was sent, as long as it is the only one.
    Sent(Box<[u8]>),
    /// The sum of several. None when none of them was understood.
    Merged(Option<Box<Merged>>),
}

impl ClientStats {
    /// `resource_bytes_max`: bytes of a resource, [`normalise::RESOURCE_BYTES_MAX`] or more. `now_ns`: unix time.
    #[must_use]
    pub fn new(agent: Agent, resource_bytes_max: usize, now_ns: u64) -> Self {
        Self {
            agent,
            resource_bytes_max,
            oldest: align(now_ns.saturating_sub(WAIT_NS)),
            buckets: Vec::new(),
            group_draft: GroupDraft::new(),
            payload_draft: PayloadDraft::new(),
            random: fastrand::Rng::with_seed(0),
        }
    }

    /// Takes the body of a stats request and returns how many groups were in it. What is held is handed to `sink` early when it is more
    /// than [`limits::STATS_BYTES_MAX`].
    ///
    /// # Errors
    ///
    /// The body is not what it should be; then nothing of it is kept.
    pub fn add(
        &mut self,
        tracer: &Tracer<'_>,
        body: &[u8],
        (filters, redactor): (&Filters, &mut Redactor),
        now_ns: u64,
        sink: &mut dyn FnMut(Flushed),
    ) -> Result<u64, DecodeError> {
        // Read twice: a body that turns out malformed at its end leaves nothing behind, and however many groups it has, none is kept aside.
        let mut groups = 0;
        let mut starts = Vec::new();
        let header = decode::read(body, &mut starts, &mut |_, _| groups += 1)?;
        let env = self.env(&header);
        self.write_payload(tracer, &header, &env);
        decode::read(body, &mut Vec::new(), &mut |bucket, group| {
            let start = starts.get(bucket).copied().unwrap_or(0);
            self.add_group(start, group, tracer, (filters, redactor), now_ns);
            if self.bytes() > limits::STATS_BYTES_MAX {
                self.flush(now_ns, true, sink);
            }
        })?;
        Ok(groups)
    }

    /// Hands out the buckets that have waited long enough, or all of them when `force` says so, each in a payload of its own.
    pub fn flush(&mut self, now_ns: u64, force: bool, sink: &mut dyn FnMut(Flushed)) {
        self.oldest = align(now_ns.saturating_sub(WAIT_NS));
        let due = |bucket: &Bucket<Group>| force || bucket.start < self.oldest;
        if !self.buckets.iter().any(due) {
            return;
        }
        let (mut leaving, staying): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.buckets).into_iter().partition(due);
        self.buckets = staying;
        leaving.sort_unstable_by_key(|bucket| bucket.start);
        for bucket in leaving {
            send(vec![bucket], &self.agent, true, &mut self.random, sink);
        }
    }

    /// Bytes that the stats take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.bytes).sum()
    }

    fn env<'a>(&self, header: &'a Header<'_>) -> Cow<'a, str> {
        match normalise::tag_value(&header.env) {
            env if env.is_empty() => Cow::Owned(self.agent.env.clone()),
            env => env,
        }
    }

    fn write_payload(&mut self, tracer: &Tracer<'_>, header: &Header<'_>, env: &str) {
        fn first<'a>(text: &'a str, other: &'a str) -> &'a str {
            if text.is_empty() { other } else { text }
        }
        let key = PayloadKey {
            env,
            hostname: &header.hostname,
            version: &header.version,
            container_id: first(tracer.container_id, &header.container_id),
            git_commit_sha: &header.git_commit_sha,
            image_tag: &header.image_tag,
            lang: first(&header.lang, tracer.lang),
            process_tags: &header.process_tags,
            base_service: &header.service,
        };
        key.write(&mut self.payload_draft);
    }

    fn add_group(
        &mut self,
        start: u64,
        sent: SentGroup<'_>,
        tracer: &Tracer<'_>,
        (filters, redactor): (&Filters, &mut Redactor),
        now_ns: u64,
    ) {
        let service = normalise::service(&sent.service, tracer.lang);
        let name = normalise::name(&sent.name);
        let resource = if sent.resource.is_empty() { &name } else { &*sent.resource };
        if filters.ignores(resource) {
            return;
        }
        let kind = SpanType::of(sent.kind.as_bytes());
        // A tracer that says by which version of the rules it hides values has hidden them.
        let kind = if tracer.obfuscated_stats { SpanType::Other } else { kind };
        let resource =
            redactor.whole_resource(kind, resource, &sent.db_type, self.resource_bytes_max);
        let draft = &mut self.group_draft;
        draft.clear();
        let texts = [
            &*service,
            &*name,
            &*resource,
            &*sent.kind,
            &*sent.span_kind,
            &*sent.grpc_status_code,
            &*sent.service_source,
            &*sent.http_method,
            &*sent.http_endpoint,
        ];
        for text in texts {
            draft.push(text);
        }
        draft.write(|all| write_tags(all, sent.peer_tags.iter()));
        draft.write(|all| write_tags(all, sent.additional_metric_tags.iter()));
        let status_code = u32::try_from(sent.http_status_code.0).unwrap_or(u32::MAX);
        let status_code = redactor.rules.status_code(status_code);
        let trace_root = u32::try_from(sent.is_trace_root.0).unwrap_or(0);
        draft.numbers = [status_code, 0, flags(sent.synthetics.0, trace_root)];

        let start = self.bucket(start, now_ns);
        let at =
            self.buckets.iter().position(|bucket| bucket.start == start).unwrap_or_else(|| {
                self.buckets.push(Bucket::new(start));
                self.buckets.len() - 1
            });
        let Some(bucket) = self.buckets.get_mut(at) else { return };
        let number = bucket.number(&self.payload_draft, &mut self.group_draft);
        if let Some(group) = bucket.get_mut(number) {
            let before = group.ok.bytes() + group.error.bytes();
            group.add(&sent);
            let after = group.ok.bytes() + group.error.bytes();
            bucket.bytes = (bucket.bytes + after).saturating_sub(before);
        }
    }

    /// The bucket that stats of a time are added to: the oldest for what is older, the present one for what is to come.
    fn bucket(&self, start: u64, now_ns: u64) -> u64 {
        if start < self.oldest { self.oldest } else { align(start.min(now_ns)) }
    }
}

/// The start of the bucket of a time: an odd second.
fn align(time_ns: u64) -> u64 {
    (time_ns - time_ns % BUCKET_NS).saturating_add(SECOND_NS)
}

impl Group {
    fn add(&mut self, sent: &SentGroup<'_>) {
        if self.seen {
            self.ok.merge(sent.ok_summary.0);
            self.error.merge(sent.error_summary.0);
        } else {
            self.seen = true;
            self.ok = Summary::Sent(sent.ok_summary.0.into());
            self.error = Summary::Sent(sent.error_summary.0.into());
        }
        self.hits = self.hits.wrapping_add(sent.hits.0);
        self.errors = self.errors.wrapping_add(sent.errors.0);
        self.duration = self.duration.wrapping_add(sent.duration.0);
        self.top_level_hits = self.top_level_hits.wrapping_add(sent.top_level_hits.0);
    }
}

impl Leave for Group {
    fn encoded_len(&self) -> usize {
        self.ok.encoded_len() + self.error.encoded_len()
    }

    fn leave(self, _: &mut fastrand::Rng) -> Totals {
        Totals {
            hits: self.hits,
            errors: self.errors,
            duration: self.duration,
            top_level_hits: self.top_level_hits,
            ok: self.ok.encode(),
            error: self.error.encode(),
        }
    }
}

impl Default for Summary {
    fn default() -> Self {
        Self::Merged(None)
    }
}

impl Summary {
    /// Adds a second sketch, or a further one. What is not understood is left out.
    fn merge(&mut self, encoded: &[u8]) {
        if let Self::Sent(sent) = self {
            let sent = std::mem::take(sent);
            *self = Self::Merged(None);
            self.merge(&sent);
        }
        let Self::Merged(merged) = self else { return };
        if encoded.is_empty() {
            return;
        }
        let mut sum = merged.take().unwrap_or_default();
        if sum.add(encoded) || !sum.is_untouched() {
            *merged = Some(sum);
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Sent(sent) => sent.len(),
            Self::Merged(None) => 0,
            Self::Merged(Some(merged)) => size_of::<Merged>() + merged.heap_bytes(),
        }
    }

    fn encoded_len(&self) -> usize {
        match self {
            Self::Sent(sent) => sent.len(),
            Self::Merged(None) => 0,
            Self::Merged(Some(merged)) => merged.encoded_len().max(encoded_len(0)),
        }
    }

    fn encode(self) -> Vec<u8> {
        match self {
            Self::Sent(sent) => sent.into_vec(),
            Self::Merged(None) => Vec::new(),
            Self::Merged(Some(merged)) => merged.encode(),
        }
    }
}

#[cfg(test)]
mod tests;
