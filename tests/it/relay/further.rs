//! Several destinations: each has its own queue, its own retries and its own counts.

use std::time::{Duration, Instant};

use pillion::ledger::{Counts, Shed};
use pillion::relay::{Destination, Intake, Kind, Payload, Settings};
use pillion::secret::ApiKey;

use crate::relay::{Fixture, KEY, intake, numbered, numbers, settings, wait_until};
use crate::support::lines;
use crate::support::recorder::{Answer, PATIENCE, Recorder};

const OTHER_KEY: &str = "0ther-key-of-further-destinations";

fn destination(url: &str, key: &str) -> Destination {
    Destination { url: url.to_owned(), api_key: ApiKey::new(key).unwrap() }
}

fn with_copies(main: &str, further: Vec<Destination>) -> Settings {
    Settings { traces: Intake { further, ..intake(main) }, ..settings(main) }
}

fn with_further(main: &str, further: &[&str]) -> Fixture {
    let further = further.iter().map(|url| destination(url, OTHER_KEY)).collect();
    Fixture::start(with_copies(main, further))
}

#[test]
fn every_destination_gets_everything_with_its_own_key_and_the_same_bytes() {
    let intakes = [(); 3].map(|()| Recorder::http());
    let [main, second, third] = &intakes;
    let further = vec![
        destination(&second.url(), "k2"),
        destination(&second.url(), "k3"),
        destination(&third.url(), "k4"),
    ];
    let fixture = Fixture::start(with_copies(&main.url(), further));
    for number in 0..20 {
        fixture.push(numbered(number, 1000));
    }
    fixture.push(Payload {
        kind: Kind::Stats,
        body: b"\x80".to_vec(),
        counts: Counts { stats_groups: 1, ..Counts::default() },
        languages: String::new(),
        parts: Vec::new(),
    });
    fixture.flush();
    let wire = |intake: &Recorder, key: &str| {
        let requests = intake.requests().into_iter();
        let own = requests.filter(|request| request.header("dd-api-key") == Some(key));
        let mut bodies: Vec<_> = own.map(|request| (request.path, request.wire)).collect();
        bodies.sort();
        bodies
    };
    let expect = wire(main, KEY);
    assert_eq!(expect.len(), 21);
    assert!(wire(second, "k2") == expect && wire(second, "k3") == expect);
    assert!(wire(third, "k4") == expect);
    assert_eq!((main.requests().len(), second.requests().len()), (21, 42));
    // The counts are those of the main destination; each other has its own.
    assert_eq!(fixture.sent(), 20);
    let summary = fixture.ledger.summary().unwrap();
    for url in [second.address(), second.address(), third.address()] {
        let line =
            format!("to {url}: spans: 20 received, 20 sent; stats groups: 1 received, 1 sent");
        assert!(summary.contains(&line), "{summary}");
    }
    assert_eq!(fixture.ledger.losses(), None);
}

#[test]
fn a_destination_that_is_down_delays_no_other_and_gets_its_own_when_it_is_back() {
    let (main, down) = (Recorder::http(), Recorder::http());
    down.refuse(true);
    let fixture = with_further(&main.url(), &[&down.url()]);
    for number in 0..10 {
        fixture.push_number(number);
    }
    wait_until("all of them to be sent", || fixture.sent() == 10);
    assert_eq!(fixture.relay.held().spans, 10);
    down.refuse(false);
    fixture.flush();
    let mut all = numbers(&down);
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
    assert_eq!(main.requests().len(), 10, "nothing goes twice to the one that was up");
}

#[test]
fn a_main_destination_that_is_down_delays_no_other() {
    let other = Recorder::http();
    let fixture = with_further("http://127.0.0.1:1", &[&other.url()]);
    for number in 0..10 {
        fixture.push_number(number);
    }
    other.wait_for("all of them", |requests| requests.len() == 10);
    assert_eq!(fixture.sent(), 0);
    assert!(!fixture.relay.flush(Instant::now() + Duration::from_millis(50)));
    assert_eq!(fixture.shed(Shed::Deadline), 10);
    fixture.check_balance();
    let line = fixture.ledger.losses().unwrap();
    assert!(!line.contains("to "), "{line}");
}

#[test]
fn a_destination_that_hangs_holds_up_the_end_until_the_deadline_and_what_others_retry_is_sent() {
    let (hangs, main) = (Recorder::http(), Recorder::http());
    hangs.always(Answer::hang());
    main.script([Answer::status(429).with("Retry-After", "50")]);
    let fixture = with_further(&main.url(), &[&hangs.url()]);
    fixture.push_number(1);
    main.wait_for("the first attempt", |requests| requests.len() == 1);
    let until = Instant::now() + Duration::from_secs(3);
    assert!(!fixture.relay.flush(until));
    let late = Instant::now().saturating_duration_since(until);
    assert!(late < Duration::from_secs(2), "{late:?}");
    assert_eq!((fixture.sent(), fixture.shed(Shed::Deadline)), (1, 0));
    fixture.check_balance();
    let expect = format!(
        "to {}: spans: 1 received, 0 sent, 1 lost (1 not delivered by the stop deadline)",
        hangs.address()
    );
    assert_eq!(fixture.ledger.losses().unwrap(), expect);
}

#[test]
fn a_full_queue_sheds_for_its_own_destination_alone() {
    let (main, hangs) = (Recorder::http(), Recorder::http());
    hangs.always(Answer::hang());
    let further = vec![destination(&hangs.url(), OTHER_KEY)];
    let fixture =
        Fixture::start(Settings { queue_bytes_max: 8 << 20, ..with_copies(&main.url(), further) });
    for number in 0..40 {
        fixture.push(numbered(number, 500_000));
        main.wait_for("it", |requests| requests.len() == number as usize + 1);
        // Both together keep to the bound, and the one that is up has the room that it needs.
        assert!(fixture.relay.held_bytes() <= 8 << 20);
    }
    wait_until("all of them to be sent", || fixture.sent() == 40);
    let name = hangs.address().to_string();
    wait_until("a line", || {
        lines::with(&name)
            .iter()
            .any(|line| line.contains("the queue of 8388608 bytes is full, the oldest data for"))
    });
    assert!(!fixture.relay.flush(Instant::now()));
    assert_eq!(fixture.ledger.spans.read().shed_total(), 0);
    let line = fixture.ledger.losses().unwrap();
    assert!(
        line.contains(" queue full") && line.contains("40 received, 0 sent, 40 lost"),
        "{line}"
    );
}

#[test]
fn each_share_holds_a_payload_at_least() {
    let main = Recorder::http();
    let nobody = ["http://127.0.0.1:1"; 9];
    let further = nobody.map(|url| destination(url, OTHER_KEY)).to_vec();
    let fixture =
        Fixture::start(Settings { queue_bytes_max: 4 << 20, ..with_copies(&main.url(), further) });
    fixture.push(numbered(1, 3_000_000));
    wait_until("it to be sent", || fixture.sent() == 1);
    assert_eq!(fixture.relay.held().spans, 9, "the others wait to send it");
}

#[test]
fn a_payload_that_one_finds_too_large_is_cut_for_that_one() {
    let (main, small) = (Recorder::http(), Recorder::http());
    small.limit_bodies(60);
    let fixture = with_further(&main.url(), &[&small.url()]);
    let counts = Counts { spans: 1, chunks: 1, ..Counts::default() };
    let part = |at: usize| pillion::relay::Part { bytes: at * 50..at * 50 + 50, counts };
    fixture.push(Payload {
        kind: Kind::Traces,
        body: vec![7; 100],
        counts: Counts { spans: 2, chunks: 2, ..Counts::default() },
        languages: String::new(),
        parts: vec![part(0), part(1)],
    });
    fixture.flush();
    let lengths = |intake: &Recorder| {
        intake.taken("/api/v0.2/traces").iter().map(|r| r.body.len()).collect::<Vec<_>>()
    };
    assert_eq!((lengths(&main), lengths(&small)), (vec![100], vec![50, 50]));
    assert_eq!(fixture.ledger.losses(), None);
}

#[test]
fn a_refused_key_of_one_is_said_with_the_setting_it_comes_from_and_harms_no_other() {
    let (main, refuses) = (Recorder::http(), Recorder::http());
    refuses.always(Answer::status(403));
    let fixture = with_further(&main.url(), &[&refuses.url()]);
    fixture.push_number(1);
    fixture.flush();
    assert_eq!(fixture.sent(), 1);
    let name = refuses.address().to_string();
    wait_until("a line", || {
        lines::with(&name).iter().any(|line| line.contains("check DD_APM_ADDITIONAL_ENDPOINTS"))
    });
    assert_eq!(lines::of_all_with(OTHER_KEY), Vec::<String>::new());
    assert!(!format!("{:?} {:?}", fixture.relay, fixture.ledger).contains(OTHER_KEY));
}

#[test]
fn without_the_main_key_nothing_goes_anywhere() {
    let other = Recorder::http();
    let further = vec![destination(&other.url(), OTHER_KEY)];
    let fixture = Fixture::start({
        let mut settings = with_copies("http://127.0.0.1:1", further);
        settings.traces.api_key = None;
        settings
    });
    fixture.push_number(1);
    assert!(fixture.relay.flush(Instant::now() + PATIENCE));
    assert_eq!((fixture.shed(Shed::NoKey), other.connections()), (1, 0));
}
