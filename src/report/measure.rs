//! Times and sizes for people.

use std::time::Duration;

/// A time in the largest units that say enough: `12 ms`, `3.2 s`, `5 min 3 s`, `7 h 12 min`, `3 d 4 h`.
pub(super) fn time(time: Duration) -> String {
    let (s, ms) = (time.as_secs(), time.subsec_millis());
    match s {
        0 => format!("{ms} ms"),
        1..=59 => format!("{s}.{} s", ms / 100),
        60..=3599 => format!("{} min {} s", s / 60, s % 60),
        3600..=86_399 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// Bytes in the largest unit of 1024 that loses little: `512 MiB`, `1.5 GiB`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let Some(unit) = (0..4).rev().find(|unit| bytes >= 1 << (10 * (unit + 1))) else {
        return format!("{bytes} bytes");
    };
    let size = 1_u64 << (10 * (unit + 1));
    let tenths = bytes % size * 10 / size;
    let fraction = if tenths == 0 { String::new() } else { format!(".{tenths}") };
    format!("{}{fraction} {}", bytes / size, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn times_and_sizes_are_short() {
        for (ms, text) in [
            (12, "12 ms"),
            (3_250, "3.2 s"),
            (303_000, "5 min 3 s"),
            (7 * 3_600_000 + 12 * 60_000, "7 h 12 min"),
            (76 * 3_600_000, "3 d 4 h"),
        ] {
            assert_eq!(super::time(Duration::from_millis(ms)), text);
        }
        for (bytes, text) in [
            (1000, "1000 bytes"),
            (512 << 20, "512 MiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(super::bytes(bytes), text);
        }
    }
}
