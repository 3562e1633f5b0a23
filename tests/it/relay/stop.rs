//! The end: a flush keeps its deadline to the moment, and no fault of the relay holds anybody up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pillion::ledger::{Ledger, Shed};
use pillion::relay::{Relay, Settings};

use crate::relay::{Fixture, numbered, numbers, settings, wait_until};
use crate::support::lines;
use crate::support::recorder::{Answer, PATIENCE, Recorder};

#[test]
fn a_flush_of_nothing_returns_at_once() {
    let fixture = Fixture::to(&Recorder::http());
    assert!(fixture.relay.flush(Instant::now()));
    assert!(fixture.relay.flush(Instant::now() + Duration::from_secs(3600)));
}

#[test]
fn with_a_hanging_intake_a_flush_ends_at_its_deadline_and_counts_once() {
    let intake = Recorder::http();
    intake.always(Answer::hang());
    // The requests would hold their places for ever if they were not ended.
    let request_timeout = Duration::from_secs(3600);
    let fixture = Fixture::start(Settings { request_timeout, ..settings(&intake.url()) });
    for number in 0..8 {
        fixture.push(numbered(number, 1000));
    }
    intake.wait_for("five requests", |requests| requests.len() == 5);
    let until = Instant::now() + Duration::from_millis(300);
    assert!(!fixture.relay.flush(until));
    let now = Instant::now();
    assert!(now >= until && now - until < Duration::from_secs(2), "{:?} late", now - until);
    assert_eq!(fixture.shed(Shed::Deadline), 8);
    fixture.check_balance();
    // The requests are ended, and the relay works on.
    intake.always(Answer::ok());
    fixture.push_number(100);
    fixture.flush();
    assert_eq!((fixture.sent(), fixture.shed(Shed::Deadline)), (1, 8));
    assert_eq!(numbers(&intake), [100]);
}

#[test]
fn an_answer_after_the_deadline_is_not_counted_again() {
    let intake = Recorder::http();
    intake.script([Answer::ok().after(Duration::from_secs(3))]);
    let fixture = Fixture::to(&intake);
    fixture.push_number(1);
    wait_until("the request", || intake.busy_max() == 1);
    assert!(!fixture.relay.flush(Instant::now() + Duration::from_millis(100)));
    intake.wait_for("the request", |requests| requests.len() == 1);
    fixture.push_number(2);
    fixture.flush();
    assert_eq!((fixture.sent(), fixture.shed(Shed::Deadline)), (1, 1));
}

#[test]
fn a_flush_does_not_wait_for_a_long_retry_after() {
    let intake = Recorder::http();
    intake.script([
        Answer::status(429).with("Retry-After", "50"),
        Answer::status(429).with("Retry-After", "50"),
    ]);
    let fixture = Fixture::to(&intake);
    fixture.push_number(1);
    intake.wait_for("the first attempt", |requests| requests.len() == 1);
    let start = Instant::now();
    fixture.flush();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(fixture.sent(), 1);
}

#[test]
fn a_flush_waits_for_what_was_pushed_before_it_alone() {
    let intake = Recorder::http();
    intake.script([Answer::ok().after(Duration::from_millis(200))]);
    let fixture = Fixture::to(&intake);
    fixture.push_number(0);
    intake.wait_for("nothing yet", |_| fixture.relay.held().spans == 1);
    thread::scope(|scope| {
        let flush = scope.spawn(|| fixture.relay.flush(Instant::now() + PATIENCE));
        while !flush.is_finished() {
            fixture.push_number(1);
            thread::sleep(Duration::from_millis(1));
        }
        assert!(flush.join().unwrap());
    });
    assert!(fixture.sent() >= 1);
}

#[test]
fn what_is_held_when_the_relay_is_dropped_is_counted() {
    let intake = Recorder::http();
    intake.always(Answer::hang());
    let Fixture { relay, ledger } = {
        let fixture = Fixture::to(&intake);
        for number in 0..8 {
            fixture.push_number(number);
        }
        fixture
    };
    let clone = relay.clone();
    drop(relay);
    assert_eq!(ledger.spans.read().held(), 8);
    drop(clone);
    assert_eq!(ledger.spans.read().shed[Shed::Deadline as usize], 8);
}

/// A relay whose thread panics as often as `panics` says.
fn panicking(intake: &Recorder, panics: u32) -> Fixture {
    let left = AtomicU32::new(panics);
    let wall = Box::new(move || {
        let one_less =
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(one_less.is_err(), "a panic that the test asked for");
        SystemTime::now()
    });
    lines::start();
    let ledger = Arc::new(Ledger::default());
    let relay =
        Relay::start_with_clock(settings(&intake.url()), Arc::clone(&ledger), wall).unwrap();
    Fixture { relay, ledger }
}

#[test]
fn after_a_panic_of_its_thread_the_relay_goes_on_and_loses_nothing() {
    let intake = Recorder::http();
    let fixture = panicking(&intake, 3);
    for number in 0..5 {
        fixture.push_number(number);
    }
    fixture.flush();
    assert_eq!(fixture.sent(), 5);
}

#[test]
fn a_thread_that_panics_for_ever_gives_up_and_holds_nobody_up() {
    let intake = Recorder::http();
    let fixture = panicking(&intake, u32::MAX);
    for number in 0..5 {
        fixture.push_number(number);
    }
    fixture.flush();
    assert_eq!(fixture.shed(Shed::Fault), 5);
    fixture.push_number(6);
    fixture.flush();
    assert_eq!(fixture.shed(Shed::Fault), 6);
}

#[test]
fn the_thread_ends_with_the_last_handle() {
    let name = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.filter(|name| name.trim() == "pillion-relay").count()
    };
    let fixtures: Vec<_> = (0..40).map(|_| Fixture::to(&Recorder::http())).collect();
    wait_until("forty threads", || name() >= 40);
    drop(fixtures);
    // Tests beside this one have relays of their own.
    wait_until("the threads to end", || name() < 40);
}
