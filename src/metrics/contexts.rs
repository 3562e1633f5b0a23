//! The metrics that are known: one context for each kind, name and set of tags.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::key::{self, Key};
use super::sample::{Kind, Origin};
use super::value::Value;

/// What is known of one metric.
#[derive(Debug)]
pub(super) struct Context {
    hash: u64,
    /// As [`Key`] writes it. Empty: the place is free.
    key: Box<[u8]>,
    name_end: u32,
    pub(super) kind: Kind,
    pub(super) origin: Origin,
    /// The start of the bucket in which it was seen first.
    pub(super) first_s: u64,
    /// The start of the bucket that `value` is of.
    pub(super) bucket_s: u64,
    /// When the last sample came.
    pub(super) last_s: u64,
    pub(super) value: Value,
}

impl Context {
    /// The fields of the name and the tags, and where the tags begin.
    pub(super) fn fields(&self) -> (&[u8], &[u8]) {
        key::fields(&self.key, self.name_end as usize)
    }

    /// Whether the tags that all metrics have belong to it, too.
    pub(super) fn is_shared(&self) -> bool {
        self.key.first().is_some_and(|first| first & 0x80 != 0)
    }
}

/// The number of a context, as long as it is there.
pub(super) type Id = u32;

/// All contexts.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    places: Vec<Context>,
    free: Vec<Id>,
    by_key: HashTable<Id>,
    hasher: RandomState,
    bytes: usize,
}

/// Bytes of a context beside its key: itself, its place in the table, and that of its number when it is free again.
const CONTEXT_BYTES: usize = size_of::<Context>() + 3 * size_of::<Id>();

impl Contexts {
    /// The context of a key, made in the open bucket where there is none; nothing where that would be more than so many, or more than so many bytes.
    pub(super) fn find_or_add(
        &mut self,
        key: &Key,
        kind: Kind,
        origin: Origin,
        open_s: u64,
        (contexts_max, bytes_max): (usize, usize),
    ) -> Option<Id> {
        let hash = self.hasher.hash_one(key.bytes());
        let places = &self.places;
        let same = |id: &Id| {
            let context = places.get(*id as usize);
            context.is_some_and(|known| known.hash == hash && *known.key == *key.bytes())
        };
        if let Some(id) = self.by_key.find(hash, same) {
            return Some(*id);
        }
        let bytes = self.bytes + CONTEXT_BYTES + key.bytes().len();
        if self.len() >= contexts_max || bytes > bytes_max {
            return None;
        }
        self.bytes = bytes;
        self.add(Context {
            hash,
            key: key.bytes().into(),
            name_end: u32::try_from(key.name_end()).ok()?,
            kind,
            origin,
            first_s: open_s,
            bucket_s: 0,
            last_s: 0,
            value: Value::None,
        })
    }

    #[cold]
    fn add(&mut self, context: Context) -> Option<Id> {
        let hash = context.hash;
        let id = match self.free.pop() {
            Some(id) => {
                *self.places.get_mut(id as usize)? = context;
                id
            }
            None => {
                let id = Id::try_from(self.places.len()).ok()?;
                self.places.push(context);
                id
            }
        };
        let places = &self.places;
        let hash_of = |id: &Id| places.get(*id as usize).map_or(0, |known| known.hash);
        self.by_key.insert_unique(hash, id, hash_of);
        Some(id)
    }

    /// A hash of a set's member.
    pub(super) fn hash(&self, member: &str) -> u64 {
        self.hasher.hash_one(member)
    }

    pub(super) fn get(&self, id: Id) -> Option<&Context> {
        self.places.get(id as usize)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Context> {
        self.places.get_mut(id as usize)
    }

    /// All contexts that are there, with their numbers.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Id, &mut Context)> {
        (0..).zip(&mut self.places).filter(|(_, context)| !context.key.is_empty())
    }

    /// Forgets the contexts that are not to be kept.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&Context) -> bool) {
        for (id, context) in (0..).zip(&mut self.places) {
            if context.key.is_empty() || is_kept(context) {
                continue;
            }
            if let Ok(entry) = self.by_key.find_entry(context.hash, |other| *other == id) {
                entry.remove();
            }
            self.bytes -= CONTEXT_BYTES + context.key.len();
            context.key = Box::default();
            self.free.push(id);
        }
        if self.by_key.is_empty() {
            (self.places, self.free, self.by_key) = (Vec::new(), Vec::new(), HashTable::new());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Bytes of all keys and of what is kept beside them, values not included.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{Contexts, Key, Kind, Origin};

    fn find(contexts: &mut Contexts, name: &str, limits: (usize, usize)) -> Option<u32> {
        let mut key = Key::default();
        key.write(Kind::Gauge, name, &["a:1"], None);
        contexts.find_or_add(&key, Kind::Gauge, Origin::Custom, 0, limits)
    }

    #[test]
    fn a_context_keeps_its_number_until_it_is_forgotten() {
        let mut contexts = Contexts::default();
        let all = (100, 1 << 20);
        assert_eq!(find(&mut contexts, "a", all), Some(0));
        assert_eq!(find(&mut contexts, "b", all), Some(1));
        assert_eq!(find(&mut contexts, "a", all), Some(0));
        contexts.retain(|context| context.fields().0 == b"\x12\x01b");
        assert_eq!((contexts.len(), contexts.iter_mut().count()), (1, 1));
        assert_eq!(find(&mut contexts, "c", all), Some(0));
        assert_eq!(find(&mut contexts, "b", all), Some(1));
        contexts.retain(|_| false);
        assert_eq!((contexts.len(), contexts.bytes()), (0, 0));
        assert_eq!(find(&mut contexts, "b", all), Some(0));
        assert_eq!(contexts.get(0).unwrap().fields(), (&b"\x12\x01b"[..], &b"\x1a\x03a:1"[..]));
    }

    #[test]
    fn what_is_known_is_found_where_there_is_no_room_for_more() {
        let mut contexts = Contexts::default();
        assert_eq!(find(&mut contexts, "a", (1, 1 << 20)), Some(0));
        assert_eq!(find(&mut contexts, "b", (1, 1 << 20)), None);
        assert_eq!(find(&mut contexts, "a", (0, 0)), Some(0));
        let bytes = contexts.bytes();
        assert_eq!(find(&mut contexts, "b", (9, 2 * bytes - 1)), None);
        assert_eq!(find(&mut contexts, "b", (9, 2 * bytes)), Some(1));
    }
}
