//! Starting the child: the app, in exactly the state in which it would be without us.
//!
//! It gets the signal mask, the ignored signals, the open files, the working directory, the limits, the arguments and the environment that
//! we were given. How it is started, and why not by `posix_spawn`, is told in [`super::vfork`].

use std::borrow::Cow;
use std::ffi::OsStr;
use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

use super::lookup;
use super::output::Output;
use super::signals::Set;
use super::supervise::Child;
use super::terminal::Terminal;
use super::vfork;

/// A program to start.
#[derive(Clone, Debug)]
pub struct Command {
    /// What to run: a path, or a name to look for in `PATH`.
    pub program: CString,
    /// The arguments, the name of the program (by convention) first.
    pub argv: Vec<CString>,
    /// The environment.
    pub envp: Envp,
}

/// The environment of a child.
#[derive(Clone, Debug)]
pub enum Envp {
    /// Ours, byte for byte.
    Inherited,
    /// These entries, each `NAME=value`.
    Of(Vec<CString>),
}

impl Envp {
    /// Its entries.
    pub(super) fn entries(&self) -> Cow<'_, [CString]> {
        match self {
            Self::Inherited => Cow::Owned(environment()),
            Self::Of(entries) => Cow::Borrowed(entries),
        }
    }
}

impl Command {
    /// The command with these words, the program first, in our own environment; nothing where there is no word.
    pub fn of_argv(argv: Vec<CString>) -> Option<Self> {
        Some(Self { program: argv.first()?.clone(), argv, envp: Envp::Inherited })
    }
}

/// Our environment as it was given, entry by entry: also entries that have no `=`, and names that come twice.
#[expect(unsafe_code, reason = "std's view of the environment leaves out what is not NAME=value")]
pub fn environment() -> Vec<CString> {
    let mut entries = Vec::new();
    // SAFETY: `environ` is null or a block that ends with a null pointer, and nothing in this program changes it.
    unsafe {
        let mut entry = environ.cast_const();
        while !entry.is_null() && !(*entry).is_null() {
            entries.push(CStr::from_ptr(*entry).to_owned());
            entry = entry.add(1);
        }
    }
    entries
}

#[expect(unsafe_code, reason = "the environment block of the C library")]
unsafe extern "C" {
    static environ: *mut *mut c_char;
}

/// Why a command could not be started.
#[derive(Clone, Debug)]
pub struct SpawnError {
    program: CString,
    path: Option<Vec<u8>>,
    errno: Errno,
}

/// Starts `command` in a process group of its own. Where standard input is a terminal and we are in its foreground, the child takes that place.
/// With `output` it writes into that instead of our own standard output and standard error.
///
/// # Errors
/// What execve(2) says of the last place where the command was looked for, or of the first where it was found.
pub fn spawn(command: &Command, output: Option<&mut Output>) -> Result<Child, SpawnError> {
    let start = super::start_state();
    // A C library that has started a thread (for the settings file) has unblocked the signals that it keeps for itself.
    Set::ALL.block();
    let entries = command.envp.entries();
    let path = lookup::variable(entries.iter().map(CString::as_c_str), b"PATH");
    let terminal = Terminal::of_stdin();
    let job = vfork::Job {
        paths: lookup::candidates(&command.program, path),
        argv: &command.argv,
        envp: &entries,
        mask: start.mask,
        takes_terminal: terminal.as_ref().is_some_and(Terminal::is_ours),
        ignores_chld: start.ignores_chld,
        is_listener: is_listener(&entries),
        outputs: output.as_ref().map_or([None; 2], |output| output.for_child()),
        input: None,
        closes_rest: false,
    };
    let pid = vfork::spawn(&job).map_err(|errno| SpawnError {
        program: command.program.clone(),
        path: path.map(<[u8]>::to_vec),
        errno,
    })?;
    if let Some(output) = output {
        output.spawned();
    }
    Ok(Child::new(pid, terminal))
}

/// Whether the socket activation of systemd names us as the receiver of its sockets (sd_listen_fds(3)). They are the app's.
fn is_listener(entries: &[CString]) -> bool {
    let named = lookup::variable(entries.iter().map(CString::as_c_str), b"LISTEN_PID");
    let named: Option<i32> = named.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    named == Some(nix::unistd::getpid().as_raw())
}

/// A list of pointers for execve, which ends with a null pointer and holds as long as the strings do.
pub(super) fn pointers(texts: &[CString]) -> Vec<*mut c_char> {
    texts.iter().map(|text| text.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect()
}

impl SpawnError {
    /// The exit code that says so: 127 where there is no such command, 126 where it is there and cannot be run (as shells and Docker do).
    pub fn code(&self) -> u8 {
        if self.errno == Errno::ENOENT { 127 } else { 126 }
    }

    fn remedy(&self) -> String {
        let named = Path::new(OsStr::from_bytes(self.program.to_bytes()));
        let has_slash = self.program.to_bytes().contains(&b'/');
        match self.errno {
            Errno::ENOENT if self.program.is_empty() => "the name is empty: check CMD and ENTRYPOINT of the image".into(),
            Errno::ENOENT if has_slash && named.exists() => {
                "the file is there but the interpreter of its first line, or its dynamic loader, is not: install that in the image".into()
            }
            Errno::ENOENT if has_slash => "there is no such file: check the path and CMD of the image".into(),
            Errno::ENOENT => match &self.path {
                Some(path) => format!("not found in PATH={:?}: install it in the image, or give its full path", String::from_utf8_lossy(path)),
                None => "not found, and PATH is not set: give its full path, or set PATH".into(),
            },
            Errno::EACCES if has_slash && named.is_dir() => "it is a directory: name the program in it".into(),
            Errno::EACCES => "permission denied: make it executable (chmod +x) and its folders readable for this user".into(),
            Errno::ENOEXEC => {
                "it has no form that the kernel can run: give a script a first line such as #!/bin/sh, a program the right processor type".into()
            }
            Errno::E2BIG => "its arguments and environment are too long together: shorten them".into(),
            Errno::EAGAIN | Errno::ENOMEM => format!("{}: raise the limit of processes or of memory", self.errno.desc()),
            errno => format!("{}: check the file and the path to it", errno.desc()),
        }
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot start {:?}: {}", self.program.to_string_lossy(), self.remedy())
    }
}

impl std::error::Error for SpawnError {}
