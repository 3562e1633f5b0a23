//! The app's input and output are its own: no byte is added, lost or held back.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::Stdio;

use crate::support::place::{Place, pillion, scripted_child};

/// The wrapper around these words with pipes, as a command.
#[expect(clippy::disallowed_types, reason = "a test starts processes")]
fn command(place: Place, words: &[&str]) -> std::process::Command {
    let mut all = place.words();
    all.extend([pillion().into(), OsString::from(scripted_child())]);
    all.extend(words.iter().map(OsString::from));
    let mut command = std::process::Command::new(&all[0]);
    command
        .args(&all[1..])
        .env("DD_APM_RECEIVER_PORT", "0")
        .env("DD_DOGSTATSD_PORT", "0")
        .env("DD_LOG_LEVEL", "off");
    command
}

#[test]
fn three_million_bytes_and_the_code_come_through_a_slow_reader() {
    for place in Place::ALL {
        let mut top =
            command(place, &["flood", "3000000", "6"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = top.stdout.take().unwrap();
        let mut bytes = vec![0; 1000];
        output.read_exact(&mut bytes).unwrap();
        // The pipe is full for a second, and the app waits in its write.
        std::thread::sleep(std::time::Duration::from_secs(1));
        output.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 3_000_000, "{place:?}");
        assert!(bytes.iter().all(|byte| *byte == b'x'));
        assert_eq!(top.wait().unwrap().code(), Some(6));
    }
}

#[test]
fn a_reader_that_goes_ends_the_app_as_without_us() {
    for place in Place::ALL {
        let mut top =
            command(place, &["enter", "--", "yes"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = top.stdout.take().unwrap();
        output.read_exact(&mut [0; 100]).unwrap();
        drop(output);
        // unshare(1) and Rust's own start ignore nothing here that the app could inherit but SIGPIPE, which std sets back for a child.
        assert_eq!(top.wait().unwrap().code(), Some(141), "{place:?}");
    }
}

#[test]
fn standard_input_is_the_apps() {
    for place in Place::ALL {
        let mut all = place.words();
        all.extend([pillion().into(), OsString::from("sh")]);
        #[expect(clippy::disallowed_types, reason = "a test starts processes")]
        let mut command = std::process::Command::new(&all[0]);
        let mut top = command
            .args(&all[1..])
            .env("DD_APM_RECEIVER_PORT", "0")
            .env("DD_DOGSTATSD_PORT", "0")
            .env("DD_LOG_LEVEL", "off")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        top.stdin.take().unwrap().write_all(b"exit 7\n").unwrap();
        assert_eq!(top.wait().unwrap().code(), Some(7), "{place:?}");
    }
}
