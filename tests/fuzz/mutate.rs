//! Random changes to inputs.

/// First bytes of msgpack values, and of protobuf fields; and what texts are made of.
const BYTES: &[u8] =
    b"\xc0\xc1\xc4\xca\xcb\xcc\xcf\xd0\xd3\xd9\xda\xdb\xdc\xdd\xde\xdf\x80\x8f\x90\x9f\xa0\xbf\xff\x00\x7f'\"\\`()[]{}$?:;,. \n-*/%#@=0189";

/// Pieces that mean something somewhere.
const PIECES: &[&[u8]] = &[
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",
    b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\xf0\x9f\xa6\x80",
    b"\xed\xa0\x80",
    b"$func$",
    b"/*",
    b"--",
    b"\\\\",
    b"%41",
    b"4111111111111111",
    b"...",
    b"null",
    b"-1e999",
    b"_dd.span_sampling.mechanism",
    b"_sampling_priority_v1",
    b"env",
];

/// Longest input that is made.
const INPUT_BYTES_MAX: usize = 256 * 1024;

/// A few changes to `input`: bytes changed, taken out or put in, a piece repeated, moved or taken from `other`, the end cut off.
pub(crate) fn mutate(random: &mut fastrand::Rng, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..random.usize(1..7) {
        if input.is_empty() {
            input.push(random.u8(..));
        }
        let at = random.usize(..input.len());
        let end = (at + random.usize(1..40)).min(input.len());
        match random.u8(..10) {
            0 => input[at] = random.u8(..),
            1 => input[at] ^= 1 << random.u8(..8),
            2 => input[at] = BYTES[random.usize(..BYTES.len())],
            3 => input.insert(at, BYTES[random.usize(..BYTES.len())]),
            4 => drop(input.drain(at..end)),
            5 if random.u8(..4) == 0 => input.truncate(at),
            6 => insert(input, at, PIECES[random.usize(..PIECES.len())]),
            7 => {
                let piece = input[at..end].to_vec();
                let to = random.usize(..input.len());
                insert(input, to, &piece);
            }
            8 if !other.is_empty() => {
                let from = random.usize(..other.len());
                let until = (from + random.usize(1..200)).min(other.len());
                insert(input, at, &other[from..until]);
            }
            // The length of what follows, mostly.
            _ => input[at] = input[at].wrapping_add(random.u8(..3)).wrapping_sub(1),
        }
    }
    input.truncate(INPUT_BYTES_MAX);
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    input.splice(at..at, piece.iter().copied());
}
