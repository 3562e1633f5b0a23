//! `--view`: traces are drawn on stderr beside the app's own output, and a stderr that takes nothing holds nothing up.

#![expect(clippy::disallowed_types, reason = "a test starts processes")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::http::Client;

const PATIENCE: Duration = Duration::from_secs(30);

/// Two spans of one trace, as a tracer posts them.
const BODY: &[u8] = br#"[[
    {"trace_id": 42, "span_id": 1, "parent_id": 0, "service": "shop", "name": "web.request", "resource": "GET /orders",
     "start": 1700000000000000000, "duration": 20000000, "error": 1,
     "meta": {"http.status_code": "500", "error.type": "CardRefused", "error.message": "no \u001b[31mmoney"}},
    {"trace_id": 42, "span_id": 2, "parent_id": 1, "service": "postgres", "name": "postgres.query", "resource": "SELECT 1",
     "start": 1700000000005000000, "duration": 5000000, "error": 0}
]]"#;

/// The trace of [`BODY`] in 80 columns.
const DRAWN: &str = "\
── trace 000000000000002a ────────────────────────── 2 spans · 1 error · 20.0 ms
✗ shop  GET /orders  web.request                500 ████████████████████ 20.0 ms
│ CardRefused: no \\u{1b}[31mmoney
└ postgres  SELECT 1  postgres.query                     █████           5.00 ms
";

/// A wrapper with its app; dropping it ends it.
struct Running {
    child: Child,
    intake: SocketAddr,
}

impl Running {
    /// Wraps `sh -c script`, and waits until traces are taken.
    fn start(
        options: &[&str],
        env: &[(&str, &str)],
        script: &str,
        stdout: Stdio,
        stderr: Stdio,
    ) -> Self {
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let child = Command::new(env!("CARGO_BIN_EXE_pillion"))
            .args(options)
            .args(["--", "sh", "-c", script])
            .env_clear()
            .envs([("PATH", "/usr/bin:/bin"), ("DD_APM_RECEIVER_PORT", port.to_string().as_str())])
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        let intake = (Ipv4Addr::LOCALHOST, port).into();
        wait_until("traces are taken", || TcpStream::connect(intake).is_ok());
        Self { child, intake }
    }

    /// Posts [`BODY`], and gives how long the answer took.
    fn post(&self) -> Duration {
        let start = Instant::now();
        let answer = Client::tcp(self.intake).ask(
            "POST",
            "/v0.4/traces",
            &[("Content-Type", "application/json")],
            BODY,
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        start.elapsed()
    }

    fn term(&self) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("it ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Of a process that has ended already both are errors of no interest.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What has come out of `end` so far, read on a thread.
fn collect(end: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&text);
    std::thread::spawn(move || {
        let (mut end, mut bytes, mut buffer) = (end, Vec::new(), [0; 4096]);
        // A terminal whose other side is gone answers with an error.
        while let Ok(read @ 1..) = end.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..read]);
            into.lock().unwrap().clear();
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes));
        }
    });
    text
}

fn pipe() -> (std::io::PipeReader, Stdio) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader, OwnedFd::from(writer).into())
}

#[test]
fn traces_are_drawn_on_stderr_and_stdout_is_the_apps_own() {
    let ((out, stdout), (err, stderr)) = (pipe(), pipe());
    let script = "echo out; echo err >&2; exec sleep 60";
    let mut running = Running::start(&["--view"], &[], script, stdout, stderr);
    let (out, err) = (collect(out), collect(err));
    running.post();
    wait_until("the trace is drawn", || err.lock().unwrap().contains("5.00 ms\n"));
    assert!(err.lock().unwrap().contains(DRAWN), "{}", err.lock().unwrap());
    running.term();
    assert_eq!(running.wait().code(), Some(143));
    assert_eq!(*out.lock().unwrap(), "out\n");
    assert!(err.lock().unwrap().contains("err\n"));
}

#[test]
fn what_came_last_is_drawn_at_the_end_also_when_the_intake_hangs() {
    let hanging = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", hanging.local_addr().unwrap());
    let sending =
        [("DD_API_KEY", "k"), ("DD_APM_DD_URL", url.as_str()), ("DD_PILLION_STOP_TIMEOUT", "1.5")];
    for env in [&[][..], &sending] {
        let ((_out, stdout), (err, stderr)) = (pipe(), pipe());
        let mut running = Running::start(&["--view"], env, "exec sleep 60", stdout, stderr);
        let err = collect(err);
        running.post();
        running.term();
        assert_eq!(running.wait().code(), Some(143));
        wait_until("the trace is drawn", || err.lock().unwrap().contains("5.00 ms\n"));
        assert!(err.lock().unwrap().contains(DRAWN), "{}", err.lock().unwrap());
    }
}

#[test]
fn without_a_key_a_terminal_shows_traces_in_its_width_and_in_colours() {
    for (env, coloured) in [
        (vec![("TERM", "xterm")], true),
        (vec![("TERM", "xterm"), ("NO_COLOR", "1")], false),
        (vec![("TERM", "dumb")], false),
    ] {
        let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let terminal = openpty(&size, None).unwrap();
        let (_out, stdout) = pipe();
        let running = Running::start(&[], &env, "exec sleep 60", stdout, terminal.slave.into());
        let err = collect(File::from(terminal.master));
        running.post();
        wait_until("the trace is drawn", || err.lock().unwrap().contains("5.00 ms"));
        let text = err.lock().unwrap().clone();
        assert!(text.contains("DD_API_KEY"), "{text}");
        assert_eq!(text.contains("\x1b["), coloured, "{env:?}: {text}");
        assert!(text.contains(&"█".repeat(25)) && !text.contains(&"█".repeat(26)), "{text}");
    }
}

#[test]
fn a_stderr_that_takes_nothing_holds_nothing_up() {
    let (_out, stdout) = pipe();
    let (_unread, mut writer) = std::io::pipe().unwrap();
    let flags = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
    nix::fcntl::fcntl(&writer, flags).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    let script = "trap 'exit 7' TERM; while :; do sleep 0.05; done";
    let mut running =
        Running::start(&["--view"], &[], script, stdout, OwnedFd::from(writer).into());
    for _ in 0..200 {
        let took = running.post();
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    let start = Instant::now();
    running.term();
    let status = running.wait();
    assert_eq!((status.code(), status.signal()), (Some(7), None));
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}
