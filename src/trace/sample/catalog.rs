//! The services that rates are told of: the last few thousand pairs of service and env, with their signatures.

use hashbrown::HashTable;

use crate::trace::fnv::Fnv32;

/// Pairs that are known at once, where nothing else is set (the agent's number).
pub(super) const SERVICES_MAX: u32 = 5000;

const NONE: u32 = u32::MAX;

/// A pair of service and env.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) service: Box<str>,
    pub(super) env: Box<str>,
    /// The hash of `service,env`.
    pub(super) signature: u32,
    newer: u32,
    older: u32,
}

/// Entries in a slab, found by a hash table, in a doubly linked list from the newest to the oldest.
#[derive(Debug)]
pub(super) struct Catalog {
    /// Pairs that are known at once; the one not seen for longest goes first. Services and envs are at most 100 and 400 bytes.
    services_max: u32,
    entries: Vec<Entry>,
    table: HashTable<u32>,
    newest: u32,
    oldest: u32,
}

impl Catalog {
    pub(super) fn new(services_max: u32) -> Self {
        Self {
            services_max: services_max.max(1),
            entries: Vec::new(),
            table: HashTable::new(),
            newest: NONE,
            oldest: NONE,
        }
    }

    /// The signature of a pair, which is the newest from now on.
    pub(super) fn signature(&mut self, service: &str, env: &str) -> u32 {
        if let Some(entry) = self.get(self.newest)
            && *entry.service == *service
            && *entry.env == *env
        {
            return entry.signature;
        }
        let signature =
            Fnv32::EMPTY.then(service.as_bytes()).then(b",").then(env.as_bytes()).value();
        let entries = &self.entries;
        let same = |&at: &u32| {
            entries
                .get(at as usize)
                .is_some_and(|entry| *entry.service == *service && *entry.env == *env)
        };
        let at = match self.table.find(spread(signature), same).copied() {
            Some(at) => {
                self.unlink(at);
                at
            }
            None => self.add(service, env, signature),
        };
        self.link(at);
        signature
    }

    /// Every pair, in no particular order; those for which `keep` says no are forgotten.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) {
        let mut kept: Vec<Entry> = Vec::with_capacity(self.entries.len());
        let mut at = self.oldest;
        let mut entries: Vec<Option<Entry>> =
            std::mem::take(&mut self.entries).into_iter().map(Some).collect();
        while let Some(entry) = entries.get_mut(at as usize).and_then(Option::take) {
            at = entry.newer;
            if keep(&entry) {
                kept.push(entry);
            }
        }
        *self = Self::new(self.services_max);
        for entry in kept {
            let at = self.insert(entry);
            self.link(at);
        }
    }

    fn add(&mut self, service: &str, env: &str, signature: u32) -> u32 {
        let entry =
            Entry { service: service.into(), env: env.into(), signature, newer: NONE, older: NONE };
        if self.entries.len() < self.services_max as usize {
            return self.insert(entry);
        }
        let at = self.oldest;
        self.unlink(at);
        let before = std::mem::replace(&mut self.entries[at as usize], entry);
        if let Ok(place) = self.table.find_entry(spread(before.signature), |&other| other == at) {
            place.remove();
        }
        self.index(at, signature);
        at
    }

    fn insert(&mut self, entry: Entry) -> u32 {
        let at = u32::try_from(self.entries.len()).unwrap_or(NONE);
        let signature = entry.signature;
        self.entries.push(entry);
        self.index(at, signature);
        at
    }

    fn index(&mut self, at: u32, signature: u32) {
        let entries = &self.entries;
        self.table.insert_unique(spread(signature), at, |&at| {
            spread(entries.get(at as usize).map_or(0, |entry| entry.signature))
        });
    }

    fn get(&self, at: u32) -> Option<&Entry> {
        self.entries.get(at as usize)
    }

    /// Puts an entry that is in no list at the newest end.
    fn link(&mut self, at: u32) {
        let before = std::mem::replace(&mut self.newest, at);
        if let Some(entry) = self.entries.get_mut(at as usize) {
            (entry.newer, entry.older) = (NONE, before);
        }
        match self.entries.get_mut(before as usize) {
            Some(entry) => entry.newer = at,
            None => self.oldest = at,
        }
    }

    fn unlink(&mut self, at: u32) {
        let Some((newer, older)) = self.get(at).map(|entry| (entry.newer, entry.older)) else {
            return;
        };
        match self.entries.get_mut(newer as usize) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        match self.entries.get_mut(older as usize) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
    }
}

/// A hash for the table: its upper bits, which the table looks at first, are never set in a 32-bit signature.
fn spread(signature: u32) -> u64 {
    u64::from(signature).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn pairs(catalog: &mut Catalog) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        catalog.retain(|entry| {
            pairs.push((entry.service.to_string(), entry.env.to_string()));
            true
        });
        pairs
    }

    #[test]
    fn the_pair_not_seen_for_longest_goes_first() {
        let mut catalog = Catalog::new(SERVICES_MAX);
        let mut reference: VecDeque<String> = VecDeque::new();
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..14_000 {
            // A skewed choice: some services often, more than fit now and then.
            let service = format!("s{}", random.u32(..8000).min(random.u32(..16_000)));
            catalog.signature(&service, "prod");
            reference.retain(|known| *known != service);
            reference.push_back(service);
            if reference.len() > SERVICES_MAX as usize {
                reference.pop_front();
            }
            if random.u32(..1000) == 0 {
                let known: Vec<String> =
                    pairs(&mut catalog).into_iter().map(|(service, _)| service).collect();
                assert_eq!(known, reference.iter().cloned().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_signature_depends_on_service_and_env_and_pairs_are_forgotten_on_demand() {
        let mut catalog = Catalog::new(1000);
        let one = catalog.signature("a", "prod");
        assert_eq!(one, Fnv32::EMPTY.then(b"a,prod").value());
        assert_ne!(one, catalog.signature("a", "test"));
        assert_eq!(one, catalog.signature("a", "prod"));
        catalog.retain(|entry| &*entry.env == "test");
        assert_eq!(pairs(&mut catalog), [("a".to_owned(), "test".to_owned())]);
    }

    #[test]
    fn as_many_pairs_are_known_as_are_allowed() {
        for (services_max, expect) in [(0, 1), (1, 1), (3, 3)] {
            let mut catalog = Catalog::new(services_max);
            for service in ["a", "b", "c", "d"] {
                catalog.signature(service, "prod");
            }
            for _ in 0..2 {
                assert_eq!(pairs(&mut catalog).len(), expect, "{services_max}");
            }
        }
    }
}
