//! How far each file was read, in a file of the agent's form (`registry.json`, version 2): a container that starts anew goes on there, also where it
//! was `datadog-init` that ran before.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file::Identity;

/// The name of the registry, and of what is written before it takes its place.
const NAME: &str = "registry.json";
const NAME_NEW: &str = "registry.json.new";

/// Bytes of a registry that is read.
const READ_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// How long a file is remembered that is not followed any more (the agent's `auditor_ttl`), ms.
const KEPT_MS: u64 = 23 * 60 * 60 * 1000;

/// What stands in front of a path in the registry.
const PREFIX: &str = "file:";

/// The registry as it is written. The names are the agent's; it passes over those that it does not know.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Written {
    version: u32,
    registry: BTreeMap<String, Entry>,
}

/// One file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    last_updated: String,
    offset: String,
    tailing_mode: String,
    ingestion_timestamp: u64,
    /// Ours: which file it was, `device:inode`, and when it was written down, ms since 1970.
    #[serde(skip_serializing_if = "String::is_empty")]
    identity: String,
    updated_ms: u64,
}

/// How far files were read.
#[derive(Debug)]
pub(super) struct Registry {
    folder: PathBuf,
    entries: BTreeMap<String, Entry>,
    is_changed: bool,
}

impl Registry {
    /// Reads it. Where there is none, or none that can be read, it is empty.
    pub(super) fn read(folder: &Path) -> Self {
        let mut text = Vec::new();
        let read = fs::File::open(folder.join(NAME))
            .and_then(|file| file.take(READ_BYTES_MAX).read_to_end(&mut text));
        let written: Written =
            read.ok().and_then(|_| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let entries = if written.version == 2 { written.registry } else { BTreeMap::new() };
        Self { folder: folder.to_owned(), entries, is_changed: false }
    }

    /// Whether a path is the registry's own, which must not be followed.
    pub(super) fn owns(&self, path: &Path) -> bool {
        path.parent() == Some(&self.folder)
            && path.file_name().is_some_and(|name| name == NAME || name == NAME_NEW)
    }

    /// How far a file was read; nothing for one that is not known, which also is another file at the same path, or what is left of it.
    pub(super) fn offset(&self, path: &Path, identity: Identity, len: u64) -> Option<u64> {
        let identity = text_of(identity);
        let at_path = self.entries.get(&key_of(path));
        let is_same = |entry: &&Entry| entry.identity.is_empty() || entry.identity == identity;
        // One that was renamed has its entry at the path that it had, which the new one begins with (`app.log.1`). Its inode alone is not
        // enough: file systems give those of removed files to new ones.
        let key = key_of(path);
        let renamed = || {
            let mut entries = self.entries.iter();
            let entry = entries
                .find(|(old, entry)| entry.identity == identity && key.starts_with(old.as_str()));
            entry.map(|(_, entry)| entry)
        };
        let entry = at_path.filter(is_same).or_else(renamed)?;
        entry.offset.parse().ok().filter(|offset| *offset <= len)
    }

    /// Notes how far a file was read.
    pub(super) fn note(&mut self, path: &Path, identity: Identity, offset: u64, now_ms: u64) {
        let (identity, offset) = (text_of(identity), offset.to_string());
        let entry = self.entries.entry(key_of(path)).or_default();
        if entry.offset == offset && entry.identity == identity {
            // It is followed still, and so is remembered.
            entry.updated_ms = now_ms;
            return;
        }
        *entry = Entry {
            last_updated: rfc3339(now_ms),
            offset,
            tailing_mode: "beginning".to_owned(),
            ingestion_timestamp: now_ms.saturating_mul(1_000_000),
            identity,
            updated_ms: now_ms,
        };
        self.is_changed = true;
    }

    /// Forgets a file that is gone: its inode may be that of another one soon.
    pub(super) fn forget(&mut self, path: &Path, identity: Identity) {
        let (key, identity) = (key_of(path), text_of(identity));
        if self.entries.get(&key).is_some_and(|entry| entry.identity == identity) {
            self.entries.remove(&key);
            self.is_changed = true;
        }
    }

    /// Writes it, if there is news: whole, and then in one step in the place of the old one.
    pub(super) fn write(&mut self, now_ms: u64) -> io::Result<()> {
        if !self.is_changed {
            return Ok(());
        }
        self.entries.retain(|_, entry| {
            // One that the agent wrote has no time of ours.
            let updated_ms = if entry.updated_ms == 0 { now_ms } else { entry.updated_ms };
            entry.updated_ms = updated_ms;
            now_ms.saturating_sub(updated_ms) < KEPT_MS
        });
        let written = Written { version: 2, registry: std::mem::take(&mut self.entries) };
        let text = serde_json::to_vec(&written);
        self.entries = written.registry;
        let new = self.folder.join(NAME_NEW);
        fs::write(&new, text?)?;
        fs::rename(&new, self.folder.join(NAME))?;
        self.is_changed = false;
        Ok(())
    }
}

fn key_of(path: &Path) -> String {
    format!("{PREFIX}{}", path.display())
}

fn text_of(identity: Identity) -> String {
    format!("{}:{}", identity.device, identity.inode)
}

/// A time as RFC 3339 has it, in UTC.
fn rfc3339(ms: u64) -> String {
    let (seconds, days) = (ms / 1000 % 86_400, ms / 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date so many days after 1970-01-01, in the Gregorian calendar.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    // A time that is far off is no reason to count for long.
    let mut year = 1970;
    while year < 9999 && days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < len {
            break;
        }
        days -= len;
        month += 1;
    }
    (year, month, days.min(30) + 1)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::Value;

    use super::super::file::Identity;
    use super::{Registry, rfc3339};

    const ONE: Identity = Identity { device: 1, inode: 10 };
    const OTHER: Identity = Identity { device: 1, inode: 11 };

    #[test]
    fn times_are_written_as_dates() {
        for (ms, expect) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00Z"),
            (1_798_761_599_000, "2026-12-31T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(ms), expect);
        }
        assert!(rfc3339(u64::MAX).starts_with("9999-12-"));
    }

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut registry = Registry::read(folder.path());
        let path = Path::new("/a/app.log");
        assert_eq!(registry.offset(path, ONE, 100), None);
        registry.note(path, ONE, 40, 5000);
        registry.write(5000).unwrap();
        let again = Registry::read(folder.path());
        assert_eq!(again.offset(path, ONE, 100), Some(40));
        assert_eq!(again.offset(path, ONE, 39), None, "it is shorter now");
        assert_eq!(again.offset(path, OTHER, 100), None, "another file at the path");
        assert_eq!(again.offset(Path::new("/a/app.log.1"), ONE, 100), Some(40), "renamed");
        assert_eq!(again.offset(Path::new("/a/web.log"), ONE, 100), None, "its inode, used again");
        let text = fs::read(folder.path().join("registry.json")).unwrap();
        let json: Value = serde_json::from_slice(&text).unwrap();
        let entry = &json["Registry"]["file:/a/app.log"];
        assert_eq!((&json["Version"], &entry["Offset"]), (&Value::from(2), &Value::from("40")));
        assert_eq!(entry["LastUpdated"], "1970-01-01T00:00:05Z");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left there");
    }

    #[test]
    fn that_of_the_agent_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(folder.path().join("registry.json"), text).unwrap();
        let path = Path::new("/a/app.log");
        write(
            r#"{"Version":2,"Registry":{"file:/a/app.log":{"LastUpdated":"2026-11-25T22:00:00.123456789Z","Offset":"7","TailingMode":"end","IngestionTimestamp":0,"Fingerprint":null}}}"#,
        );
        assert_eq!(Registry::read(folder.path()).offset(path, ONE, 100), Some(7));
        for text in ["", "[]", r#"{"Version":1,"Registry":{"file:/a/app.log":{"Offset":"7"}}}"#] {
            write(text);
            assert_eq!(Registry::read(folder.path()).offset(path, ONE, 100), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_followed_any_more_is_forgotten_after_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let mut registry = Registry::read(folder.path());
        let hour = 3_600_000;
        registry.note(Path::new("/a"), ONE, 1, hour);
        registry.note(Path::new("/b"), OTHER, 1, hour);
        registry.note(Path::new("/b"), OTHER, 1, 24 * hour);
        registry.note(Path::new("/c"), OTHER, 2, 24 * hour);
        registry.write(24 * hour).unwrap();
        let again = Registry::read(folder.path());
        assert_eq!(again.offset(Path::new("/a"), ONE, 9), None);
        assert_eq!(again.offset(Path::new("/b"), OTHER, 9), Some(1));
        assert!(again.owns(&folder.path().join("registry.json")));
        assert!(!again.owns(Path::new("/x/registry.json")));
    }
}
