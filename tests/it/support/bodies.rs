//! Request bodies, made by an encoder that is not the product's.

use rmpv::Value;

fn map(pairs: Vec<(&str, Value)>) -> Value {
    Value::Map(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn span(service: &str, trace: u64, span: u64) -> Value {
    map(vec![
        ("service", service.into()),
        ("name", "web.request".into()),
        ("resource", format!("GET /items/{}", span % 7).into()),
        ("type", "web".into()),
        ("trace_id", trace.into()),
        ("span_id", (trace * 1000 + span).into()),
        ("parent_id", if span == 1 { 0 } else { trace * 1000 + 1 }.into()),
        ("start", 1_750_000_000_000_000_000_i64.into()),
        ("duration", (1_000_000 + span).into()),
        ("error", 0.into()),
        (
            "meta",
            map(vec![
                ("http.method", "GET".into()),
                ("span.kind", "server".into()),
                ("user", "ünïcode".into()),
            ]),
        ),
        (
            "metrics",
            map(vec![("_sampling_priority_v1", Value::F64(1.0)), ("_dd.measured", 1.into())]),
        ),
    ])
}

/// A v0.4 body.
pub(crate) fn v04(traces: u64, spans_per_trace: u64) -> Vec<u8> {
    v04_of("shop", traces, spans_per_trace)
}

/// A v0.4 body of spans of this service.
pub(crate) fn v04_of(service: &str, traces: u64, spans_per_trace: u64) -> Vec<u8> {
    let spans = |trace| (1..=spans_per_trace).map(move |number| span(service, trace, number));
    encode(&Value::Array((1..=traces).map(|trace| Value::Array(spans(trace).collect())).collect()))
}

/// A v0.7 body of one trace with spans.
pub(crate) fn v07(spans: u64) -> Vec<u8> {
    let chunk = map(vec![
        ("priority", 1.into()),
        ("origin", "lambda".into()),
        ("tags", map(vec![("_dd.p.dm", "-4".into())])),
        ("spans", Value::Array((1..=spans).map(|number| span("shop", 1, number)).collect())),
        ("dropped_trace", false.into()),
    ]);
    encode(&map(vec![
        ("container_id", "cafe".into()),
        ("language_name", "go".into()),
        ("runtime_id", "11112222".into()),
        ("tags", map(vec![("team", "cart".into())])),
        ("env", "prod".into()),
        ("chunks", Value::Array(vec![chunk])),
    ]))
}

/// A map with numbers for names, as v1.0 has them.
fn numbered(fields: Vec<(u64, Value)>) -> Value {
    Value::Map(fields.into_iter().map(|(field, value)| (field.into(), value)).collect())
}

/// A v1.0 body of one trace with one span, with a value of each kind.
pub(crate) fn v10() -> Vec<u8> {
    let bytes = || Value::Binary(vec![0, 255]);
    let attributes = Value::Array(vec![
        "http.method".into(),
        1.into(),
        "GET".into(),
        "ok".into(),
        2.into(),
        true.into(),
        "ratio".into(),
        3.into(),
        Value::F64(0.25),
        "count".into(),
        4.into(),
        (-3).into(),
        "raw".into(),
        5.into(),
        bytes(),
        "list".into(),
        6.into(),
        Value::Array(vec![1.into(), 2.into(), 4.into(), 7.into()]),
        "map".into(),
        7.into(),
        Value::Array(vec!["inner".into(), 6.into(), Value::Array(vec![2.into(), false.into()])]),
    ]);
    let event = numbered(vec![(1, 1_750_000_000_000_000_000_u64.into()), (2, "late".into())]);
    let link = numbered(vec![(1, bytes()), (2, 9.into()), (4, "dd=s:1".into())]);
    let span = numbered(vec![
        (1, "shop".into()),
        (2, "web.request".into()),
        (3, "GET /".into()),
        (4, 78.into()),
        (6, 1_750_000_000_000_000_000_u64.into()),
        (7, 5.into()),
        (8, true.into()),
        (9, attributes),
        (11, Value::Array(vec![link])),
        (12, Value::Array(vec![event])),
        (13, "prod".into()),
        (16, 2.into()),
        (99, Value::Array(vec!["unknown".into(), map(vec![("a", Value::Nil)])])),
    ]);
    let chunk = numbered(vec![
        (1, 1.into()),
        (2, "rum".into()),
        (4, Value::Array(vec![span])),
        (6, Value::Binary(vec![7; 16])),
    ]);
    encode(&numbered(vec![(3, "php".into()), (7, 0.into()), (11, Value::Array(vec![chunk]))]))
}

/// A v0.5 body of one trace with one span.
pub(crate) fn v05() -> Vec<u8> {
    let strings =
        ["", "shop", "web.request", "GET /", "web", "http.method", "GET", "_sampling_priority_v1"];
    let span = Value::Array(vec![
        1.into(),
        2.into(),
        3.into(),
        77.into(),
        78.into(),
        0.into(),
        1_750_000_000_000_000_000_i64.into(),
        5.into(),
        0.into(),
        Value::Map(vec![(5.into(), 6.into())]),
        Value::Map(vec![(7.into(), Value::F64(1.0))]),
        4.into(),
    ]);
    let strings = Value::Array(strings.into_iter().map(Value::from).collect());
    encode(&Value::Array(vec![strings, Value::Array(vec![Value::Array(vec![span])])]))
}

/// A body of a tracer's own stats, with one group.
pub(crate) fn stats() -> Vec<u8> {
    let group = map(vec![
        ("Service", "shop".into()),
        ("Name", "web.request".into()),
        ("Resource", "GET /".into()),
        ("HTTPStatusCode", 200.into()),
        ("Type", "web".into()),
        ("Hits", 3.into()),
        ("Errors", 0.into()),
        ("Duration", 3_000_000.into()),
        ("OkSummary", Value::Binary(Vec::new())),
        ("ErrorSummary", Value::Binary(Vec::new())),
        ("TopLevelHits", 3.into()),
        ("SpanKind", "server".into()),
    ]);
    let bucket = map(vec![
        ("Start", 1_750_000_000_000_000_000_u64.into()),
        ("Duration", 10_000_000_000_u64.into()),
        ("Stats", Value::Array(vec![group])),
    ]);
    encode(&map(vec![
        ("Hostname", "".into()),
        ("Env", "prod".into()),
        ("Version", "1.0".into()),
        ("Stats", Value::Array(vec![bucket])),
        ("Lang", "python".into()),
        ("Service", "shop".into()),
    ]))
}

fn encode(value: &Value) -> Vec<u8> {
    let mut body = Vec::new();
    rmpv::encode::write_value(&mut body, value).unwrap();
    body
}
