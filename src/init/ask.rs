//! Asking a program something while the app runs: what it is to know goes into its standard input, its answer comes out of its standard output.
//!
//! It is not the app, and must leave no trace in it. So it gets a process group of its own, which is killed when its time is up; no file of ours or of
//! the app's; nowhere to write messages, which could have secrets in them. Nobody waits for it here: as PID 1 we reap whatever ends below us
//! ([`super::reaper`]), so its status is gone before anybody could ask. The end of its output is its end.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::child::Command;
use super::signals::{self, Set};
use super::{lookup, vfork};

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// The program could not be started, as execve(2) has it, or there was no pipe for it.
    NotStarted(Errno),
    /// It wrote more than was allowed.
    TooLarge,
    /// It was not done when the time was up.
    Late,
    /// Its output could not be read.
    Unreadable(io::Error),
}

/// How often the time is looked at while nothing comes.
const LOOK: Duration = Duration::from_millis(50);

/// Bytes that are read at once.
const PIECE_BYTES: usize = 4096;

/// Starts `command`, writes `question`, and reads until the end of its output, up to `bytes_max` bytes. `left` says, again and again, how much time there
/// is; at none, or with too much output, its whole group is killed. A program that does not read its input is none the worse for it.
///
/// # Errors
/// The program could not be started, took too long or wrote too much.
pub fn ask(
    command: &Command,
    question: &[u8],
    bytes_max: usize,
    left: &dyn Fn() -> Duration,
) -> Result<Vec<u8>, NoAnswer> {
    let mut asked = start(command).map_err(NoAnswer::NotStarted)?;
    let answer = asked.answer(question, bytes_max, left);
    if answer.is_err() {
        // Its output is still open, so a process of the group is there, and its number is nobody else's.
        signals::send(-asked.pid, libc::SIGKILL);
    }
    answer
}

/// The program, running.
struct Asked {
    pid: libc::pid_t,
    input: Option<File>,
    output: File,
}

fn start(command: &Command) -> Result<Asked, Errno> {
    let (for_input, input) = io::pipe().map_err(errno)?;
    let (output, for_output) = io::pipe().map_err(errno)?;
    let null = OpenOptions::new().write(true).custom_flags(libc::O_NOCTTY).open("/dev/null").ok();
    let input = non_blocking(input.into())?;
    let output = non_blocking(output.into())?;
    let entries = command.envp.entries();
    let path = lookup::variable(entries.iter().map(CString::as_c_str), b"PATH");
    let state = super::start_state();
    let job = vfork::Job {
        paths: lookup::candidates(&command.program, path),
        argv: &command.argv,
        envp: &entries,
        mask: state.mask,
        takes_terminal: false,
        ignores_chld: state.ignores_chld,
        is_listener: false,
        input: Some(for_input.as_raw_fd()),
        // In a file system without devices the pipe takes the messages in place of our standard error.
        outputs: [
            Some(for_output.as_raw_fd()),
            Some(null.as_ref().map_or(for_output.as_raw_fd(), AsRawFd::as_raw_fd)),
        ],
        closes_rest: true,
    };
    // The two signals that glibc keeps for itself must not come between either.
    let own = Set::ALL.block();
    let started = vfork::spawn(&job);
    own.block();
    Ok(Asked { pid: started?, input: Some(input), output })
}

impl Asked {
    fn answer(
        &mut self,
        question: &[u8],
        bytes_max: usize,
        left: &dyn Fn() -> Duration,
    ) -> Result<Vec<u8>, NoAnswer> {
        let (mut question, mut answer) = (question, Vec::new());
        let mut piece = [0; PIECE_BYTES];
        loop {
            question = self.write(question);
            match self.output.read(&mut piece) {
                Ok(0) => return Ok(answer),
                Ok(count) => answer.extend_from_slice(piece.get(..count).unwrap_or_default()),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => self.wait(left()),
                    _ => return Err(NoAnswer::Unreadable(error)),
                },
            }
            if answer.len() > bytes_max {
                return Err(NoAnswer::TooLarge);
            }
            if left().is_zero() {
                return Err(NoAnswer::Late);
            }
        }
    }

    /// Writes what there is room for, and returns the rest. Behind all of it the program sees the end of its input.
    fn write<'a>(&mut self, question: &'a [u8]) -> &'a [u8] {
        let Some(input) = &mut self.input else { return &[] };
        let rest = match input.write(question) {
            Ok(count) => question.get(count..).unwrap_or_default(),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => question,
                // It has closed its input, and may answer all the same.
                _ => &[],
            },
        };
        if rest.is_empty() {
            self.input = None;
        }
        rest
    }

    /// Waits until something can be read or written, and for [`LOOK`] at the most.
    fn wait(&self, left: Duration) {
        let mut ready = vec![PollFd::new(self.output.as_fd(), PollFlags::POLLIN)];
        ready.extend(self.input.iter().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLOUT)));
        let most = u16::try_from(left.min(LOOK).as_millis()).unwrap_or(u16::MAX);
        // Where it fails the time is looked at once more.
        poll(&mut ready, PollTimeout::from(most)).ok();
    }
}

fn non_blocking(end: OwnedFd) -> Result<File, Errno> {
    fcntl(&end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(File::from(end))
}

#[expect(clippy::needless_pass_by_value, reason = "it takes the place of an error")]
fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::time::{Duration, Instant};

    use super::{Command, Errno, NoAnswer, ask};

    fn sh(script: &str) -> Command {
        let words = ["sh", "-c", script].map(|word| CString::new(word).unwrap());
        Command::of_argv(words.to_vec()).unwrap()
    }

    fn within(script: &str, question: &[u8], time: Duration) -> Result<String, NoAnswer> {
        let until = Instant::now() + time;
        let left = || until.saturating_duration_since(Instant::now());
        ask(&sh(script), question, 100_000, &left).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    fn answer(script: &str, question: &[u8]) -> String {
        within(script, question, Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn what_goes_in_comes_out_and_messages_go_nowhere() {
        assert_eq!(answer("cat; echo s3cr3t >&2", b"question"), "question");
        // More than a pipe holds, both ways.
        assert_eq!(answer("cat", &[b'x'; 90_000]).len(), 90_000);
        assert_eq!(answer("exec <&-; echo done", &[b'x'; 300_000]), "done\n");
        assert_eq!(answer("exit 3", b""), "");
    }

    #[test]
    fn it_has_no_file_but_its_three_and_a_group_of_its_own() {
        let given = std::fs::File::open("/dev/null").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&given);
        nix::fcntl::fcntl(&given, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))
            .unwrap();
        let seen = answer(&format!("[ -e /proc/$$/fd/{number} ] || echo closed"), b"");
        assert_eq!(seen, "closed\n");
        let group =
            answer("ps=$(cat /proc/$$/stat); set -- ${ps##*) }; [ $3 = $$ ] && echo own", b"");
        assert_eq!(group, "own\n");
    }

    #[test]
    fn what_takes_too_long_or_writes_too_much_is_killed_with_its_children() {
        let start = Instant::now();
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("pids");
        let script = format!("sleep 1000 & echo $! >'{}'; wait", mark.display());
        let late = within(&script, b"", Duration::from_secs(2));
        assert!(matches!(late, Err(NoAnswer::Late)), "{late:?}");
        let pid = std::fs::read_to_string(&mark).unwrap();
        // Gone, or nobody has reaped it yet.
        let is_gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        while !is_gone() {
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::yield_now();
        }
        let much = within("cat /dev/zero", b"", Duration::from_secs(60));
        assert!(matches!(much, Err(NoAnswer::TooLarge)), "{much:?}");
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn what_can_not_be_started_says_why() {
        for (program, expect) in [
            (c"no such program", Errno::ENOENT),
            (c"/etc/passwd", Errno::EACCES),
            (c"/", Errno::EACCES),
        ] {
            let command = Command::of_argv(vec![program.to_owned()]).unwrap();
            let why = ask(&command, b"", 1, &|| Duration::from_secs(60));
            assert!(matches!(why, Err(NoAnswer::NotStarted(errno)) if errno == expect), "{why:?}");
        }
    }
}
