//! The wrapper around the scripted child, in the places where it has to work: as PID 1 of a pid namespace of its own, and as any process.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts processes and is told by variables where things are"
)]

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The longest that anything here may take: two cores, shared with others.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The binary under test: `PILLION_BIN`, else the one that cargo built for the tests.
pub(crate) fn pillion() -> PathBuf {
    std::env::var_os("PILLION_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_pillion")), PathBuf::from)
}

/// The scripted child. Cargo builds it beside the tests when it builds all of them; for a single one it is asked for it here.
pub(crate) fn scripted_child() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let tests = std::env::current_exe().unwrap();
        let folder = tests.ancestors().nth(2).unwrap();
        if let Some(cargo) = std::env::var_os("CARGO") {
            let profile = if folder.ends_with("debug") { "dev" } else { "release" };
            let mut build = Command::new(cargo);
            build.args([
                "build",
                "--quiet",
                "--example",
                "scripted_child",
                "--profile",
                profile,
                "--target-dir",
            ]);
            build.arg(folder.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
            assert!(build.status().unwrap().success(), "the scripted child does not compile");
        }
        folder.join("examples/scripted_child")
    })
    .clone()
}

/// Polls until `is_so`, and fails with `what` when it is not so in time.
pub(crate) fn poll_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Where the wrapper runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// As PID 1 of a pid namespace of its own.
    PidOne,
    /// As any process.
    Ordinary,
}

impl Place {
    /// Both places: every row of the matrix runs in each.
    pub(crate) const ALL: [Self; 2] = [Self::PidOne, Self::Ordinary];

    /// The words before the program that bring it into this place.
    pub(crate) fn words(self) -> Vec<OsString> {
        let words: &[&str] = match self {
            Self::Ordinary => &[],
            Self::PidOne if fs::metadata("/proc/self").unwrap().uid() == 0 => {
                &["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
            }
            Self::PidOne => &[
                "unshare",
                "--user",
                "--map-root-user",
                "--pid",
                "--fork",
                "--kill-child=KILL",
                "--mount-proc",
            ],
        };
        words.iter().map(OsString::from).collect()
    }

    /// Starts the wrapper with the scripted child and these words.
    pub(crate) fn run(self, task: &[&str]) -> Run {
        self.run_from(&[], &[], task)
    }

    /// Starts it in a process state changed by the words of the scripted child's `enter`, with options of the wrapper.
    pub(crate) fn run_from(self, state: &[&str], options: &[&str], task: &[&str]) -> Run {
        let mut words: Vec<OsString> = vec![pillion().into()];
        words.extend(options.iter().map(OsString::from));
        words.push(scripted_child().into());
        words.extend(task.iter().map(OsString::from));
        self.run_words(state, words)
    }

    /// Starts these words in a process state changed by the words of the scripted child's `enter`.
    pub(crate) fn run_words(self, state: &[&str], words: Vec<OsString>) -> Run {
        let program = words[0].clone();
        let mut all = self.words();
        if !state.is_empty() {
            all.push(scripted_child().into());
            all.extend(["enter"].iter().chain(state).chain(&["--"]).map(OsString::from));
        }
        all.extend(words);
        let mut command = Command::new(&all[0]);
        // Without a port and without a word of the data plane: what is looked at here is the process plane's.
        command
            .env("DD_APM_RECEIVER_PORT", "0")
            .env("DD_DOGSTATSD_PORT", "0")
            .env("DD_LOG_LEVEL", "off");
        command.args(&all[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Run::of(self, &program, command)
    }
}

/// A wrapper that runs. Dropping it ends it.
pub(crate) struct Run {
    /// The process that was started: the wrapper, or the `unshare` above it.
    top: Child,
    /// The wrapper's pid, as it is out here.
    pub(crate) pid: i32,
    place: Place,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Receiver<String>,
}

impl Run {
    /// Starts `command` and waits until `program` runs in its place.
    pub(crate) fn of(place: Place, program: &OsString, mut command: Command) -> Self {
        let mut top = command.spawn().unwrap();
        let lines = read_lines(top.stdout.take());
        let errors = read_lines(top.stderr.take());
        let input = top.stdin.take();
        let top_pid = i32::try_from(top.id()).unwrap();
        let mut run = Self { top, pid: top_pid, place, input, lines, errors };
        if place == Place::PidOne {
            poll_until("the namespace has its first process", || {
                run.pid = children(top_pid).first().copied().unwrap_or(0);
                run.pid != 0 || run.has_ended()
            });
        }
        if Path::new(program) == pillion() {
            run.wait_for_mask();
        }
        run
    }

    fn has_ended(&mut self) -> bool {
        self.top.try_wait().unwrap().is_some()
    }

    /// Whether the wrapper has ended, as a zombie has.
    pub(crate) fn is_over(&self) -> bool {
        state_of(self.pid).is_none_or(|state| state == 'Z')
    }

    /// The pid of the child, as it is out here: waits until it runs.
    pub(crate) fn child(&self) -> i32 {
        let mut pid = 0;
        poll_until("the child is there", || {
            pid = children(self.pid).first().copied().unwrap_or(0);
            pid != 0
        });
        pid
    }

    /// Waits until the wrapper takes its signals, or has ended. A build with a dynamic loader blocks them only after the loader; the release does at
    /// its first instruction.
    pub(crate) fn wait_for_mask(&self) {
        poll_until("the wrapper waits for signals", || {
            let call =
                fs::read_to_string(format!("/proc/{}/syscall", self.pid)).unwrap_or_default();
            call.split(' ').next() == Some(&libc::SYS_rt_sigtimedwait.to_string()) || self.is_over()
        });
    }

    /// Sends a signal to the wrapper.
    pub(crate) fn send(&self, signal: i32) {
        send(self.pid, signal);
    }

    /// The next line of standard output; fails where none comes.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("no line of output came in time")
    }

    /// The next line of standard output, or nothing where the output has ended.
    pub(crate) fn line_or_end(&self) -> Option<String> {
        self.lines.recv_timeout(PATIENCE).ok()
    }

    /// Fails unless `expect` is the next line of standard output.
    pub(crate) fn expect_line(&self, expect: &str) {
        assert_eq!(self.line(), expect, "{:?}", self.place);
    }

    /// Closes the standard input, at which most tasks of the scripted child end.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// Waits until it has ended and returns the exit code and what it wrote on standard error. `None`: it was ended by a signal.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        poll_until("the wrapper ends", || self.has_ended());
        let status = self.top.wait().unwrap();
        assert!(status.signal().is_none() || status.code().is_none());
        (status.code(), self.errors.iter().collect::<Vec<_>>().join("\n"))
    }

    /// Fails unless it ends with `code` and nothing on standard error.
    pub(crate) fn expect_code(self, code: i32, what: &str) {
        let place = self.place;
        let (ended, errors) = self.end();
        assert_eq!((ended, errors.as_str()), (Some(code), ""), "{what}, {place:?}");
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.has_ended() {
            for child in children(self.pid) {
                send(child, libc::SIGKILL);
            }
            send(self.pid, libc::SIGKILL);
            self.top.kill().ok();
            self.top.wait().ok();
        }
    }
}

/// Sends a signal, also one that has no name.
#[expect(unsafe_code, reason = "nix has no real-time signals")]
pub(crate) fn send(pid: i32, signal: i32) {
    assert!(pid > 1, "no process to send to");
    // SAFETY: kill takes two numbers.
    unsafe { libc::kill(pid, signal) };
}

/// The children of all threads of a process.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().map(|word| word.parse().unwrap()).collect::<Vec<_>>()
        })
        .collect()
}

/// The letter of a process's state (proc(5)).
pub(crate) fn state_of(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn read_lines(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(pipe) = pipe {
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
    receiver
}
