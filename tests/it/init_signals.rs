//! Every signal reaches the app, once, from the first instant on.

use std::time::{Duration, Instant};

use crate::support::place::{Place, Run, pillion, poll_until, scripted_child, send, state_of};

/// The signals that can be sent, caught by the scripted child, and are not the wrapper's own (SIGCHLD).
fn catchable() -> impl Iterator<Item = i32> {
    (1..=64)
        .filter(|signal| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, 32, 33].contains(signal))
}

fn ready(place: Place) -> Run {
    let run = place.run(&["signals"]);
    run.expect_line("ready");
    run
}

#[test]
fn every_signal_reaches_the_child_in_order() {
    for place in Place::ALL {
        let mut run = ready(place);
        for signal in catchable() {
            run.send(signal);
            run.expect_line(&format!("sig {signal:02}"));
        }
        run.close_input();
        run.expect_code(0, "after 59 signals");
    }
}

#[test]
fn a_burst_of_all_signals_loses_none_and_doubles_none() {
    for place in Place::ALL {
        let mut run = ready(place);
        // A stop signal takes a SIGCONT away that has not been taken yet, and the other way round (signal(7)).
        let burst = || catchable().filter(|signal| *signal != libc::SIGCONT);
        burst().for_each(|signal| run.send(signal));
        let mut seen: Vec<_> = burst().map(|_| run.line()).collect();
        seen.sort();
        let expect: Vec<_> = burst().map(|signal| format!("sig {signal:02}")).collect();
        assert_eq!(seen, expect, "{place:?}");
        run.close_input();
        run.expect_code(0, "after a burst");
    }
}

#[test]
fn a_thousand_queued_signals_arrive_each() {
    for place in Place::ALL {
        let mut run = ready(place);
        let sender = Place::Ordinary.run_words(
            &[],
            vec![
                scripted_child().into(),
                "burst".into(),
                run.pid.to_string().into(),
                "1000".into(),
            ],
        );
        sender.expect_code(0, "the sender");
        for _ in 0..1000 {
            run.expect_line("sig 35");
        }
        run.send(libc::SIGUSR1);
        run.expect_line("sig 10");
        run.close_input();
        run.expect_code(0, "after a thousand signals");
    }
}

#[test]
fn a_second_term_is_passed_on_again() {
    for place in Place::ALL {
        let mut run = ready(place);
        for _ in 0..3 {
            run.send(libc::SIGTERM);
            run.expect_line("sig 15");
        }
        run.close_input();
        run.expect_code(0, "after three TERMs");
    }
}

#[test]
fn signals_that_the_c_library_keeps_for_itself_are_passed_on_too() {
    for place in Place::ALL {
        for signal in [32, 33] {
            // The posix_spawn that started this chain left them ignored.
            let run = place.run_from(&["default=32", "default=33"], &[], &["hold-on"]);
            run.expect_line("ready");
            run.send(signal);
            run.expect_code(128 + signal, "ended by a signal without a name");
        }
    }
}

#[test]
fn a_child_without_actions_of_its_own_is_ended_as_by_the_signal() {
    for place in Place::ALL {
        for signal in [
            libc::SIGTERM,
            libc::SIGUSR1,
            libc::SIGUSR2,
            libc::SIGINT,
            libc::SIGHUP,
            libc::SIGQUIT,
            34,
            64,
        ] {
            let run = place.run(&["hold-on"]);
            run.expect_line("ready");
            run.send(signal);
            run.expect_code(128 + signal, "the child has the default action");
        }
    }
}

#[test]
fn a_signal_is_for_the_child_and_not_for_its_children() {
    for place in Place::ALL {
        let run = place.run_words(&[], vec![
            pillion().into(),
            "sh".into(),
            "-c".into(),
            "trap 'echo parent' TERM; sh -c 'trap \"echo child\" TERM; echo ready; read line; echo child ends'; echo parent ends; exit 3".into(),
        ]);
        run.expect_line("ready");
        let mut run = run;
        run.send(libc::SIGTERM);
        // The shell waits for its child before it runs its own trap.
        std::thread::sleep(Duration::from_millis(50));
        run.close_input();
        run.expect_line("child ends");
        run.expect_line("parent");
        run.expect_line("parent ends");
        run.expect_code(3, "a shell with a child");
    }
}

#[test]
fn an_app_that_ignores_term_is_not_killed() {
    for place in Place::ALL {
        let run = place.run(&["stubborn", "400", "9"]);
        run.expect_line("ready");
        run.send(libc::SIGTERM);
        run.send(libc::SIGTERM);
        run.expect_code(9, "an app that ignores TERM");
    }
}

#[test]
fn an_app_that_needs_time_to_stop_has_it() {
    for place in Place::ALL {
        let run = place.run(&["slow-stop", "800", "17"]);
        run.expect_line("ready");
        let asked = Instant::now();
        run.send(libc::SIGTERM);
        run.expect_line("stopping");
        run.expect_code(17, "an app that needs 0.8 s");
        assert!(asked.elapsed() >= Duration::from_millis(800), "{place:?}");
    }
}

#[test]
fn a_stopped_child_stays_stopped_until_it_is_continued() {
    for place in Place::ALL {
        for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            let run = place.run(&["hold-on"]);
            run.expect_line("ready");
            let child = run.child();
            run.send(signal);
            poll_until("the child is stopped", || state_of(child) == Some('T'));
            assert_ne!(
                state_of(run.pid),
                Some('T'),
                "the wrapper stops without a terminal, {place:?}"
            );
            run.send(libc::SIGCONT);
            poll_until("the child goes on", || state_of(child) != Some('T'));
            send(child, libc::SIGSTOP);
            poll_until("the child is stopped by SIGSTOP", || state_of(child) == Some('T'));
            send(child, libc::SIGCONT);
            run.send(libc::SIGTERM);
            run.expect_code(143, "stopped, continued and ended");
        }
    }
}

#[test]
fn a_signal_that_is_ignored_on_entry_stays_ignored() {
    for place in Place::ALL {
        let run = place.run_from(&["ignore=1", "ignore=15"], &[], &["hold-on"]);
        run.expect_line("ready");
        run.send(libc::SIGHUP);
        run.send(libc::SIGTERM);
        run.send(libc::SIGINT);
        run.expect_code(130, "HUP and TERM ignored on entry");
    }
}

#[test]
fn a_fault_of_another_process_is_passed_on() {
    for place in Place::ALL {
        for signal in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGABRT,
            libc::SIGTRAP,
            libc::SIGSYS,
        ] {
            let run = place.run(&["hold-on"]);
            run.expect_line("ready");
            run.send(signal);
            run.expect_code(128 + signal, "a fault's signal, sent");
        }
    }
}

#[test]
fn the_sidecar_ends_at_term_and_int() {
    for place in Place::ALL {
        for signal in [libc::SIGTERM, libc::SIGINT] {
            let run = place.run_words(&[], vec![pillion().into()]);
            run.send(libc::SIGUSR1);
            run.send(libc::SIGCHLD);
            run.send(signal);
            let (code, _) = run.end();
            assert_eq!(code, Some(0), "{place:?}");
        }
    }
}
