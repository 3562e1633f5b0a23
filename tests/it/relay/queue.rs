//! The queue: bounded in bytes, the oldest goes first, and the books balance whatever happens.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pillion::ledger::Shed;
use pillion::relay::Settings;

use crate::relay::{Fixture, numbered, numbers, settings, wait_until};
use crate::support::lines;
use crate::support::recorder::{Answer, Fault, Recorder};

const BOUND: usize = 1 << 20;

#[test]
fn with_a_dead_intake_the_queue_keeps_its_bound_and_sheds_the_oldest() {
    let intake = Recorder::http();
    intake.refuse(true);
    let fixture = Fixture::start(Settings { queue_bytes_max: BOUND, ..settings(&intake.url()) });
    for number in 0..200 {
        fixture.push(numbered(number, 20_000));
        assert!(fixture.relay.held_bytes() <= BOUND);
    }
    assert!(fixture.relay.held_bytes() > BOUND / 2);
    let shed = fixture.shed(Shed::QueueFull);
    assert!((140..160).contains(&shed), "{shed}");
    assert_eq!(shed + fixture.relay.held().spans, 200);
    intake.refuse(false);
    fixture.flush();
    let mut all = numbers(&intake);
    all.sort_unstable();
    assert_eq!(all.len() as u64, fixture.sent());
    // Up to five payloads were on the wire when it was their turn to go.
    let newest: Vec<_> = (200 - all.len() as u32 + 5..200).collect();
    assert_eq!(all[5..], newest);
    assert!(lines::with("1048576 bytes is full").len() < 5);
}

#[test]
fn the_queue_keeps_its_bound_while_requests_hang() {
    let intake = Recorder::http();
    intake.always(Answer::hang());
    let fixture = Fixture::start(Settings { queue_bytes_max: BOUND, ..settings(&intake.url()) });
    for number in 0..300 {
        fixture.push(numbered(number, 20_000));
        if number == 5 {
            intake.wait_for("five requests", |requests| requests.len() == 5);
        }
        assert!(fixture.relay.held_bytes() <= BOUND);
    }
    assert_eq!(fixture.shed(Shed::QueueFull) + fixture.relay.held().spans, 300);
    assert!(!fixture.relay.flush(Instant::now()));
    fixture.check_balance();
}

#[test]
fn a_payload_that_is_larger_than_the_queue_is_shed() {
    let intake = Recorder::http();
    let fixture = Fixture::start(Settings { queue_bytes_max: BOUND, ..settings(&intake.url()) });
    fixture.push(numbered(1, BOUND));
    fixture.push_number(2);
    fixture.flush();
    assert_eq!((fixture.shed(Shed::QueueFull), numbers(&intake)), (1, vec![2]));
}

#[test]
fn what_waits_is_held_in_its_compressed_form() {
    let intake = Recorder::http();
    intake.refuse(true);
    let fixture = Fixture::to(&intake);
    let mut payload = numbered(1, 0);
    payload.body.resize(3_000_000, b'x');
    fixture.push(payload);
    wait_until("compression", || fixture.relay.held_bytes() < 10_000);
    intake.refuse(false);
    fixture.flush();
    assert_eq!(intake.requests()[0].body.len(), 3_000_000);
}

#[test]
fn a_push_never_waits_for_the_intake() {
    let intake = Recorder::http();
    intake.always(Answer::hang());
    let fixture = Fixture::start(Settings { queue_bytes_max: BOUND, ..settings(&intake.url()) });
    let mut worst = Duration::ZERO;
    for number in 0..2_000 {
        let payload = numbered(number, 2_000);
        let start = Instant::now();
        fixture.push(payload);
        worst = worst.max(start.elapsed());
    }
    assert!(worst < Duration::from_secs(2), "{worst:?}");
}

/// Random faults, pushes from several threads, flushes and hurries in between: at every moment all that was pushed is sent, shed or held,
/// and all that counts as sent has arrived.
#[test]
fn the_books_balance_under_random_faults() {
    for round in 0..4 {
        let intake = Recorder::http();
        let queue_bytes_max = if round % 2 == 0 { 60_000 } else { BOUND };
        let request_timeout = Duration::from_millis(150);
        let fixture = Fixture::start(Settings {
            queue_bytes_max,
            request_timeout,
            ..settings(&intake.url())
        });
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    intake.script((0..8).map(|_| random_answer()));
                    // Nothing is counted before it was received, or counted twice.
                    let flow = fixture.ledger.spans.read();
                    assert!(flow.sent + flow.shed_total() <= fixture.ledger.spans.read().received);
                    thread::sleep(Duration::from_millis(5));
                }
            });
            let pushers: Vec<_> = (0..3)
                .map(|pusher| {
                    let fixture = &fixture;
                    scope.spawn(move || {
                        for number in 0..100 {
                            fixture
                                .push(numbered(pusher * 1000 + number, fastrand::usize(0..5_000)));
                            match fastrand::u8(..20) {
                                0 => fixture.relay.hurry(),
                                1 => drop(
                                    fixture.relay.flush(Instant::now() + Duration::from_millis(20)),
                                ),
                                2..6 => thread::sleep(Duration::from_millis(2)),
                                _ => {}
                            }
                        }
                    })
                })
                .collect();
            pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
            ended.store(true, Ordering::SeqCst);
        });
        let in_time = fixture.relay.flush(Instant::now() + Duration::from_secs(2));
        assert!(in_time || fixture.shed(Shed::Deadline) > 0);
        fixture.check_balance();
        let arrived: HashSet<_> = numbers(&intake).into_iter().collect();
        assert!(
            fixture.sent() <= arrived.len() as u64,
            "{} counted, {} arrived",
            fixture.sent(),
            arrived.len()
        );
        assert!(fixture.sent() > 0);
    }
}

fn random_answer() -> Answer {
    match fastrand::u8(..16) {
        0 => Answer::status(503),
        1 => Answer::status(429).with("Retry-After", "0"),
        2 => Answer::status(400),
        3 => Answer::status(403),
        4 => Answer::status(413),
        5 => Answer::hang(),
        6 => Answer::drop(),
        7 => Answer::fault(Fault::DropMidRequest),
        8 => Answer::fault(Fault::CloseMidBody),
        9 => Answer::fault(Fault::HangAfterHeaders),
        10 => Answer::ok().after(Duration::from_millis(30)),
        _ => Answer::ok(),
    }
}
