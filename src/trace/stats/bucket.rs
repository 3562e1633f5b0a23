//! One bucket of time: its payload keys, and its groups with their counts.

use super::key::{GroupDraft, PayloadDraft, StoredGroup, group, payload};
use super::table::Table;
use super::wire::{Leave, Part, encode};
use super::{Agent, Flushed};

/// Bytes of a bucket with nothing in it, roughly.
const EMPTY_BYTES: usize = 512;

/// Counts of type `V` by group.
#[derive(Debug)]
pub(super) struct Bucket<V> {
    /// Unix time in nanoseconds.
    pub(super) start: u64,
    /// What it takes in memory.
    pub(super) bytes: usize,
    payloads: Table<{ payload::COUNT }, ()>,
    groups: Table<{ group::COUNT }, V>,
}

impl<V: Default> Bucket<V> {
    pub(super) fn new(start: u64) -> Self {
        Self { start, bytes: EMPTY_BYTES, payloads: Table::new(), groups: Table::new() }
    }

    /// The number of a group, which is made when it is new.
    pub(super) fn number(&mut self, payload: &PayloadDraft, group: &mut GroupDraft) -> u32 {
        let payload = self.payloads.number(payload, &mut self.bytes, || ());
        group.numbers[1] = payload;
        self.groups.number(group, &mut self.bytes, V::default)
    }

    /// The counts of a group.
    #[inline]
    pub(super) fn get_mut(&mut self, group: u32) -> Option<&mut V> {
        self.groups.values.get_mut(group as usize)
    }
}

/// Sends buckets in one payload, or in as many as it takes.
pub(super) fn send<V: Leave>(
    mut buckets: Vec<Bucket<V>>,
    agent: &Agent,
    client_computed: bool,
    random: &mut fastrand::Rng,
    sink: &mut dyn FnMut(Flushed),
) {
    buckets.sort_unstable_by_key(|bucket| bucket.start);
    let mut keys: Vec<(u64, Table<{ payload::COUNT }, ()>, Vec<StoredGroup>)> =
        Vec::with_capacity(buckets.len());
    let mut values: Vec<Vec<V>> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        let (group_keys, groups) = bucket.groups.into_parts();
        keys.push((bucket.start, bucket.payloads, group_keys));
        values.push(groups);
    }
    let mut parts: Vec<Part<'_, V>> = Vec::new();
    for ((start, payloads, group_keys), groups) in keys.iter().zip(values) {
        let first = parts.len();
        parts.extend(payloads.keys().iter().map(|payload| Part {
            payload,
            start: *start,
            groups: Vec::new(),
        }));
        for (key, group) in group_keys.iter().zip(groups) {
            if let Some(part) = parts.get_mut(first + key.numbers[1] as usize) {
                part.groups.push((key, group));
            }
        }
    }
    // All buckets of one payload key side by side.
    parts.sort_by(|a, b| (a.payload, a.start).cmp(&(b.payload, b.start)));
    encode(agent, client_computed, parts, random, sink);
}
