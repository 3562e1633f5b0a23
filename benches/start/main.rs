//! Measures the start: from the exec of a wrapper to the first instruction of the app, less a plain exec, and the SIGTERMs that a wrapper loses as
//! PID 1. The wrappers take turns, so that what else the machine does falls on all of them. Then, with everything on, whether the app starts any
//! later where metadata server, DNS and intake hang ([`surroundings`]).
//!
//! `cargo static && cargo bench --profile dev --bench start -- target/x86_64-unknown-linux-gnu/release/pillion`; more words after the binary
//! are further binaries to compare. `ROUNDS` and `SHOTS` change how often (1000 and 2000). It needs `cc`, and root or user namespaces.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measuring program starts processes and reads its own settings"
)]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "it prints, and ends where it cannot measure"
)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    unsafe_code,
    reason = "the clock is read between the system calls of a start"
)]

use std::ffi::CString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

#[path = "../../tests/it/support/first_instant.rs"]
mod first_instant;
mod surroundings;

use first_instant::{Shot, may_run_first, shoot};

/// The app: its first instructions ask for the time, it writes that to standard output, and ends.
#[cfg(target_arch = "x86_64")]
const STAMP: &str = "
.globl _start
_start: sub $32, %rsp
 mov $228, %eax; mov $1, %edi; mov %rsp, %rsi; syscall
 mov $1, %eax; mov $1, %edi; mov %rsp, %rsi; mov $16, %edx; syscall
 mov $60, %eax; xor %edi, %edi; syscall
";
#[cfg(target_arch = "aarch64")]
const STAMP: &str = "
.globl _start
_start: sub sp, sp, #32
 mov x8, #113; mov x0, #1; mov x1, sp; svc #0
 mov x8, #64; mov x0, #1; mov x1, sp; mov x2, #16; svc #0
 mov x8, #93; mov x0, #0; svc #0
";

/// What is compared: the words before the app.
struct Way {
    name: String,
    words: Vec<CString>,
    /// Variables beside our own, `NAME=value`.
    variables: Vec<CString>,
    waits_us: Vec<f64>,
}

impl Way {
    fn new(name: &str, words: &[&Path]) -> Self {
        let words =
            words.iter().map(|word| CString::new(word.as_os_str().as_bytes()).unwrap()).collect();
        Self { name: name.to_owned(), words, variables: Vec::new(), waits_us: Vec::new() }
    }

    fn percentile(&self, part: f64) -> f64 {
        let mut sorted = self.waits_us.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len() - 1;
        sorted[((last as f64) * part).round() as usize]
    }
}

fn main() {
    let binaries: Vec<PathBuf> =
        std::env::args_os().skip(1).map(PathBuf::from).filter(|path| path.is_file()).collect();
    assert!(
        !binaries.is_empty(),
        "name the binary: cargo bench --profile dev --bench start -- PATH"
    );
    let number = |name: &str, default: u32| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let (rounds, shots) = (number("ROUNDS", 1000), number("SHOTS", 2000));
    let folder = tempfile::tempdir().unwrap();
    let app = build_stamp(folder.path());
    let mut ways = vec![Way::new("plain exec", &[])];
    ways.extend(
        binaries
            .iter()
            .map(|path| Way::new(&path.display().to_string(), &[&path.canonicalize().unwrap()])),
    );
    for name in ["/usr/bin/tini", "/usr/bin/tini-static"] {
        if Path::new(name).exists() {
            ways.push(Way::new(name, &[Path::new(name), Path::new("--")]));
        }
    }
    // Neither the port of an agent on this machine nor the terminal is part of what is measured.
    unsafe { std::env::set_var("DD_APM_RECEIVER_PORT", "28126") };
    println!("from exec to the app's first instruction, {rounds} alternating runs, microseconds");
    compare(&mut ways, rounds, &app);
    if !may_run_first() {
        println!(
            "(no right to run ahead of others here: what is lost before a program's first instruction counts too)"
        );
    }
    println!("SIGTERM to PID 1 at a random instant 0 to 2000 microseconds after its exec, lost");
    for way in &ways[1..] {
        let lost = (0..shots).filter(|_| is_lost(&way.words)).count();
        println!("{lost:>8} of {shots}  {}", way.name);
    }
    surroundings::measure(&binaries[0], rounds, &app);
}

/// Starts the app in all ways in turn, and prints how long it took.
fn compare(ways: &mut [Way], rounds: u32, app: &CString) {
    for round in 0..rounds + 20 {
        for way in &mut *ways {
            let wait_us = start(way, app);
            if round >= 20 {
                way.waits_us.push(wait_us);
            }
        }
    }
    let first = ways[0].percentile(0.5);
    println!("{:>8} {:>8} {:>8} {:>8}  way", "median", "less", "p10", "p90");
    for way in ways {
        let [p10, p50, p90] = [0.1, 0.5, 0.9].map(|part| way.percentile(part));
        println!("{p50:>8.0} {:>8.0} {p10:>8.0} {p90:>8.0}  {}", p50 - first, way.name);
    }
}

fn build_stamp(folder: &Path) -> CString {
    let app = folder.join("stamp");
    let mut compiler = Command::new("cc")
        .args(["-nostdlib", "-static", "-x", "assembler", "-", "-o"])
        .arg(&app)
        .stdin(Stdio::piped())
        .spawn()
        .expect("cc is not installed");
    compiler.stdin.take().unwrap().write_all(STAMP.as_bytes()).unwrap();
    assert!(compiler.wait().unwrap().success(), "cc failed");
    CString::new(app.as_os_str().as_bytes()).unwrap()
}

fn now_ns() -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Starts the app below these words and returns the microseconds from just before the vfork to the app's first instruction.
fn start(Way { words, variables, .. }: &Way, app: &CString) -> f64 {
    let mut argv: Vec<_> = words.iter().chain([app]).map(|word| word.as_ptr()).collect();
    argv.push(std::ptr::null());
    let mut ends = [0; 2];
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    let mut pid = 0;
    let started = unsafe {
        let mut files = std::mem::zeroed::<libc::posix_spawn_file_actions_t>();
        libc::posix_spawn_file_actions_init(&raw mut files);
        libc::posix_spawn_file_actions_adddup2(&raw mut files, null, 0);
        libc::posix_spawn_file_actions_adddup2(&raw mut files, ends[1], 1);
        libc::posix_spawn_file_actions_adddup2(&raw mut files, null, 2);
        let environment = environment(variables);
        let started = now_ns();
        let error = libc::posix_spawn(
            &raw mut pid,
            argv[0],
            &raw const files,
            std::ptr::null(),
            argv.as_ptr().cast(),
            environment.as_ptr(),
        );
        assert_eq!(error, 0, "{words:?} cannot be started");
        libc::posix_spawn_file_actions_destroy(&raw mut files);
        libc::close(ends[1]);
        libc::close(null);
        started
    };
    let mut stamp = [0_i64; 2];
    let mut status = 0;
    unsafe {
        assert_eq!(
            libc::read(ends[0], stamp.as_mut_ptr().cast(), 16),
            16,
            "{words:?} did not start the app"
        );
        libc::close(ends[0]);
        libc::waitpid(pid, &raw mut status, 0);
    }
    assert_eq!(status, 0, "{words:?} did not end with 0");
    (stamp[0] * 1_000_000_000 + stamp[1] - started) as f64 / 1000.0
}

/// Our own environment and these variables, with a null pointer at the end.
fn environment(variables: &[CString]) -> Vec<*mut libc::c_char> {
    unsafe extern "C" {
        static environ: *const *mut libc::c_char;
    }
    let own = (0..).map(|at| unsafe { *environ.add(at) }).take_while(|entry| !entry.is_null());
    let variables = variables.iter().map(|entry| entry.as_ptr().cast_mut());
    own.chain(variables).chain([std::ptr::null_mut()]).collect()
}

fn is_lost(words: &[CString]) -> bool {
    let command = [words, &[c"sleep".to_owned(), c"60".to_owned()]].concat();
    let delay = Duration::from_nanos(fastrand::u64(0..2_000_000));
    match shoot(&command, delay, Duration::from_millis(400)) {
        Some(Shot::Lost) => true,
        Some(Shot::Ended(143)) => false,
        Some(Shot::Ended(code)) => panic!("{words:?} ended with {code}"),
        None => panic!("no pid namespace can be made here"),
    }
}
