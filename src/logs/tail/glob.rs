//! Patterns of paths, as Go's `filepath.Glob` has them: `*`, `?` and `[a-z]` within one part of a path, in folders and in the name; a backslash
//! takes the meaning from what follows it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Paths that are looked at in one search at the most: a pattern for everything must not take all memory.
const FOUND_MAX: usize = 10_000;

/// Whether a text has a character with a meaning.
pub(super) fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[\\".contains(byte))
}

/// The folder in front of the first part that is a pattern, or of the name.
pub(super) fn folder_before(pattern: &Path) -> PathBuf {
    let parts = pattern.parent().map(Path::components).into_iter().flatten();
    parts.take_while(|part| !is_pattern(part.as_os_str().as_bytes())).collect()
}

/// The paths that exist and match, in no order; no more than [`FOUND_MAX`]. A folder that can't be read has none.
pub(super) fn find(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str();
        if !is_pattern(part.as_bytes()) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut deeper = Vec::new();
        for folder in &found {
            in_folder(folder, part.as_bytes(), &mut deeper);
        }
        found = deeper;
    }
    found.retain(|path| path.exists());
    found
}

/// What is in a folder and matches.
fn in_folder(folder: &Path, pattern: &[u8], found: &mut Vec<PathBuf>) {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(listed) else { return };
    let names = entries.flatten().map(|entry| entry.file_name().into_vec());
    for name in names.filter(|name| matches(pattern, name)) {
        if found.len() >= FOUND_MAX {
            return;
        }
        found.push(folder.join(OsStr::from_bytes(&name)));
    }
}

/// Whether a name matches. Time is at most the product of both lengths: only the last star is ever tried again.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some(rest) = pattern.strip_prefix(b"*") {
            star = Some((rest, name));
            pattern = rest;
            continue;
        }
        if pattern.is_empty() && name.is_empty() {
            return true;
        }
        if let Some((rest_pattern, rest_name)) = one(pattern, name) {
            (pattern, name) = (rest_pattern, rest_name);
            continue;
        }
        // The last star takes one more.
        let Some((behind_star, [_, taken @ ..])) = star else { return false };
        star = Some((behind_star, taken));
        (pattern, name) = (behind_star, taken);
    }
}

/// What is left of both where their first characters match.
fn one<'a>(pattern: &'a [u8], name: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let len = char_len(name);
    let (first, rest) = name.split_at_checked(len).filter(|_| len > 0)?;
    match pattern {
        [b'?', behind @ ..] => Some((behind, rest)),
        [b'[', class @ ..] => class_takes(class, first).map(|behind| (behind, rest)),
        [b'\\', behind @ ..] => behind.strip_prefix(first).map(|behind| (behind, rest)),
        _ => pattern.strip_prefix(first).map(|behind| (behind, rest)),
    }
}

/// What is behind a class, whose bracket was read, if it takes the character.
fn class_takes<'a>(class: &'a [u8], character: &[u8]) -> Option<&'a [u8]> {
    let (is_opposite, mut rest) = match class {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let (mut is_in, mut is_first) = (false, true);
    loop {
        match rest {
            [b']', behind @ ..] if !is_first => return (is_in != is_opposite).then_some(behind),
            _ => {}
        }
        is_first = false;
        let (low, behind) = class_member(rest)?;
        let (high, behind) = match behind {
            [b'-', behind @ ..] => class_member(behind)?,
            _ => (low, behind),
        };
        // The bytes of UTF-8 are in the order of its characters.
        is_in |= low <= character && character <= high;
        rest = behind;
    }
}

/// A character of a class, and what is behind it.
fn class_member(class: &[u8]) -> Option<(&[u8], &[u8])> {
    let class = class.strip_prefix(b"\\").unwrap_or(class);
    let len = char_len(class);
    class.split_at_checked(len).filter(|_| len > 0)
}

/// How long the first character is; what is no UTF-8 is a byte.
fn char_len(text: &[u8]) -> usize {
    let len = match text.first() {
        None => return 0,
        Some(0..0xc2) => 1,
        Some(0xc2..0xe0) => 2,
        Some(0xe0..0xf0) => 3,
        Some(_) => 4,
    };
    let is_whole = text.get(..len).is_some_and(|text| std::str::from_utf8(text).is_ok());
    if is_whole { len } else { 1 }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{find, folder_before, matches};
    use crate::pattern::Pattern;

    #[test]
    fn names_match_as_in_go() {
        for (pattern, name, expect) in [
            ("*.log", "app.log", true),
            ("*.log", ".log", true),
            ("*.log", "app.log.1", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("*", "", true),
            ("**", "a", true),
            ("?", "é", true),
            ("?", "", false),
            ("??", "é", false),
            ("app-[0-9].log", "app-7.log", true),
            ("app-[^0-9].log", "app-7.log", false),
            ("[^0-9]", "é", true),
            ("[à-ÿ]", "é", true),
            ("[a\\]]", "]", true),
            ("[a-]", "a", false),
            ("[]a]", "]", true),
            ("[", "[", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("\\", "\\", false),
            ("app", "app", true),
            ("app", "apps", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expect, "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_found_in_folders_that_match() {
        let root = tempfile::tempdir().unwrap();
        for path in ["a/x.log", "a/y.txt", "b/x.log", "c.log"] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let check = |pattern: &str, expect: &[&str]| {
            let mut found = find(&root.path().join(pattern));
            found.sort();
            let expect: Vec<_> = expect.iter().map(|path| root.path().join(path)).collect();
            assert_eq!(found, expect, "{pattern}");
        };
        check("*/*.log", &["a/x.log", "b/x.log"]);
        check("?/x.*", &["a/x.log", "b/x.log"]);
        check("a/x.log", &["a/x.log"]);
        check("a/none.log", &[]);
        check("none/*", &[]);
        check("*.log", &["c.log"]);
        for (pattern, expect) in
            [("/a/b*/c/*.log", "/a"), ("/a/b/*.log", "/a/b"), ("/a/b.log", "/a"), ("*.log", "")]
        {
            assert_eq!(folder_before(Path::new(pattern)), Path::new(expect), "{pattern}");
        }
    }

    proptest! {
        /// The same as a pattern of another kind says.
        #[test]
        fn stars_and_marks_are_what_they_are_elsewhere(pattern in "[ab*?.]{0,12}", name in "[ab.]{0,12}") {
            let other = pattern.replace('.', "\\.").replace('*', ".*").replace('?', ".");
            // One star beside another is the same star, which the other kind does not take.
            let other = other.replace(".*.*", ".*").replace(".*.*", ".*").replace(".*.*", ".*").replace(".*.*", ".*");
            let expect = Pattern::new(&format!("^(?:{other})$")).unwrap().is_in(&name);
            prop_assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expect);
        }

        #[test]
        fn any_bytes_are_matched(pattern: Vec<u8>, name: Vec<u8>) {
            matches(&pattern, &name);
            prop_assert!(matches(b"*", &name));
        }
    }
}
