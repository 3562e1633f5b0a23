//! Files that the kernel makes up as they are read.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes read of a file. The longest is `memory.stat`, some 2.5 KB; what is cut off is as if it weren't there.
const BYTES_MAX: usize = 8192;

/// A file that is read again and again, from its beginning.
#[derive(Debug)]
pub(super) struct Kept(File);

impl Kept {
    /// Nothing where the file can't be opened.
    pub(super) fn open(path: &Path) -> Option<Self> {
        File::open(path).ok().map(Self)
    }

    /// What `parse` makes of its bytes as they are now.
    pub(super) fn read<T>(&self, parse: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let mut buffer = [0_u8; BYTES_MAX];
        let mut filled = 0;
        while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
            match self.0.read_at(free, filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        parse(buffer.get(..filled)?)
    }
}

/// What `parse` makes of a file that is read once.
pub(super) fn read_once<T>(path: &Path, parse: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
    Kept::open(path)?.read(parse)
}
