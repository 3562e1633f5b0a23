//! Which group of stats a span belongs to, remembered by the numbers of its strings, so that a known group costs one look.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// A remembered answer: the words that make up the key, and the group.
#[derive(Clone, Copy, Debug)]
struct Known<G> {
    hash: u64,
    words: (u32, u32),
    group: G,
}

/// Groups that one table remembers; beyond that it forgets all.
const KNOWN_MAX: usize = 1 << 14;

/// The memory of one string table: groups by words, mostly numbers of strings.
#[derive(Debug)]
pub struct Groups<G> {
    known: HashTable<Known<G>>,
    words: Vec<u32>,
    /// What was remembered since the mark, to be taken back with the strings.
    fresh: Vec<(u64, u32)>,
    generation: u64,
    hasher: RandomState,
}

impl<G> Default for Groups<G> {
    fn default() -> Self {
        Self {
            known: HashTable::new(),
            words: Vec::new(),
            fresh: Vec::new(),
            generation: 0,
            hasher: RandomState::default(),
        }
    }
}

impl<G: Copy> Groups<G> {
    /// Forgets everything if the groups of `generation` are not those that are remembered.
    pub fn begin(&mut self, generation: u64) {
        self.fresh.clear();
        if self.generation != generation || self.known.len() >= KNOWN_MAX {
            self.clear();
            self.generation = generation;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.known.clear();
        self.words.clear();
        self.fresh.clear();
    }

    /// The group for these words, found by `make` where it is not known.
    pub fn find(&mut self, words: &[u32], make: impl FnOnce() -> G) -> G {
        let hash = self.hasher.hash_one(words);
        let at = |known: &Known<G>| &self.words[known.words.0 as usize..known.words.1 as usize];
        if let Some(known) = self.known.find(hash, |known| known.hash == hash && at(known) == words)
        {
            return known.group;
        }
        let group = make();
        let from = as_u32(self.words.len());
        self.words.extend_from_slice(words);
        let known = Known { hash, words: (from, as_u32(self.words.len())), group };
        self.known.insert_unique(hash, known, |known| known.hash);
        self.fresh.push((hash, from));
        group
    }

    /// Forgets what came since [`Groups::begin`].
    pub fn take_back(&mut self) {
        for (hash, from) in self.fresh.drain(..).rev() {
            if let Ok(entry) = self.known.find_entry(hash, |known| known.words.0 == from) {
                entry.remove();
            }
            self.words.truncate(from as usize);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "at most KNOWN_MAX keys of some dozen words, and those of one chunk"
)]
fn as_u32(n: usize) -> u32 {
    n as u32
}

#[cfg(test)]
mod tests {
    use super::Groups;

    #[test]
    fn a_group_is_made_once_and_forgotten_with_its_chunk() {
        let mut groups = Groups::default();
        groups.begin(1);
        assert_eq!(groups.find(&[1, 2], || 10), 10);
        groups.begin(1);
        assert_eq!(groups.find(&[1, 2], || 11), 10);
        assert_eq!(groups.find(&[3], || 12), 12);
        groups.take_back();
        assert_eq!(groups.find(&[3], || 13), 13);
        assert_eq!(groups.find(&[1, 2], || 14), 10);
        groups.begin(2);
        assert_eq!(groups.find(&[1, 2], || 15), 15);
    }
}
