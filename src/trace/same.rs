//! Equality of short byte strings without a call: nearly all strings of spans are shorter than 32 bytes, where calling `memcmp` costs more
//! than comparing.

/// Whether two strings are equal.
#[inline(always)]
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // The first and the last word overlap where there is less than two of them.
    match a.len() {
        0 => true,
        1..4 => {
            a[0] == b[0] && a[a.len() / 2] == b[b.len() / 2] && a[a.len() - 1] == b[b.len() - 1]
        }
        4..8 => ends(a, b, |x| x.first_chunk::<4>(), |x| x.last_chunk::<4>()),
        8..=16 => ends(a, b, |x| x.first_chunk::<8>(), |x| x.last_chunk::<8>()),
        17..=32 => ends(a, b, |x| x.first_chunk::<16>(), |x| x.last_chunk::<16>()),
        _ => a == b,
    }
}

#[inline(always)]
fn ends<'a, const N: usize>(
    a: &'a [u8],
    b: &'a [u8],
    first: impl Fn(&'a [u8]) -> Option<&'a [u8; N]>,
    last: impl Fn(&'a [u8]) -> Option<&'a [u8; N]>,
) -> bool {
    first(a) == first(b) && last(a) == last(b)
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn it_is_equality_at_every_length() {
        for len in 0..70 {
            let a: Vec<u8> = (0..len).collect();
            assert!(same(&a, &a.clone()));
            assert!(!same(&a, &[&a[..], &[1]].concat()));
            for at in 0..a.len() {
                let mut b = a.clone();
                b[at] ^= 0x40;
                assert!(!same(&a, &b), "{len} {at}");
            }
        }
    }
}
