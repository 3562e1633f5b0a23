//! With logs on the app's output goes through us and is the same all the same: every byte, its errors, its end, the exit code.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::logged::{command, entered, messages, scripted};
use crate::support::noise::noise;
use crate::support::place::{PATIENCE, Place, poll_until, send};
use crate::support::pty::Pty;
use crate::support::recorder::{Answer, Recorder};

#[test]
fn ten_million_bytes_of_every_value_come_through_both_outputs() {
    const BYTES: usize = 10_000_000;
    let intake = Recorder::http();
    for place in Place::ALL {
        let mut top = scripted(place, &intake.url(), &["noise", "10000000", "6"]).spawn().unwrap();
        let mut errors = top.stderr.take().unwrap();
        let read_errors = thread::spawn(move || {
            let mut bytes = Vec::new();
            errors.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let mut bytes = Vec::new();
        top.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes == noise(1, BYTES), "{place:?}: {} bytes", bytes.len());
        let errors = read_errors.join().unwrap();
        assert!(errors == noise(2, BYTES), "{place:?}: {} bytes", errors.len());
        assert_eq!(top.wait().unwrap().code(), Some(6), "{place:?}");
    }
}

#[test]
fn two_outputs_that_are_one_file_keep_their_order() {
    let intake = Recorder::http();
    let expect: String = (0..5000).map(|n| format!("out {n}\nerr {n}\n")).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let shared = File::create(file.path()).unwrap();
    let pairs: [(Stdio, Stdio, bool); 2] = [
        (writer.try_clone().unwrap().into(), writer.into(), true),
        (shared.try_clone().unwrap().into(), shared.into(), false),
    ];
    for (stdout, stderr, is_pipe) in pairs {
        let mut command = scripted(Place::Ordinary, &intake.url(), &["alternate", "5000"]);
        let mut top = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        // It holds the pipe too.
        drop(command);
        let mut text = String::new();
        if is_pipe {
            reader.read_to_string(&mut text).unwrap();
        }
        assert_eq!(top.wait().unwrap().code(), Some(0));
        if !is_pipe {
            text = std::fs::read_to_string(file.path()).unwrap();
        }
        assert!(text == expect, "pipe: {is_pipe}");
    }
    // Batches that are sent at once may change places.
    let mut logs = messages(&intake);
    logs.sort();
    let mut expect: Vec<&str> = expect.lines().chain(expect.lines()).collect();
    expect.sort_unstable();
    assert!(logs == expect);
}

#[test]
fn a_reader_that_goes_ends_the_app_as_without_us() {
    let intake = Recorder::http();
    for place in Place::ALL {
        for (words, code) in
            [(["until-refused"].as_slice(), libc::EPIPE), (&["enter", "--", "yes"], 141)]
        {
            let mut top = scripted(place, &intake.url(), words).spawn().unwrap();
            let mut output = top.stdout.take().unwrap();
            output.read_exact(&mut [0; 100]).unwrap();
            drop(output);
            assert_eq!(top.wait().unwrap().code(), Some(code), "{place:?} {words:?}");
        }
    }
}

#[test]
fn a_closed_output_stays_closed() {
    let intake = Recorder::http();
    let script = "exec 3>&2; (echo a >&1) 2>/dev/null || echo closed >&3";
    for (close, expect) in [("close=1", "closed\n"), ("close=9", "")] {
        let mut command = entered(close, &intake.url(), &["sh", "-c", script]);
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), expect, "{close}");
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn a_full_disk_costs_bytes_and_not_the_app() {
    let intake = Recorder::http();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = scripted(Place::Ordinary, &intake.url(), &["lines", "10", "3"]);
    let output = command.env("DD_LOG_LEVEL", "warn").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("70 bytes of the app's output could not be written"), "{said}");
    assert_eq!(messages(&intake).len(), 10);
}

#[test]
fn a_reader_that_is_stuck_delays_neither_signal_nor_exit_code_beyond_the_deadline() {
    let intake = Recorder::http();
    for place in Place::ALL {
        let mut command = scripted(place, &intake.url(), &["enter", "--", "yes"]);
        let mut top = command
            .env("DD_PILLION_STOP_TIMEOUT", "2s")
            .env("DD_LOG_LEVEL", "warn")
            .spawn()
            .unwrap();
        let _held = top.stdout.take().unwrap();
        let mut said = top.stderr.take().unwrap();
        let wrapper = wrapper_of(place, top.id());
        // Both pipes are full, and the app waits in its write.
        poll_until("the app waits for its reader", || {
            let app = crate::support::place::children(wrapper).first().copied().unwrap_or(0);
            let read = |file: &str| std::fs::read_to_string(format!("/proc/{app}/{file}"));
            app != 0 && read("wchan").is_ok_and(|place| place.contains("pipe"))
        });
        let start = Instant::now();
        send(wrapper, libc::SIGTERM);
        let status = top.wait().unwrap();
        let took = start.elapsed();
        assert_eq!(status.code(), Some(143), "{place:?}");
        assert!(took > Duration::from_millis(1500) && took < Duration::from_secs(6), "{took:?}");
        let mut text = String::new();
        said.read_to_string(&mut text).unwrap();
        assert!(text.contains("bytes of the app's output were not written on"), "{text}");
    }
}

/// The wrapper's pid, as it is out here.
fn wrapper_of(place: Place, top: u32) -> i32 {
    let top = i32::try_from(top).unwrap();
    let mut pid = top;
    if place == Place::PidOne {
        poll_until("the namespace has its first process", || {
            pid = crate::support::place::children(top).first().copied().unwrap_or(0);
            pid != 0
        });
    }
    pid
}

#[test]
fn a_slow_reader_gets_every_byte_however_long_it_takes() {
    let intake = Recorder::http();
    let mut command = scripted(Place::Ordinary, &intake.url(), &["flood", "1200000", "4"]);
    let mut top = command.env("DD_PILLION_STOP_TIMEOUT", "1s").spawn().unwrap();
    let mut output = top.stdout.take().unwrap();
    let (mut bytes, mut piece) = (0, vec![0; 40_000]);
    // Some three seconds in all, which is more than the deadline.
    loop {
        let count = output.read(&mut piece).unwrap();
        bytes += count;
        if count == 0 {
            break;
        }
        thread::sleep(Duration::from_millis(100).mul_f64(count as f64 / piece.len() as f64));
    }
    assert_eq!(bytes, 1_200_000);
    assert_eq!(top.wait().unwrap().code(), Some(4));
}

#[test]
fn an_heir_that_holds_the_pipe_is_not_waited_for() {
    let intake = Recorder::http();
    for place in Place::ALL {
        let start = Instant::now();
        let mut command = scripted(place, &intake.url(), &["hold", "8000", "5"]);
        let mut top = command.spawn().unwrap();
        assert_eq!(top.wait().unwrap().code(), Some(5), "{place:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        let mut said = [0; 4];
        top.stdout.take().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(&said, b"out\n");
    }
}

#[test]
fn what_an_heir_writes_during_the_last_flush_is_written_on() {
    let intake = Recorder::http();
    intake.always(Answer::ok().after(Duration::from_millis(800)));
    let mut command = scripted(Place::Ordinary, &intake.url(), &["heir", "100", "100", "0"]);
    let mut top = command.spawn().unwrap();
    let mut output = top.stdout.take().unwrap();
    assert_eq!(top.wait().unwrap().code(), Some(0));
    let mut text = String::new();
    let ended = Instant::now() + PATIENCE;
    let mut piece = [0; 1000];
    while let Ok(count @ 1..) = output.read(&mut piece) {
        text += std::str::from_utf8(&piece[..count]).unwrap();
        assert!(Instant::now() < ended);
    }
    // It had 800 ms for one line every 100 ms; the first may have come before the app's end.
    assert!(text.contains("parent\n") && text.contains("heir 4\n"), "{text}");
}

#[test]
fn every_exit_code_and_the_death_by_a_signal_come_out() {
    let intake = Recorder::http();
    for code in [0, 1, 42, 127, 255] {
        let text = code.to_string();
        let status = scripted(Place::Ordinary, &intake.url(), &["exit", &text]).status().unwrap();
        assert_eq!(status.code(), Some(code));
    }
    for signal in [libc::SIGKILL, libc::SIGSEGV, 40] {
        let text = signal.to_string();
        let status = scripted(Place::Ordinary, &intake.url(), &["last-words", &text]).status();
        let status = status.unwrap();
        assert_eq!((status.code(), status.signal()), (Some(128 + signal), None));
    }
    let status = command(Place::Ordinary, &intake.url(), &["no-such-command"]).status().unwrap();
    assert_eq!(status.code(), Some(127));
}

#[test]
fn an_intake_that_hangs_delays_no_byte_and_no_line() {
    let intake = Recorder::http();
    intake.always(Answer::hang());
    let mut command = scripted(Place::Ordinary, &intake.url(), &["noise", "3000000", "0"]);
    let mut top = command
        .env("DD_PILLION_STOP_TIMEOUT", "1s")
        .env("DD_LOGS_CONFIG_BATCH_MAX_SIZE", "10")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let mut bytes = Vec::new();
    // The pipe ends with the wrapper, which has its second.
    top.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(top.wait().unwrap().code(), Some(0));
    assert!(bytes == noise(1, 3_000_000));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[test]
fn without_logs_or_without_a_key_the_outputs_are_the_apps_own() {
    let intake = Recorder::http();
    for (name, value) in [("DD_LOGS_ENABLED", "false"), ("DD_API_KEY", "")] {
        let script = "readlink /proc/self/fd/1 /proc/$PPID/fd/1; ls /proc/$PPID/task | wc -l";
        let mut command = command(Place::Ordinary, &intake.url(), &["sh", "-c", script]);
        let output = command.env(name, value).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], lines[1], "{name}");
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn a_terminal_stays_the_apps_terminal() {
    let intake = Recorder::http();
    let script = "test -t 1 && test -t 2 && stty size <&1";
    let words = command(Place::Ordinary, &intake.url(), &["sh", "-c", script]);
    let mut all = vec!["env".into()];
    for (name, value) in words.get_envs() {
        let mut word = name.to_owned();
        word.push("=");
        word.push(value.unwrap_or_default());
        all.push(word);
    }
    all.extend([words.get_program()].into_iter().chain(words.get_args()).map(Into::into));
    let mut pty = Pty::start(&all);
    pty.wait_for("24 200");
    assert_eq!(pty.end(), Some(0));
    assert!(intake.requests().is_empty());
}
