//! What is on the wire.

use pillion::ledger::{Counts, Shed};
use pillion::relay::{Compression, Kind, Payload};
use pillion::secret::ApiKey;

use crate::relay::{Fixture, KEY, numbered, numbers, settings, wait_until};
use crate::support::recorder::{Answer, Recorder};

#[test]
fn traces_have_the_headers_of_the_agent() {
    let intake = Recorder::http();
    let fixture = Fixture::to(&intake);
    let body = b"a body that repeats itself ".repeat(100);
    let counts = Counts { spans: 3, chunks: 2, ..Counts::default() };
    let languages = "go|python".to_owned();
    fixture.push(Payload {
        kind: Kind::Traces,
        body: body.clone(),
        counts,
        languages,
        parts: Vec::new(),
    });
    fixture.flush();
    let [request] = intake.requests().try_into().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/api/v0.2/traces"));
    assert_eq!(request.body, body);
    assert!(request.wire_bytes < body.len() / 10);
    let own = format!("Datadog Trace Agent/7.85.2/pillion-{}", env!("CARGO_PKG_VERSION"));
    let length = request.wire_bytes.to_string();
    for (name, value) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "zstd"),
        ("content-length", length.as_str()),
        ("dd-api-key", KEY),
        ("user-agent", own.as_str()),
        ("x-datadog-reported-languages", "go|python"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    let others: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(others.len(), 8, "besides those, accept and host: {others:?}");
    assert_eq!(fixture.ledger.chunks.read().sent, 2);
}

#[test]
fn stats_go_as_gzip_msgpack_whatever_is_set_for_traces() {
    for compression in
        [Compression::Zstd(1), Compression::Gzip(1), Compression::Deflate(6), Compression::None]
    {
        let intake = Recorder::http();
        let fixture = Fixture::start({
            let mut settings = settings(&intake.url());
            settings.traces.compression = compression;
            settings
        });
        let counts = Counts { stats_groups: 4, ..Counts::default() };
        let body = b"\x81\xa1a\xa1b".to_vec();
        fixture.push(Payload {
            kind: Kind::Stats,
            body,
            counts,
            languages: String::new(),
            parts: Vec::new(),
        });
        fixture.push(numbered(1, 100));
        fixture.flush();
        let [stats] = intake.taken("/api/v0.2/stats").try_into().unwrap();
        assert_eq!(stats.header("content-type"), Some("application/msgpack"));
        assert_eq!(stats.header("content-encoding"), Some("gzip"));
        assert_eq!(stats.header("x-datadog-reported-languages"), None);
        assert_eq!(stats.body, b"\x81\xa1a\xa1b");
        assert_eq!(fixture.ledger.stats_groups.read().sent, 4);
        let [traces] = intake.taken("/api/v0.2/traces").try_into().unwrap();
        let expect = match compression {
            Compression::Zstd(_) => Some("zstd"),
            Compression::Gzip(_) => Some("gzip"),
            Compression::Deflate(_) => Some("deflate"),
            Compression::None => None,
        };
        assert_eq!(traces.header("content-encoding"), expect);
        assert_eq!(traces.body.len(), 108);
    }
}

#[test]
fn a_trace_url_may_end_in_a_slash_and_have_a_path() {
    let intake = Recorder::http();
    let fixture = Fixture::start(settings(&format!("{}/prefix/", intake.url())));
    fixture.push_number(1);
    fixture.flush();
    assert_eq!(intake.requests()[0].path, "/prefix/api/v0.2/traces");
}

#[test]
fn languages_that_no_header_can_hold_are_left_out() {
    let intake = Recorder::http();
    let fixture = Fixture::to(&intake);
    fixture.push(Payload { languages: "py\r\nX-Evil: 1".to_owned(), ..numbered(1, 0) });
    fixture.flush();
    let [request] = intake.requests().try_into().unwrap();
    assert_eq!(
        (request.header("x-datadog-reported-languages"), request.header("x-evil")),
        (None, None)
    );
}

#[test]
fn all_payloads_go_through_one_connection_as_long_as_it_lasts() {
    let intake = Recorder::http();
    let fixture = Fixture::to(&intake);
    for number in 0..10 {
        fixture.push_number(number);
        fixture.flush();
    }
    assert_eq!((intake.connections(), intake.requests().len()), (1, 10));
}

#[test]
fn at_most_five_requests_are_under_way() {
    let intake = Recorder::http();
    intake.always(Answer::hang());
    let fixture = Fixture::to(&intake);
    for number in 0..12 {
        fixture.push_number(number);
    }
    intake.wait_for("five requests", |requests| requests.len() == 5);
    // The rest is compressed by now and could be sent.
    wait_until("the rest to be compressed", || fixture.relay.buffer().capacity() > 0);
    assert_eq!((intake.busy_max(), intake.requests().len()), (5, 5));
    intake.always(Answer::ok());
    intake.close_connections();
    fixture.flush();
    let mut all = numbers(&intake);
    all.sort_unstable();
    assert_eq!(all, (0..12).collect::<Vec<_>>());
}

#[test]
fn without_a_key_nothing_is_sent_and_all_is_counted() {
    for key in [None, ApiKey::new("5ec2e7\na")] {
        let intake = Recorder::http();
        let fixture = Fixture::start({
            let mut settings = settings(&intake.url());
            settings.traces.api_key = key;
            settings
        });
        for number in 0..10 {
            fixture.push_number(number);
        }
        fixture.flush();
        assert_eq!(fixture.shed(Shed::NoKey), 10);
        assert_eq!(intake.connections(), 0);
        assert!(fixture.relay.buffer().capacity() > 0, "bodies are used again");
    }
}

#[test]
fn bodies_are_used_again() {
    let intake = Recorder::http();
    let fixture = Fixture::to(&intake);
    let mut body = Vec::with_capacity(12_345);
    body.extend_from_slice(b"00000001");
    fixture.push(Payload { body, ..numbered(1, 0) });
    fixture.flush();
    let body = fixture.relay.buffer();
    assert_eq!((body.len(), body.capacity()), (0, 12_345));
    assert_eq!(fixture.relay.buffer().capacity(), 0);
}

#[test]
fn an_answer_of_any_length_is_read_within_bounds() {
    let intake = Recorder::http();
    intake.script([Answer { body: "x".repeat(10_000_000), ..Answer::ok() }]);
    let fixture = Fixture::to(&intake);
    fixture.push_number(1);
    fixture.push_number(2);
    fixture.flush();
    assert_eq!(fixture.sent(), 2);
}
