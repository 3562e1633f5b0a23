//! Counts spans by group, in buckets of 10 seconds.

use super::bucket::{Bucket, send};
use super::key::{GroupDraft, GroupKey, PayloadDraft, PayloadKey};
use super::sketch::{Bins, Counts};
use super::wire::{Leave, Totals};
use super::{Agent, BUCKET_NS, Flushed};
use crate::limits;

/// A group in a bucket. Valid while [`Concentrator::generation`] stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupId {
    bucket: u32,
    group: u32,
}

/// A span that is counted.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// How many spans it stands for: 1 over the rate at which the tracer kept its trace. Latencies are counted once all the same.
    pub weight: f64,
    /// It failed.
    pub error: bool,
    /// It is the entry of its service.
    pub top_level: bool,
}

/// The counts of all groups of all buckets.
#[derive(Debug)]
pub struct Concentrator {
    agent: Agent,
    oldest: u64,
    buckets: Vec<Bucket<Group>>,
    /// The bucket that the last group was in.
    recent: usize,
    generation: u64,
    bytes: usize,
    bins: Bins,
    group_draft: GroupDraft,
    payload_draft: PayloadDraft,
    random: fastrand::Rng,
}

#[derive(Debug, Default)]
struct Group {
    hits: f64,
    errors: f64,
    duration: f64,
    top_level_hits: f64,
    ok: Counts,
    error: Counts,
}

impl Leave for Group {
    fn encoded_len(&self) -> usize {
        self.ok.encoded_len() + self.error.encoded_len()
    }

    fn leave(self, random: &mut fastrand::Rng) -> Totals {
        Totals {
            hits: round(self.hits, random),
            errors: round(self.errors, random),
            duration: round(self.duration, random),
            top_level_hits: round(self.top_level_hits, random),
            ok: self.ok.encode(),
            error: self.error.encode(),
        }
    }
}

/// A whole number near a weighted count: up as often as its fraction says, so that sums over many groups are right.
fn round(count: f64, random: &mut fastrand::Rng) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    let whole = count as u64;
    #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 there is no fraction")]
    let fraction = count - whole as f64;
    if fraction > 0.0 && random.f64() < fraction { whole.saturating_add(1) } else { whole }
}

impl Concentrator {
    /// `now_ns`: unix time; what ended before its bucket began is counted in that bucket. `seed` makes the rounding of weighted counts
    /// repeatable.
    #[must_use]
    pub fn new(agent: Agent, now_ns: u64, seed: u64) -> Self {
        Self {
            agent,
            oldest: align(now_ns),
            buckets: Vec::new(),
            recent: 0,
            generation: 0,
            bytes: 0,
            bins: Bins::new(),
            group_draft: GroupDraft::new(),
            payload_draft: PayloadDraft::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The start of the bucket in which a span that ended at `end_ns` is counted: the oldest for what is older, the present one for what is to
    /// come, which would else be held until then. Times are signed here, as the agent's are: what has no place in 63 bits is long ago.
    #[must_use]
    #[inline]
    pub fn bucket(&self, end_ns: u64, now_ns: u64) -> u64 {
        let start = if end_ns > i64::MAX.cast_unsigned() { 0 } else { align(end_ns) };
        if start <= now_ns { start.max(self.oldest) } else { align(now_ns).max(self.oldest) }
    }

    /// The group of a key in the bucket that starts at `bucket`; made when it is new.
    pub fn group(&mut self, bucket: u64, payload: &PayloadKey<'_>, key: &GroupKey<'_>) -> GroupId {
        payload.write(&mut self.payload_draft);
        key.write(&mut self.group_draft);
        let at = self.bucket_at(bucket);
        let Some(bucket) = self.buckets.get_mut(at) else {
            return GroupId { bucket: u32::MAX, group: u32::MAX };
        };
        let before = bucket.bytes;
        let group = bucket.number(&self.payload_draft, &mut self.group_draft);
        self.bytes += bucket.bytes - before;
        GroupId { bucket: u32::try_from(at).unwrap_or(u32::MAX), group }
    }

    /// Counts a span in its group.
    #[inline]
    pub fn add(&mut self, id: GroupId, hit: Hit) {
        let Some(bucket) = self.buckets.get_mut(id.bucket as usize) else { return };
        let Some(group) = bucket.get_mut(id.group) else { return };
        group.hits += hit.weight;
        #[expect(
            clippy::cast_precision_loss,
            reason = "sums are kept to 53 bits, as the agent does"
        )]
        let duration = hit.duration_ns as f64;
        group.duration += duration * hit.weight;
        if hit.top_level {
            group.top_level_hits += hit.weight;
        }
        let sketch = if hit.error {
            group.errors += hit.weight;
            &mut group.error
        } else {
            &mut group.ok
        };
        let grown = sketch.add(self.bins.of(hit.duration_ns));
        if grown > 0 {
            bucket.bytes += grown;
            self.bytes += grown;
        }
    }

    /// Changes whenever [`GroupId`]s that were given out become invalid.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Hands out the buckets that are over (at least 10 seconds after their end), or all of them when `force` says so. What comes later for
    /// a bucket that has left early is sent as another part of it: the intake adds them up.
    pub fn flush(&mut self, now_ns: u64, force: bool, sink: &mut dyn FnMut(Flushed)) {
        let due =
            |bucket: &Bucket<Group>| force || bucket.start.saturating_add(2 * BUCKET_NS) <= now_ns;
        self.oldest = self.oldest.max(align(now_ns).saturating_sub(BUCKET_NS));
        if !self.buckets.iter().any(due) {
            return;
        }
        let (leaving, staying) = std::mem::take(&mut self.buckets).into_iter().partition(due);
        self.buckets = staying;
        self.recent = 0;
        self.generation += 1;
        self.bytes = self.buckets.iter().map(|bucket| bucket.bytes).sum();
        send(leaving, &self.agent, false, &mut self.random, sink);
    }

    /// Bytes that the counts take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the counts take more than they may, so that a forced [`Concentrator::flush`] is due.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes > limits::STATS_BYTES_MAX
    }

    fn bucket_at(&mut self, start: u64) -> usize {
        if self.buckets.get(self.recent).is_some_and(|bucket| bucket.start == start) {
            return self.recent;
        }
        self.recent = match self.buckets.iter().position(|bucket| bucket.start == start) {
            Some(at) => at,
            None => {
                let bucket = Bucket::new(start);
                self.bytes += bucket.bytes;
                self.buckets.push(bucket);
                self.buckets.len() - 1
            }
        };
        self.recent
    }
}

fn align(time_ns: u64) -> u64 {
    time_ns - time_ns % BUCKET_NS
}

#[cfg(test)]
mod tests;
