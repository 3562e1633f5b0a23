//! The rules of the mapping, from requests in JSON to entries.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use serde_json::{Value, json};

use super::Records;
use crate::logs::batch::Attributes;
use crate::trace::decode::otlp::{Encoding, Signal, message};

fn entries(body: &Value) -> Vec<Value> {
    let attributes = Attributes {
        service: "own".to_owned(),
        tags: "env:prod,team:a".to_owned(),
        ..Attributes::default()
    };
    let body =
        message(Signal::Logs, Encoding::Json, body.to_string().as_bytes()).unwrap().into_owned();
    let mut all = Vec::new();
    let mut records = Records::new(attributes);
    records.learn(vec!["team:a".to_owned(), "region:eu".to_owned()]);
    records.take(&body, 1_750_000_000_000, &mut |entry| {
        all.push(serde_json::from_slice(entry).unwrap());
    });
    all
}

fn one(resource: &Value, record: &Value) -> Value {
    let scope =
        json!({"name": "lib", "attributes": [text("scope.key", "s"), text("both", "scope")]});
    let body = json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": [record]}]}]});
    entries(&body).remove(0)
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

#[test]
fn a_record_becomes_an_entry() {
    let record = json!({
        "timeUnixNano": "1700000000999000001", "severityNumber": "SEVERITY_NUMBER_DEBUG", "severityText": "",
        "body": {"stringValue": "a \"text\"\n"}, "flags": 1,
        "traceId": "0802030405060708000000000a000000", "spanId": "000000000a000000",
        "attributes": [text("User.ID", "u"), text("both", "record"), text("service", "x"), text("hostname", "y"),
            {"key": "n", "value": {"intValue": "5"}}, {"key": "f", "value": {"doubleValue": 0.5}},
            {"key": "list", "value": {"arrayValue": {"values": [{"intValue": 1}, {"stringValue": "a"}]}}},
            {"key": "Map", "value": {"kvlistValue": {"values": [
                {"key": "In", "value": {"kvlistValue": {"values": [text("Deep", "d")]}}}, {"key": "ok", "value": {"boolValue": true}}]}}}]
    });
    let resource = json!({"attributes": [text("service.name", "shop"), text("host.name", "h"), text("both", "resource"),
        text("deployment.environment", "prod")]});
    assert_eq!(
        one(&resource, &record),
        json!({
            "message": "a \"text\"\n", "status": "debug", "timestamp": 1_700_000_000_999_u64, "hostname": "h",
            "service": "shop", "ddsource": "otlp_log_ingestion",
            "ddtags": "service:shop,env:prod,otel_source:pillion,team:a,region:eu",
            "otel.trace_id": "0802030405060708000000000a000000", "dd.trace_id": "167772160",
            "otel.span_id": "000000000a000000", "dd.span_id": "167772160",
            "otel.severity_number": "5", "otel.timestamp": "1700000000999000001",
            "@timestamp": "2023-11-14T22:13:20.999Z",
            "user.id": "u", "both": "record", "otel.service": "x", "otel.hostname": "y", "n": 5, "f": 0.5,
            "list": "[1,\"a\"]", "map.in.deep": "d", "map.ok": true,
            "service.name": "shop", "host.name": "h", "deployment.environment": "prod", "scope.key": "s"
        })
    );
}

#[test]
fn attributes_may_say_what_has_a_place_of_its_own() {
    let record = json!({"observedTimeUnixNano": 1_000_000_000_u64, "body": {"intValue": 5}, "attributes": [
        text("Message", "from an attribute"), text("level", "WARN"), text("ddtags", "a:b,c:d"),
        text("trace_id", "000102030405060708090a0b0c0d0e0f"), text("contextmap.spanid", "00000000000000ff")]});
    let entry = one(&json!({}), &record);
    for (key, expect) in [
        ("message", json!("from an attribute")),
        ("status", json!("warn")),
        ("timestamp", json!(1000)),
        ("service", json!("own")),
        ("hostname", json!("")),
        ("ddtags", json!("otel_source:pillion,env:prod,team:a,region:eu,a:b,c:d")),
        ("otel.trace_id", json!("000102030405060708090a0b0c0d0e0f")),
        ("dd.trace_id", json!("579005069656919567")),
        ("dd.span_id", json!("255")),
    ] {
        assert_eq!(entry[key], expect, "{key}");
    }
    assert!(entry.get("trace_id").is_none() && entry.get("level").is_none(), "{entry}");
}

#[test]
fn bodies_of_other_kinds_are_text() {
    for (body, expect) in [
        (json!({"intValue": 5}), "5"),
        (json!({"boolValue": true}), "true"),
        (json!({"kvlistValue": {"values": [text("a", "b")]}}), "{\"a\":\"b\"}"),
        (json!({}), ""),
    ] {
        let entry = one(&json!({}), &json!({"body": body}));
        assert_eq!((&entry["message"], &entry["status"]), (&json!(expect), &json!("info")));
        assert_eq!(entry["timestamp"], json!(1_750_000_000_000_u64));
    }
}

#[test]
fn maps_are_flattened_ten_deep() {
    let mut value = json!({"stringValue": "x"});
    for _ in 0..12 {
        value = json!({"kvlistValue": {"values": [{"key": "k", "value": value}]}});
    }
    let entry = one(&json!({}), &json!({"attributes": [{"key": "k", "value": value}]}));
    let key = ["k"; 10].join(".");
    assert_eq!(entry[&key], json!("{\"k\":{\"k\":{\"k\":\"x\"}}}"));
}

proptest! {
    /// Whatever passes the check becomes JSON.
    #[test]
    fn strange_requests_are_taken_or_refused(
        mut bytes in vec(any::<u8>(), 0..200), at in any::<proptest::sample::Index>(), seed in any::<u8>(),
    ) {
        let valid = json!({"resourceLogs": [{"resource": {"attributes": [text("a", "b")]}, "scopeLogs": [{"logRecords": [
            {"timeUnixNano": 5, "body": {"stringValue": "t"}, "traceId": "000102030405060708090a0b0c0d0e0f",
             "attributes": [text("ddtags", "x"), {"key": "m", "value": {"kvlistValue": {"values": [text("k", "v")]}}}]}
        ]}]}]});
        let valid = message(Signal::Logs, Encoding::Json, valid.to_string().as_bytes()).unwrap().into_owned();
        let place = at.index(valid.len());
        let mut mutated = valid.clone();
        mutated[place] = seed;
        bytes.splice(0..0, valid[..place].iter().copied());
        for body in [&mutated, &bytes] {
            let Ok(body) = message(Signal::Logs, Encoding::Protobuf, body) else { continue };
            Records::new(Attributes::default()).take(&body, 1, &mut |entry| {
                serde_json::from_slice::<Value>(entry).unwrap();
            });
        }
    }
}
