//! Events and service checks, as the intake reads them.

use serde_json::json;

use crate::ledger::Shed;
use crate::limits::{MESSAGES_BODY_BYTES_MAX, MESSAGES_BYTES_MAX};
use crate::metrics::sample::{Alert, Priority, Status};
use crate::metrics::{BodyKind, Check, Event};

use super::{Bench, OpenBuckets, Settings};

const PLAIN: Event<'static> = Event {
    title: "An exception occurred",
    text: "",
    timestamp_s: None,
    host: "",
    aggregation_key: "",
    priority: Priority::Normal,
    source_type: "",
    alert: Alert::Info,
    tags: &[],
};

const CHECK: Check<'static> = Check {
    name: "app.up",
    status: Status::Ok,
    timestamp_s: None,
    host: "",
    message: "",
    tags: &[],
};

fn bench(tags: &[&str]) -> Bench {
    Bench::new(Settings {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..Settings::default()
    })
}

#[test]
fn an_event_says_what_it_has_and_leaves_out_what_is_empty() {
    let mut bench = bench(&["env:prod"]);
    let full = Event {
        text: "line one\nline \"two\"",
        timestamp_s: Some(1_700_000_000),
        host: "h1",
        aggregation_key: "k",
        priority: Priority::Low,
        source_type: "nagios",
        alert: Alert::Warning,
        tags: &["err_type:bad_file", "env:prod"],
        ..PLAIN
    };
    bench.aggregator.event(&full, 1000);
    bench.aggregator.set_tags(Vec::new());
    bench.aggregator.event(&PLAIN, 1000);
    bench.aggregator.event(&Event { timestamp_s: Some(0), alert: Alert::Success, ..PLAIN }, 1001);
    let intake = bench.flush(1001, OpenBuckets::Keep);
    let title = "An exception occurred";
    let plain = json!({"msg_title": title, "msg_text": "", "timestamp": 1000, "priority": "normal", "host": "", "alert_type": "info"});
    let third = json!({"msg_title": title, "msg_text": "", "timestamp": 1001, "priority": "normal", "host": "", "alert_type": "success"});
    let full = json!({
        "msg_title": title, "msg_text": "line one\nline \"two\"", "timestamp": 1_700_000_000, "priority": "low", "host": "h1",
        "tags": ["env:prod", "err_type:bad_file"], "alert_type": "warning", "aggregation_key": "k", "source_type_name": "nagios",
    });
    let expect = json!({"apiKey": "", "events": {"api": [plain, third], "nagios": [full]}, "internalHostname": ""});
    assert_eq!(intake.json(BodyKind::Events), [expect]);
    assert_eq!(intake.outputs[0].counts.events, 3);
    assert_eq!(bench.ledger.events.read().received, 3);
    assert_eq!(bench.flush(1002, OpenBuckets::Flush).outputs, []);
}

#[test]
fn a_check_has_all_members() {
    let mut bench = bench(&["env:prod"]);
    let critical = Check {
        status: Status::Critical,
        timestamp_s: Some(5),
        host: "h1",
        message: "down",
        tags: &["b", "a"],
        ..CHECK
    };
    bench.aggregator.check(&critical, 1000);
    bench.aggregator.check(&CHECK, 1000);
    let intake = bench.flush(1000, OpenBuckets::Keep);
    let expect = json!([
        {"check": "app.up", "host_name": "h1", "timestamp": 5, "status": 2, "message": "down", "tags": ["a", "b", "env:prod"]},
        {"check": "app.up", "host_name": "", "timestamp": 1000, "status": 0, "message": "", "tags": ["env:prod"]},
    ]);
    assert_eq!(intake.json(BodyKind::Checks), [expect]);
    assert_eq!((intake.outputs[0].counts.checks, intake.outputs[0].parts.len()), (2, 2));
    assert_eq!(bench.ledger.checks.read().received, 2);
}

#[test]
fn a_body_has_at_most_a_hundred_messages() {
    let mut bench = bench(&[]);
    for n in 0..250 {
        bench.aggregator.check(&CHECK, 1000);
        let source = format!("source {}", n % 3);
        bench.aggregator.event(&Event { source_type: &source, ..PLAIN }, 1000);
    }
    let intake = bench.flush(1000, OpenBuckets::Keep);
    let counts = |kind| {
        let outputs = intake.outputs.iter().filter(|output| output.kind == kind);
        outputs.map(|output| output.counts.checks + output.counts.events).collect::<Vec<_>>()
    };
    assert_eq!(
        (counts(BodyKind::Checks), counts(BodyKind::Events)),
        (vec![100, 100, 50], vec![100, 100, 50])
    );
    let lists = |body: &serde_json::Value| {
        let lists = body["events"].as_object().unwrap().values();
        lists.map(|list| list.as_array().unwrap().len()).sum::<usize>()
    };
    let found: Vec<usize> = intake.json(BodyKind::Events).iter().map(lists).collect();
    assert_eq!(found, [100, 100, 50]);
}

#[test]
fn events_may_be_cut_between_those_of_one_list_or_between_lists() {
    for (sources, parts) in [(1, 10), (3, 3)] {
        let mut bench = bench(&[]);
        for n in 0..10 {
            let source = format!("source {}", n % sources);
            bench.aggregator.event(&Event { source_type: &source, ..PLAIN }, 1000);
        }
        let intake = bench.flush(1000, OpenBuckets::Keep);
        let output = &intake.outputs[0];
        assert_eq!(output.parts.len(), parts, "{sources}");
        assert_eq!(output.parts.iter().map(|part| part.counts.events).sum::<u64>(), 10);
        for place in 0..parts {
            // The body with one part alone.
            let (first, last) = (&output.parts[0].bytes, &output.parts[parts - 1].bytes);
            let part = output.parts[place].bytes.clone();
            let alone = [&output.body[..first.start], &output.body[part], &output.body[last.end..]];
            let alone: serde_json::Value = serde_json::from_slice(&alone.concat()).unwrap();
            let events = alone["events"].as_object().unwrap().values();
            let count = events.map(|list| list.as_array().unwrap().len()).sum::<usize>() as u64;
            assert_eq!(count, output.parts[place].counts.events);
            assert_eq!(alone["internalHostname"], "");
        }
    }
}

#[test]
fn bodies_of_messages_stay_within_their_bytes() {
    let mut bench = bench(&[]);
    let text = "\u{1}".repeat(20_000);
    for n in 0..60 {
        let source = format!("{n}{}", "\"".repeat(500));
        bench.aggregator.event(&Event { text: &text, source_type: &source, ..PLAIN }, 1000);
    }
    let intake = bench.flush(1000, OpenBuckets::Keep);
    assert!(intake.outputs.len() > 2);
    assert!(intake.outputs.iter().all(|output| output.body.len() <= MESSAGES_BODY_BYTES_MAX));
    assert_eq!(intake.json(BodyKind::Events).len(), intake.outputs.len());
    assert_eq!(intake.outputs.iter().map(|output| output.counts.events).sum::<u64>(), 60);
}

#[test]
fn messages_beyond_the_limits_are_shed() {
    let mut bench = bench(&[]);
    let huge = "x".repeat(MESSAGES_BODY_BYTES_MAX);
    bench.aggregator.event(&Event { text: &huge, ..PLAIN }, 1000);
    bench.aggregator.check(&Check { message: &huge, ..CHECK }, 1000);
    let large = "x".repeat(1_000_000);
    for _ in 0..10 {
        bench.aggregator.check(&Check { message: &large, ..CHECK }, 1000);
    }
    assert!(bench.aggregator.held_bytes() <= MESSAGES_BYTES_MAX);
    let intake = bench.flush(1000, OpenBuckets::Keep);
    let sent = intake.outputs.iter().map(|output| output.counts.checks).sum::<u64>();
    let (checks, events) = (bench.ledger.checks.read(), bench.ledger.events.read());
    assert_eq!((events.received, events.shed[Shed::TooLarge as usize]), (1, 1));
    assert_eq!((checks.received, checks.shed[Shed::TooLarge as usize]), (11, 1));
    assert_eq!((sent, checks.shed[Shed::MetricBytesFull as usize]), (8, 2));
}
