//! The sum of sketches that tracers have computed themselves.

use std::collections::VecDeque;

use super::mapping::Mapping;
use super::{BINS_MAX, encode, encoded_len};

/// Bins that one sketch may have; more than latencies can fall into with the narrowest bins that are known.
const DECODED_BINS_MAX: usize = 65_536;
/// No value but 0 and infinity falls into the agent's own bins beyond this.
const OWN_BIN_MAX: i32 = 36_000;

/// Counts in the agent's own bins.
#[derive(Debug, Default)]
pub(in crate::trace::stats) struct Merged {
    zeros: f64,
    first: i32,
    counts: VecDeque<f64>,
}

impl Merged {
    /// Adds an encoded sketch. False, with nothing added, when it is none that can be understood. An empty one counts as nothing.
    pub(in crate::trace::stats) fn add(&mut self, encoded: &[u8]) -> bool {
        let Some(sketch) = Decoded::from_bytes(encoded) else { return false };
        self.zeros += sketch.zeros;
        for (bin, count) in sketch.bins {
            if sketch.mapping.is_own() {
                self.add_bin(bin.clamp(-OWN_BIN_MAX, OWN_BIN_MAX), count);
            } else {
                self.spread(&sketch.mapping, bin, count);
            }
        }
        true
    }

    /// Adds a bin of another mapping: each of our own bins takes the share that it covers.
    fn spread(&mut self, mapping: &Mapping, bin: i32, count: f64) {
        let (low, high) = (mapping.lower_bound(bin), mapping.lower_bound(bin.saturating_add(1)));
        // Not so for bins of values that no number stands for; comparisons with NaN are false.
        if !(low > 0.0 && low < high && high < f64::MAX) {
            return;
        }
        for own in Mapping::own_bin(low)..=OWN_BIN_MAX {
            let (own_low, own_high) =
                (Mapping::OWN.lower_bound(own), Mapping::OWN.lower_bound(own + 1));
            if own_low >= high {
                break;
            }
            let covered = own_high.min(high) - own_low.max(low);
            if covered > 0.0 {
                self.add_bin(own, covered / (high - low) * count);
            }
        }
    }

    fn add_bin(&mut self, bin: i32, count: f64) {
        let last_kept = BINS_MAX as i32 - 1;
        if self.counts.is_empty() {
            self.first = bin;
        }
        // The bin may be far above all that there are: those that are then too low are added up, at most as many as there are.
        let mut lower = 0.0;
        while bin - self.first > last_kept {
            match self.counts.pop_front() {
                Some(count) => {
                    lower += count;
                    self.first += 1;
                }
                None => self.first = bin - last_kept,
            }
        }
        if lower > 0.0 {
            if self.counts.is_empty() {
                self.counts.push_back(0.0);
            }
            self.counts[0] += lower;
        }
        // Or below all: it is added where the highest bin allows.
        let highest = self.first + i32::try_from(self.counts.len()).unwrap_or(0) - 1;
        let bin = bin.max(highest - last_kept);
        while bin < self.first {
            self.counts.push_front(0.0);
            self.first -= 1;
        }
        let at = usize::try_from(bin - self.first).unwrap_or(0);
        while at >= self.counts.len() {
            self.counts.push_back(0.0);
        }
        self.counts[at] += count;
    }

    /// Whether nothing was ever added that counted.
    pub(in crate::trace::stats) fn is_untouched(&self) -> bool {
        self.counts.is_empty() && self.zeros == 0.0
    }

    /// Bytes on the heap.
    pub(in crate::trace::stats) fn heap_bytes(&self) -> usize {
        self.counts.capacity() * size_of::<f64>()
    }

    /// Bytes that [`Merged::encode`] makes, at most.
    pub(in crate::trace::stats) fn encoded_len(&self) -> usize {
        encoded_len(self.counts.len())
    }

    pub(in crate::trace::stats) fn encode(&self) -> Vec<u8> {
        encode(self.first, self.counts.iter().copied(), self.zeros)
    }
}

/// A sketch as it was sent.
struct Decoded {
    mapping: Mapping,
    bins: Vec<(i32, f64)>,
    zeros: f64,
}

impl Decoded {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (mut mapping, mut bins, mut zeros) = (None, Vec::new(), 0.0);
        let mut reader = Reader(bytes);
        while let Some(field) = reader.field()? {
            match field {
                (1, Field::Bytes(bytes)) => mapping = Some(read_mapping(bytes)?),
                (2, Field::Bytes(bytes)) => read_store(bytes, &mut bins)?,
                (4, Field::Fixed64(count)) => zeros = count,
                // Negative values, of which latencies have none, and what is not known.
                _ => {}
            }
        }
        // Counts that are none are left out rather than poisoning the sum.
        bins.retain(|&(_, count)| count > 0.0 && count.is_finite());
        let zeros = if zeros > 0.0 && zeros.is_finite() { zeros } else { 0.0 };
        match mapping {
            Some(mapping) => Some(Self { mapping, bins, zeros }),
            None if bytes.is_empty() => Some(Self { mapping: Mapping::OWN, bins, zeros }),
            None => None,
        }
    }
}

fn read_mapping(bytes: &[u8]) -> Option<Mapping> {
    let (mut gamma, mut offset, mut interpolation) = (0.0, 0.0, 0);
    let mut reader = Reader(bytes);
    while let Some(field) = reader.field()? {
        match field {
            (1, Field::Fixed64(value)) => gamma = value,
            (2, Field::Fixed64(value)) => offset = value,
            (3, Field::Varint(value)) => interpolation = value,
            _ => {}
        }
    }
    Mapping::new(gamma, offset, interpolation)
}

fn read_store(bytes: &[u8], bins: &mut Vec<(i32, f64)>) -> Option<()> {
    let mut row: &[u8] = &[];
    let mut first = 0i32;
    let mut reader = Reader(bytes);
    while let Some(field) = reader.field()? {
        match field {
            (1, Field::Bytes(entry)) => bins.push(read_entry(entry)?),
            (2, Field::Bytes(packed)) => row = packed,
            (3, Field::Varint(value)) => first = unzigzag(value),
            _ => {}
        }
        if bins.len() + row.len() / 8 > DECODED_BINS_MAX {
            return None;
        }
    }
    let (counts, rest) = row.as_chunks::<8>();
    if !rest.is_empty() {
        return None;
    }
    bins.extend(
        counts
            .iter()
            .zip(0..)
            .map(|(count, at)| (first.saturating_add(at), f64::from_le_bytes(*count))),
    );
    Some(())
}

fn read_entry(bytes: &[u8]) -> Option<(i32, f64)> {
    let (mut bin, mut count) = (0, 0.0);
    let mut reader = Reader(bytes);
    while let Some(field) = reader.field()? {
        match field {
            (1, Field::Varint(value)) => bin = unzigzag(value),
            (2, Field::Fixed64(value)) => count = value,
            _ => {}
        }
    }
    Some((bin, count))
}

fn unzigzag(value: u64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "a sint32 has 32 bits")]
    let value = value as u32;
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

enum Field<'a> {
    Varint(u64),
    Fixed64(f64),
    Bytes(&'a [u8]),
    Other,
}

/// Reads the fields of a protobuf message. Every method says `None` for what is malformed.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next field with its number; `Some(None)` at the end.
    fn field(&mut self) -> Option<Option<(u64, Field<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(f64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let len = self.varint()?;
                Field::Bytes(self.take(usize::try_from(len).ok()?)?)
            }
            5 => {
                self.take(4)?;
                Field::Other
            }
            _ => return None,
        };
        Some(Some((tag >> 3, field)))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }
}
