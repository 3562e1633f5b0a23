//! Upper case as the agent's language has it: character by character, with the Unicode version that the rules were observed with.

/// The one character that `from` becomes. Where the full mapping has several characters there is a simple one only for Greek letters with an
/// iota below; all others stay.
pub(super) fn upper(from: char) -> char {
    if from.is_ascii() {
        return from.to_ascii_uppercase();
    }
    let code = u32::from(from);
    let simple = match code {
        0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => char::from_u32(code + 8),
        0x1fb3 | 0x1fc3 | 0x1ff3 => char::from_u32(code + 9),
        _ if is_newer(code) => None,
        _ => {
            let mut full = from.to_uppercase();
            full.next().filter(|_| full.next().is_none())
        }
    };
    simple.unwrap_or(from)
}

/// Letters whose pair came with Unicode 16 or 17; the agent knows 15.
fn is_newer(code: u32) -> bool {
    matches!(
        code,
        0x19b
            | 0x264
            | 0x1c8a
            | 0xa7cd
            | 0xa7cf
            | 0xa7d3
            | 0xa7d5
            | 0xa7db
            | 0x10d70..=0x10d85
            | 0x16ebb..=0x16ed3
    )
}

/// Whether `word` in upper case is `name`.
pub(super) fn is(word: &str, name: &str) -> bool {
    if word.is_ascii() {
        word.eq_ignore_ascii_case(name)
    } else {
        word.chars().map(upper).eq(name.chars())
    }
}

#[cfg(test)]
mod tests {
    use super::{is, upper};

    #[test]
    fn one_character_stays_one_character() {
        for (from, to) in [
            ('a', 'A'),
            ('Z', 'Z'),
            ('ÿ', 'Ÿ'),
            ('ß', 'ß'),
            ('ŉ', 'ŉ'),
            ('ᾳ', 'ᾼ'),
            ('ᾀ', 'ᾈ'),
            ('ſ', 'S'),
            ('ƛ', 'ƛ'),
            ('ɤ', 'ɤ'),
        ] {
            assert_eq!(upper(from), to, "{from}");
        }
    }

    #[test]
    fn words_are_compared_in_upper_case() {
        assert!(is("set", "SET") && is("SeT", "SET") && is("ſet", "SET"));
        assert!(!is("sets", "SET") && !is("", "SET") && !is("ßet", "SET"));
    }
}
