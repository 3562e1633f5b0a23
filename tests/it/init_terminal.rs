//! Job control at a terminal is as without us: Ctrl-C reaches the app once, the app can read, Ctrl-Z and `fg` work, and the size arrives.

use std::ffi::OsString;

use crate::support::place::{Place, children, pillion, poll_until, scripted_child, send, state_of};
use crate::support::pty::Pty;

const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";
const CTRL_Z: &str = "\u{1a}";
const CTRL_BACKSLASH: &str = "\u{1c}";

/// The words that make the next one the leader of a terminal's session in this place. Without setsid(1) the leader of a namespace's first
/// process group would be outside of it, which no container has.
fn leader_words(place: Place) -> Vec<OsString> {
    let mut words = place.words();
    if place == Place::PidOne {
        words.extend(["setsid".into(), "--ctty".into()]);
    }
    words
}

/// The wrapper as the leader of a terminal's session, around these words, as in a container with `-it`.
fn start(place: Place, words: &[&str]) -> Pty {
    let mut all = leader_words(place);
    all.push(pillion().into());
    all.extend(words.iter().map(OsString::from));
    Pty::start(&all)
}

fn start_task(place: Place, task: &[&str]) -> Pty {
    let child = scripted_child().display().to_string();
    start(place, &[&[child.as_str()], task].concat())
}

/// The pid of the wrapper, as it is out here.
fn wrapper(place: Place, pty: &Pty) -> i32 {
    match place {
        Place::Ordinary => pty.leader_pid(),
        Place::PidOne => children(pty.leader_pid())[0],
    }
}

#[test]
fn ctrl_c_reaches_the_app_exactly_once() {
    for place in Place::ALL {
        let mut pty = start_task(place, &["signals"]);
        pty.wait_for("ready");
        for _ in 0..3 {
            pty.type_in(CTRL_C);
            pty.wait_for("sig 02");
            // Comes behind a second SIGINT, if there were one.
            send(wrapper(place, &pty), libc::SIGUSR1);
            let between = pty.wait_for("sig 10");
            assert!(!between.contains("sig"), "{between:?}, {place:?}");
        }
        pty.type_in(CTRL_D);
        assert_eq!(pty.end(), Some(0), "{place:?}");
    }
}

#[test]
fn ctrl_c_and_ctrl_backslash_end_an_app_that_does_nothing_about_them() {
    for place in Place::ALL {
        for (key, code) in [(CTRL_C, 130), (CTRL_BACKSLASH, 131)] {
            let mut pty = start_task(place, &["hold-on"]);
            pty.wait_for("ready");
            pty.type_in(key);
            assert_eq!(pty.end(), Some(code), "{place:?}");
        }
    }
}

#[test]
fn the_app_can_read_from_its_first_instruction() {
    for place in Place::ALL {
        for _ in 0..20 {
            let mut pty = start(place, &["cat"]);
            pty.type_in("hello\n");
            // Once as its echo, once from cat.
            pty.wait_for("hello");
            pty.wait_for("hello");
            pty.type_in(CTRL_D);
            assert_eq!(pty.end(), Some(0), "{place:?}");
        }
    }
}

#[test]
fn a_new_size_reaches_the_app_once() {
    for place in Place::ALL {
        let mut pty = start_task(place, &["signals"]);
        pty.wait_for("ready");
        pty.resize(99);
        pty.wait_for("sig 28");
        send(wrapper(place, &pty), libc::SIGUSR1);
        assert!(!pty.wait_for("sig 10").contains("sig"), "{place:?}");
        send(wrapper(place, &pty), libc::SIGWINCH);
        pty.wait_for("sig 28");
        pty.type_in(CTRL_D);
        assert_eq!(pty.end(), Some(0), "{place:?}");
    }
}

#[test]
fn ctrl_z_without_a_shell_does_not_stop_the_app_for_ever() {
    for place in Place::ALL {
        let mut pty = start(place, &["cat"]);
        pty.type_in("one\n");
        pty.wait_for("one");
        pty.wait_for("one");
        pty.type_in(CTRL_Z);
        pty.wait_for("^Z");
        pty.type_in("two\n");
        pty.wait_for("two");
        pty.wait_for("two");
        pty.type_in(CTRL_D);
        assert_eq!(pty.end(), Some(0), "{place:?}");
    }
}

#[test]
fn the_terminal_is_given_back_at_the_end() {
    for place in Place::ALL {
        let mut all = leader_words(place);
        let script = format!("{0} true; {0} false; echo after; cat; exit 5", pillion().display());
        all.extend(["sh".into(), "-c".into(), script.into()]);
        let mut pty = Pty::start(&all);
        pty.wait_for("after");
        pty.type_in("hello\n");
        pty.wait_for("hello");
        pty.wait_for("hello");
        pty.type_in(CTRL_D);
        assert_eq!(pty.end(), Some(5), "{place:?}");
    }
}

#[test]
fn a_closed_terminal_hangs_the_app_up() {
    let mut pty = start_task(Place::Ordinary, &["hold-on"]);
    pty.wait_for("ready");
    let wrapper = pty.leader_pid();
    let child = children(wrapper)[0];
    // Hangs up as the last close of the master does; the reader of this test holds another one.
    send(wrapper, libc::SIGHUP);
    assert_eq!(pty.end(), Some(129));
    assert!(state_of(child).is_none(), "the child is still there");
}

/// An interactive shell with job control.
fn shell() -> Pty {
    let mut pty = Pty::start(&["bash".into(), "--norc".into(), "--noprofile".into(), "-i".into()]);
    pty.wait_for("> ");
    pty.type_in(&format!(
        "p={}; c={}; echo set $((1+1))\n",
        pillion().display(),
        scripted_child().display()
    ));
    pty.wait_for("set 2");
    pty
}

/// The shell's only job.
fn job(pty: &Pty) -> i32 {
    poll_until("the job is there", || !children(pty.leader_pid()).is_empty());
    children(pty.leader_pid())[0]
}

fn wait_for_state(pid: i32, is_stopped: bool) {
    poll_until("the job changes its state", || {
        state_of(pid).is_some_and(|state| (state == 'T') == is_stopped)
    });
}

/// Types Ctrl-Z, sees that the shell has its prompt again, and brings the job back.
fn stop_and_resume(pty: &mut Pty) {
    pty.type_in(CTRL_Z);
    pty.wait_for("Stopped");
    pty.type_in("echo shell $((40+2))\n");
    pty.wait_for("shell 42");
    let job = job(pty);
    pty.type_in("fg\n");
    wait_for_state(job, false);
    let below = children(job)[0];
    wait_for_state(below, false);
}

fn check_echo(pty: &mut Pty, text: &str) {
    pty.type_in(&format!("{text}\n"));
    pty.wait_for(&format!("{text}\r\n{text}"));
}

fn end_shell(mut pty: Pty, code: &str) {
    pty.wait_for("> ");
    pty.type_in("echo code $?\n");
    pty.wait_for(&format!("code {code}"));
    pty.type_in("exit 7\n");
    assert_eq!(pty.end(), Some(7));
}

#[test]
fn ctrl_z_stops_the_job_and_fg_brings_it_back() {
    let mut pty = shell();
    pty.type_in("$p $c cat\n");
    pty.wait_for("ready");
    for round in ["one", "two", "three"] {
        check_echo(&mut pty, round);
        stop_and_resume(&mut pty);
    }
    check_echo(&mut pty, "last");
    pty.type_in(CTRL_C);
    end_shell(pty, "130");
}

#[test]
fn a_job_in_the_background_stops_when_it_reads_and_has_the_terminal_after_fg() {
    let mut pty = shell();
    pty.type_in("$p $c cat &\n");
    pty.wait_for("ready");
    let job = job(&pty);
    wait_for_state(job, true);
    // The shell must have seen it, too: it continues only what it takes for stopped, and hears of it when the last thread has stopped.
    pty.type_in("until jobs | grep Stop[p]ed; do sleep 0.01; done\n");
    pty.wait_for("Stopped");
    pty.type_in("fg\n");
    wait_for_state(job, false);
    check_echo(&mut pty, "one");
    pty.type_in(CTRL_D);
    end_shell(pty, "0");
}

#[test]
fn a_stopped_job_runs_on_in_the_background_and_can_be_ended_there() {
    let mut pty = shell();
    pty.type_in("$p $c hold-on\n");
    pty.wait_for("ready");
    let job = job(&pty);
    pty.type_in(CTRL_Z);
    pty.wait_for("Stopped");
    pty.type_in("bg; echo shell $((40+2))\n");
    pty.wait_for("shell 42");
    wait_for_state(job, false);
    wait_for_state(children(job)[0], false);
    pty.type_in("kill %1; wait %1\n");
    end_shell(pty, "143");
}

#[test]
fn a_script_that_runs_us_is_stopped_with_the_app() {
    let mut pty = shell();
    pty.type_in("sh -c \"$p $c cat; echo then \\$((1+1))\"\n");
    pty.wait_for("ready");
    check_echo(&mut pty, "one");
    pty.type_in(CTRL_Z);
    pty.wait_for("Stopped");
    pty.type_in("echo shell $((40+2))\n");
    pty.wait_for("shell 42");
    let script = job(&pty);
    pty.type_in("fg\n");
    wait_for_state(script, false);
    wait_for_state(children(children(script)[0])[0], false);
    check_echo(&mut pty, "two");
    pty.type_in(CTRL_D);
    pty.wait_for("then 2");
    end_shell(pty, "0");
}
