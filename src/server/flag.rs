//! Headers that are on or off.

/// Whether a flag header is on: anything but an empty value and the words that Go's `ParseBool` reads as false.
pub(crate) fn is_true(value: &str) -> bool {
    !matches!(value, "" | "0" | "f" | "F" | "FALSE" | "False" | "false")
}

#[cfg(test)]
mod tests {
    use super::is_true;

    #[test]
    fn flags_are_read_as_go_reads_them() {
        for word in ["0", "f", "F", "FALSE", "False", "false", ""] {
            assert!(!is_true(word), "{word:?}");
        }
        for word in ["1", "t", "true", "yes", "fALSE", "no", " "] {
            assert!(is_true(word), "{word:?}");
        }
    }
}
