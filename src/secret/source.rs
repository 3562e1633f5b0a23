//! Where a key is to be had that does not stand in the settings itself.

use std::fmt;
use std::path::PathBuf;

/// A place that has a key. It is no secret: it is shown where the key can't be got from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// This file, whose text it is.
    File(PathBuf),
    /// A program (the agent's secrets backend), which knows it by this name.
    Handle(String),
}

/// What the agent's own images take for "the file at", in place of a name.
const FILE: &str = "file@";

impl Source {
    /// The place that `text` names: `ENC[file@/path]`, or `ENC[name]`, whose name may have brackets in it. It has to be the whole text, as for the
    /// agent; anything else is no place.
    pub fn of(text: &str) -> Option<Self> {
        let handle = text.strip_prefix("ENC[")?.strip_suffix(']')?.trim();
        Some(match handle.strip_prefix(FILE) {
            Some(path) => Self::File(path.into()),
            None => Self::Handle(handle.to_owned()),
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {:?}", path.to_string_lossy()),
            Self::Handle(handle) => write!(f, "ENC[{}]", handle.escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn the_whole_text_names_a_place() {
        let handle = |name: &str| Some(Source::Handle(name.to_owned()));
        for (text, expect) in [
            ("ENC[a]", handle("a")),
            ("ENC[ a ]", handle("a")),
            ("ENC[a[0]]", handle("a[0]")),
            ("ENC[]", handle("")),
            ("ENC[file@/run/key]", Some(Source::File("/run/key".into()))),
            ("ENC[profile@x]", handle("profile@x")),
            ("db-ENC[a]", None),
            ("ENC[a]x", None),
            ("ENC[a", None),
            ("enc[a]", None),
            ("", None),
        ] {
            assert_eq!(Source::of(text), expect, "{text}");
        }
    }

    #[test]
    fn a_place_can_be_shown() {
        let shown = |text| Source::of(text).unwrap().to_string();
        assert_eq!(shown("ENC[file@/a b]"), "the file \"/a b\"");
        assert_eq!(shown("ENC[x\x1b[0m]"), "ENC[x\\u{1b}[0m]");
    }
}
