//! The exit code is the app's own, 128 and the signal that ended it, 127 for a command that is not there, 126 for one that cannot be run.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::support::place::{Place, pillion};

/// The exit code and the standard error of the wrapper with these words.
fn end_of(place: Place, words: &[&str]) -> (Option<i32>, String) {
    let mut all: Vec<OsString> = vec![pillion().into()];
    all.extend(words.iter().map(OsString::from));
    place.run_words(&[], all).end()
}

#[test]
fn every_exit_code_comes_out() {
    for place in Place::ALL {
        for code in 0..=255 {
            place.run(&["exit", &code.to_string()]).expect_code(code, "an exit");
        }
    }
}

#[test]
fn every_deadly_signal_comes_out_as_128_and_its_number() {
    let harmless = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
    let stops = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    for place in Place::ALL {
        for signal in
            (1..=64).filter(|signal| !harmless.contains(signal) && !stops.contains(signal))
        {
            place
                .run(&["die", &signal.to_string()])
                .expect_code(128 + signal, "a death by a signal");
        }
    }
}

#[test]
fn a_command_that_is_not_there_is_127() {
    for place in Place::ALL {
        for (command, words) in [
            ("no-such-command", "not found in PATH="),
            ("/no/such/command", "no such file"),
            ("./no-such-command", "no such file"),
            ("", "empty"),
            ("   ", "not found in PATH="),
        ] {
            let (code, errors) = end_of(place, &[command]);
            assert_eq!(code, Some(127), "{command:?}");
            assert!(
                errors.contains(words)
                    && errors.contains(&format!("{command:?}"))
                    && errors.lines().count() == 1,
                "{errors}"
            );
        }
    }
}

#[test]
fn a_command_that_cannot_be_run_is_126() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let cases = [
        (folder.path().display().to_string(), 126, "directory"),
        (file("plain", "#!/bin/sh\n", 0o644), 126, "chmod +x"),
        (file("headless", "exit 0\n", 0o755), 126, "#!/bin/sh"),
        (file("empty", "", 0o755), 126, "#!/bin/sh"),
        (file("lost", "#!/no/such/interpreter\n", 0o755), 127, "interpreter"),
        ("/etc/passwd/x".to_owned(), 126, "Not a directory"),
        ("/".to_owned() + &"x/".repeat(3000), 126, "File name too long"),
    ];
    for place in Place::ALL {
        for (command, expect, words) in &cases {
            let (code, errors) = end_of(place, &[command]);
            assert_eq!(code, Some(*expect), "{command:?}");
            assert!(errors.contains(words) && errors.lines().count() == 1, "{errors}");
        }
    }
}

#[test]
fn a_file_in_path_that_may_not_be_run_does_not_hide_a_later_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("true"), "#!/bin/sh\nexit 9\n").unwrap();
    for place in Place::ALL {
        let path = format!("env=PATH={}:/no/such/folder:/usr/bin:/bin", folder.path().display());
        place
            .run_words(&[&path], vec![pillion().into(), "true".into()])
            .expect_code(0, "the later one");
        fs::set_permissions(folder.path().join("true"), fs::Permissions::from_mode(0o755)).unwrap();
        place
            .run_words(&[&path], vec![pillion().into(), "true".into()])
            .expect_code(9, "the first one");
        fs::set_permissions(folder.path().join("true"), fs::Permissions::from_mode(0o644)).unwrap();
        let path = format!("env=PATH={}", folder.path().display());
        let (code, errors) = place.run_words(&[&path], vec![pillion().into(), "true".into()]).end();
        assert_eq!(code, Some(126), "{errors}");
    }
}

#[test]
fn a_usage_error_is_64_and_says_what_is_wrong() {
    for place in Place::ALL {
        for word in ["--wiew", "-x", "--"] {
            let (code, errors) = end_of(place, &[word]);
            assert_eq!(code, Some(64), "{word}");
            assert!(errors.contains("usage") && errors.lines().count() == 1, "{errors}");
        }
        assert_eq!(end_of(place, &["--help"]).0, Some(0));
        assert_eq!(end_of(place, &["--version"]).0, Some(0));
        assert_eq!(end_of(place, &["--", "true"]).0, Some(0));
        assert_eq!(end_of(place, &["--", "--", "true"]).0, Some(127));
    }
}

#[test]
fn one_word_with_white_space_is_split_and_a_program_of_that_name_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let spaced = folder.path().join("exit 3");
    fs::write(&spaced, "#!/bin/sh\nexit 33\n").unwrap();
    fs::set_permissions(&spaced, fs::Permissions::from_mode(0o755)).unwrap();
    let child = crate::support::place::scripted_child().display().to_string();
    for place in Place::ALL {
        assert_eq!(end_of(place, &[&format!("{child}  exit 5")]).0, Some(5), "split");
        assert_eq!(
            end_of(place, &[&spaced.display().to_string()]).0,
            Some(33),
            "a program with a space"
        );
        assert_eq!(end_of(place, &["sh -c", "exit 4"]).0, Some(127), "two words are not split");
        let path = format!("env=PATH={}:/usr/bin:/bin", folder.path().display());
        let run = place.run_words(&[&path], vec![pillion().into(), "exit 3".into()]);
        assert_eq!(run.end().0, Some(33), "found in PATH");
    }
}

#[test]
fn the_name_of_datadogs_own_wrapper_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("datadog-init");
    fs::copy(pillion(), &named).unwrap();
    for place in Place::ALL {
        let run = place
            .run_words(&[], vec![named.clone().into(), "sh".into(), "-c".into(), "exit 7".into()]);
        run.expect_code(7, "as datadog-init");
    }
}

#[test]
fn a_grandchild_that_holds_the_output_delays_nothing() {
    for place in Place::ALL {
        let run = place.run(&["hold", "5000", "5"]);
        run.expect_line("out");
        let deadline = Instant::now() + Duration::from_secs(3);
        while !run.is_over() {
            assert!(Instant::now() < deadline, "it waits for the grandchild, {place:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
