//! Lines that are lost where the app dies: in all ways, some thousand lines after its start, at a rate that a busy app may have.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::LINE;
use super::intake::Intake;

/// Lines of one app.
const LINES: u64 = 50_000;

/// Lines that are written back to back, and how often: 200,000 a second.
const BURST: u64 = 200;
const PERIOD: Duration = Duration::from_millis(1);

/// The ways to die.
const WAYS: [&str; 6] =
    ["exit 0", "exit 3", "SIGKILL", "SIGSEGV", "SIGABRT", "TERM to the wrapper"];

/// The app: writes its lines and dies.
pub(crate) fn app(how: &str, lines: u64) {
    let mut due = Instant::now();
    for number in 1..=lines {
        // The last line has no end.
        let length = LINE.len() - usize::from(number == lines);
        let wrote = unsafe { libc::write(1, LINE.as_ptr().cast(), length) };
        assert_eq!(wrote, length.cast_signed());
        if number % BURST == 0 {
            due += PERIOD;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
    let signal = match how {
        "SIGKILL" => libc::SIGKILL,
        "SIGSEGV" => libc::SIGSEGV,
        "SIGABRT" => libc::SIGABRT,
        "exit 3" => unsafe { libc::_exit(3) },
        _ => return,
    };
    unsafe { libc::raise(signal) };
}

/// What is lost of `LOST` lines (10,000,000) in each way to die, as text.
pub(crate) fn measure(wrapper: &Path) -> String {
    let lines: u64 = std::env::var("LOST").map_or(10_000_000, |text| text.parse().unwrap());
    let intake = Intake::start();
    intake.count();
    let runs = lines.div_ceil(LINES * WAYS.len() as u64);
    let mut text =
        format!("\n{:30} {:>6} {:>12} {:>8}\n", "the app dies by", "runs", "lines", "lost");
    for way in WAYS {
        let written: u64 = (0..runs).map(|_| run(wrapper, way, &intake)).sum();
        // Every wrapper has ended, and a request is counted before it is answered.
        let lost = written.abs_diff(intake.take_messages());
        writeln!(text, "{way:30} {runs:>6} {written:>12} {lost:>8}").unwrap();
    }
    text
}

/// One app. How many lines came out of the wrapper.
fn run(wrapper: &Path, way: &str, intake: &Intake) -> u64 {
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new(wrapper);
    intake.receive_from(&mut command);
    let mut top = command
        .arg(own)
        .args(["--dying-app", way, &LINES.to_string()])
        .env("DD_LOGS_ENABLED", "true")
        .env("DD_PILLION_EXIT_REPORT", "false")
        .env("DD_LOG_LEVEL", "off")
        .env("DD_APM_RECEIVER_PORT", "0")
        .env("DD_DOGSTATSD_PORT", "0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = top.stdout.take().unwrap();
    let (mut buffer, mut bytes) = (vec![0; 1 << 20], 0);
    while let Ok(read @ 1..) = output.read(&mut buffer) {
        if bytes == 0 && way.starts_with("TERM") {
            std::thread::sleep(Duration::from_millis(100));
            unsafe { libc::kill(top.id().cast_signed(), libc::SIGTERM) };
        }
        bytes += read;
    }
    top.wait().unwrap();
    bytes.div_ceil(LINE.len()) as u64
}
