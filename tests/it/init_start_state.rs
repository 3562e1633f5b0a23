//! The app starts in the state in which it would be without us: compared, fact by fact, with the same program started without the wrapper.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use tempfile::TempDir;

use crate::support::place::{Place, pillion, scripted_child};

/// What the child was given when it was started from `state`, with or without the wrapper, and its pid and process group.
fn state_of(
    place: Place,
    folder: &TempDir,
    state: &[&str],
    is_wrapped: bool,
) -> (String, i32, i32) {
    let report = folder.path().join("report");
    let mut words: Vec<OsString> = Vec::new();
    if is_wrapped {
        words.extend([pillion().into(), "--".into()]);
    }
    words.extend([scripted_child().into(), "state".into(), report.clone().into()]);
    words.extend(["", "a b", "--", "*", "$HOME", "'\"\\", "--view", "\n"].map(OsString::from));
    words.push(OsString::from_vec(vec![0xff, 0xfe]));
    place.run_words(state, words).expect_code(0, "the report");
    let pids = fs::read_to_string(report.with_extension("pid")).unwrap();
    let (pid, group) = pids.split_once(' ').unwrap();
    (fs::read_to_string(report).unwrap(), pid.parse().unwrap(), group.parse().unwrap())
}

/// Pipes have another number at each start.
fn without_pipe_numbers(report: &str) -> String {
    let is_pipe = |line: &&str| line.contains(": pipe:[");
    report
        .lines()
        .map(|line| {
            if is_pipe(&line) {
                line.split_once(": pipe:[").unwrap().0.to_owned() + ": pipe"
            } else {
                line.to_owned() + "\n"
            }
        })
        .collect()
}

/// What we would set.
const DEFAULTS: [&str; 5] = [
    "env=DD_INSTRUMENTATION_TELEMETRY_ENABLED=true",
    "env=DD_REMOTE_CONFIGURATION_ENABLED=true",
    "env=DD_HOSTNAME=host",
    "env=DD_APM_ENABLED=true",
    "env=DD_TRACE_ENABLED=true",
];

fn check(state: &[&str]) {
    for place in Place::ALL {
        let folder = tempfile::tempdir().unwrap();
        let mut state: Vec<_> = state.to_vec();
        // Something in it, so that no state is the empty one; and what is added where it is missing, which has tests of its own.
        state.push("env=SOMETHING=a=b\n\u{fffd}");
        state.extend(DEFAULTS);
        let (plain, _, _) = state_of(place, &folder, &state, false);
        let (wrapped, pid, group) = state_of(place, &folder, &state, true);
        assert_eq!(
            without_pipe_numbers(&wrapped),
            without_pipe_numbers(&plain),
            "{state:?}, {place:?}"
        );
        assert_eq!(pid, group, "a process group of its own");
    }
}

#[test]
fn an_app_starts_as_it_would_without_us() {
    check(&[]);
}

#[test]
fn ignored_signals_and_the_mask_are_kept() {
    check(&["ignore=1", "ignore=22", "block=12"]);
    check(&["ignore=22", "ignore=11", "ignore=2", "block=21", "block=4", "block=15"]);
    check(&["block=32", "block=33", "block=34", "block=64", "ignore=32", "ignore=40"]);
}

#[test]
fn an_ignored_sigpipe_is_kept_and_one_that_is_not_ignored_too() {
    check(&["ignore=13"]);
    check(&["block=13"]);
}

#[test]
fn an_ignored_sigchld_is_kept_and_the_exit_code_still_comes_out() {
    check(&["ignore=17"]);
    check(&["block=17"]);
    for place in Place::ALL {
        for code in [0, 42] {
            let run = place.run_from(&["ignore=17"], &[], &["exit", &code.to_string()]);
            run.expect_code(code, "SIGCHLD ignored on entry");
        }
    }
}

#[test]
fn open_files_are_handed_on_and_ours_are_not() {
    check(&["open=3", "open=7", "open=63", "open=200"]);
}

#[test]
fn closed_files_are_handed_on_as_closed() {
    check(&["close=0"]);
    check(&["close=1"]);
    check(&["close=2"]);
    check(&["close=0", "close=1", "close=2"]);
    check(&["close=0", "close=2", "open=5"]);
}

#[test]
fn the_folder_and_the_limits_are_kept() {
    check(&["chdir=/usr", "files=77"]);
}

#[test]
fn entries_of_the_environment_that_are_odd_are_kept() {
    check(&["env=EMPTY=", "env=LISTEN_PID=77", "env=LISTEN_FDS=2", "env=DD_ENV=x"]);
}

#[test]
fn the_sockets_of_systemd_are_the_apps() {
    for place in Place::ALL {
        let folder = tempfile::tempdir().unwrap();
        let state = ["env=LISTEN_PID=$$", "env=LISTEN_FDS=1", "open=3"];
        let (report, pid, _) = state_of(place, &folder, &state, true);
        assert!(report.contains(&format!("environment \"LISTEN_PID={pid}\"\n")), "{report}");
        assert!(report.contains("environment \"LISTEN_FDS=1\"\n"), "{report}");
        assert!(report.contains("file 3: /dev/null"), "{report}");
    }
}

#[test]
fn a_script_that_kills_its_own_group_does_not_end_the_wrapper() {
    for place in Place::ALL {
        place.run(&["group-kill"]).expect_code(137, "it killed its own group");
    }
}
