//! Bodies that are almost right, and what they cost.

/// Random changes to a body: bytes changed, taken out, put in, cut off, or one piece repeated.
pub(crate) fn mutate(random: &mut fastrand::Rng, body: &mut Vec<u8>) {
    for _ in 0..random.usize(1..6) {
        if body.is_empty() {
            body.push(random.u8(..));
        }
        let at = random.usize(..body.len());
        match random.u8(..6) {
            0 => body[at] = random.u8(..),
            1 => body[at] ^= 1 << random.u8(..8),
            2 => drop(body.drain(at..(at + random.usize(..9)).min(body.len()))),
            3 => body.insert(
                at,
                *random.choice(&[0xc0, 0xc1, 0xcb, 0xdd, 0xdf, 0xdb, 0x80, 0x90, 0xff]).unwrap(),
            ),
            4 => body.truncate(at),
            _ => {
                let piece = body[at..(at + 40).min(body.len())].to_vec();
                body.splice(at..at, piece);
            }
        }
    }
}

/// The memory of this process (of all tests that run beside this one, so a bound can only be coarse).
pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
