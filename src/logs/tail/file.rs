//! One file that is followed: what is new in it, and whether it is still the one at its path.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Event, Sink};

/// A file by what it is, not by its path: device and inode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// How much of a file is read before the others have their turn.
const TURN_BYTES_MAX: u64 = 1024 * 1024;

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// At the end of the file.
    End,
    /// There is more.
    More,
    /// There was no room for what was read.
    NoRoom,
}

/// A followed file.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    /// When it is closed, if it is no longer the file that should be followed.
    pub(super) close_ms: Option<u64>,
    file: File,
    tags: String,
    /// Behind the last byte that was handed over.
    offset: u64,
    /// Behind the last line that was.
    line_offset: u64,
    /// Whether nothing was handed over since the last end.
    is_fresh: bool,
}

impl Followed {
    /// Opens a file that is a regular one. Nothing else is opened for longer than it takes to see that: a pipe must not make us wait.
    pub(super) fn open(
        path: &Path,
        number: u64,
        has_folder_tag: bool,
    ) -> io::Result<Option<(Self, Metadata)>> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let followed = Self {
            number,
            path: path.to_owned(),
            identity: Identity::of(&metadata),
            close_ms: None,
            file,
            tags: tags(path, has_folder_tag),
            offset: 0,
            line_offset: 0,
            is_fresh: true,
        };
        Ok(Some((followed, metadata)))
    }

    /// Goes on from there.
    pub(super) fn begin_at(&mut self, offset: u64) {
        self.offset = offset;
        self.line_offset = offset;
    }

    /// How far it is done for the next start: behind the last line that was handed over.
    pub(super) fn done(&self) -> u64 {
        self.line_offset
    }

    /// Whether it became shorter than what was read of it: it was truncated, and what is in it now is new.
    pub(super) fn is_truncated(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() < self.offset)
    }

    /// Begins with the file anew, as another one.
    pub(super) fn restart(&mut self, number: u64, sink: &mut Sink<'_>) {
        self.end(sink);
        self.number = number;
        self.begin_at(0);
        self.is_fresh = true;
    }

    /// Hands over what is new, up to the bound of a turn.
    pub(super) fn read(&mut self, buffer: &mut [u8], sink: &mut Sink<'_>) -> io::Result<Turn> {
        let mut left = TURN_BYTES_MAX;
        while left > 0 {
            let len = match self.file.read_at(buffer, self.offset) {
                Ok(0) => return Ok(Turn::End),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let bytes = buffer.get(..len).unwrap_or_default();
            if !sink(Event::Bytes { file: self.number, tags: &self.tags, bytes }) {
                return Ok(Turn::NoRoom);
            }
            self.is_fresh = false;
            if let Some(last) = memchr::memrchr(b'\n', bytes) {
                self.line_offset = self.offset + last as u64 + 1;
            }
            self.offset += len as u64;
            left = left.saturating_sub(len as u64);
        }
        Ok(Turn::More)
    }

    /// Nothing more comes: also a last line without its end is done.
    pub(super) fn end(&mut self, sink: &mut Sink<'_>) {
        if !self.is_fresh {
            sink(Event::End { file: self.number });
            self.is_fresh = true;
        }
        self.line_offset = self.offset;
    }
}

fn tags(path: &Path, has_folder_tag: bool) -> String {
    let text = |part: Option<&std::ffi::OsStr>| {
        part.unwrap_or_default().to_string_lossy().replace(',', "_")
    };
    let name = text(path.file_name());
    let folder = text(path.parent().map(Path::as_os_str));
    if has_folder_tag {
        format!("filename:{name},dirname:{folder}")
    } else {
        format!("filename:{name}")
    }
}
