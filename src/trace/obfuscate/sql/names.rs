//! Names that were seen in a query, each once, in order.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// A set of names that keeps their order. What it holds is bounded by the query: each name is a part of it.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: Vec<u8>,
    /// Where each name ends in `text`.
    ends: Vec<usize>,
    index: HashTable<usize>,
    hasher: RandomState,
}

impl Names {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.index.clear();
    }

    /// Frees the memory if it is more than `bytes_max`.
    pub(super) fn shrink(&mut self, bytes_max: usize) {
        let places = self.ends.capacity() + self.index.capacity();
        if self.text.capacity() + places * size_of::<usize>() > bytes_max {
            *self = Self { hasher: self.hasher.clone(), ..Self::default() };
        }
    }

    /// Adds `name` unless it is there.
    pub(super) fn add(&mut self, name: &[u8]) {
        let Self { text, ends, index, hasher } = self;
        let place = |at: usize| at.checked_sub(1).map_or(0, |before| ends[before])..ends[at];
        let hash = hasher.hash_one(name);
        if index.find(hash, |&at| &text[place(at)] == name).is_none() {
            index.insert_unique(hash, ends.len(), |&at| hasher.hash_one(&text[place(at)]));
            text.extend_from_slice(name);
            ends.push(text.len());
        }
    }

    pub(super) fn contains(&self, name: &[u8]) -> bool {
        let hash = self.hasher.hash_one(name);
        self.index.find(hash, |&at| self.get(at) == name).is_some()
    }

    /// All names in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|at| self.get(at))
    }

    fn get(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[at]]
    }
}
