//! Measures what it costs that an app's output is shipped as logs: the wrapper's CPU for each line, and the time that the app's writes take.
//!
//! `cargo static && cargo bench --profile dev --bench output -- target/x86_64-unknown-linux-gnu/release/pillion`. `LINES` changes how many lines there
//! are (2,000,000); further binaries are compared; `--write` puts the result into BENCHMARKS.md. The reader at the end is this program; `cat` stands
//! between as the least that a wrapper can do. Then apps die in all ways, `LOST` lines (10,000,000) later, and what arrives is counted ([`lost`]).

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measuring program starts processes and reads its own settings"
)]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "it prints, and ends where it cannot measure"
)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    unsafe_code,
    reason = "rusage and plain writes have no wrapper in std"
)]

mod intake;
mod lost;

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use intake::Intake;

/// One line, its line feed included.
const LINE: &[u8; 100] =
    b"2026-11-25T22:30:00.123Z INFO [http-nio-8080-exec-7] c.e.shop.Orders - order 4711 stored in 12 ms #\n";

const BEGIN: &str = "<!-- measured by benches/output -->";
const END: &str = "<!-- end -->";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--app", count, gap_us, report] => {
            app(count.parse().unwrap(), gap_us.parse().unwrap(), Path::new(report));
        }
        ["--dying-app", how, lines] => lost::app(how, lines.parse().unwrap()),
        words => {
            let binaries: Vec<PathBuf> =
                words.iter().map(PathBuf::from).filter(|path| path.is_file()).collect();
            let text = measure(&binaries) + &lost::measure(&binaries[0]);
            print!("{text}");
            if words.contains(&"--write") {
                write(&text);
            }
        }
    }
}

/// The app: writes lines, one every `gap_us`, and reports its CPU seconds and how long its writes took.
fn app(count: usize, gap_us: u64, report: &Path) {
    let mut times_ns = Vec::with_capacity(if gap_us > 0 { count } else { 0 });
    let mut next = Instant::now();
    for _ in 0..count {
        if gap_us > 0 {
            next += Duration::from_micros(gap_us);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        let start = Instant::now();
        assert_eq!(unsafe { libc::write(1, LINE.as_ptr().cast(), LINE.len()) }, 100);
        if gap_us > 0 {
            times_ns.push(u64::try_from(start.elapsed().as_nanos()).unwrap());
        }
    }
    times_ns.sort_unstable();
    let part =
        |part: f64| times_ns.get((times_ns.len() as f64 * part) as usize).copied().unwrap_or(0);
    let text = format!("{} {} {}", cpu_s(libc::RUSAGE_SELF), part(0.5), part(0.99));
    std::fs::write(report, text).unwrap();
}

fn cpu_s(who: libc::c_int) -> f64 {
    let mut usage = unsafe { std::mem::zeroed::<libc::rusage>() };
    unsafe { libc::getrusage(who, &raw mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// What is compared: the words before the app, or a pipe to `cat` behind it.
struct Way {
    name: String,
    wrapper: Option<PathBuf>,
    logs: bool,
    cat: bool,
}

fn measure(binaries: &[PathBuf]) -> String {
    assert!(!binaries.is_empty(), "name the binary: cargo bench --bench output -- PATH");
    let lines: usize = std::env::var("LINES").map_or(2_000_000, |text| text.parse().unwrap());
    let way = |name: &str| Way { name: name.into(), wrapper: None, logs: false, cat: false };
    let mut ways = vec![way("none"), Way { cat: true, ..way("cat") }];
    for path in binaries {
        for logs in [false, true] {
            let name = format!("{} logs {}", path.display(), if logs { "on" } else { "off" });
            ways.push(Way { wrapper: Some(path.canonicalize().unwrap()), logs, ..way(&name) });
        }
    }
    let intake = Intake::start();
    let mut text =
        format!("{lines} lines of 100 bytes, back to back; then 4,000 lines, one every 500 us\n");
    writeln!(
        text,
        "{:50} {:>10} {:>10} {:>12} {:>10} {:>10}",
        "", "us/line", "seconds", "us/line apart", "write p50", "p99 us"
    )
    .unwrap();
    for way in &ways {
        let flood = run(way, lines, 0, &intake);
        let apart = run(way, 4000, 500, &intake);
        writeln!(
            text,
            "{:50} {:>10.3} {:>10.2} {:>12.2} {:>10.1} {:>10.1}",
            way.name,
            flood.wrapper_cpu_s * 1e6 / lines as f64,
            flood.seconds,
            apart.wrapper_cpu_s * 1e6 / 4000.0,
            apart.write_ns[0] / 1e3,
            apart.write_ns[1] / 1e3,
        )
        .unwrap();
    }
    text
}

/// Puts the result between its marks in BENCHMARKS.md.
fn write(result: &str) {
    let text = std::fs::read_to_string("BENCHMARKS.md").unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let text = format!("{before}{BEGIN}\n\n```text\n{result}```\n\n{END}{after}");
    std::fs::write("BENCHMARKS.md", text).unwrap();
}

struct Measured {
    /// CPU seconds of all but the app.
    wrapper_cpu_s: f64,
    seconds: f64,
    /// The median and the 99th percentile of the app's writes.
    write_ns: [f64; 2],
}

fn run(way: &Way, count: usize, gap_us: u64, intake: &Intake) -> Measured {
    let report = tempfile::NamedTempFile::new().unwrap();
    let own = std::env::current_exe().unwrap();
    let app = [own.display().to_string(), "--app".into(), count.to_string(), gap_us.to_string()];
    let mut words = app.to_vec();
    words.push(report.path().display().to_string());
    if let Some(wrapper) = &way.wrapper {
        words.insert(0, wrapper.display().to_string());
    }
    if way.cat {
        words = vec!["sh".into(), "-c".into(), format!("{} | cat", words.join(" "))];
    }
    let before = cpu_s(libc::RUSAGE_CHILDREN);
    let start = Instant::now();
    let mut command = Command::new(&words[0]);
    intake.receive_from(&mut command);
    let mut top = command
        .args(&words[1..])
        .env("DD_LOGS_ENABLED", way.logs.to_string())
        .env("DD_APM_RECEIVER_PORT", "0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = top.stdout.take().unwrap();
    let (mut buffer, mut bytes) = (vec![0; 1 << 20], 0);
    while let Ok(read @ 1..) = output.read(&mut buffer) {
        bytes += read;
    }
    assert!(top.wait().unwrap().success());
    assert_eq!(bytes, count * 100);
    let seconds = start.elapsed().as_secs_f64();
    let text = std::fs::read_to_string(report.path()).unwrap();
    let numbers: Vec<f64> = text.split(' ').map(|number| number.parse().unwrap()).collect();
    let wrapper_cpu_s = cpu_s(libc::RUSAGE_CHILDREN) - before - numbers[0];
    Measured { wrapper_cpu_s, seconds, write_ns: [numbers[1], numbers[2]] }
}
