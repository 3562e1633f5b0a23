//! As PID 1 no SIGTERM is lost, from the first instant after the exec on. That holds for a static build: before a dynamic loader has done its
//! work, no code of a program runs.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use crate::support::first_instant::{Shot, may_run_first, shoot};
use crate::support::place::pillion;

/// Whether the program is loaded by the kernel alone: it has no interpreter (program header type 3, elf(5)).
fn is_static(program: &[u8]) -> bool {
    let number = |at: usize, bytes: usize| {
        program[at..at + bytes]
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let (table, entry_bytes, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).all(|entry| number(table + entry * entry_bytes, 4) != 3)
}

fn words(program: &[&str]) -> Vec<CString> {
    program.iter().map(|word| CString::new(*word).unwrap()).collect()
}

#[test]
fn no_term_is_lost_at_any_instant_after_the_exec() {
    let program = pillion();
    if !is_static(&fs::read(&program).unwrap()) {
        println!(
            "skipped: {} is not static; name a static build in PILLION_BIN",
            program.display()
        );
        return;
    }
    if !may_run_first() {
        println!("skipped: no right to run ahead of others (SCHED_FIFO)");
        return;
    }
    let program = CString::new(program.into_os_string().into_vec()).unwrap();
    let command = [vec![program], words(&["sleep", "60"])].concat();
    for shot in 0..200_u64 {
        let delay = Duration::from_micros(shot * 10);
        let Some(outcome) = shoot(&command, delay, Duration::from_secs(20)) else {
            println!("skipped: no pid namespace can be made here");
            return;
        };
        assert_eq!(outcome, Shot::Ended(143), "{delay:?} after the exec");
    }
}

#[test]
fn a_program_without_an_init_loses_it() {
    let outcome =
        shoot(&words(&["sleep", "60"]), Duration::from_millis(20), Duration::from_millis(100));
    match outcome {
        Some(outcome) => assert_eq!(outcome, Shot::Lost),
        None => println!("skipped: no pid namespace can be made here"),
    }
}
