//! Reading a small file without letting it delay, block or end anything: a regular file only, a bounded part of it, in a bounded time.
//!
//! A file system may hang (NFS), or ask a network before it gives a file out (secrets that a platform mounts). So a thread of its own reads,
//! which is left to itself when the time is up. It costs some tens of microseconds, and only where there is a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::parse::Wrong;

/// The stack of the thread. Nothing in it recurses deeper than a file may be nested.
const STACK_BYTES: usize = 128 * 1024;

/// What is read of a file, on the thread that is waited for.
pub(super) type Work = Box<dyn FnOnce() -> Result<Found, Wrong> + Send>;

/// A file, and what was in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it was found.
    pub(super) path: PathBuf,
    /// Its text, or what was made of that.
    pub(super) content: Value,
}

/// Does `work` on a thread of its own and waits `time` for its end. The error says that there was none.
pub(super) fn within(time: Duration, work: Work) -> Result<Found, Wrong> {
    let place = Arc::new(Mutex::new(None));
    let (report, done) = sync_channel(1);
    let own = Arc::clone(&place);
    let body = move || {
        let result = work();
        *own.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        // When the time is up nobody listens any more.
        report.try_send(()).unwrap_or_default();
    };
    thread::Builder::new()
        .name("pillion-file".into())
        .stack_size(STACK_BYTES)
        .spawn(body)
        .map_err(|error| format!("can't be read (no thread for it: {error})"))?;
    match done.recv_timeout(time) {
        Err(RecvTimeoutError::Timeout) => Err(format!("could not be read within {time:?}")),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            let result = place.lock().unwrap_or_else(PoisonError::into_inner).take();
            result.unwrap_or_else(|| Err("could not be read (a fault of pillion's own)".into()))
        }
    }
}

/// The text of the file at `path`, up to `bytes_max` bytes of it, or of the file `name` in the folder at `path`; with the path that was read.
/// May block for as long as the file system does.
pub(super) fn text(
    path: &Path,
    name: Option<&str>,
    bytes_max: usize,
) -> Result<(PathBuf, String), Wrong> {
    let mut path = path.to_owned();
    let mut found = path.metadata().map_err(unreadable)?;
    if found.is_dir()
        && let Some(name) = name
    {
        path.push(name);
        found = path
            .metadata()
            .map_err(|error| format!("has no {name} that can be used ({})", reason(&error)))?;
    }
    // Looked at before it is opened, which may wait (a FIFO) or do something (a device), and once more after it, when it can't be another one.
    if !found.is_file() {
        return Err("is no regular file".to_owned());
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(&path)
        .map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err("is no regular file".to_owned());
    }
    Ok((path, up_to(file, bytes_max)?))
}

fn up_to(file: File, bytes_max: usize) -> Result<String, Wrong> {
    let len = file.metadata().map_or(0, |found| found.len());
    let mut bytes =
        Vec::with_capacity(usize::try_from(len).map_or(0, |len| len.min(bytes_max) + 1));
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > bytes_max {
        return Err(format!("is larger than {bytes_max} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "is not text in UTF-8".to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "it takes the place of an error")]
fn unreadable(error: io::Error) -> Wrong {
    format!("can't be read ({})", reason(&error))
}

/// The error without the number that the standard library adds.
fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use nix::sys::stat::Mode;

    use super::{Found, text, within};

    #[test]
    fn a_file_or_the_named_one_in_a_folder_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        fs::write(&file, "text").unwrap();
        for path in [file.as_path(), folder.path()] {
            assert_eq!(text(path, Some("a.yaml"), 4), Ok((file.clone(), "text".to_owned())));
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(text(&link, None, 4).unwrap().1, "text");
    }

    #[test]
    fn what_is_no_small_text_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        nix::unistd::mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
        fs::write(path("large"), "12345").unwrap();
        fs::write(path("latin"), b"caf\xe9").unwrap();
        fs::create_dir(path("folder")).unwrap();
        std::os::unix::fs::symlink(path("loop"), path("loop")).unwrap();
        let start = Instant::now();
        for (name, expect) in [
            ("fifo", "is no regular file"),
            ("large", "is larger than 4 bytes"),
            ("latin", "is not text in UTF-8"),
            ("folder", "has no a.yaml that can be used (No such file or directory)"),
            ("loop", "can't be read (Too many symbolic links encountered)"),
            ("large/file", "can't be read (Not a directory)"),
            ("missing", "can't be read (No such file or directory)"),
        ] {
            assert_eq!(text(&path(name), Some("a.yaml"), 4), Err(expect.to_owned()), "{name}");
        }
        assert_eq!(text(&path("folder"), None, 4), Err("is no regular file".to_owned()));
        assert_eq!(text("/dev/zero".as_ref(), None, 4), Err("is no regular file".to_owned()));
        // A file without an end, whose size says nothing.
        assert!(text("/proc/self/maps".as_ref(), None, 4).unwrap_err().contains("larger"));
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn work_that_does_not_end_is_left_alone() {
        let (sender, receiver) = channel::<()>();
        let read = || Found { path: "/x".into(), content: "text".into() };
        let never = move || {
            receiver.recv().ok();
            Ok(read())
        };
        let start = Instant::now();
        assert_eq!(
            within(Duration::from_millis(20), Box::new(never)),
            Err("could not be read within 20ms".to_owned())
        );
        assert!(start.elapsed() < Duration::from_secs(5));
        drop(sender);
        let within = |work| within(Duration::from_secs(20), work);
        assert_eq!(within(Box::new(move || Ok(read()))), Ok(read()));
        assert_eq!(within(Box::new(|| Err("x".to_owned()))), Err("x".to_owned()));
        let fault = within(Box::new(|| panic!("a panic that the test asked for")));
        assert_eq!(fault, Err("could not be read (a fault of pillion's own)".to_owned()));
    }
}
