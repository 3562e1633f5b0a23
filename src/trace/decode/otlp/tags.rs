//! The tags of one span under construction: texts and numbers by key, each key once.

use std::borrow::Cow;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Values by key, in the order in which the keys came first.
#[derive(Debug)]
pub(super) struct Tags<'a, V> {
    entries: Vec<(Cow<'a, str>, V)>,
    places: HashTable<usize>,
    hasher: RandomState,
}

impl<V> Default for Tags<'_, V> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: HashTable::new(), hasher: RandomState::default() }
    }
}

/// Places that are kept from one span to the next.
const KEPT_PLACES_MAX: usize = 1024;

impl<'a, V> Tags<'a, V> {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        if self.places.capacity() > KEPT_PLACES_MAX {
            self.places = HashTable::new();
            self.entries.shrink_to(KEPT_PLACES_MAX);
        } else {
            self.places.clear();
        }
    }

    fn place(&self, key: &str) -> Option<usize> {
        let hash = self.hasher.hash_one(key);
        self.places.find(hash, |&place| self.entries[place].0 == key).copied()
    }

    pub(super) fn get(&self, key: &str) -> Option<&V> {
        self.place(key).map(|place| &self.entries[place].1)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.place(key).is_some()
    }

    /// Sets the value of a key, also where it has one.
    pub(super) fn set(&mut self, key: impl Into<Cow<'a, str>>, value: V) {
        let key = key.into();
        if let Some(place) = self.place(&key) {
            self.entries[place].1 = value;
            return;
        }
        let hash = self.hasher.hash_one(key.as_ref());
        self.entries.push((key, value));
        let Self { entries, places, hasher } = self;
        places.insert_unique(hash, entries.len() - 1, |&place| {
            hasher.hash_one(entries[place].0.as_ref())
        });
    }

    pub(super) fn entries(&self) -> &[(Cow<'a, str>, V)] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::Tags;

    #[test]
    fn a_key_has_one_value_and_keeps_its_place() {
        let mut tags = Tags::default();
        for number in 0..5000 {
            tags.set(format!("key{}", number % 2500), number);
        }
        assert_eq!(tags.entries().len(), 2500);
        assert_eq!(
            (tags.get("key0"), tags.get("key2499"), tags.has("key2500")),
            (Some(&2500), Some(&4999), false)
        );
        tags.clear();
        assert!(!tags.has("key0"));
        tags.set("b", 1);
        tags.set("a", 2);
        tags.set("b", 3);
        assert_eq!(tags.entries(), [("b".into(), 3), ("a".into(), 2)]);
    }
}
