//! The decoders of traces bodies: what comes out lies within the body, and says the same when the lists were used before.

use pillion::trace::decode::{ApiVersion, decode};
use pillion::trace::keys::Keys;
use pillion::trace::model::{Body, Slice, Text, Value};

pub(super) const JSON: &[&str] = &[
    r#"[[{"service":"a","name":"b","resource":"c","trace_id":1,"span_id":2,"start":3,"duration":4,"meta":{"k":"v"},"metrics":{"m":1.5}}]]"#,
    r#"[[{"span_id":2,"error":1,"type":"web","span_links":[{"trace_id":1,"trace_id_high":2,"span_id":3,"attributes":{"a":"b"},"tracestate":"x","flags":1}]}],[null],null]"#,
    r#"[[{"span_id":9,"parent_id":18446744073709551615,"span_events":[{"time_unix_nano":7,"name":"e","attributes":{"s":{"type":0,"string_value":"x"},"l":{"type":4,"array_value":{"values":[{"type":2,"int_value":-3}]}}}}]}]]"#,
    r#"[{"trace_id":1,"span_id":2,"meta":{"é\u0000\ud83d\ude00":null}}]"#,
];

pub(super) fn v04(data: &[u8]) {
    check(ApiVersion::V04, "application/msgpack", data);
}

pub(super) fn v05(data: &[u8]) {
    check(ApiVersion::V05, "application/msgpack", data);
}

pub(super) fn v07(data: &[u8]) {
    check(ApiVersion::V07, "application/msgpack", data);
}

pub(super) fn v10(data: &[u8]) {
    check(ApiVersion::V10, "application/msgpack", data);
}

pub(super) fn json(data: &[u8]) {
    check(ApiVersion::V01, "application/json", data);
    check(ApiVersion::V04, "application/json", data);
}

/// Bodies up to this size are decoded twice.
const TWICE_BYTES_MAX: usize = 4096;

fn check(version: ApiVersion, media: &str, data: &[u8]) {
    let keys = Keys::new(["peer.service"], ["team"], ["env"]);
    let mut body = Body::default();
    let decoded = decode(version, Some(media), data, &keys, &mut body);
    if let Err(error) = decoded {
        assert!((400..500).contains(&error.status()), "{error}");
        assert!(!error.to_string().is_empty());
        return;
    }
    walk(&body, body.source(data));
    if data.len() <= TWICE_BYTES_MAX {
        let once = format!("{body:?}");
        decode(version, Some(media), data, &keys, &mut body).expect("it was decoded before");
        assert_eq!(format!("{body:?}"), once);
    }
}

/// Looks at everything that a body refers to: a place or a range that leads out of it ends the run.
fn walk(body: &Body, source: &[u8]) {
    let mut spans = 0;
    for chunk in &body.chunks {
        spans += body.spans[chunk.spans.range()].len();
        entries_are_within(chunk.attributes, body, source);
    }
    entries_are_within(body.payload.attributes, body, source);
    assert_eq!(spans, body.spans.len(), "every span is in a chunk, and in one alone");
    for span in &body.spans {
        for text in [span.service, span.name, span.resource, span.kind] {
            is_within(text, source);
        }
        for attribute in &body.attributes[span.attributes.range()] {
            is_within(attribute.key, source);
            value_is_within(attribute.value, body, source);
        }
        for link in &body.links[span.links.range()] {
            is_within(link.tracestate, source);
            entries_are_within(link.attributes, body, source);
        }
        for event in &body.events[span.events.range()] {
            is_within(event.name, source);
            entries_are_within(event.attributes, body, source);
        }
    }
}

fn entries_are_within(entries: Slice, body: &Body, source: &[u8]) {
    for (key, value) in &body.entries[entries.range()] {
        is_within(*key, source);
        value_is_within(*value, body, source);
    }
}

fn value_is_within(value: Value, body: &Body, source: &[u8]) {
    match value {
        Value::Text(text) | Value::Bytes(text) => is_within(text, source),
        Value::Array(values) => {
            for value in &body.values[values.range()] {
                value_is_within(*value, body, source);
            }
        }
        Value::Map(entries) => entries_are_within(entries, body, source),
        Value::None | Value::Unknown(_) | Value::Bool(_) | Value::Int(_) | Value::Number(_) => {}
    }
}

fn is_within(text: Text, source: &[u8]) {
    assert_eq!(text.of(source).len(), text.len(), "a string that is not in the body");
}
