//! The relay against real servers: every rule of sending, waiting and counting.

mod connecting;
mod families;
mod further;
mod queue;
mod retry;
mod secret;
mod stop;
mod tls;
mod wire;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pillion::ledger::{Counts, Ledger, Shed};
use pillion::relay::{Intake, Kind, Payload, Relay, Settings};
use pillion::secret::ApiKey;

use crate::support::lines;
use crate::support::recorder::{PATIENCE, Recorder, Request};

/// The API key of all tests here.
const KEY: &str = "5ec2e7aab0b1c2d3e4f5061728394a5b";

fn intake(url: &str) -> Intake {
    Intake::new(url, ApiKey::new(KEY))
}

fn settings(url: &str) -> Settings {
    Settings {
        traces: intake(url),
        metrics: intake(url),
        logs: intake(url),
        off: Vec::new(),
        queue_bytes_max: 32 << 20,
        proxy_http: None,
        proxy_https: None,
        no_proxy: Vec::new(),
        ca_file: None,
        skip_tls_check: false,
        request_timeout: Duration::from_secs(10),
        connecting: Default::default(),
    }
}

/// A relay and its ledger.
struct Fixture {
    relay: Relay,
    ledger: Arc<Ledger>,
}

impl Fixture {
    fn start(settings: Settings) -> Self {
        lines::start();
        let ledger = Arc::new(Ledger::default());
        Self { relay: Relay::start(settings, Arc::clone(&ledger)).unwrap(), ledger }
    }

    /// One that sends to `intake`, with all else as usual.
    fn to(intake: &Recorder) -> Self {
        Self::start(settings(&intake.url()))
    }

    /// Counts a payload as received and pushes it.
    fn push(&self, payload: Payload) {
        self.ledger.received(payload.counts);
        self.relay.push(payload);
    }

    /// Pushes a small trace payload of one span that can be told from others by `number`.
    fn push_number(&self, number: u32) {
        self.push(numbered(number, 0));
    }

    /// All spans that were sent.
    fn sent(&self) -> u64 {
        self.ledger.spans.read().sent
    }

    /// All spans that were shed for this reason.
    fn shed(&self, reason: Shed) -> u64 {
        self.ledger.spans.read().shed[reason as usize]
    }

    /// Flushes with as much time as it may take, and checks the books.
    fn flush(&self) {
        assert!(
            self.relay.flush(Instant::now() + PATIENCE),
            "not flushed: {:?}",
            self.ledger.spans.read()
        );
        self.check_balance();
    }

    /// Nothing is held, and all that was received is sent or shed.
    fn check_balance(&self) {
        assert_eq!((self.relay.held(), self.relay.held_bytes()), (Counts::default(), 0));
        let Ledger { spans, chunks, stats_groups, log_lines, points, checks, events, .. } =
            &*self.ledger;
        for flow in [spans, chunks, stats_groups, log_lines, points, checks, events] {
            let flow = flow.read();
            let gone = flow.sent + flow.filtered + flow.shed_total();
            assert_eq!(flow.received, gone, "{flow:?}");
        }
    }
}

/// A trace payload of one span: its number, then `bytes` of noise, which can't be compressed.
fn numbered(number: u32, bytes: usize) -> Payload {
    let mut body = format!("{number:08}").into_bytes();
    body.resize_with(8 + bytes, || fastrand::u8(..));
    let counts = Counts { spans: 1, chunks: 1, ..Counts::default() };
    Payload { kind: Kind::Traces, body, counts, languages: "rust".to_owned(), parts: Vec::new() }
}

/// The number of a payload that [`numbered`] made.
fn number_of(request: &Request) -> u32 {
    str::from_utf8(&request.body[..8]).unwrap().parse().unwrap()
}

/// The numbers of all payloads that the intake has taken.
fn numbers(intake: &Recorder) -> Vec<u32> {
    intake.taken("/api/v0.2/traces").iter().map(number_of).collect()
}

/// Waits until `is_so`; fails the test when it takes too long.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
