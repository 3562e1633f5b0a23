//! The process plane in gVisor, the sandbox under several container platforms. Skipped, with a word, where there is no `runsc` that runs.

#![allow(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a test starts processes and says what it skips"
)]

use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::support::noise::noise;
use crate::support::place::{pillion, scripted_child};

/// Runs these words in a sandbox. The first is PID 1 there.
fn run(words: &[&str]) -> Output {
    let mut command = Command::new("runsc");
    command.args(["--network=none", "--platform=ptrace", "do"]).args(words).stdin(Stdio::null());
    command
        .env("DD_APM_RECEIVER_PORT", "0")
        .env("DD_DOGSTATSD_PORT", "0")
        .env("DD_LOG_LEVEL", "off")
        .output()
        .unwrap()
}

/// Whether a sandbox can be made here; says so where none can.
fn is_there() -> bool {
    static IS_THERE: OnceLock<bool> = OnceLock::new();
    *IS_THERE.get_or_init(|| {
        let is_installed = Command::new("runsc")
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success());
        let is_there = is_installed && run(&["/bin/true"]).status.success();
        if !is_there {
            println!(
                "skipped: runsc is {}",
                if is_installed {
                    "installed and cannot make a sandbox here"
                } else {
                    "not installed"
                }
            );
        }
        is_there
    })
}

fn check(words: &[&str], expect_code: i32, expect_output: &str) {
    let program = pillion().display().to_string();
    let as_pid_one = [&[program.as_str()], words].concat();
    let as_any = [&["/bin/sh", "-c", "\"$@\"; exit $?", "sh", program.as_str()], words].concat();
    for words in [as_pid_one, as_any] {
        let output = run(&words);
        let (text, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            (output.status.code(), text.trim()),
            (Some(expect_code), expect_output),
            "{words:?}: {errors}"
        );
    }
}

#[test]
fn exit_codes_come_out() {
    if is_there() {
        let child = scripted_child().display().to_string();
        check(&["/bin/true"], 0, "");
        check(&[&child, "exit", "255"], 255, "");
        check(&[&child, "die", "15"], 143, "");
        check(&[&child, "die", "40"], 168, "");
        check(&["no-such-command"], 127, "");
        check(&["/etc"], 126, "");
    }
}

#[test]
fn signals_reach_the_child() {
    if is_there() {
        // Each to the wrapper, which is the shell's parent.
        let script = "trap 'echo term' TERM; trap 'echo usr1' USR1; kill -TERM $PPID; sleep 0.2; kill -USR1 $PPID; sleep 0.2; exit 9";
        check(&["/bin/sh", "-c", script], 9, "term\nusr1");
        check(&["/bin/sh", "-c", "kill -TERM $PPID; sleep 20"], 143, "");
        check(&["/bin/sh", "-c", "kill -45 $PPID; sleep 20"], 173, "");
    }
}

#[test]
fn orphans_are_reaped_and_not_waited_for() {
    if is_there() {
        let script = "for i in 1 2 3 4 5; do (sleep 0.1 &); done; sleep 1; cat /proc/[0-9]*/stat | grep -c ' Z '; (sleep 50 >/dev/null 2>&1 &); exit 4";
        let program = pillion().display().to_string();
        let output = run(&[&program, "/bin/sh", "-c", script]);
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stdout).trim()),
            (Some(4), "0")
        );
    }
}

#[test]
fn an_output_that_is_shipped_as_logs_comes_through_unchanged() {
    if is_there() {
        let (program, child) =
            (pillion().display().to_string(), scripted_child().display().to_string());
        // No network, so that no line leaves.
        let settings = [
            "DD_LOGS_ENABLED=true",
            "DD_API_KEY=0123456789abcdef0123456789abcdef",
            "DD_ENHANCED_METRICS=false",
            "DD_PILLION_STOP_TIMEOUT=1s",
        ];
        let words = [&["/usr/bin/env"], &settings[..], &[&program, &child, "noise", "300000", "7"]];
        let output = run(&words.concat());
        assert_eq!(output.status.code(), Some(7));
        assert!(output.stdout == noise(1, 300_000) && output.stderr == noise(2, 300_000));
    }
}
