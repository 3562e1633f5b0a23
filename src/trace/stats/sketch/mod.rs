//! Latencies as counts in bins that grow with the latency: any quantile of them is right within 1 %. (DDSketch, doi 10.14778/3352063.3352135,
//! in the form that the intake takes.)
//!
//! Bin *i* holds the values from γ^i up to γ^(i+1), γ being 1.01 / 0.99. At most [`BINS_MAX`] bins are kept, the lowest ones being added
//! up. [`Counts`] is what spans are counted in: small, whole numbers. [`Merged`] is the sum of sketches that tracers have sent, which may
//! have other bins.

mod counts;
mod mapping;
mod merged;

pub(super) use counts::{Bins, Counts};
pub(super) use merged::Merged;

/// How much the bounds of a bin differ: a value is known within 1 %.
const GAMMA: f64 = 1.01 / 0.99;

/// Bins of one sketch; what is lower than the highest of them less this is added to the lowest bin.
const BINS_MAX: usize = 2048;

/// Writes a sketch in the form of the intake, a protobuf message: the bins from `first` on, and the count of zeros.
///
/// Fields: 1 the mapping { 1 γ }, 2 the store of positive values { 2 counts, packed doubles; 3 the first bin }, 3 the store of negative
/// values, empty, 4 the zeros. Zero fields are left out, but the messages never are.
fn encode(first: i32, counts: impl ExactSizeIterator<Item = f64>, zeros: f64) -> Vec<u8> {
    let row = counts.len() as u64 * 8;
    let first = u64::from(zigzag(first));
    let mut store = 0;
    if row > 0 {
        store += 1 + varint_len(row) + row;
        store += if first == 0 { 0 } else { 1 + varint_len(first) };
    }
    let mut out = Vec::with_capacity(encoded_len(counts.len()));
    out.extend_from_slice(&[0x0a, 9, 0x09]);
    out.extend_from_slice(&GAMMA.to_le_bytes());
    out.push(0x12);
    write_varint(&mut out, store);
    if row > 0 {
        out.push(0x12);
        write_varint(&mut out, row);
        for count in counts {
            out.extend_from_slice(&count.to_le_bytes());
        }
        if first != 0 {
            out.push(0x18);
            write_varint(&mut out, first);
        }
    }
    out.extend_from_slice(&[0x1a, 0]);
    if zeros != 0.0 {
        out.push(0x21);
        out.extend_from_slice(&zeros.to_le_bytes());
    }
    out
}

/// Bytes of a number as a protobuf varint.
fn varint_len(value: u64) -> u64 {
    u64::from((value | 1).ilog2()) / 7 + 1
}

/// Bytes of an encoded sketch of so many bins, at most.
pub(super) fn encoded_len(bins: usize) -> usize {
    bins * 8 + 48
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn zigzag(value: i32) -> u32 {
    (value.wrapping_shl(1) ^ (value >> 31)).cast_unsigned()
}
