//! Results for texts that were seen before (`apm_config.obfuscation.cache`).
//!
//! It pays: apps send the same few hundred queries over and over, and to find one costs a tenth of what reading it costs, or less
//! (`cargo bench --bench obfuscate`). A text is kept only when it comes for the second time, so one that never comes back, which every query
//! with values in it is, costs little more than a hash.
//!
//! All texts lie one behind the other in one buffer. When the limit is reached, everything is forgotten at once: what is in use is there again
//! after one reading each, and nothing has to be kept in order meanwhile.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::Outcome;

/// Marks for texts that were seen once. Two texts can share one; then one of them is kept a little early.
const SEEN_SLOTS: usize = 4096;
/// The longest text that is kept is this part of the limit.
const SHARE_MAX: usize = 16;

/// Results by text, bounded in bytes.
#[derive(Debug)]
pub struct Cache {
    bytes_max: usize,
    texts: String,
    table: HashTable<Entry>,
    /// The hash of the last text of each slot.
    seen: Vec<u64>,
    hasher: RandomState,
}

/// Where the texts of one result are: context, input, result and extra, one behind the other.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    start: usize,
    context: usize,
    input: usize,
    result: usize,
    extra: usize,
    outcome: Outcome,
}

/// A result that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept<'a> {
    /// What became of the text.
    pub outcome: Outcome,
    /// The new text; empty where it is unchanged.
    pub result: &'a str,
    /// What else was found out.
    pub extra: &'a str,
}

/// Says which text was looked for, so that it needs not be hashed again.
#[derive(Clone, Copy, Debug)]
pub struct Missed(u64);

impl Cache {
    /// An empty one that holds at most `bytes_max` bytes, everything counted; with 0, it holds nothing.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let (texts, table, hasher) = (String::new(), HashTable::new(), RandomState::default());
        let mut cache = Self { bytes_max, texts, table, seen: Vec::new(), hasher };
        if bytes_max > 2 * SEEN_SLOTS * size_of::<u64>() {
            cache.seen.resize(SEEN_SLOTS, 0);
        } else {
            cache.bytes_max = 0;
        }
        cache
    }

    /// The result for `input` in `context`, which is whatever else the result depends on.
    ///
    /// # Errors
    ///
    /// What to give to [`keep`](Self::keep), when it is not there.
    #[inline]
    pub fn find(&self, context: &str, input: &str) -> Result<Kept<'_>, Missed> {
        let hash = self.hasher.hash_one((context, input));
        let is_it = |entry: &Entry| {
            entry.hash == hash
                && entry.input == input.len()
                && entry.context == context.len()
                && self.text(entry.start, context.len()) == Some(context)
                && self.text(entry.start + context.len(), input.len()) == Some(input)
        };
        let entry = self.table.find(hash, is_it).ok_or(Missed(hash))?;
        let start = entry.start + entry.context + entry.input;
        let result = self.text(start, entry.result).ok_or(Missed(hash))?;
        let extra = self.text(start + entry.result, entry.extra).ok_or(Missed(hash))?;
        Ok(Kept { outcome: entry.outcome, result, extra })
    }

    /// Keeps what [`find`](Self::find) missed, if the text was seen before.
    pub fn keep(&mut self, missed: Missed, context: &str, input: &str, kept: Kept<'_>) {
        let Missed(hash) = missed;
        if self.is_first_time(hash) {
            return;
        }
        let parts = [context, input, kept.result, kept.extra];
        let bytes = parts.iter().map(|part| part.len()).sum::<usize>();
        if bytes > self.bytes_max / SHARE_MAX {
            return;
        }
        if !self.has_room(bytes) {
            self.clear();
        }
        let entry = Entry {
            hash,
            start: self.texts.len(),
            context: context.len(),
            input: input.len(),
            result: kept.result.len(),
            extra: kept.extra.len(),
            outcome: kept.outcome,
        };
        self.reserve(bytes);
        parts.iter().for_each(|part| self.texts.push_str(part));
        self.table.insert_unique(hash, entry, |entry| entry.hash);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.texts.clear();
        self.table.clear();
    }

    /// Bytes that are held, with what is only reserved.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let seen = self.seen.capacity() * size_of::<u64>();
        self.texts.capacity() + self.table.allocation_size() + seen
    }

    fn text(&self, start: usize, bytes: usize) -> Option<&str> {
        self.texts.get(start..start + bytes)
    }

    /// Marks a text as seen. Whether it was not.
    fn is_first_time(&mut self, hash: u64) -> bool {
        let slot = usize::try_from(hash >> 32).unwrap_or(0) % SEEN_SLOTS;
        match self.seen.get_mut(slot) {
            Some(seen) if *seen == hash => false,
            Some(seen) => {
                *seen = hash;
                true
            }
            // Nothing is to be held.
            None => true,
        }
    }

    /// Bytes that texts may take. The table gets a quarter of all: entries are short of texts.
    fn texts_max(&self) -> usize {
        let rest = self.bytes_max.saturating_sub(SEEN_SLOTS * size_of::<u64>());
        rest - rest / 4
    }

    /// Entries that the table may have, so that it stays within its quarter when it has grown to twice as many places.
    fn entries_max(&self) -> usize {
        let rest = self.bytes_max.saturating_sub(SEEN_SLOTS * size_of::<u64>());
        rest / 4 / (size_of::<Entry>() + 1) / 3
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.texts.len() + bytes <= self.texts_max() && self.table.len() < self.entries_max()
    }

    /// Makes room, to twice of what there is but not beyond the limit.
    fn reserve(&mut self, bytes: usize) {
        let needed = self.texts.len() + bytes;
        if needed > self.texts.capacity() {
            let capacity = (2 * needed).min(self.texts_max()).max(needed);
            self.texts.reserve_exact(capacity - self.texts.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(cache: &mut Cache, context: &str, input: &str) -> Option<String> {
        match cache.find(context, input) {
            Ok(kept) => {
                assert_eq!(kept.extra, format!("extra {input}"));
                Some(kept.result.to_owned())
            }
            Err(missed) => {
                let result = format!("{context}|{input}");
                let extra = format!("extra {input}");
                let kept = Kept { outcome: Outcome::Changed, result: &result, extra: &extra };
                cache.keep(missed, context, input, kept);
                None
            }
        }
    }

    #[test]
    fn a_text_is_there_from_the_third_time_on() {
        let mut cache = Cache::new(1_000_000);
        assert_eq!(look(&mut cache, "", "one"), None);
        assert_eq!(look(&mut cache, "", "one"), None, "seen once");
        assert_eq!(look(&mut cache, "", "one").as_deref(), Some("|one"));
        assert_eq!(look(&mut cache, "my", "one"), None, "in another context");
        assert_eq!(look(&mut cache, "o", "ne"), None, "the same letters");
        cache.clear();
        assert_eq!(look(&mut cache, "", "one"), None);
    }

    #[test]
    fn it_never_holds_more_than_it_may() {
        for bytes_max in [0, 1, 1000, 70_000, 100_000, 1_000_000] {
            let mut cache = Cache::new(bytes_max);
            let mut found = 0;
            for round in 0..3 {
                for number in 0..20_000 {
                    let text = format!("{number} {}", "x".repeat(number % 300));
                    for _ in 0..3 {
                        found += usize::from(look(&mut cache, "", &text).is_some());
                    }
                    assert!(
                        cache.bytes() <= bytes_max,
                        "{round}: {} of {bytes_max}",
                        cache.bytes()
                    );
                }
            }
            assert_eq!(found >= 20_000, bytes_max >= 70_000, "{found} with {bytes_max}");
        }
    }

    #[test]
    fn what_is_long_is_not_kept() {
        let mut cache = Cache::new(100_000);
        let long = "x".repeat(10_000);
        for _ in 0..4 {
            assert_eq!(look(&mut cache, "", &long), None);
        }
    }
}
