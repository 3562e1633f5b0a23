//! All files that are followed, a step at a time.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::file::{Followed, Identity, Turn};
use super::registry::Registry;
use super::{Begin, Select, Settings, Sink, glob};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// How often the registry is written at the most, ms.
const WRITE_MS: u64 = 1000;

/// What a step found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// There is more to read at once.
    pub has_more: bool,
    /// There was no room for what was read.
    pub has_no_room: bool,
    /// What a person should know; each is said once.
    pub problems: Vec<String>,
}

/// Follows files.
#[derive(Debug)]
pub struct Tailer {
    settings: Settings,
    has_pattern: bool,
    files: Vec<Followed>,
    registry: Registry,
    numbers: u64,
    /// Whether files were looked for once: those found later are new.
    has_scanned: bool,
    scan_due_ms: u64,
    write_due_ms: u64,
    has_said_unreadable: bool,
    has_said_unwritable: bool,
    buffer: Vec<u8>,
}

impl Tailer {
    /// Reads the registry; files are looked for at the first step.
    pub fn new(settings: Settings) -> Self {
        Self {
            has_pattern: glob::is_pattern(settings.pattern.as_os_str().as_bytes()),
            registry: Registry::read(&settings.registry_folder),
            settings,
            files: Vec::new(),
            numbers: 0,
            has_scanned: false,
            scan_due_ms: 0,
            write_due_ms: 0,
            has_said_unreadable: false,
            has_said_unwritable: false,
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    /// A step: looks for files if it is time, hands over what is new in each, and writes down how far it came. Each file has its turn of bounded
    /// length. `now_ms` is since 1970.
    pub fn poll(&mut self, now_ms: u64, sink: &mut Sink<'_>) -> Polled {
        let mut polled = Polled::default();
        if now_ms >= self.scan_due_ms {
            self.scan_due_ms = now_ms.saturating_add(self.settings.scan_ms);
            self.scan(now_ms, &mut polled);
        }
        self.read(now_ms, sink, &mut polled);
        if now_ms >= self.write_due_ms {
            self.write_due_ms = now_ms.saturating_add(WRITE_MS);
            self.write(now_ms, &mut polled);
        }
        polled
    }

    /// Has the next step look for files, whenever it is.
    pub fn look_again(&mut self) {
        self.scan_due_ms = 0;
    }

    /// The last step: what has no line feed yet is over, and the registry is written.
    pub fn finish(&mut self, now_ms: u64, sink: &mut Sink<'_>) -> Polled {
        let mut polled = Polled::default();
        self.files.iter_mut().for_each(|file| file.end(sink));
        self.write(now_ms, &mut polled);
        polled
    }

    /// Looks for files: new ones are opened, those that are gone or have to make room are read on for a while.
    fn scan(&mut self, now_ms: u64, polled: &mut Polled) {
        let wanted = self.wanted();
        for (path, identity) in &wanted {
            // One that was renamed is followed under its new path, if that is wanted too.
            if let Some(file) = self.files.iter_mut().find(|file| file.identity == *identity) {
                let is_still_there =
                    wanted.iter().any(|one| *one == (file.path.clone(), *identity));
                if !is_still_there {
                    file.path.clone_from(path);
                }
                file.close_ms = None;
            } else {
                self.open(path, polled);
            }
        }
        let close_ms = now_ms.saturating_add(self.settings.close_ms);
        for file in &mut self.files {
            if !wanted.iter().any(|(_, identity)| *identity == file.identity) {
                file.close_ms.get_or_insert(close_ms);
            }
        }
        self.has_scanned = true;
    }

    /// The files that should be followed now, the best first.
    fn wanted(&self) -> Vec<(PathBuf, Identity)> {
        let mut found: Vec<(PathBuf, Identity, SystemTime)> = Vec::new();
        for path in glob::find(&self.settings.pattern) {
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if metadata.is_file() && !self.registry.owns(&path) {
                let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push((path, Identity::of(&metadata), changed));
            }
        }
        let by_name = |path: &Path| Reverse(path.file_name().map(|name| name.as_bytes().to_vec()));
        found.sort_by_cached_key(|(path, _, changed)| match self.settings.select {
            Select::ByName => (None, by_name(path), Reverse(path.clone())),
            Select::ByModificationTime => {
                (Some(Reverse(*changed)), by_name(path), Reverse(path.clone()))
            }
        });
        // One file at two paths is one file.
        let mut wanted: Vec<(PathBuf, Identity)> = Vec::new();
        for (path, identity, _) in found {
            if wanted.len() >= self.settings.files_max.max(1) {
                break;
            }
            if !wanted.iter().any(|(_, known)| *known == identity) {
                wanted.push((path, identity));
            }
        }
        wanted
    }

    fn open(&mut self, path: &Path, polled: &mut Polled) {
        self.numbers += 1;
        match Followed::open(path, self.numbers, self.has_pattern) {
            Ok(Some((mut file, metadata))) => {
                let known = self.registry.offset(path, file.identity, metadata.len());
                let is_new = self.has_scanned || self.settings.begin == Begin::Beginning;
                file.begin_at(known.unwrap_or(if is_new { 0 } else { metadata.len() }));
                self.files.push(file);
            }
            Ok(None) => {}
            Err(error) => self.say_unreadable(path, &error, polled),
        }
    }

    fn say_unreadable(&mut self, path: &Path, error: &io::Error, polled: &mut Polled) {
        // A file may go between being found and being opened, which is no problem.
        if error.kind() != io::ErrorKind::NotFound && !self.has_said_unreadable {
            self.has_said_unreadable = true;
            polled.problems.push(format!(
                "the log file {} can't be read ({error}); its lines are not sent. Let this user read it. (Other files are not named.)",
                path.display()
            ));
        }
    }

    fn read(&mut self, now_ms: u64, sink: &mut Sink<'_>, polled: &mut Polled) {
        let mut failed = None;
        for file in &mut self.files {
            match file.is_truncated() {
                Ok(true) => {
                    self.numbers += 1;
                    file.restart(self.numbers, sink);
                }
                Ok(false) => {}
                Err(error) => failed = Some((file.path.clone(), error)),
            }
            let turn = file.read(&mut self.buffer, sink).unwrap_or_else(|error| {
                failed = Some((file.path.clone(), error));
                Turn::End
            });
            polled.has_more |= turn == Turn::More;
            polled.has_no_room |= turn == Turn::NoRoom;
            let is_over = file.close_ms.is_some_and(|close_ms| close_ms <= now_ms);
            // What is left in it is read before it is closed.
            if is_over && turn == Turn::End {
                file.end(sink);
            } else if is_over {
                file.close_ms = Some(now_ms.saturating_add(1));
            }
        }
        if let Some((path, error)) = failed {
            self.say_unreadable(&path, &error, polled);
        }
        let is_open = |file: &Followed| file.close_ms.is_none_or(|close_ms| close_ms > now_ms);
        for file in self.files.iter().filter(|file| !is_open(file)) {
            let is_gone = fs::metadata(&file.path)
                .map_or(true, |metadata| Identity::of(&metadata) != file.identity);
            if is_gone {
                self.registry.forget(&file.path, file.identity);
            }
        }
        self.files.retain(is_open);
        self.close_first(now_ms);
    }

    /// Files that make room for others must not be many: the first of them is closed at the next step.
    fn close_first(&mut self, now_ms: u64) {
        let closing_max = self.settings.files_max.max(1);
        let closing = self.files.iter().filter(|file| file.close_ms.is_some()).count();
        if closing > closing_max {
            let closing = self.files.iter_mut().filter(|file| file.close_ms.is_some());
            closing.take(1).for_each(|file| file.close_ms = Some(now_ms));
        }
    }

    fn write(&mut self, now_ms: u64, polled: &mut Polled) {
        for file in self.files.iter().filter(|file| file.close_ms.is_none()) {
            self.registry.note(&file.path, file.identity, file.done(), now_ms);
        }
        if let Err(error) = self.registry.write(now_ms)
            && !self.has_said_unwritable
        {
            self.has_said_unwritable = true;
            polled.problems.push(format!(
                "can't write registry.json in {} ({error}); log files are read from their beginning at the next start. Set DD_LOGS_CONFIG_RUN_PATH to a folder that can be written.",
                self.settings.registry_folder.display()
            ));
        }
    }
}
