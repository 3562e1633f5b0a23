//! Numbers in the files of cgroups (kernel: `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/`) and of `/proc` (`man 5 proc`).

/// Nanocores of one CPU.
pub(super) const NANOCORES: u64 = 1_000_000_000;

/// From here on a limit is none. Version 1 writes the largest multiple of a page below 2⁶³ where there is no limit.
const UNLIMITED_MIN: u64 = 1 << 60;

/// The file's only number. A negative one, which stands for "none", is nothing.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.trim_ascii();
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A limit of memory in bytes; `max` and what stands for it in version 1 are nothing.
pub(super) fn limit(bytes: &[u8]) -> Option<u64> {
    number(bytes).filter(is_limit)
}

/// Whether a number is a limit, and not what stands for none.
pub(super) fn is_limit(limit: &u64) -> bool {
    *limit < UNLIMITED_MIN
}

/// The number of a line `key number`. A line without its end was cut off and does not count.
pub(super) fn keyed(bytes: &[u8], key: &[u8]) -> Option<u64> {
    bytes.split_inclusive(|byte| *byte == b'\n').find_map(|line| {
        let rest = line.strip_suffix(b"\n")?.strip_prefix(key)?;
        rest.strip_prefix(b" ").and_then(number)
    })
}

/// A line of `/proc/meminfo`, `MemTotal:  16384 kB`, in bytes.
pub(super) fn meminfo(bytes: &[u8], key: &[u8]) -> Option<u64> {
    bytes.split_inclusive(|byte| *byte == b'\n').find_map(|line| {
        let rest = line.strip_suffix(b"\n")?.strip_prefix(key)?.strip_prefix(b":")?;
        number(rest.strip_suffix(b" kB")?)?.checked_mul(1024)
    })
}

/// `cpu.max` of version 2, `150000 100000`, in nanocores; `max` is nothing.
pub(super) fn cpu_max(bytes: &[u8]) -> Option<u64> {
    let mut words = bytes.trim_ascii().split(|byte| *byte == b' ');
    share(number(words.next()?)?, number(words.next()?)?)
}

/// A quota of so many microseconds in each period, in nanocores.
pub(super) fn share(quota_us: u64, period_us: u64) -> Option<u64> {
    let nanocores = u128::from(quota_us) * u128::from(NANOCORES);
    u64::try_from(nanocores.checked_div(u128::from(period_us))?).ok().filter(|share| *share > 0)
}

/// How many CPUs a list such as `0-3,8` names; an empty one is nothing.
pub(super) fn cpus(bytes: &[u8]) -> Option<u64> {
    let total =
        bytes.trim_ascii().split(|byte| *byte == b',').try_fold(0_u64, |total, range| {
            let mut ends = range.splitn(2, |byte| *byte == b'-');
            let first = number(ends.next()?)?;
            let last = ends.next().map_or(Some(first), number)?;
            total.checked_add(last.checked_sub(first)?.checked_add(1)?)
        })?;
    (total > 0).then_some(total)
}

/// CPU time of a process and of its children that it has waited for, in clock ticks, by `/proc/<pid>/stat`: fields 14 to 17, counted from
/// behind the program's name, which may have blanks and parentheses in it.
pub(super) fn process_ticks(bytes: &[u8]) -> Option<u64> {
    let behind_name = bytes.iter().rposition(|byte| *byte == b')')? + 1;
    let words = bytes.get(behind_name..)?.trim_ascii().split(|byte| *byte == b' ');
    let mut count = 0_u8;
    let total = words.skip(11).take(4).try_fold(0_u64, |total, word| {
        count += 1;
        total.checked_add(number(word)?)
    })?;
    (count == 4).then_some(total)
}

/// Every parser, for properties.
pub(super) fn all(bytes: &[u8]) {
    number(bytes);
    limit(bytes);
    keyed(bytes, b"oom_kill");
    meminfo(bytes, b"MemTotal");
    cpu_max(bytes);
    cpus(bytes);
    process_ticks(bytes);
}

#[cfg(test)]
mod tests {
    use super::{cpu_max, cpus, keyed, limit, meminfo, number, process_ticks, share};

    #[test]
    fn numbers_are_whole_and_positive() {
        assert_eq!(number(b"42\n"), Some(42));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for not in [&b""[..], b"\n", b"-1\n", b"max\n", b"1 2", b"18446744073709551616", b"+1"] {
            assert_eq!(number(not), None, "{}", String::from_utf8_lossy(not));
        }
    }

    #[test]
    fn what_stands_for_unlimited_is_no_limit() {
        assert_eq!(limit(b"536870912\n"), Some(512 << 20));
        for none in [&b"max\n"[..], b"9223372036854771712\n", b"9223372036854710272\n", b"-1\n"] {
            assert_eq!(limit(none), None, "{}", String::from_utf8_lossy(none));
        }
    }

    #[test]
    fn a_key_is_a_whole_word_of_a_whole_line() {
        let events = b"low 0\nhigh 0\nmax 3\noom 2\noom_kill 7\noom_group_kill 1\n";
        assert_eq!(keyed(events, b"oom_kill"), Some(7));
        assert_eq!(keyed(events, b"oom"), Some(2));
        assert_eq!(keyed(events, b"group"), None);
        // Cut off in the middle of the number.
        assert_eq!(keyed(b"oom 2\noom_kill 7", b"oom_kill"), None);
        assert_eq!(
            meminfo(b"MemTotal:       16384 kB\nMemFree: 1 kB\n", b"MemTotal"),
            Some(16 << 20)
        );
        assert_eq!(meminfo(b"MemTotal:       16384\n", b"MemTotal"), None);
    }

    #[test]
    fn quotas_are_shares_of_a_cpu() {
        assert_eq!(cpu_max(b"150000 100000\n"), Some(1_500_000_000));
        assert_eq!(cpu_max(b"max 100000\n"), None);
        assert_eq!(cpu_max(b"100000\n"), None);
        assert_eq!(share(8000, 100_000), Some(80_000_000));
        assert_eq!(share(1, 0), None);
        assert_eq!(share(u64::MAX, 1), None);
    }

    #[test]
    fn lists_of_cpus_are_counted() {
        assert_eq!(cpus(b"0-3,8,10-11\n"), Some(7));
        assert_eq!(cpus(b"0\n"), Some(1));
        for not in [&b"\n"[..], b"3-1", b"0-", b"a", b"0-18446744073709551615", b"0,,1"] {
            assert_eq!(cpus(not), None, "{}", String::from_utf8_lossy(not));
        }
    }

    #[test]
    fn a_name_with_anything_in_it_does_not_move_the_fields() {
        let stat = b"7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 100 20 3 4000 20 0 1 0 55 1 2\n";
        assert_eq!(process_ticks(stat), Some(4123));
        assert_eq!(process_ticks(b"7 (a) S 1 7 7 0 -1 4194560 1 2 3 4 100 20 3"), None);
        assert_eq!(process_ticks(b"7 a S 1"), None);
    }
}
