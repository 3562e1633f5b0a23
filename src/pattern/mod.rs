//! Patterns of settings. They are written for Go's `regexp` (RE2 syntax), which the agent has; here they are rewritten for the `regex` crate,
//! whose syntax differs in details that users' patterns do use.

mod rewrite;

use regex::bytes::{Match, Regex, RegexBuilder};

/// Memory of one compiled pattern, bytes. The agent bounds repetitions (1,000) instead.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// With the reason in words, if it is no pattern.
    pub fn new(text: &str) -> Result<Self, String> {
        let rewritten = rewrite::for_regex(text)?;
        let compiled = RegexBuilder::new(&rewritten).size_limit(COMPILED_BYTES_MAX).build();
        compiled.map(Self).map_err(|error| reason(&error))
    }

    /// Whether it matches anywhere in `text`.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.find_iter(text.as_bytes()).any(|found| is_whole(text, &found))
    }

    /// `text` with every match replaced by `template`, in which `$1`, `${1}`, `$name` and `${name}` stand for groups and `$$` for a dollar
    /// sign. Nothing where there is no match.
    pub fn replaced(&self, text: &str, template: &str) -> Option<String> {
        let (bytes, mut end) = (text.as_bytes(), 0);
        let mut changed = Vec::new();
        let mut is_changed = false;
        for groups in self.0.captures_iter(bytes) {
            let Some(found) = groups.get(0).filter(|found| is_whole(text, found)) else { continue };
            changed.extend_from_slice(bytes.get(end..found.start()).unwrap_or_default());
            groups.expand(template.as_bytes(), &mut changed);
            end = found.end();
            is_changed = true;
        }
        if !is_changed {
            return None;
        }
        changed.extend_from_slice(bytes.get(end..).unwrap_or_default());
        Some(String::from_utf8_lossy(&changed).into_owned())
    }
}

/// Whether a match is one of characters: the crate finds empty ones within a character too, since `\B` in ASCII mode needs its form for bytes.
fn is_whole(text: &str, found: &Match<'_>) -> bool {
    !found.is_empty() || text.is_char_boundary(found.start())
}

/// The crate's errors are several lines with a drawing; the last one says what is wrong.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(bytes) => format!("needs more than {bytes} bytes compiled"),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim().trim_start_matches("error: ").to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        // Each was observed with Go's regexp.ReplaceAllString.
        for (pattern, template, text, expect) in [
            (r"\d+", "?", "a12b٣", "a?b٣"),
            (r"\w+", "?", "né_1", "?é?"),
            (r"\W", "?", "né ", "n??"),
            (r"[\d\s]", "?", "1\u{b} a", "?\u{b}?a"),
            (r"[^\D5]", "?", "45a", "?5a"),
            (r"\bé", "?", "é xé", "é x?"),
            (r"users/{id}", "?", "users/{id}", "?"),
            (r"a{2}{,3}", "?", "aa{,3}", "?"),
            (r"a{2,}x", "?", "aaax", "?"),
            (r"[a&&b]+", "?", "a&&b", "?"),
            (r"[a--c~~]+", "?", "a-", "?"),
            (r"[[:alpha:]_]+", "?", "ab_9", "?9"),
            (r"[[ab]+", "?", "[a]", "?]"),
            (r"[]a]+", "?", "]a]b", "?b"),
            (r"[^]a]+", "?", "]b", "]?"),
            (r"\Qa.b\E+", "?", "a.bbb axb", "? axb"),
            (r"\<\>", "?", "<>", "?"),
            (r"\x{e9}\xe9\101", "?", "ééA", "?"),
            (r"(?i)STRASSE|ς", "?", "strasse Σ", "? ?"),
            (r"\p{Greek}\pN", "?", "α1", "?"),
            (r"(?P<id>\d+)", "<$id$$>", "n7", "n<7$>"),
            (r"(\d)(\d)", "$2$1 ${1}x $1x", "12", "21 1x "),
            (r"(?s).*", "?", "a\nb", "?"),
            (r"a*", "-", "baaac", "-b-c-"),
            (r"$", "!", "a\n", "a\n!"),
            (r"\_\-\/\%", "?", "_-/%", "?"),
            (r"\p{^Lu}", "?", "aB", "?B"),
            ("", "-", "aé", "-a-é-"),
            (r"\B", "-", "éa", "-éa"),
        ] {
            let compiled = Pattern::new(pattern).unwrap();
            let changed = compiled.replaced(text, template).unwrap_or(text.to_owned());
            assert_eq!(changed, expect, "{pattern}");
            assert!(compiled.is_in(text));
        }
    }

    #[test]
    fn what_is_no_pattern_has_a_reason() {
        for (pattern, expect) in [
            ("(", "unclosed group"),
            ("[a", "unclosed character class"),
            (r"\1", "backreference"),
            (r"\8", "backreference"),
            (r"a\", "incomplete escape"),
            ("a**", "nested repetition"),
            ("a{1001}", "1000"),
            ("(?:a{999}){999}", "more than"),
        ] {
            let error = Pattern::new(pattern).unwrap_err();
            assert!(error.contains(expect), "{pattern}: {error}");
            assert!(!error.contains('\n'));
        }
    }
}
