//! The string table of a payload: each distinct string once, as the very bytes that are sent, and a number for it.
//!
//! The arena is the encoded protobuf field itself (`repeated string strings = 1`), so building the table is encoding it. The index is an
//! open-addressing table of half a hash and a number. Strings can be taken back in the reverse order of their coming, which is how a chunk
//! that a sampler drops leaves nothing behind.

use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

use foldhash::fast::RandomState;

use crate::trace::model::{Text, Window};
use crate::trace::same::same;
use crate::wire;

/// The number of a string in its table; 0 is the empty one.
pub type Ref = u32;

/// Where a string is in the arena.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u32,
    len: u32,
    /// The slot of the index that holds it; what was appended without an index entry has [`NO_SLOT`].
    slot: u32,
}

const NO_SLOT: u32 = u32::MAX;

/// How strings are hashed: the same in all tables of the process, so that a hash that one has is good for another.
#[derive(Clone, Debug)]
pub struct TextHasher(RandomState);

static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);

impl Default for TextHasher {
    fn default() -> Self {
        Self(HASHER.clone())
    }
}

impl TextHasher {
    /// The hash of a string.
    #[inline(always)]
    pub fn hash(&self, text: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(text);
        hasher.finish()
    }
}

/// A slot of the index: the upper half of the hash, and the number, 0 where the slot is free.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: u32,
    number: Ref,
}

/// How many strings in a row may be new at one place before strings there are no longer looked up: a URL or an id is new nearly always.
const NEW_IN_A_ROW: u16 = 64;

/// How many are then appended without a look before one is looked up again.
const UNLOOKED_IN_A_ROW: u16 = 192;

/// How often in a row strings at one place of spans were new.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habit {
    new_in_a_row: u16,
}

impl Habit {
    /// Nothing is known yet.
    pub const NONE: Self = Self { new_in_a_row: 0 };

    /// Whether the next string is not to be looked up.
    #[inline]
    fn skips(self) -> bool {
        (NEW_IN_A_ROW..NEW_IN_A_ROW + UNLOOKED_IN_A_ROW).contains(&self.new_in_a_row)
    }

    /// After another string. A long row of strings that were not looked up ends with one that was, which decides whether it goes on.
    #[inline]
    fn then(self, is_new: bool) -> Self {
        let row =
            if self.skips() { self.new_in_a_row } else { self.new_in_a_row.min(NEW_IN_A_ROW - 1) };
        Self { new_in_a_row: if is_new { row + 1 } else { 0 } }
    }
}

/// What was seen at one place of spans, such as the value of one key: the string of the last span, and how often strings were new.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    last: Ref,
    /// Where the last span's string is in the arena.
    at: u32,
    len: u32,
    habit: Habit,
}

/// A position in the table to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    strings: u32,
    bytes: u32,
}

impl Mark {
    /// Whether the string came after the mark.
    pub fn is_before(self, string: Ref) -> bool {
        string >= self.strings
    }
}

/// The table.
#[derive(Debug)]
pub struct Strings {
    arena: Vec<u8>,
    entries: Vec<Entry>,
    slots: Vec<Slot>,
    hasher: TextHasher,
}

const TAG: u8 = 0x0a;
const SLOTS_AT_START: usize = 1 << 10;
/// Memory that an emptied table keeps for the next payload: enough for a full one of usual spans.
const KEPT_SLOTS_MAX: usize = 1 << 16;
const KEPT_ARENA_BYTES_MAX: usize = 4 << 20;

impl Default for Strings {
    fn default() -> Self {
        let mut strings = Self {
            arena: Vec::new(),
            entries: Vec::new(),
            slots: vec![Slot::default(); SLOTS_AT_START],
            hasher: TextHasher::default(),
        };
        strings.append(b"", None, NO_SLOT);
        strings
    }
}

impl Strings {
    /// The encoded field.
    pub fn encoded(&self) -> &[u8] {
        &self.arena
    }

    /// The string of a number. The table checks strings when they enter, so this is UTF-8.
    #[inline]
    pub fn get(&self, string: Ref) -> &str {
        std::str::from_utf8(self.bytes(string)).unwrap_or_default()
    }

    /// The bytes of the string of a number.
    #[inline]
    pub fn bytes(&self, string: Ref) -> &[u8] {
        let entry = self.entries[string as usize];
        self.at(entry.at, entry.len)
    }

    /// The string of a number as the field that it is in the arena: a tag, its length, its bytes.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a varint has at most 10 bytes")]
    pub fn field(&self, string: Ref) -> &[u8] {
        let entry = self.entries[string as usize];
        let head = 1 + wire::varint_len(u64::from(entry.len)) as u32;
        self.at(entry.at - head, head + entry.len)
    }

    #[inline(always)]
    fn at(&self, at: u32, len: u32) -> &[u8] {
        self.arena.get(at as usize..at as usize + len as usize).unwrap_or_default()
    }

    /// The number of `text`, which enters the table if it is not there. Bytes that are no UTF-8 are repaired as the agent does it: U+FFFD
    /// for each of them.
    #[inline]
    pub fn intern(&mut self, text: &[u8]) -> Ref {
        if text.is_empty() { 0 } else { self.find_or_append(text, None, self.hasher.hash(text)).0 }
    }

    /// The same for a string of `source`.
    #[inline]
    pub fn intern_text(&mut self, text: Text, source: &[u8]) -> Ref {
        let bytes = text.of(source);
        if bytes.is_empty() {
            0
        } else {
            self.find_or_append(bytes, text.window(source), self.hasher.hash(bytes)).0
        }
    }

    /// The same where [`TextHasher`] has hashed the string before.
    #[inline]
    pub fn intern_hashed(&mut self, text: Text, source: &[u8], hash: u64) -> Ref {
        let bytes = text.of(source);
        if bytes.is_empty() { 0 } else { self.find_or_append(bytes, text.window(source), hash).0 }
    }

    /// The same at a place where the last span's string is a good guess.
    #[inline(always)]
    pub fn intern_at(&mut self, place: &mut Place, text: Text, source: &[u8]) -> Ref {
        let bytes = text.of(source);
        if same(self.at(place.at, place.len), bytes) {
            return place.last;
        }
        self.intern_other(place, text, source)
    }

    #[inline(never)]
    fn intern_other(&mut self, place: &mut Place, text: Text, source: &[u8]) -> Ref {
        let bytes = text.of(source);
        if bytes.is_empty() {
            return 0;
        }
        let (string, habit) = self.intern_by_habit(place.habit, text, source, None);
        let entry = self.entries[string as usize];
        *place = Place { last: string, at: entry.at, len: entry.len, habit };
        string
    }

    /// The number of a string that is not empty, at a place with this habit; `hash` is its own, where it is known. And the habit from then on.
    #[inline]
    pub fn intern_by_habit(
        &mut self,
        habit: Habit,
        text: Text,
        source: &[u8],
        hash: Option<u64>,
    ) -> (Ref, Habit) {
        let bytes = text.of(source);
        if habit.skips() && is_utf8(bytes) {
            let string = self.append(bytes, text.window(source), NO_SLOT);
            return (string, habit.then(true));
        }
        let hash = hash.unwrap_or_else(|| self.hasher.hash(bytes));
        let (string, is_new) = self.find_or_append(bytes, text.window(source), hash);
        (string, habit.then(is_new))
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the halves of the hash; slot numbers are below 2^32"
    )]
    fn find_or_append(&mut self, text: &[u8], window: Option<&Window>, hash: u64) -> (Ref, bool) {
        let half = (hash >> 32) as u32;
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.number == 0 {
                break;
            }
            if slot.hash == half && same(self.bytes(slot.number), text) {
                return (slot.number, false);
            }
            at = (at + 1) & mask;
        }
        if !is_utf8(text) {
            let text = repaired(text);
            return self.find_or_append(text.as_bytes(), None, self.hasher.hash(text.as_bytes()));
        }
        let string = self.append(text, window, at as u32);
        self.slots[at] = Slot { hash: half, number: string };
        if self.entries.len() * 2 > self.slots.len() {
            self.grow();
        }
        (string, true)
    }

    /// Appends a string that is UTF-8 to the arena. Where `window` begins with it, it is copied by its fixed size and cut, which is less
    /// work than a copy of the right size.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a payload is bounded far below 4 GiB")]
    fn append(&mut self, text: &[u8], window: Option<&Window>, slot: u32) -> Ref {
        let string = self.entries.len() as Ref;
        if text.len() < 0x80 {
            self.arena.extend_from_slice(&[TAG, text.len() as u8]);
        } else {
            self.arena.push(TAG);
            wire::varint(&mut self.arena, text.len() as u64);
        }
        let at = self.arena.len();
        self.entries.push(Entry { at: at as u32, len: text.len() as u32, slot });
        match window {
            Some(window) if text.len() <= window.len() => {
                self.arena.extend_from_slice(window);
                self.arena.truncate(at + text.len());
            }
            _ => self.arena.extend_from_slice(text),
        }
        string
    }

    #[cold]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the halves of the hash; slot numbers are below 2^32"
    )]
    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![Slot::default(); mask + 1];
        // In the order of their coming, so that taking back in the reverse order stays exact.
        for number in 1..self.entries.len() {
            if self.entries[number].slot == NO_SLOT {
                continue;
            }
            let hash = self.hasher.hash(self.bytes(number as Ref));
            let mut at = hash as usize & mask;
            while slots[at].number != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = Slot { hash: (hash >> 32) as u32, number: number as Ref };
            self.entries[number].slot = at as u32;
        }
        self.slots = slots;
    }

    /// Where the table is now.
    #[expect(clippy::cast_possible_truncation, reason = "a payload is bounded far below 4 GiB")]
    pub fn mark(&self) -> Mark {
        Mark { strings: self.entries.len() as u32, bytes: self.arena.len() as u32 }
    }

    /// Takes back every string that came after `mark`.
    pub fn take_back(&mut self, mark: Mark) {
        while self.entries.len() > mark.strings as usize {
            let Some(entry) = self.entries.pop() else { break };
            if let Some(slot) = self.slots.get_mut(entry.slot as usize) {
                *slot = Slot::default();
            }
        }
        self.arena.truncate(mark.bytes as usize);
    }

    /// Empties the table for the next payload.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.arena.shrink_to(KEPT_ARENA_BYTES_MAX);
        self.entries.clear();
        self.entries.shrink_to(KEPT_SLOTS_MAX / 2);
        if self.slots.len() > KEPT_SLOTS_MAX {
            self.slots = vec![Slot::default(); KEPT_SLOTS_MAX];
        } else {
            self.slots.fill(Slot::default());
        }
        self.append(b"", None, NO_SLOT);
    }

    /// Bytes of memory that the table holds.
    pub fn memory_bytes(&self) -> usize {
        self.arena.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.slots.len() * size_of::<Slot>()
    }
}

/// Whether the bytes are text; nearly always they are ASCII, which is told faster.
#[inline]
fn is_utf8(text: &[u8]) -> bool {
    text.is_ascii() || std::str::from_utf8(text).is_ok()
}

/// `text` with U+FFFD for each byte that does not belong to a character.
pub fn repaired(mut text: &[u8]) -> String {
    let mut fixed = String::with_capacity(text.len() + 8);
    loop {
        match std::str::from_utf8(text) {
            Ok(rest) => {
                fixed.push_str(rest);
                return fixed;
            }
            Err(error) => {
                let (valid, rest) = text.split_at(error.valid_up_to());
                fixed.push_str(std::str::from_utf8(valid).unwrap_or_default());
                fixed.push(char::REPLACEMENT_CHARACTER);
                text = rest.get(1..).unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Strings, repaired};
    use crate::trace::model::Text;

    #[test]
    fn a_string_enters_once() {
        let mut strings = Strings::default();
        let first = strings.intern(b"checkout");
        assert_eq!(strings.intern(b"checkout"), first);
        assert_eq!(strings.get(first), "checkout");
        assert_eq!(strings.intern(b""), 0);
        assert_eq!(strings.encoded(), b"\x0a\x00\x0a\x08checkout");
    }

    #[test]
    fn bytes_that_are_no_text_are_repaired_one_by_one() {
        for (text, expect) in [
            (&b"ok\xffbad"[..], "ok\u{fffd}bad"),
            (b"\xe2\x82", "\u{fffd}\u{fffd}"),
            (b"caf\xe9", "caf\u{fffd}"),
        ] {
            assert_eq!(repaired(text), expect);
            let mut strings = Strings::default();
            let string = strings.intern(text);
            assert_eq!(strings.get(string), expect);
            assert_eq!(strings.intern(text), string);
        }
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        let mut strings = Strings::default();
        let kept: Vec<_> =
            (0..700).map(|n| strings.intern(format!("kept-{n}").as_bytes())).collect();
        let before = strings.encoded().to_vec();
        let mark = strings.mark();
        for n in 0..900 {
            strings.intern(format!("gone-{n}").as_bytes());
        }
        strings.take_back(mark);
        assert_eq!(strings.encoded(), before);
        for (n, string) in kept.iter().enumerate() {
            assert_eq!(strings.intern(format!("kept-{n}").as_bytes()), *string);
        }
        let again = strings.intern(b"gone-5");
        assert_eq!(strings.get(again), "gone-5");
        assert_eq!(strings.mark().strings, mark.strings + 1);
    }

    #[test]
    fn a_place_that_is_always_new_still_gives_the_right_strings() {
        let mut strings = Strings::default();
        let mut place = Place::default();
        for n in 0..2000 {
            let text = format!("https://shop.example/{n}");
            let text_of = Text::place(0, text.len());
            let string = strings.intern_at(&mut place, text_of, text.as_bytes());
            assert_eq!(strings.get(string), text);
        }
        let steady = strings.intern(b"steady");
        let mut place = Place::default();
        for _ in 0..10 {
            assert_eq!(strings.intern_at(&mut place, Text::place(0, 6), b"steady"), steady);
        }
    }
}
