//! A SIGTERM at a chosen instant after the exec of a program that is PID 1. It stands alone, so that the measuring program uses it too.

#![allow(
    clippy::undocumented_unsafe_blocks,
    unsafe_code,
    reason = "a process is made here without any code of Rust between fork and exec"
)]

use std::ffi::CString;
use std::time::{Duration, Instant};

/// What became of a SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shot {
    /// The program ended because of it, with this exit code (143 for a wrapper whose child has the default action).
    Ended(i32),
    /// The program ran on: the signal was lost.
    Lost,
}

/// Whether a program can be started here that runs ahead of all others. Where it cannot, a busy machine may run it late, and before its first
/// instruction no program can do anything.
pub(crate) fn may_run_first() -> bool {
    std::thread::spawn(|| run_first() == 0).join().is_ok_and(|may| may)
}

fn run_first() -> i32 {
    let first = libc::sched_param { sched_priority: 50 };
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const first) }
}

/// Starts the program as PID 1 of a namespace of its own, waits for `delay` after its exec, sends SIGTERM, and looks for `patience` whether it
/// ends. Nothing where no namespace can be made. Both run ahead of all others where they may, so that the instant is the one asked for.
pub(crate) fn shoot(words: &[CString], delay: Duration, patience: Duration) -> Option<Shot> {
    std::thread::scope(|scope| {
        let shot = scope.spawn(|| {
            // The program inherits it.
            run_first();
            shoot_from_here(words, delay, patience)
        });
        shot.join().unwrap()
    })
}

fn shoot_from_here(words: &[CString], delay: Duration, patience: Duration) -> Option<Shot> {
    let mut argv: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
    argv.push(std::ptr::null());
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    let own_user = if unsafe { libc::geteuid() } == 0 { 0 } else { libc::CLONE_NEWUSER };
    let flags = libc::c_long::from(libc::CLONE_NEWPID | own_user | libc::SIGCHLD);
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if pid == 0 {
        unsafe {
            libc::dup2(null, 0);
            libc::dup2(null, 1);
            libc::dup2(null, 2);
            libc::execvp(argv[0], argv.as_ptr());
            libc::_exit(127);
        }
    }
    let pid = i32::try_from(pid).unwrap();
    unsafe {
        libc::close(ends[1]);
        libc::close(null);
    }
    if pid < 0 {
        unsafe { libc::close(ends[0]) };
        return None;
    }
    // The exec closes the other end.
    let mut byte = 0_u8;
    while unsafe { libc::read(ends[0], (&raw mut byte).cast(), 1) } > 0 {}
    let executed = Instant::now();
    while executed.elapsed() < delay {
        std::hint::spin_loop();
    }
    unsafe {
        libc::kill(pid, libc::SIGTERM);
        libc::close(ends[0]);
    }
    let sent = Instant::now();
    let mut status = 0;
    loop {
        if unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } == pid {
            let code =
                if status & 0x7f == 0 { (status >> 8) & 0xff } else { 256 + (status & 0x7f) };
            return Some(Shot::Ended(code));
        }
        if sent.elapsed() > patience {
            unsafe {
                libc::kill(pid, libc::SIGKILL);
                libc::waitpid(pid, &raw mut status, 0);
            }
            return Some(Shot::Lost);
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}
