//! What is hidden, replaced or filtered is nowhere in what leaves: bodies through the pipeline, with the settings as a user writes them.

use pillion::pipeline::{OpenBuckets, TraceRequest};
use pillion::trace::Tracer;
use pillion::trace::decode::ApiVersion;
use rmpv::Value;

use crate::support::decoded::{self, AgentPayload, Value as Decoded};
use crate::support::recorded::{self, Recorded};

const NOW_NS: u64 = 1_750_000_000_000_000_000;

struct Outcome {
    /// All that left, traces and stats, as it was before compression.
    bytes: Vec<u8>,
    payload: Option<AgentPayload>,
    filtered: u64,
}

impl Outcome {
    fn holds(&self, text: &str) -> bool {
        self.bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// The attribute of the first span, as text.
    fn attribute(&self, key: &str) -> Option<String> {
        let span = &self.payload.as_ref()?.tracer_payloads[0].chunks[0].spans[0];
        match span.attributes.get(key)? {
            Decoded::Text(text) => Some(text.clone()),
            other => Some(format!("{other:?}")),
        }
    }

    fn resource(&self) -> String {
        self.payload.as_ref().unwrap().tracer_payloads[0].chunks[0].spans[0].resource.clone()
    }
}

fn text(text: &str) -> Value {
    Value::from(text)
}

/// A body of one span of this type with this resource and these tags.
fn body(kind: &str, resource: &str, meta: &[(&str, Value)], metrics: &[(&str, f64)]) -> Vec<u8> {
    let map = |pairs: Vec<(Value, Value)>| Value::Map(pairs);
    let meta = meta.iter().map(|(key, value)| (text(key), value.clone())).collect();
    let metrics = metrics.iter().map(|(key, value)| (text(key), Value::F64(*value))).collect();
    let span = map(vec![
        (text("service"), text("shop")),
        (text("name"), text("op")),
        (text("resource"), text(resource)),
        (text("type"), text(kind)),
        (text("trace_id"), Value::from(7)),
        (text("span_id"), Value::from(8)),
        (text("start"), Value::from(NOW_NS)),
        (text("duration"), Value::from(1000)),
        (text("meta"), map(meta)),
        (text("metrics"), map(metrics)),
    ]);
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &Value::Array(vec![Value::Array(vec![span])])).unwrap();
    bytes
}

fn send(settings: &[(&str, &str)], body: &[u8]) -> Outcome {
    let mut pairs = vec![("DD_API_KEY", "k")];
    pairs.extend_from_slice(settings);
    let mut run = Recorded::new(&pairs, NOW_NS);
    let request = TraceRequest {
        version: ApiVersion::V04,
        content_type: Some("application/msgpack"),
        tracer: Tracer::default(),
        body,
    };
    run.pipeline.traces(&request, NOW_NS).unwrap();
    run.pipeline.flush(NOW_NS, OpenBuckets::Flush);
    let sent = run.take();
    Outcome {
        payload: recorded::traces(&sent).map(decoded::agent_payload),
        bytes: sent.into_iter().flat_map(|payload| payload.body).collect(),
        filtered: run.ledger.spans.read().filtered,
    }
}

#[test]
fn what_is_hidden_is_nowhere_in_the_payload() {
    for (kind, resource, key, value, secret) in [
        ("sql", "SELECT * FROM users WHERE name = 'hunter2'", "a", "b", "hunter2"),
        ("sql", "SELECT 'hunter2", "a", "b", "hunter2"),
        ("sql", "SELECT 1", "sql.query", "SELECT 'hunter2'", "hunter2"),
        ("cassandra", "SELECT 1", "db.statement", "SELECT 'hunter2", "hunter2"),
        ("redis", "GET", "redis.raw_command", "SET key hunter2", "hunter2"),
        ("valkey", "GET", "valkey.raw_command", "AUTH hunter2", "hunter2"),
        ("memcached", "set", "memcached.command", "set key 0 0 7\r\nhunter2", "hunter2"),
        ("mongodb", "find", "mongodb.query", r#"{"name": "hunter2"}"#, "hunter2"),
        ("elasticsearch", "GET", "elasticsearch.body", r#"{"q": ["hunter2"]}"#, "hunter2"),
        ("opensearch", "GET", "opensearch.body", r#"{"q": {"a": "hunter2""#, "hunter2"),
        ("http", "GET /", "http.url", "https://me:hunter2@shop.example/x", "hunter2"),
        ("custom", "pay", "card", "4111 1111 1111 1111", "4111"),
    ] {
        let outcome = send(&[], &body(kind, resource, &[(key, text(value))], &[]));
        assert!(!outcome.holds(secret), "{kind} {resource} {key}={value}");
        assert!(outcome.payload.is_some());
        let plain = send(&[], &body("custom", resource, &[("note", text(value))], &[]));
        assert!(plain.holds(secret) || secret == "4111", "the check can't fail: {kind} {key}");
    }
}

#[test]
fn a_number_that_is_a_card_is_hidden_and_other_numbers_stay() {
    let metrics = [("card", 4_111_111_111_111_111.0), ("count", 4_111_111_111_111_111_000.0)];
    let outcome = send(&[], &body("custom", "pay", &[], &metrics));
    assert_eq!(outcome.attribute("card").as_deref(), Some("?"));
    assert_ne!(outcome.attribute("count").as_deref(), Some("?"));
}

#[test]
fn bytes_are_neither_cut_nor_changed_where_nothing_is_found_in_them() {
    let long = "x".repeat(30_000);
    let span = rmpv_span_with_struct(&long);
    let outcome = send(&[], &span);
    assert!(outcome.holds(&long));
    let rules = r#"[{"name": "*", "pattern": "xxx+", "repl": "gone"}]"#;
    let outcome = send(&[("DD_APM_REPLACE_TAGS", rules)], &span);
    assert!(!outcome.holds("xxx"));
    assert_eq!(outcome.attribute("appsec").as_deref(), Some("gone"));
}

/// A span with a struct of these bytes.
fn rmpv_span_with_struct(content: &str) -> Vec<u8> {
    let span = Value::Map(vec![
        (text("span_id"), Value::from(8)),
        (text("trace_id"), Value::from(7)),
        (text("start"), Value::from(NOW_NS)),
        (
            text("meta_struct"),
            Value::Map(vec![(text("appsec"), Value::Binary(content.as_bytes().to_vec()))]),
        ),
    ]);
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &Value::Array(vec![Value::Array(vec![span])])).unwrap();
    bytes
}

#[test]
fn what_rules_replace_is_nowhere_in_the_payload() {
    let rules = r#"[{"name": "resource.name", "pattern": "token=\\w+", "repl": "token=?"},
        {"name": "http.url", "pattern": "(token=)[^&]*", "repl": "${1}?"},
        {"name": "broken", "pattern": "(", "repl": ""}]"#;
    let tags = [
        ("http.url", text("https://shop.example/?token=hunter2&x=1")),
        ("broken", text("hunter2")),
        ("kept", text("as it is")),
    ];
    let body = body("web", "GET /?token=hunter2", &tags, &[]);
    let outcome = send(&[("DD_APM_REPLACE_TAGS", rules)], &body);
    assert!(!outcome.holds("hunter2"));
    assert_eq!(outcome.resource(), "GET /?token=?");
    assert_eq!(outcome.attribute("http.url").as_deref(), Some("https://shop.example/?token=?&x=1"));
    assert_eq!(outcome.attribute("broken"), None);
    assert_eq!(outcome.attribute("kept").as_deref(), Some("as it is"));
}

#[test]
fn filters_drop_what_they_name_and_count_it() {
    let tags = [("team", text("web")), ("http.status_code", text("200")), ("env", text("Prod"))];
    let body = body("web", "GET /health", &tags, &[("size", 5.5)]);
    for (variable, value, drops) in [
        ("DD_APM_IGNORE_RESOURCES", "^GET /health$", true),
        ("DD_APM_IGNORE_RESOURCES", "^/health", false),
        ("DD_APM_FILTER_TAGS_REJECT", "team", true),
        ("DD_APM_FILTER_TAGS_REJECT", "team:we", false),
        ("DD_APM_FILTER_TAGS_REJECT", "size:5.5", true),
        // These are fields of every span, so they are always there.
        ("DD_APM_FILTER_TAGS_REJECT", "component", true),
        ("DD_APM_FILTER_TAGS_REJECT", "env:prod", true),
        ("DD_APM_FILTER_TAGS_REQUIRE", "span.kind:internal", false),
        ("DD_APM_FILTER_TAGS_REQUIRE", "team:web size", false),
        ("DD_APM_FILTER_TAGS_REQUIRE", "team:web none", true),
        ("DD_APM_FILTER_TAGS_REGEX_REJECT", "team:^w", true),
        ("DD_APM_FILTER_TAGS_REGEX_REJECT", "team:^e", false),
        ("DD_APM_FILTER_TAGS_REGEX_REQUIRE", "http.status_code:2..", false),
        ("DD_APM_FILTER_TAGS_REGEX_REQUIRE", "http.status_code:5..", true),
        // A pattern that is none filters nothing.
        ("DD_APM_IGNORE_RESOURCES", "(", false),
    ] {
        let outcome = send(&[(variable, value)], &body);
        assert_eq!(outcome.payload.is_none(), drops, "{variable}={value}");
        assert_eq!(outcome.filtered, u64::from(drops), "{variable}={value}");
        assert_eq!(outcome.bytes.is_empty(), drops, "stats of what was dropped: {value}");
    }
}

#[test]
fn a_key_that_is_too_long_is_cut_also_where_it_is_a_value_elsewhere() {
    let long = "k".repeat(201);
    let cut = format!("{}...", "k".repeat(200));
    let at = |strings: &[&str], text: &str| {
        Value::from(strings.iter().position(|string| *string == text).unwrap())
    };
    let strings = ["", "shop", "op", "a", "b", "v", long.as_str()];
    let index = |text| at(&strings, text);
    let meta = [("a", long.as_str()), ("b", "v"), (long.as_str(), "v")];
    let meta = meta.map(|(key, value)| (index(key), index(value))).to_vec();
    let span = Value::Array(vec![
        index("shop"),
        index("op"),
        index("op"),
        7.into(),
        8.into(),
        0.into(),
        NOW_NS.into(),
        1000.into(),
        0.into(),
        Value::Map(meta),
        Value::Map(vec![]),
        index(""),
    ]);
    let table = Value::Array(strings.iter().map(|string| text(string)).collect());
    let body = Value::Array(vec![table, Value::Array(vec![Value::Array(vec![span])])]);
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &body).unwrap();
    let outcome = send(&[], &bytes);
    assert_eq!(outcome.attribute("a").unwrap(), long);
    assert_eq!(outcome.attribute(&cut).as_deref(), Some("v"));
    assert_eq!(outcome.attribute(&long), None);
}
