//! The string table as spans use it: places, normal forms and the index of a v0.5 body on top of [`Strings`].

use std::borrow::Cow;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::trace::model::Text;
use crate::trace::normalise;
use crate::trace::same::same;
use crate::trace::strings::{Mark, Place, Ref, Strings, repaired};

/// What was seen at one position among a span's attributes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    /// The key as it stood in the body: the decoder gives equal keys of neighbouring spans the same place.
    text: Text,
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
    /// v0.5: the number of each string of the body that was looked up, found by its place. Valid for one body.
    memo: Vec<(u32, Ref)>,
}

impl Table {
    /// Prepares for a body; `strings` is the size of its string table where it has one.
    pub fn begin_body(&mut self, strings: usize) {
        for position in &mut self.positions {
            position.text = Text::EMPTY;
        }
        self.memo.clear();
        if strings > 0 {
            self.memo.resize((strings * 2).next_power_of_two(), (u32::MAX, 0));
        }
    }

    /// The number of a string of the body.
    #[inline]
    pub fn intern(&mut self, text: Text, source: &[u8]) -> Ref {
        if self.memo.is_empty() || text.is_empty() {
            return self.strings.intern_text(text, source);
        }
        let slot = self.slot(text);
        if self.memo[slot].0 == text.at() {
            return self.memo[slot].1;
        }
        let string = self.strings.intern_text(text, source);
        self.memo[slot] = (text.at(), string);
        string
    }

    #[inline]
    fn slot(&self, text: Text) -> usize {
        // Places of a v0.5 table rise by small steps; a multiplication spreads them.
        (text.at().wrapping_mul(0x9e37_79b1) >> 7) as usize & (self.memo.len() - 1)
    }

    /// The numbers of key and value of the text attribute at a position among a span's attributes, cut where they are too long.
    #[inline(always)]
    pub fn text_attribute(
        &mut self,
        position: usize,
        key: Text,
        value: Text,
        source: &[u8],
    ) -> (Ref, Ref) {
        if let Some(seen) = self.positions.get_mut(position)
            && seen.text == key
            && !key.is_empty()
            && self.memo.is_empty()
            && value.len() <= normalise::META_VALUE_BYTES_MAX
        {
            return (seen.key, self.strings.intern_at(&mut seen.value, value, source));
        }
        (self.key(position, key, source, true), self.value(position, value, source))
    }

    /// The number of the key at a position among a span's attributes, cut where it is too long.
    #[inline]
    pub fn key(&mut self, position: usize, text: Text, source: &[u8], is_cut: bool) -> Ref {
        if let Some(seen) = self.positions.get(position)
            && seen.text == text
            && !text.is_empty()
        {
            return seen.key;
        }
        let bytes = text.of(source);
        let key = if is_cut && bytes.len() > normalise::META_KEY_BYTES_MAX {
            let key = as_text(bytes);
            self.strings.intern(normalise::meta_key(&key).as_bytes())
        } else {
            self.intern(text, source)
        };
        if position >= self.positions.len() {
            self.positions.resize(position + 1, Position::default());
        }
        let seen = &mut self.positions[position];
        seen.text = text;
        if seen.key != key {
            seen.key = key;
            seen.value = Place::default();
        }
        key
    }

    /// The number of the value at a position whose key was just looked up, cut where it is too long.
    #[inline(always)]
    fn value(&mut self, position: usize, text: Text, source: &[u8]) -> Ref {
        if !self.memo.is_empty() {
            return self
                .long_value(position, text, source)
                .unwrap_or_else(|| self.intern(text, source));
        }
        if let Some(cut) = self.long_value(position, text, source) {
            return cut;
        }
        self.strings.intern_at(&mut self.positions[position].value, text, source)
    }

    #[inline(always)]
    fn long_value(&mut self, position: usize, text: Text, source: &[u8]) -> Option<Ref> {
        let bytes = text.of(source);
        if bytes.len() <= normalise::META_VALUE_BYTES_MAX {
            return None;
        }
        let value = as_text(bytes);
        let cut = normalise::meta_value(self.strings.get(self.positions[position].key), &value);
        let cut = cut.into_owned();
        Some(self.strings.intern(cut.as_bytes()))
    }

    /// The number of a service's normal form.
    #[inline(always)]
    pub fn service(&mut self, text: Text, source: &[u8], lang: &str) -> Ref {
        let raw = text.of(source);
        if let Some(normal) = self.services.find(raw) {
            return normal;
        }
        let text = as_text(raw);
        let normal = self.strings.intern(normalise::service(&text, lang).as_bytes());
        self.services.keep(raw, normal);
        normal
    }

    /// The number of an operation name's normal form.
    #[inline(always)]
    pub fn name(&mut self, text: Text, source: &[u8]) -> Ref {
        let raw = text.of(source);
        if let Some(normal) = self.names.find(raw) {
            return normal;
        }
        let text = as_text(raw);
        let normal = self.strings.intern(normalise::name(&text).as_bytes());
        self.names.keep(raw, normal);
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
        if self.memo.is_empty() {
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
        self.memo.fill((u32::MAX, 0));
    }

    /// Empties the table for the next payload.
    pub fn clear(&mut self) {
        self.strings.clear();
        self.services.clear();
        self.names.clear();
        self.positions.clear();
        self.resource = Place::default();
        self.derived = Default::default();
        self.memo.clear();
    }
}

/// The bytes as text, repaired where they are none.
pub fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| Cow::Owned(repaired(bytes)), Cow::Borrowed)
}
