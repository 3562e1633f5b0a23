//! FNV-1a, the hash that the agent's signatures and tag hashes are made of. Not for hash tables: it is slow on long texts.

/// A 32-bit FNV-1a hash under way; what it has taken in so far can be shared by copying it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fnv32(u32);

impl Fnv32 {
    /// The hash of nothing.
    pub(crate) const EMPTY: Self = Self(0x811c_9dc5);

    /// The hash of what was taken in before and then `bytes`.
    #[must_use]
    pub(crate) fn then(self, bytes: &[u8]) -> Self {
        Self(
            bytes
                .iter()
                .fold(self.0, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)),
        )
    }

    /// The hash itself.
    #[must_use]
    pub(crate) fn value(self) -> u32 {
        self.0
    }
}

/// A 64-bit FNV-1a hash under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fnv64(u64);

impl Fnv64 {
    /// The hash of nothing.
    pub(crate) const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    /// The hash of what was taken in before and then `bytes`.
    #[must_use]
    pub(crate) fn then(self, bytes: &[u8]) -> Self {
        Self(
            bytes.iter().fold(self.0, |hash, &byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            }),
        )
    }

    /// The hash itself.
    #[must_use]
    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vectors_hold() {
        assert_eq!(Fnv32::EMPTY.then(b"a").value(), 0xe40c_292c);
        assert_eq!(Fnv32::EMPTY.then(b"foo").then(b"bar").value(), 0xbf9c_f968);
        assert_eq!(Fnv64::EMPTY.then(b"a").value(), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Fnv64::EMPTY.then(b"foo").then(b"bar").value(), 0x8594_4171_f739_67e8);
    }
}
