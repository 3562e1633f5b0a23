//! No orphan stays a zombie, whether we are PID 1 or not, and nobody waits for them.

use std::ffi::OsString;

use crate::support::place::{Place, Run, children, pillion, poll_until, scripted_child, state_of};

const ORPHANS: usize = 100;

fn zombies(pid: i32) -> usize {
    children(pid).into_iter().filter(|child| state_of(*child) == Some('Z')).count()
}

/// The pid of the process that runs the task, below the wrapper or below the negative control.
fn check_is_left_alone(run: &Run, child: i32) {
    poll_until("only the child is left", || children(run.pid) == [child]);
}

#[test]
fn a_hundred_orphans_leave_no_zombie() {
    for place in Place::ALL {
        let mut run = place.run(&["orphans", &ORPHANS.to_string()]);
        let child = run.child();
        run.expect_line("ready");
        check_is_left_alone(&run, child);
        run.close_input();
        run.expect_code(0, "after the orphans");
    }
}

#[test]
fn without_an_init_they_would_stay() {
    for place in Place::ALL {
        let child = OsString::from(scripted_child());
        let words = ["neglect".into(), child.clone(), "orphans".into(), ORPHANS.to_string().into()];
        let mut run = place.run_words(&[], [child].into_iter().chain(words).collect());
        run.expect_line("ready");
        poll_until("all orphans are zombies", || zombies(run.pid) == ORPHANS);
        run.close_input();
        run.expect_code(0, "the negative control");
    }
}

#[test]
fn orphans_of_a_background_job_of_a_shell_are_reaped() {
    for place in Place::ALL {
        let script = "(sh -c 'sleep 0.05' &) ; (sleep 0.1 &) ; echo ready; read line; exit 4";
        let mut run =
            place.run_words(&[], vec![pillion().into(), "sh".into(), "-c".into(), script.into()]);
        let child = run.child();
        run.expect_line("ready");
        check_is_left_alone(&run, child);
        run.close_input();
        run.expect_code(4, "a shell with background jobs");
    }
}

#[test]
fn orphans_that_still_run_do_not_delay_the_exit() {
    for place in Place::ALL {
        let script = "(sleep 20 >/dev/null 2>&1 &) ; exit 6";
        let run =
            place.run_words(&[], vec![pillion().into(), "sh".into(), "-c".into(), script.into()]);
        let started = std::time::Instant::now();
        run.expect_code(6, "an orphan that runs on");
        assert!(started.elapsed().as_secs() < 10, "{place:?}");
    }
}

#[test]
fn the_sidecar_reaps_too() {
    // A child that was there before the exec: a shell's background job, which then belongs to the wrapper.
    for place in Place::ALL {
        let script = format!("sleep 0.1 & exec {}", pillion().display());
        let run = place.run_words(&[], vec!["/bin/sh".into(), "-c".into(), script.into()]);
        run.wait_for_mask();
        poll_until("the job is reaped", || children(run.pid).is_empty());
        run.send(libc::SIGTERM);
        assert_eq!(run.end().0, Some(0), "{place:?}");
    }
}

#[test]
fn a_child_that_was_there_before_the_exec_is_reaped_and_not_taken_for_the_app() {
    for place in Place::ALL {
        let script = format!(
            "sh -c 'exit 9' & exec {} {} signals",
            pillion().display(),
            scripted_child().display()
        );
        let mut run = place.run_words(&[], vec!["/bin/sh".into(), "-c".into(), script.into()]);
        run.expect_line("ready");
        poll_until("the job is reaped", || children(run.pid).len() == 1);
        run.close_input();
        run.expect_code(0, "with a child from before");
    }
}
