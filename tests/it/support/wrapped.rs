//! A real app under the release binary: started, asked for pages, stopped, with its output in files as a terminal would have shown it.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts processes and is told by variables where things are"
)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

/// The longest that anything here may take: two cores, shared with others.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test: `PILLION_BIN` (the release), else the one that cargo built for the tests.
pub fn pillion() -> PathBuf {
    std::env::var_os("PILLION_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_pillion")), PathBuf::from)
}

/// The folder where the test command puts what it installs.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.cache")
}

/// A file of the examples.
pub fn example(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path).display().to_string()
}

/// A port that nothing listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Polls until `is_so`, and fails with `what` when it is not so in time.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The status of `GET path`, or `None` when nobody answers.
pub fn get(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}

/// A started process. Dropping it ends it and all that it started.
#[derive(Debug)]
pub struct Wrapped {
    child: Child,
    output: TempDir,
    started: Instant,
}

impl Wrapped {
    /// Starts `words` with nothing in its environment but `env` and a PATH that begins with `path`.
    pub fn start(words: &[&str], path: &Path, env: &[(&str, &str)]) -> Self {
        let output = tempfile::tempdir().unwrap();
        let system = std::env::var("PATH").unwrap();
        let child = Command::new(words[0])
            .args(&words[1..])
            .env_clear()
            .env("PATH", format!("{}:{system}", path.display()))
            .env("HOME", output.path())
            // The usual port of metrics is one for all tests that run at once.
            .env("DD_DOGSTATSD_PORT", "0")
            // What the wrapper says of itself is what its own tests ask for, and would go to Datadog in those that name no intake for it.
            .env("DD_ENHANCED_METRICS", "false")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(output.path().join("stdout")).unwrap())
            .stderr(File::create(output.path().join("stderr")).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { child, output, started: Instant::now() }
    }

    /// Waits until the app answers on `port`.
    pub fn wait_until_serving(&mut self, port: u16) {
        wait_until("the app answers", || {
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "the app has ended: {}",
                self.stderr()
            );
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
    }

    /// The wrapper's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Signals the wrapper.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// The wrapper's own child: the app.
    pub fn app(&self) -> Pid {
        let pid = self.child.id();
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        let children = tasks
            .map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default())
            .collect::<String>();
        Pid::from_raw(
            children.split_whitespace().next().expect("the wrapper has a child").parse().unwrap(),
        )
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the wrapper ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// How long it has run.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// What was written to stdout so far.
    pub fn stdout(&self) -> Vec<u8> {
        fs::read(self.output.path().join("stdout")).unwrap()
    }

    /// What was written to stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.output.path().join("stderr")).unwrap()).into_owned()
    }
}

impl Drop for Wrapped {
    fn drop(&mut self) {
        // The group, since an app outlives a wrapper that is killed. When all of it is gone already, this is an error of no interest.
        killpg(self.pid(), Signal::SIGKILL).ok();
        drop(self.child.wait());
    }
}
