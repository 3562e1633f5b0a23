//! Numbers for texts: what was seen before gets its number back, by content.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Several texts and a few numbers, in one piece. `N` is how many texts there are.
#[derive(Debug)]
pub(super) struct Draft<const N: usize> {
    text: String,
    ends: [u32; N],
    filled: usize,
    pub(super) numbers: [u32; 3],
}

impl<const N: usize> Draft<N> {
    pub(super) fn new() -> Self {
        Self { text: String::new(), ends: [0; N], filled: 0, numbers: [0; 3] }
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.filled = 0;
    }

    /// Adds the next text, made of what `write` appends.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.text);
        if let Some(end) = self.ends.get_mut(self.filled) {
            *end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        }
        self.filled += 1;
    }

    pub(super) fn push(&mut self, text: &str) {
        self.write(|all| all.push_str(text));
    }
}

/// What a [`Table`] keeps of a [`Draft`].
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<const N: usize> {
    text: Box<str>,
    ends: [u32; N],
    pub(super) numbers: [u32; 3],
}

impl<const N: usize> Key<N> {
    /// The text at a place, empty where there is none.
    pub(super) fn text(&self, place: usize) -> &str {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..self.ends[place] as usize).unwrap_or_default()
    }

    fn is(&self, draft: &Draft<N>) -> bool {
        self.numbers == draft.numbers && self.ends == draft.ends && *self.text == *draft.text
    }
}

/// Keys with their values, numbered from 0 in the order in which they came.
#[derive(Debug)]
pub(super) struct Table<const N: usize, V> {
    keys: Vec<Key<N>>,
    pub(super) values: Vec<V>,
    places: HashTable<(u32, u32)>,
    hasher: RandomState,
}

impl<const N: usize, V> Table<N, V> {
    pub(super) fn new() -> Self {
        Self {
            keys: Vec::new(),
            values: Vec::new(),
            places: HashTable::new(),
            hasher: RandomState::default(),
        }
    }

    /// The number of a key; a new key gets `value`. `bytes` grows by what a new key takes.
    pub(super) fn number(
        &mut self,
        draft: &Draft<N>,
        bytes: &mut usize,
        value: impl FnOnce() -> V,
    ) -> u32 {
        let hash = self.hasher.hash_one((draft.text.as_bytes(), draft.numbers));
        #[expect(clippy::cast_possible_truncation, reason = "32 bits of it are kept")]
        let short = hash as u32;
        let keys = &self.keys;
        let same = |&(at, other): &(u32, u32)| {
            other == short && keys.get(at as usize).is_some_and(|key| key.is(draft))
        };
        if let Some(&(at, _)) = self.places.find(spread(short), same) {
            return at;
        }
        let at = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.keys.push(Key {
            text: draft.text.as_str().into(),
            ends: draft.ends,
            numbers: draft.numbers,
        });
        self.values.push(value());
        self.places.insert_unique(spread(short), (at, short), |&(_, short)| spread(short));
        *bytes +=
            size_of::<Key<N>>() + draft.text.len() + size_of::<V>() + 2 * size_of::<(u32, u32)>();
        at
    }

    pub(super) fn keys(&self) -> &[Key<N>] {
        &self.keys
    }

    pub(super) fn into_parts(self) -> (Vec<Key<N>>, Vec<V>) {
        (self.keys, self.values)
    }
}

/// A hash for the table, which looks at the upper bits first.
fn spread(short: u32) -> u64 {
    u64::from(short).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(texts: [&str; 3], number: u32) -> Draft<3> {
        let mut draft = Draft::new();
        for text in texts {
            draft.push(text);
        }
        draft.numbers = [number, 0, 0];
        draft
    }

    #[test]
    fn the_same_content_has_the_same_number() {
        let mut table: Table<3, u8> = Table::new();
        let mut bytes = 0;
        let contents = [
            (["ab", "c", ""], 1),
            (["a", "bc", ""], 1),
            (["abc", "", ""], 1),
            (["ab", "c", ""], 2),
        ];
        for round in 0..2 {
            for (at, (texts, number)) in contents.iter().enumerate() {
                let found = table.number(&draft(*texts, *number), &mut bytes, || 7);
                assert_eq!(found as usize, at, "round {round}");
            }
        }
        assert_eq!(table.values, [7; 4]);
        assert_eq!(
            (table.keys()[1].text(0), table.keys()[1].text(1), table.keys()[1].text(2)),
            ("a", "bc", "")
        );
        assert!(bytes >= 4 * size_of::<Key<3>>() + 12);
    }
}
