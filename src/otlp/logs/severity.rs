//! How grave a record is, in the intake's words.

/// The word for a text, where it is one of those that are known.
fn of_text(text: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 16] = [
        ("emerg", "emergency"),
        ("emergency", "emergency"),
        ("alert", "alert"),
        ("crit", "critical"),
        ("critical", "critical"),
        ("fatal", "critical"),
        ("err", "error"),
        ("error", "error"),
        ("warn", "warn"),
        ("warning", "warn"),
        ("notice", "notice"),
        ("info", "info"),
        ("information", "info"),
        ("informational", "info"),
        ("debug", "debug"),
        ("trace", "trace"),
    ];
    WORDS.iter().find(|(name, _)| text.trim().eq_ignore_ascii_case(name)).map(|(_, word)| *word)
}

/// The word for a number of OpenTelemetry's; `info` for 0, which is none.
fn of_number(number: u64) -> &'static str {
    match number {
        0 | 9..=12 => "info",
        1..=4 => "trace",
        5..=8 => "debug",
        13..=16 => "warn",
        21..=24 => "fatal",
        _ => "error",
    }
}

/// What the attributes say, else the record's text, else its number.
pub(super) fn status(of_attribute: &str, of_record: &str, number: u64) -> &'static str {
    of_text(of_attribute).or_else(|| of_text(of_record)).unwrap_or_else(|| of_number(number))
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn the_first_that_says_something_counts() {
        for (attribute, text, number, expect) in [
            ("", "", 0, "info"),
            ("", "", 1, "trace"),
            ("", "", 5, "debug"),
            ("", "", 12, "info"),
            ("", "", 13, "warn"),
            ("", "", 17, "error"),
            ("", "", 24, "fatal"),
            ("", "", 25, "error"),
            ("", "WARNING", 5, "warn"),
            ("Crit", "info", 5, "critical"),
            ("", "Fatal", 5, "critical"),
            ("loud", "louder", 17, "error"),
        ] {
            assert_eq!(status(attribute, text, number), expect, "{attribute} {text} {number}");
        }
    }
}
