//! Memcached commands: the value follows the first line, and keys stand in it.

use super::Outcome;

/// What is left of the tag `memcached.command`: nothing, or with `keep_command` the first line without white space around it
/// (spec: trace-agent 7.1).
pub fn obfuscate(text: &str, keep_command: bool, out: &mut String) -> Outcome {
    out.clear();
    if keep_command {
        out.push_str(text.split("\r\n").next().unwrap_or_default().trim());
    }
    Outcome::of(text, out)
}

#[cfg(test)]
mod tests {
    use super::{Outcome, obfuscate};

    fn check(text: &str, keep: bool, expect: &str) {
        let mut out = "left over".to_owned();
        let outcome = obfuscate(text, keep, &mut out);
        assert_eq!(out, expect, "{text:?}");
        assert_eq!(outcome == Outcome::Unchanged, text == expect);
    }

    #[test]
    fn by_default_nothing_stays() {
        for text in ["set k 0 60 5\r\nvalue\r\n", "get k", "\n", ""] {
            check(text, false, "");
        }
    }

    #[test]
    fn a_command_that_is_kept_ends_with_its_line() {
        check("set k 0 60 5\r\nvalue\r\n", true, "set k 0 60 5");
        check("get k", true, "get k");
        check(" \tget k \r\n x", true, "get k");
        check("add k\nv\r\nw", true, "add k\nv");
        check("\r\nvalue", true, "");
        check("", true, "");
    }
}
