//! A child that does as it is told: prints the signals it gets, shows the state it was started with, ends in a given way, leaves orphans.
//!
//! It starts as a C program does, without the start of Rust's own, which would change what it is to show.

#![no_main]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "a test program that looks at the process as C does"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "its panic is how a test sees that it went wrong"
)]

#[path = "../shared/noise.rs"]
mod noise;

use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt::Write as _;
use std::time::Duration;

unsafe extern "C" {
    static environ: *const *const c_char;
}

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let args: Vec<&CStr> = (1..usize::try_from(argc).unwrap())
        .map(|at| unsafe { CStr::from_ptr(*argv.add(at)) })
        .collect();
    let words: Vec<&str> = args.iter().map(|arg| arg.to_str().unwrap_or("")).collect();
    match words.as_slice() {
        ["enter", ..] => enter(&args[1..]),
        ["exit", code] => code.parse().unwrap(),
        ["die", signal] => die(signal.parse().unwrap()),
        ["signals"] => signals(),
        ["hold-on"] => hold_on(),
        ["cat"] => cat(),
        ["state", path, ..] => state(path, &args[2..]),
        ["orphans", count] => orphans(count.parse().unwrap()),
        ["neglect", ..] => neglect(&args[1..]),
        ["stubborn", wait_ms, code] => stubborn(wait_ms.parse().unwrap(), code.parse().unwrap()),
        ["slow-stop", wait_ms, code] => slow_stop(wait_ms.parse().unwrap(), code.parse().unwrap()),
        ["flood", bytes, code] => flood(bytes.parse().unwrap(), code.parse().unwrap()),
        ["hold", wait_ms, code] => hold(wait_ms.parse().unwrap(), code.parse().unwrap()),
        ["burst", pid, count] => burst(pid.parse().unwrap(), count.parse().unwrap()),
        ["group-kill"] => group_kill(),
        ["lines", count, code] => lines(count.parse().unwrap(), code.parse().unwrap()),
        ["noise", bytes, code] => make_noise(bytes.parse().unwrap(), code.parse().unwrap()),
        ["alternate", count] => alternate(count.parse().unwrap()),
        ["heir", wait_ms, count, code] => {
            heir(wait_ms.parse().unwrap(), count.parse().unwrap(), code.parse().unwrap())
        }
        ["last-words", signal] => last_words(signal.parse().unwrap()),
        ["until-refused"] => until_refused(),
        _ => panic!("no such task: {words:?}"),
    }
}

fn say(text: &str) {
    write_to(1, text.as_bytes());
}

fn write_to(fd: c_int, mut rest: &[u8]) {
    while !rest.is_empty() {
        let written = unsafe { libc::write(fd, rest.as_ptr().cast(), rest.len()) };
        let Ok(written) = usize::try_from(written) else { return };
        rest = &rest[written..];
    }
}

fn sleep_ms(wait_ms: u64) {
    std::thread::sleep(Duration::from_millis(wait_ms));
}

/// Waits until the other end of standard input is closed.
fn wait_for_end_of_input() {
    let mut byte = 0_u8;
    loop {
        let count = unsafe { libc::read(0, (&raw mut byte).cast(), 1) };
        let is_interrupted = count < 0 && unsafe { *libc::__errno_location() } == libc::EINTR;
        if count <= 0 && !is_interrupted {
            return;
        }
    }
}

fn set_action(signal: c_int, action: usize) {
    // The kernel's own call: the C library refuses the signals that it keeps for itself.
    let raw = [action, 0, 0, 0];
    unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal, raw.as_ptr(), std::ptr::null::<usize>(), 8)
    };
}

/// Changes the state of this process by the words `ignore=N`, `default=N`, `block=N`, `close=FD`, `open=FD`, `chdir=PATH`, `files=N`, `env=NAME=VALUE`, then executes the
/// command after `--`, with `$$` in a value replaced by the pid.
fn enter(args: &[&CStr]) -> c_int {
    let end = args.iter().position(|arg| *arg == c"--").unwrap();
    for word in &args[..end] {
        let (name, value) = word.to_str().unwrap().split_once('=').unwrap();
        let number = || value.parse::<c_int>().unwrap();
        unsafe {
            match name {
                "ignore" => set_action(number(), libc::SIG_IGN),
                "default" => set_action(number(), libc::SIG_DFL),
                "block" => {
                    let set = 1_u64 << (number() - 1);
                    libc::syscall(
                        libc::SYS_rt_sigprocmask,
                        libc::SIG_BLOCK,
                        &raw const set,
                        std::ptr::null::<u64>(),
                        8,
                    );
                }
                "close" => {
                    libc::close(number());
                }
                "open" => {
                    let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
                    if null != number() {
                        libc::dup2(null, number());
                        libc::close(null);
                    }
                }
                "chdir" => assert_eq!(libc::chdir(CString::new(value).unwrap().as_ptr()), 0),
                "files" => {
                    let limit = libc::rlimit {
                        rlim_cur: value.parse().unwrap(),
                        rlim_max: value.parse().unwrap(),
                    };
                    libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
                }
                "env" => {
                    let value = value.replace("$$", &libc::getpid().to_string());
                    libc::putenv(CString::new(value).unwrap().into_raw());
                }
                _ => panic!("no such change: {name}"),
            }
        }
    }
    let mut pointers: Vec<_> = args[end + 1..].iter().map(|arg| arg.as_ptr()).collect();
    pointers.push(std::ptr::null());
    unsafe { libc::execvp(pointers[0], pointers.as_ptr()) };
    panic!("cannot execute {:?}", args[end + 1]);
}

fn die(signal: c_int) -> c_int {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    set_action(signal, libc::SIG_DFL);
    let empty = 0_u64;
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const empty,
            std::ptr::null::<u64>(),
            8,
        );
        libc::kill(libc::getpid(), signal);
    }
    sleep_ms(2000);
    255
}

fn write_signal(number: c_int) {
    let number = u8::try_from(number).unwrap_or(0);
    let line = [b's', b'i', b'g', b' ', b'0' + number / 10, b'0' + number % 10, b'\n'];
    unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
}

extern "C" fn write_fault(number: c_int) {
    write_signal(number);
}

/// Prints each signal that it gets. Ends with 0 at the end of its input.
fn signals() -> c_int {
    for number in 1..=64 {
        match number {
            libc::SIGKILL | libc::SIGSTOP | libc::SIGCHLD | 32 | 33 => {}
            // signal-hook leaves these to the program, as a fault of its own would come back for ever.
            libc::SIGILL | libc::SIGFPE | libc::SIGSEGV => unsafe {
                libc::signal(number, write_fault as *const () as usize);
            },
            _ => {
                unsafe { signal_hook::low_level::register(number, move || write_signal(number)) }
                    .unwrap();
            }
        }
    }
    say("ready\n");
    wait_for_end_of_input();
    0
}

/// Does nothing for half a minute, with every action as it was given.
fn hold_on() -> c_int {
    say("ready\n");
    sleep_ms(30_000);
    98
}

/// Copies its input to its output.
fn cat() -> c_int {
    say("ready\n");
    let mut bytes = [0_u8; 256];
    loop {
        let count = unsafe { libc::read(0, bytes.as_mut_ptr().cast(), bytes.len()) };
        let Ok(count @ 1..) = usize::try_from(count) else { return c_int::from(count != 0) };
        unsafe { libc::write(1, bytes.as_ptr().cast(), count) };
    }
}

/// Writes into `path` all that a process is given at its start, one fact a line.
fn state(path: &str, args: &[&CStr]) -> c_int {
    let mut text = String::new();
    for fd in 0..256 {
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        if flags >= 0 {
            let status = unsafe { libc::fcntl(fd, libc::F_GETFL) };
            let target = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
            writeln!(text, "file {fd}: {} flags {flags} status {status:o}", target.display())
                .unwrap();
        }
    }
    for line in std::fs::read_to_string("/proc/self/status").unwrap().lines() {
        if [
            "SigBlk",
            "SigIgn",
            "SigPnd",
            "ShdPnd",
            "SigCgt",
            "NoNewPrivs",
            "CapEff",
            "Uid",
            "Gid",
            "Umask",
        ]
        .iter()
        .any(|name| line.starts_with(name))
        {
            writeln!(text, "{line}").unwrap();
        }
    }
    text += &std::fs::read_to_string("/proc/self/limits").unwrap();
    writeln!(text, "oom {}", std::fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim())
        .unwrap();
    writeln!(text, "directory {}", std::env::current_dir().unwrap().display()).unwrap();
    for arg in args {
        writeln!(text, "argument {arg:?}").unwrap();
    }
    let mut entry = unsafe { environ };
    while !unsafe { *entry }.is_null() {
        writeln!(text, "environment {:?}", unsafe { CStr::from_ptr(*entry) }).unwrap();
        entry = unsafe { entry.add(1) };
    }
    std::fs::write(path, text).unwrap();
    // Beside it, what differs from process to process.
    let (pid, group) = unsafe { (libc::getpid(), libc::getpgrp()) };
    std::fs::write(format!("{path}.pid"), format!("{pid} {group}")).unwrap();
    0
}

/// Leaves `count` processes whose parent has ended, which end soon after, and waits for the end of its input.
fn orphans(count: u64) -> c_int {
    for number in 0..count {
        unsafe {
            let parent = libc::fork();
            if parent == 0 {
                if libc::fork() == 0 {
                    libc::close(1);
                    sleep_ms(20 + number * 7 % 100);
                }
                libc::_exit(0);
            }
            libc::waitpid(parent, std::ptr::null_mut(), 0);
        }
    }
    say("ready\n");
    wait_for_end_of_input();
    0
}

/// Runs the command and waits for it alone: what an app does that is no init. The negative control of the tests about orphans.
fn neglect(args: &[&CStr]) -> c_int {
    let mut status = 0;
    let mut pointers: Vec<_> = args.iter().map(|arg| arg.as_ptr()).collect();
    pointers.push(std::ptr::null());
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        let child = libc::fork();
        if child == 0 {
            libc::execvp(pointers[0], pointers.as_ptr());
            libc::_exit(127);
        }
        libc::waitpid(child, &raw mut status, 0);
    }
    status >> 8
}

/// Ignores what asks it to stop, and ends by itself.
fn stubborn(wait_ms: u64, code: c_int) -> c_int {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        set_action(signal, libc::SIG_IGN);
    }
    say("ready\n");
    sleep_ms(wait_ms);
    code
}

/// Takes its time after SIGTERM.
fn slow_stop(wait_ms: u64, code: c_int) -> c_int {
    let mut signals = signal_hook::iterator::Signals::new([libc::SIGTERM]).unwrap();
    say("ready\n");
    signals.forever().next();
    say("stopping\n");
    sleep_ms(wait_ms);
    code
}

fn flood(bytes: usize, code: c_int) -> c_int {
    let block = [b'x'; 65_536];
    let mut rest = bytes;
    while rest > 0 {
        let written = unsafe { libc::write(1, block.as_ptr().cast(), rest.min(block.len())) };
        let Ok(written) = usize::try_from(written) else { return 99 };
        rest -= written;
    }
    code
}

/// Ends while a child of its own keeps standard output open.
fn hold(wait_ms: u64, code: c_int) -> c_int {
    if unsafe { libc::fork() } == 0 {
        sleep_ms(wait_ms);
        return 0;
    }
    say("out\n");
    code
}

/// Sends `count` real-time signals, which queue, to `pid`, with a value that says which one it is.
fn burst(pid: c_int, count: usize) -> c_int {
    for number in 0..count {
        let value = libc::sigval { sival_ptr: number as *mut libc::c_void };
        if unsafe { libc::sigqueue(pid, 35, value) } != 0 {
            return 1;
        }
    }
    0
}

/// Kills its own process group, as scripts do at their end (`kill 0`).
fn group_kill() -> c_int {
    unsafe { libc::kill(0, libc::SIGKILL) };
    sleep_ms(2000);
    255
}

/// Writes numbered lines, each at once.
fn lines(count: u64, code: c_int) -> c_int {
    (0..count).for_each(|number| say(&format!("line {number}\n")));
    code
}

/// Writes so many bytes of noise to each output, in pieces of all sizes in turn.
fn make_noise(bytes: usize, code: c_int) -> c_int {
    let (out, err) = (noise::noise(1, bytes), noise::noise(2, bytes));
    let (mut at, mut size) = (0, 1);
    while at < bytes {
        let end = bytes.min(at + size);
        write_to(1, &out[at..end]);
        write_to(2, &err[at..end]);
        (at, size) = (end, size * 7 % 100_003);
    }
    code
}

/// Writes numbered lines to both outputs in turn.
fn alternate(count: u64) -> c_int {
    for number in 0..count {
        write_to(1, format!("out {number}\n").as_bytes());
        write_to(2, format!("err {number}\n").as_bytes());
    }
    0
}

/// Ends while a child of its own goes on writing to standard output.
fn heir(wait_ms: u64, count: u64, code: c_int) -> c_int {
    if unsafe { libc::fork() } == 0 {
        for number in 0..count {
            say(&format!("heir {number}\n"));
            sleep_ms(wait_ms);
        }
        return 0;
    }
    say("parent\n");
    code
}

/// Is killed right after it has written.
fn last_words(signal: c_int) -> c_int {
    say("whole line\nunfinished");
    die(signal)
}

/// Ignores SIGPIPE and writes until that fails. Ends with the number of the error.
fn until_refused() -> c_int {
    set_action(libc::SIGPIPE, libc::SIG_IGN);
    loop {
        if unsafe { libc::write(1, b"again\n".as_ptr().cast(), 6) } < 0 {
            return unsafe { *libc::__errno_location() };
        }
    }
}
