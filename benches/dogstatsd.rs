//! Measures what metrics cost: packets per second that the binary reads, what the kernel dropped, and the CPU of the whole process for each.
//!
//! `cargo static && cargo bench --profile dev --bench dogstatsd -- target/x86_64-unknown-linux-gnu/release/pillion`. `PACKETS` changes how many
//! packets there are (2,000,000); further binaries are compared; `--write` puts the table of the first into BENCHMARKS.md. A unix socket makes
//! its clients wait and loses nothing, so there the time counts until all is read. UDP does not: the sender is as fast as it can be, and what
//! has no room is lost. The last rows are a process that is left alone.

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
#![allow(clippy::undocumented_unsafe_blocks, unsafe_code, reason = "sysconf has no wrapper in std")]

#[allow(dead_code, reason = "nothing is counted here")]
#[path = "output/intake.rs"]
mod intake;

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use intake::Intake;

const BEGIN: &str = "<!-- measured by benches/dogstatsd -->";
const END: &str = "<!-- end -->";

/// How long an idle process is watched.
const IDLE: Duration = Duration::from_secs(60);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let binaries: Vec<PathBuf> =
        words.iter().map(PathBuf::from).filter(|path| path.is_file()).collect();
    assert!(!binaries.is_empty(), "name the binary: cargo bench --bench dogstatsd -- PATH");
    let packets = std::env::var("PACKETS").map_or(2_000_000, |text| text.parse().unwrap());
    for (place, path) in binaries.iter().enumerate() {
        let table = measure(path, packets);
        println!("{}\n\n{table}", path.display());
        if place == 0 && words.iter().any(|word| word == "--write") {
            write(&table);
        }
    }
}

/// The table of one binary.
fn measure(path: &Path, packets: usize) -> String {
    let mut table =
        String::from("| packets | per second | CPU us each | lost |\n|---|---:|---:|---:|\n");
    for (name, is_unix, contexts) in [
        ("unix socket, one counter with 5 tags", true, 1),
        ("unix socket, 100 counters with 5 tags", true, 100),
        ("UDP, one counter with 5 tags", false, 1),
        ("UDP, 100 counters with 5 tags", false, 100),
    ] {
        let run = flood(path, packets, is_unix, contexts);
        writeln!(
            table,
            "| {name} | {:.0} | {:.2} | {:.1} % |",
            run.received / run.seconds,
            run.cpu_s * 1e6 / run.received,
            100.0 * (1.0 - run.received / packets as f64)
        )
        .unwrap();
    }
    let idle = idle(path);
    write!(
        table,
        "\n| idle for {} s: traces, logs, metrics on | |\n|---|---:|\n| wake-ups per second, all threads | {:.2} |\n| CPU | {:.3} % |\n| memory (RSS) | {:.1} MB |\n",
        IDLE.as_secs(),
        idle.wakeups_per_s,
        idle.cpu_percent,
        idle.rss_mb
    )
    .unwrap();
    table
}

/// A process with everything on that wraps an app which does nothing.
struct Process {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Process {
    fn start(path: &Path, intake: &Intake) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let traces = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let socket = folder.path().join("dsd.socket");
        let mut command = Command::new(path);
        intake.receive_from(&mut command);
        let child = command
            .args(["sleep", "1000"])
            .env("DD_LOGS_ENABLED", "true")
            .env("DD_APM_RECEIVER_PORT", traces.to_string())
            .env("DD_DOGSTATSD_PORT", port.to_string())
            .env("DD_DOGSTATSD_SOCKET", &socket)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let due = Instant::now() + Duration::from_secs(10);
        while !socket.exists() {
            assert!(Instant::now() < due, "it does not listen on the unix socket");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, folder, port }
    }

    fn stat(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }

    /// CPU seconds of all threads so far, to the nanosecond; those that have ended are not in it.
    fn threads_cpu_s(&self) -> f64 {
        let of = |text: String| text.split(' ').next().unwrap().parse::<f64>().unwrap();
        self.of_threads("schedstat", of) / 1e9
    }

    /// CPU seconds of all threads so far, in ticks.
    fn cpu_s(&self) -> f64 {
        let stat = self.stat("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        ticks / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
    }

    fn wakeups(&self) -> f64 {
        self.of_threads("status", |text| number(&text, "voluntary_ctxt_switches:"))
    }

    /// The sum of what `of` reads in this file of each thread.
    fn of_threads(&self, name: &str, of: impl Fn(String) -> f64) -> f64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().flatten();
        threads.filter_map(|thread| fs::read_to_string(thread.path().join(name)).ok()).map(of).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).unwrap();
        unsafe { libc::kill(id, libc::SIGTERM) };
        self.child.wait().unwrap();
    }
}

/// The number behind a word at the start of a line.
fn number(text: &str, word: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(word)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

struct Run {
    received: f64,
    seconds: f64,
    cpu_s: f64,
}

/// The packets of different counters.
fn packets(contexts: usize) -> Vec<String> {
    let of = |at| {
        format!(
            "app.orders.stored.{at}:1|c|#env:prod,service:shop,region:europe-west1,status:200,lane:{at}"
        )
    };
    (0..contexts).map(of).collect()
}

fn flood(path: &Path, count: usize, is_unix: bool, contexts: usize) -> Run {
    let process = Process::start(path, &Intake::start());
    let packets = packets(contexts);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(("127.0.0.1", process.port)).unwrap();
    let unix = UnixDatagram::unbound().unwrap();
    unix.connect(process.folder.path().join("dsd.socket")).unwrap();
    let (cpu_before, dropped_before) = (process.cpu_s(), dropped(process.port));
    let start = Instant::now();
    for packet in packets.iter().cycle().take(count) {
        let sent = if is_unix { unix.send(packet.as_bytes()) } else { udp.send(packet.as_bytes()) };
        sent.unwrap();
    }
    // A unix socket's queue is some packets long, so that nearly all is read by now.
    let seconds = start.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_millis(500));
    let lost = if is_unix { 0.0 } else { dropped(process.port) - dropped_before };
    Run { received: count as f64 - lost, seconds, cpu_s: process.cpu_s() - cpu_before }
}

/// Datagrams that the kernel dropped of a UDP socket on this port: the last column of /proc/net/udp.
fn dropped(port: u16) -> f64 {
    let place = format!(":{port:04X}");
    let text = fs::read_to_string("/proc/net/udp").unwrap();
    let of = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&place).then(|| fields[12].parse::<f64>().unwrap())
    };
    text.lines().skip(1).find_map(of).unwrap()
}

struct Idle {
    wakeups_per_s: f64,
    cpu_percent: f64,
    rss_mb: f64,
}

fn idle(path: &Path) -> Idle {
    let process = Process::start(path, &Intake::start());
    // What is done once after the start is done by then.
    std::thread::sleep(Duration::from_secs(3));
    let (cpu_before, wakeups_before) = (process.threads_cpu_s(), process.wakeups());
    std::thread::sleep(IDLE);
    let seconds = IDLE.as_secs_f64();
    Idle {
        wakeups_per_s: (process.wakeups() - wakeups_before) / seconds,
        cpu_percent: (process.threads_cpu_s() - cpu_before) / seconds * 100.0,
        rss_mb: number(&process.stat("status"), "VmRSS:") / 1024.0,
    }
}

/// Puts the table between its marks in BENCHMARKS.md.
fn write(table: &str) {
    let text = fs::read_to_string("BENCHMARKS.md").unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    fs::write("BENCHMARKS.md", format!("{before}{BEGIN}\n\n{table}\n{END}{after}")).unwrap();
}
