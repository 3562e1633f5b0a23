//! An API key that is not in the settings: from a file, from the user's program. Whatever that does, the app starts at once and ends as it would.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use tempfile::TempDir;

use crate::support::recorder::Recorder;
use crate::support::wrapped::{Wrapped, free_port, pillion, wait_until};

const KEY: &str = "s3cr3t0123456789abcdef0123456789";

/// An app in `sh` that writes one line and ends with 7, all of whose telemetry goes to one intake.
struct Run {
    wrapped: Wrapped,
    intake: Recorder,
}

impl Run {
    fn start(script: &str, env: &[(&str, &str)]) -> Self {
        let (intake, pillion) = (Recorder::http(), pillion());
        let (url, port) = (intake.url(), free_port().to_string());
        let own = [
            ("DD_APM_DD_URL", url.as_str()),
            ("DD_DD_URL", &url),
            ("DD_LOGS_CONFIG_LOGS_DD_URL", &url),
            ("DD_LOGS_ENABLED", "true"),
            ("DD_APM_RECEIVER_PORT", &port),
            ("DD_PILLION_EXIT_REPORT", "false"),
        ];
        let words = [pillion.to_str().unwrap(), "sh", "-c", script];
        let env = [&own[..], env].concat();
        Self { wrapped: Wrapped::start(&words, Path::new("/bin"), &env), intake }
    }

    /// The key that came with each request, after the end, at which the app's code and output have to be what they are.
    fn keys(&mut self) -> Vec<String> {
        assert_eq!(self.wrapped.wait().code(), Some(7), "{}", self.wrapped.stderr());
        assert_eq!(self.wrapped.stdout(), b"line\n");
        let stderr = self.wrapped.stderr();
        assert!(!stderr.contains(KEY), "{stderr}");
        let key = |request: &crate::support::recorder::Request| {
            request.header("dd-api-key").unwrap_or_default().to_owned()
        };
        self.intake.requests().iter().map(key).collect()
    }

    fn sends(mut self, key: &str) {
        let keys = self.keys();
        assert!(!keys.is_empty(), "nothing came: {}", self.wrapped.stderr());
        assert!(keys.iter().all(|own| own == key), "{keys:?}");
        assert!(!self.wrapped.stderr().contains("No API key"), "{}", self.wrapped.stderr());
    }

    /// Nothing is sent, and one warning has `expect` in it.
    fn sends_nothing(mut self, expect: &str) {
        assert_eq!(self.keys(), Vec::<String>::new());
        let stderr = self.wrapped.stderr();
        let said: Vec<_> = stderr.lines().filter(|line| line.contains("No API key")).collect();
        assert!(said.len() == 1 && said[0].contains(expect), "{expect}: {stderr}");
    }
}

const APP: &str = "echo line; exit 7";

fn backend(folder: &TempDir, script: &str) -> PathBuf {
    let path = folder.path().join("backend");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn with_backend(script: &str, more: &[(&str, &str)]) -> (TempDir, Run) {
    let folder = tempfile::tempdir().unwrap();
    let path = backend(&folder, script);
    let own =
        [("DD_API_KEY", "ENC[prod/key]"), ("DD_SECRET_BACKEND_COMMAND", path.to_str().unwrap())];
    let run = Run::start(APP, &[&own[..], more].concat());
    (folder, run)
}

#[test]
fn a_file_has_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, format!(" {KEY}\n")).unwrap();
    let path = path.to_str().unwrap();
    Run::start(APP, &[("DD_API_KEY_FILE", path)]).sends(KEY);
    Run::start(APP, &[("DD_API_KEY", &format!("ENC[file@{path}]"))]).sends(KEY);
}

#[test]
fn a_file_that_has_none_is_said_and_a_fifo_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    nix::unistd::mkfifo(path("fifo").as_str(), Mode::S_IRWXU).unwrap();
    fs::write(path("two"), format!("{KEY} {KEY}")).unwrap();
    for (name, expect) in [
        ("fifo", "is no regular file"),
        ("none", "No such file or directory"),
        ("two", "has white space"),
    ] {
        Run::start(APP, &[("DD_API_KEY_FILE", &path(name))]).sends_nothing(expect);
    }
}

#[test]
fn a_program_knows_the_key_by_its_name() {
    let script = format!(
        r#"question=$(cat)
        [ "$question" = '{{"secrets":["prod/key"],"version":"1.0"}}' ] || exit 1
        grep -q '^SigBlk:[[:space:]]*0*$' /proc/self/status || exit 1
        [ "$1" = "-x" ] && [ "$2" = "a b" ] || exit 1
        echo "a message with {KEY}" >&2
        echo '{{"prod/key": {{"value": "{KEY}", "error": null}}}}'"#
    );
    let (_folder, run) =
        with_backend(&script, &[("DD_SECRET_BACKEND_ARGUMENTS", r#"["-x", "a b"]"#)]);
    run.sends(KEY);
}

#[test]
fn a_program_that_fails_is_said_in_a_line() {
    let rubbish = format!("echo {KEY}");
    let error =
        format!(r#"echo '{{"prod/key": {{"value": "{KEY}", "error": "no access with {KEY}"}}}}'"#);
    for (script, expect) in [
        (rubbish.as_str(), "is no JSON object"),
        (error.as_str(), "the backend says \"no access with ***\""),
        ("echo '{}'", "it is not in the backend's output"),
        ("exit 1", "it wrote nothing and ended"),
        ("kill -9 $$", "it wrote nothing and ended"),
        ("cat /dev/zero", "it wrote more than 1048576 bytes"),
    ] {
        with_backend(script, &[]).1.sends_nothing(expect);
    }
    let missing = [("DD_API_KEY", "ENC[k]"), ("DD_SECRET_BACKEND_COMMAND", "/no/such/program")];
    Run::start(APP, &missing).sends_nothing("it can't be started: No such file or directory");
}

#[test]
fn a_program_that_hangs_is_killed_and_the_app_does_not_wait_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (pids, ran) = (folder.path().join("pids"), folder.path().join("ran"));
    let script = format!("echo $$ >'{}'; sleep 1000 & wait", pids.display());
    let path = backend(&folder, &script);
    let app = format!(
        "echo line; : >'{}'; while [ ! -e '{}' ]; do :; done; exit 7",
        ran.display(),
        folder.path().join("go").display()
    );
    let run = Run::start(
        &app,
        &[
            ("DD_API_KEY", "ENC[k]"),
            ("DD_SECRET_BACKEND_COMMAND", path.to_str().unwrap()),
            ("DD_SECRET_BACKEND_TIMEOUT", "300"),
            ("DD_PILLION_STOP_TIMEOUT", "1"),
        ],
    );
    // Both run at once, although the program has all the time in the world.
    wait_until("the app runs", || ran.exists());
    let pid = || fs::read_to_string(&pids).ok()?.trim().parse::<i32>().ok();
    wait_until("the program runs", || pid().is_some());
    let ended = Instant::now();
    fs::write(folder.path().join("go"), "").unwrap();
    run.sends_nothing("before the end, and was killed");
    assert!(ended.elapsed() < Duration::from_secs(30));
    // Killed, and reaped by us or by whoever adopted it.
    let pid = pid().unwrap();
    wait_until("the program is gone", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z "))
    });
}
