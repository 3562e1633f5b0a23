//! The call that starts the child: a process on our memory with a stack of its own, while our thread waits for its exec (vfork(2)). It costs
//! the same whatever we hold, where a fork would copy our page tables.
//!
//! `posix_spawn` does the same inside, but changes what the child starts with. That of glibc 2.36 leaves the signals 32 and 33 ignored in it,
//! looks at each of the 64 signals by a system call (a millisecond on gVisor), and asks for clone3 first, which an older gVisor reports in the
//! log of the user. None can hand a terminal over before the child's first instruction (a child that reads it earlier is stopped), let the child
//! ignore SIGCHLD while we do not, or name the child's pid in `LISTEN_PID`.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::RawFd;

use nix::errno::Errno;

use super::child::pointers;
use super::signals::{self, Set};

/// What is started, and in which state.
pub(super) struct Job<'a> {
    /// The places where the program may be.
    pub(super) paths: Vec<CString>,
    pub(super) argv: &'a [CString],
    pub(super) envp: &'a [CString],
    pub(super) mask: Set,
    /// Whether the child's group becomes the foreground of the terminal on its standard input.
    pub(super) takes_terminal: bool,
    /// Whether the child ignores SIGCHLD.
    pub(super) ignores_chld: bool,
    /// Whether `LISTEN_PID` is to name the child.
    pub(super) is_listener: bool,
    /// What the child gets as its standard output and standard error; nothing where that is ours.
    pub(super) outputs: [Option<RawFd>; 2],
    /// The same for its standard input.
    pub(super) input: Option<RawFd>,
    /// Whether it gets no other open file than these three.
    pub(super) closes_rest: bool,
}

impl Job<'_> {
    /// Calls `start` with one place after the other until one is right, and says what execvp(3) would: a file that may not be executed
    /// does not end the search, but is what is said at the end. Allocates nothing.
    pub(super) fn try_paths<T>(
        &self,
        mut start: impl FnMut(&CStr) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let mut error = Errno::ENOENT;
        for path in &self.paths {
            match start(path) {
                Ok(started) => return Ok(started),
                Err(Errno::EACCES) => error = Errno::EACCES,
                Err(
                    Errno::ENOENT
                    | Errno::ENOTDIR
                    | Errno::ESTALE
                    | Errno::ENODEV
                    | Errno::ETIMEDOUT,
                ) if self.paths.len() > 1 => {}
                Err(other) => return Err(other),
            }
        }
        Err(error)
    }
}

/// What the child works with: everything is made before, because it shares our memory and must allocate nothing.
struct Start<'a> {
    job: &'a Job<'a>,
    argv: Vec<*mut c_char>,
    envp: Vec<*mut c_char>,
    listen_pid: [u8; LISTEN_PID_BYTES],
    /// Why the program could not be executed, as the child found it.
    errno: c_int,
}

/// The name of the variable with its sign.
const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// Bytes of the whole entry: the name, ten digits at most, and the end.
const LISTEN_PID_BYTES: usize = LISTEN_PID.len() + 11;

/// Bytes of the child's stack. It calls a handful of system calls from it.
const STACK_BYTES: usize = 64 * 1024;

/// A stack, aligned as every processor asks.
#[repr(C, align(64))]
struct Stack([u8; STACK_BYTES]);

/// Starts the job.
#[expect(
    unsafe_code,
    reason = "clone with CLONE_VFORK is the only way to act between vfork and exec without a copy of our memory"
)]
pub(super) fn spawn(job: &Job<'_>) -> Result<libc::pid_t, Errno> {
    let mut start = Start {
        job,
        argv: pointers(job.argv),
        envp: pointers(job.envp),
        listen_pid: [0; LISTEN_PID_BYTES],
        errno: 0,
    };
    if job.is_listener {
        let entry = start.listen_pid.as_mut_ptr().cast::<c_char>();
        for (pointer, text) in start.envp.iter_mut().zip(job.envp) {
            if text.to_bytes().starts_with(LISTEN_PID) {
                *pointer = entry;
            }
        }
    }
    let mut stack = Box::<Stack>::new_uninit();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack grows down from its end, is used by the child alone, and lives until the child has executed or ended: with CLONE_VFORK
    // the call returns only then. So do `start` and all that it points to. Every signal is blocked, so that no other code runs in the child.
    let pid = unsafe {
        let end = stack.as_mut_ptr().add(1).cast::<c_void>();
        libc::clone(run, end, flags, (&raw mut start).cast::<c_void>())
    };
    let pid = Errno::result(pid)?;
    // The child writes it behind the compiler's back.
    // SAFETY: it is a field of a live value.
    let errno = unsafe { (&raw const start.errno).read_volatile() };
    if errno == 0 {
        return Ok(pid);
    }
    super::reaper::discard(pid);
    Err(Errno::from_raw(errno))
}

/// The child: it sets its state and executes. It shares our memory, so it only makes system calls and writes into [`Start`].
#[expect(unsafe_code, reason = "the child's side of clone")]
extern "C" fn run(start: *mut c_void) -> c_int {
    // SAFETY: our thread gave this pointer to clone and waits; nobody else uses what is behind it.
    let start = unsafe { &mut *start.cast::<Start<'_>>() };
    // SAFETY: system calls with plain numbers, each safe after vfork; that one fails must not keep the app from running.
    unsafe {
        libc::setpgid(0, 0);
        if start.job.takes_terminal {
            // SIGTTOU is blocked here, so that this is allowed from a group that is not in the foreground yet (tcsetpgrp(3)).
            libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpid());
        }
        let [output, error] = start.job.outputs;
        for (number, file) in (libc::STDIN_FILENO..).zip([start.job.input, output, error]) {
            if let Some(file) = file {
                // Ours are closed by exec, and these are not.
                libc::dup2(file, number);
            }
        }
        if start.job.closes_rest {
            // What we were started with and pass on to the app alone. An old kernel refuses it.
            let (first, last) = (libc::STDERR_FILENO + 1, libc::c_uint::MAX);
            libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC);
        }
    }
    if start.job.ignores_chld {
        signals::set_ignored(libc::SIGCHLD, true);
    }
    if start.job.is_listener {
        write_listen_pid(&mut start.listen_pid);
    }
    start.job.mask.block();
    let executed: Result<(), Errno> = start.job.try_paths(|path| {
        // SAFETY: the path is a string and both lists end with a null pointer. It returns only when it has failed.
        unsafe {
            libc::execve(path.as_ptr(), start.argv.as_ptr().cast(), start.envp.as_ptr().cast())
        };
        Err(Errno::last())
    });
    // An error without a name is still one.
    start.errno = executed.err().map_or(libc::EIO, |errno| (errno as c_int).max(1));
    // SAFETY: it ends the child without any code of ours that would run at an exit.
    unsafe { libc::_exit(127) }
}

/// Writes the variable with the pid of the calling process.
fn write_listen_pid(entry: &mut [u8; LISTEN_PID_BYTES]) {
    let mut pid = nix::unistd::getpid().as_raw().unsigned_abs();
    let mut digits = [0_u8; 10];
    let mut first = digits.len();
    while first > 0 {
        first -= 1;
        // A digit is less than ten.
        digits[first] = b'0' + u8::try_from(pid % 10).unwrap_or(0);
        pid /= 10;
        if pid == 0 {
            break;
        }
    }
    let text = LISTEN_PID.iter().chain(&digits[first..]).chain(&[0]);
    for (place, byte) in entry.iter_mut().zip(text) {
        *place = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, Job, LISTEN_PID_BYTES, Set, write_listen_pid};
    use std::ffi::{CStr, CString};

    #[test]
    fn the_pid_is_written_with_its_digits_alone() {
        let mut entry = [b'x'; LISTEN_PID_BYTES];
        write_listen_pid(&mut entry);
        let text = CStr::from_bytes_until_nul(&entry).unwrap().to_str().unwrap();
        assert_eq!(text, format!("LISTEN_PID={}", std::process::id()));
    }

    /// Tries the places whose outcomes are `errors` (none: it could be started) and expects the outcome `expect`.
    fn check(errors: &[Option<Errno>], expect: Result<usize, Errno>) {
        let paths =
            (0..errors.len()).map(|number| CString::new(number.to_string()).unwrap()).collect();
        let mask = Set::of_bits(0);
        let job = Job {
            paths,
            argv: &[],
            envp: &[],
            mask,
            takes_terminal: false,
            ignores_chld: false,
            is_listener: false,
            outputs: [None; 2],
            input: None,
            closes_rest: false,
        };
        let outcome = job.try_paths(|path| {
            let number: usize = path.to_str().unwrap().parse().unwrap();
            errors[number].map_or(Ok(number), Err)
        });
        assert_eq!(outcome, expect, "{errors:?}");
    }

    #[test]
    fn the_search_goes_on_and_ends_as_that_of_execvp() {
        check(&[None, Some(Errno::ENOENT)], Ok(0));
        check(&[Some(Errno::ENOENT), Some(Errno::EACCES), None], Ok(2));
        check(&[Some(Errno::ENOENT), Some(Errno::EACCES), Some(Errno::ENOENT)], Err(Errno::EACCES));
        check(&[Some(Errno::ENOENT), Some(Errno::ENOTDIR)], Err(Errno::ENOENT));
        check(&[Some(Errno::ENOEXEC), None], Err(Errno::ENOEXEC));
        check(&[Some(Errno::ENOTDIR)], Err(Errno::ENOTDIR));
        check(&[Some(Errno::ELOOP)], Err(Errno::ELOOP));
    }
}
