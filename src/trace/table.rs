//! The string table as spans use it: places, normal forms and the numbers of a body's own table on top of [`Strings`].

use std::borrow::Cow;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::trace::model::{Attribute, Text};
use crate::trace::normalise;
use crate::trace::same::same;
use crate::trace::strings::{Habit, Mark, Place, Ref, Strings, repaired};

/// What was seen at one position among a span's attributes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    /// Where the key stood in the body: the decoder gives equal keys of neighbouring spans the same place. 0 where it stood nowhere.
    at: u32,
    key: Ref,
    value: Place,
}

/// Texts whose normal form is known, with its number.
#[derive(Debug, Default)]
struct Normals {
    known: HashMap<Box<[u8]>, Ref, RandomState>,
    last: (Vec<u8>, Ref),
}

/// Distinct services or names that are remembered with their normal form.
const NORMALS_MAX: usize = 4096;

/// Bytes of such a text; a longer one, of which the first 100 count, is normalised each time. So a table holds a megabyte of each at the most.
const NORMALS_TEXT_BYTES_MAX: usize = 256;

impl Normals {
    #[inline]
    fn find(&mut self, raw: &[u8]) -> Option<Ref> {
        if self.last.1 != 0 && same(&self.last.0, raw) {
            return Some(self.last.1);
        }
        let found = self.known.get(raw).copied()?;
        self.last.0.clear();
        self.last.0.extend_from_slice(raw);
        self.last.1 = found;
        Some(found)
    }

    fn keep(&mut self, raw: &[u8], normal: Ref) {
        if raw.len() > NORMALS_TEXT_BYTES_MAX {
            return;
        }
        if self.known.len() >= NORMALS_MAX {
            self.known.clear();
        }
        self.known.insert(raw.into(), normal);
    }

    fn take_back(&mut self, mark: Mark) {
        self.known.retain(|_, normal| !mark.is_before(*normal));
        self.last.1 = 0;
    }

    fn clear(&mut self) {
        self.known.clear();
        self.last.1 = 0;
    }
}

/// What the last span's value of some meaning led to: neighbouring spans mostly share it.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    raw: Ref,
    derived: u32,
}

/// The meanings whose values lead to something else.
#[derive(Clone, Copy, Debug)]
pub enum Derived {
    /// The env's normal form, a number of the table.
    Env,
    /// The normal form of a service as a tag, a number of the table.
    PeerService,
    /// A valid HTTP status code, 0 where it is none.
    StatusCode,
}

/// What is known of a string by its number in the body's own table: its own number here, and those of its normal forms.
#[derive(Clone, Copy, Debug)]
struct Known {
    text: Ref,
    service: Ref,
    name: Ref,
    /// How often in a row the value of this key was new.
    habit: Habit,
}

/// Nobody has looked it up yet.
const UNKNOWN: Ref = Ref::MAX;

impl Known {
    const NOTHING: Self =
        Self { text: UNKNOWN, service: UNKNOWN, name: UNKNOWN, habit: Habit::NONE };

    /// Forgets what came after `mark`.
    fn take_back(&mut self, mark: Mark) {
        for number in [&mut self.text, &mut self.service, &mut self.name] {
            if mark.is_before(*number) {
                *number = UNKNOWN;
            }
        }
    }
}

/// The table of one open payload.
#[derive(Debug, Default)]
pub struct Table {
    /// The strings.
    pub strings: Strings,
    services: Normals,
    names: Normals,
    positions: Vec<Position>,
    resource: Place,
    derived: [Last; 3],
    /// Where the body has a string table: what is known of each of its strings. Valid for one body.
    known: Vec<Known>,
    /// The hashes of those strings, where decoding needed them.
    hashes: Vec<u64>,
    /// The strings of the body that the chunk made known.
    fresh: Vec<usize>,
}

impl Table {
    /// Prepares for a body; `strings` is the size of its string table where it has one, and `hashes` are those of the strings in it, as far
    /// as they are known.
    pub fn begin_body(&mut self, strings: usize, hashes: &[u64]) {
        for position in &mut self.positions {
            position.at = 0;
        }
        self.fresh.clear();
        self.known.clear();
        self.known.resize(strings, Known::NOTHING);
        self.hashes.clear();
        self.hashes.extend_from_slice(hashes);
    }

    /// Prepares for a chunk.
    pub fn begin_chunk(&mut self) {
        self.fresh.clear();
    }

    /// The number of a string of the body.
    #[inline(always)]
    pub fn intern(&mut self, text: Text, source: &[u8]) -> Ref {
        match self.known.get(text.number()) {
            Some(known) if known.text != UNKNOWN => known.text,
            Some(_) => self.intern_numbered(text, source),
            None => self.strings.intern_text(text, source),
        }
    }

    /// The same for a string of the body's own table that nobody has looked up yet.
    #[inline(never)]
    fn intern_numbered(&mut self, text: Text, source: &[u8]) -> Ref {
        let number = text.number();
        let string = match self.hashes.get(number) {
            Some(hash) => self.strings.intern_hashed(text, source, *hash),
            None => self.strings.intern_text(text, source),
        };
        // A string that is too long for an attribute is looked at every time: as a value it is cut.
        if text.len() <= normalise::META_VALUE_BYTES_MAX
            && let Some(known) = self.known.get_mut(number)
        {
            known.text = string;
            self.fresh.push(number);
        }
        string
    }

    /// Whether the body has a table of strings, so that its strings have numbers.
    #[inline(always)]
    pub fn has_numbers(&self) -> bool {
        !self.known.is_empty()
    }

    /// The numbers of key and value of the text attribute at a position among a span's attributes, whose key is not too long, where one look
    /// finds them: both were looked up before in the body's own table, or the key is that of an earlier span.
    #[inline(always)]
    pub fn quick_pair(
        &mut self,
        position: usize,
        key: Text,
        value: Text,
        source: &[u8],
    ) -> Option<(Ref, Ref)> {
        if self.has_numbers() {
            let key = self.known.get(key.number())?.text;
            let value = self.known.get(value.number())?.text;
            return (key != UNKNOWN && value != UNKNOWN).then_some((key, value));
        }
        let seen = self.positions.get_mut(position)?;
        if seen.at != key.at() || seen.at == 0 || value.len() > normalise::META_VALUE_BYTES_MAX {
            return None;
        }
        Some((seen.key, self.strings.intern_at(&mut seen.value, value, source)))
    }

    /// The same where one look does not, cut where they are too long.
    #[inline(never)]
    pub fn slow_pair(
        &mut self,
        position: usize,
        attribute: &Attribute,
        value: Text,
        source: &[u8],
    ) -> (Ref, Ref) {
        if attribute.class.is_long() {
            let key = self.long_key(attribute.key, source);
            let cut = self.long_value(key, value, source);
            return (key, cut.unwrap_or_else(|| self.intern(value, source)));
        }
        self.text_attribute(position, attribute.key, value, source)
    }

    /// The numbers of key and value of a text attribute, the value cut where it is too long.
    fn text_attribute(
        &mut self,
        position: usize,
        key: Text,
        value: Text,
        source: &[u8],
    ) -> (Ref, Ref) {
        let number = self.key(position, key, source);
        if self.has_numbers() {
            return (number, self.numbered_value((key, number), value, source));
        }
        let cut = self.long_value(number, value, source);
        let value = cut.unwrap_or_else(|| {
            let place = &mut self.positions[position].value;
            self.strings.intern_at(place, value, source)
        });
        (number, value)
    }

    /// The number of the value of a key where both have numbers in the body's table. What is new once is likely to be new again.
    #[inline(never)]
    fn numbered_value(&mut self, key: (Text, Ref), value: Text, source: &[u8]) -> Ref {
        if let Some(cut) = self.long_value(key.1, value, source) {
            return cut;
        }
        let hash = self.hashes.get(value.number()).copied();
        let habit = self.known.get(key.0.number()).map_or(Habit::NONE, |known| known.habit);
        let Some(known) = self.known.get_mut(value.number()).filter(|_| !value.is_empty()) else {
            return self.intern(value, source);
        };
        if known.text != UNKNOWN {
            return known.text;
        }
        let (string, habit) = self.strings.intern_by_habit(habit, value, source, hash);
        known.text = string;
        self.fresh.push(value.number());
        if let Some(known) = self.known.get_mut(key.0.number()) {
            known.habit = habit;
        }
        string
    }

    /// The number of a key that is too long for a text attribute, cut.
    pub fn long_key(&mut self, key: Text, source: &[u8]) -> Ref {
        let text = as_text(key.of(source));
        self.strings.intern(normalise::meta_key(&text).as_bytes())
    }

    /// The number of the key at a position among a span's attributes.
    #[inline(always)]
    pub fn key(&mut self, position: usize, text: Text, source: &[u8]) -> Ref {
        if self.has_numbers() {
            return self.intern(text, source);
        }
        if let Some(seen) = self.positions.get(position)
            && seen.at == text.at()
            && seen.at != 0
        {
            return seen.key;
        }
        self.other_key(position, text, source)
    }

    #[inline(never)]
    fn other_key(&mut self, position: usize, text: Text, source: &[u8]) -> Ref {
        let key = self.intern(text, source);
        if position >= self.positions.len() {
            self.positions.resize(position + 1, Position::default());
        }
        let seen = &mut self.positions[position];
        seen.at = text.at();
        if seen.key != key {
            seen.key = key;
            seen.value = Place::default();
        }
        key
    }

    #[inline(always)]
    fn long_value(&mut self, key: Ref, text: Text, source: &[u8]) -> Option<Ref> {
        if text.len() <= normalise::META_VALUE_BYTES_MAX {
            return None;
        }
        Some(self.cut_value(key, text, source))
    }

    #[cold]
    fn cut_value(&mut self, key: Ref, text: Text, source: &[u8]) -> Ref {
        let value = as_text(text.of(source));
        let cut = normalise::meta_value(self.strings.get(key), &value);
        let cut = cut.into_owned();
        self.strings.intern(cut.as_bytes())
    }

    /// The number of a service's normal form.
    #[inline(always)]
    pub fn service(&mut self, text: Text, source: &[u8], lang: &str) -> Ref {
        if let Some(known) = self.known.get(text.number())
            && known.service != UNKNOWN
        {
            return known.service;
        }
        let raw = text.of(source);
        let normal = self.services.find(raw).unwrap_or_else(|| {
            let text = as_text(raw);
            let normal = self.strings.intern(normalise::service(&text, lang).as_bytes());
            self.services.keep(raw, normal);
            normal
        });
        if let Some(known) = self.known.get_mut(text.number()) {
            known.service = normal;
            self.fresh.push(text.number());
        }
        normal
    }

    /// The number of an operation name's normal form.
    #[inline(always)]
    pub fn name(&mut self, text: Text, source: &[u8]) -> Ref {
        if let Some(known) = self.known.get(text.number())
            && known.name != UNKNOWN
        {
            return known.name;
        }
        let raw = text.of(source);
        let normal = self.names.find(raw).unwrap_or_else(|| {
            let text = as_text(raw);
            let normal = self.strings.intern(normalise::name(&text).as_bytes());
            self.names.keep(raw, normal);
            normal
        });
        if let Some(known) = self.known.get_mut(text.number()) {
            known.name = normal;
            self.fresh.push(text.number());
        }
        normal
    }

    /// What a string of the table leads to.
    #[inline]
    pub fn derive(&mut self, derived: Derived, raw: Ref) -> u32 {
        let last = self.derived[derived as usize];
        if last.raw == raw && raw != 0 {
            return last.derived;
        }
        let text = self.strings.get(raw);
        let found = match derived {
            Derived::Env => {
                let normal = normalise::tag_value(text).into_owned();
                self.strings.intern(normal.as_bytes())
            }
            Derived::PeerService => {
                let normal = normalise::peer_service(text).into_owned();
                self.strings.intern(normal.as_bytes())
            }
            Derived::StatusCode if normalise::is_valid_status_code(text) => {
                text.parse().unwrap_or(0)
            }
            Derived::StatusCode => 0,
        };
        self.derived[derived as usize] = Last { raw, derived: found };
        found
    }

    /// The number of a resource, cut at `bytes_max`.
    #[inline(always)]
    pub fn resource(&mut self, text: Text, source: &[u8], bytes_max: usize) -> Ref {
        let bytes = text.of(source);
        if bytes.len() > bytes_max {
            return self.strings.intern(normalise::truncate(&as_text(bytes), bytes_max).as_bytes());
        }
        if self.known.is_empty() {
            self.strings.intern_at(&mut self.resource, text, source)
        } else {
            self.intern(text, source)
        }
    }

    /// The number of a short text, cut at `bytes_max`.
    #[inline(always)]
    pub fn cut(&mut self, text: Text, source: &[u8], bytes_max: usize) -> Ref {
        let bytes = text.of(source);
        if bytes.len() > bytes_max {
            return self.strings.intern(normalise::truncate(&as_text(bytes), bytes_max).as_bytes());
        }
        self.intern(text, source)
    }

    /// Takes back every string that came after `mark`.
    pub fn take_back(&mut self, mark: Mark) {
        if self.strings.mark() == mark {
            return;
        }
        self.strings.take_back(mark);
        self.services.take_back(mark);
        self.names.take_back(mark);
        self.positions.clear();
        self.resource = Place::default();
        self.derived = Default::default();
        for number in self.fresh.drain(..) {
            if let Some(known) = self.known.get_mut(number) {
                known.take_back(mark);
            }
        }
    }

    /// Empties the table for the next payload.
    pub fn clear(&mut self) {
        self.strings.clear();
        self.services.clear();
        self.names.clear();
        self.positions.clear();
        self.resource = Place::default();
        self.derived = Default::default();
        self.known.clear();
        self.fresh.clear();
    }
}

/// The bytes as text, repaired where they are none.
pub fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| Cow::Owned(repaired(bytes)), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers_and_long_ones_are_not_remembered() {
        let mut table = Table::default();
        let long = "n".repeat(1_000_000);
        let names = ["web.request", "Web Request", "db.query", "web.request", long.as_str()];
        for _ in 0..3 {
            for name in names {
                let text = Text::place(0, name.len());
                let number = table.name(text, name.as_bytes());
                assert_eq!(table.strings.get(number), normalise::name(name));
                let service = normalise::service(name, "").into_owned();
                let expect = table.strings.intern(service.as_bytes());
                assert_eq!(table.service(text, name.as_bytes(), ""), expect);
            }
        }
        for normals in [&table.names, &table.services] {
            assert_eq!(normals.known.len(), 3);
            assert!(normals.last.0.len() < long.len());
        }
    }

    #[test]
    fn a_name_that_was_taken_back_is_not_found_by_its_old_number() {
        let mut table = Table::default();
        let mark = table.strings.mark();
        let text = Text::place(0, 3);
        let number = table.name(text, b"one");
        table.take_back(mark);
        assert_eq!(table.name(text, b"two"), number);
        assert_ne!(table.name(text, b"one"), number);
    }
}
