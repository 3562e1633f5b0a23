//! Bodies of `/v0.4/traces` such as a usual app's tracer sends: spans of web, http, sql, cache and redis with 12 meta and 3 metrics entries,
//! about 556 bytes each. The same seed gives the same body, and two seeds share no ids and few values.

use rmpv::Value;

const KINDS: [&str; 6] = ["web", "http", "sql", "cache", "redis", "custom"];

/// A body of `traces` traces of `spans` spans each, all of which ended within the last second before `now_ns` or soon after.
pub fn v04(traces: usize, spans: usize, seed: u64, now_ns: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let chunks = (0..traces).map(|_| {
        let (trace, root) = (random.u64(1..1 << 63), random.u64(1..1 << 63));
        Value::Array(
            (0..spans).map(|number| span(&mut random, trace, root, number, now_ns)).collect(),
        )
    });
    let mut body = Vec::new();
    rmpv::encode::write_value(&mut body, &Value::Array(chunks.collect())).unwrap();
    body
}

fn map(pairs: Vec<(&str, Value)>) -> Value {
    Value::Map(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn resource(random: &mut fastrand::Rng, kind: &str, number: usize) -> String {
    let id = random.u32(1..100_000);
    match kind {
        "web" => "GET /api/v1/users/?".to_owned(),
        "http" => "GET /api/orders".to_owned(),
        "sql" => format!(
            "SELECT u.id, u.name FROM users u WHERE u.id = {id} AND u.email = 'john{number}@example.com' LIMIT 10"
        ),
        "cache" => format!("get user_{number}"),
        "redis" => format!("GET user:{id}"),
        _ => format!("process.order.{number}"),
    }
}

fn span(random: &mut fastrand::Rng, trace: u64, root: u64, number: usize, now_ns: u64) -> Value {
    let is_root = number == 0;
    let kind = KINDS[number % KINDS.len()];
    let name = if is_root { "flask.request".to_owned() } else { format!("{kind}.op") };
    map(vec![
        ("trace_id", trace.into()),
        ("span_id", if is_root { root } else { random.u64(1..1 << 63) }.into()),
        ("parent_id", if is_root { 0 } else { root }.into()),
        ("service", "checkout".into()),
        ("name", name.into()),
        ("resource", resource(random, kind, number).into()),
        ("type", kind.into()),
        ("start", (now_ns - random.u64(0..1_000_000_000)).into()),
        ("duration", random.u64(1000..100_000_000).into()),
        ("error", 0.into()),
        ("meta", meta(random, number)),
        ("metrics", metrics(random, number)),
    ])
}

fn meta(random: &mut fastrand::Rng, number: usize) -> Value {
    let is_root = number == 0;
    let url = format!(
        "http://shop.example.com/api/v1/users/{}?token=abc&x={number}",
        random.u32(1..100_000)
    );
    map(vec![
        ("env", "production".into()),
        ("version", "1.2.3".into()),
        ("runtime-id", "8c4dfa4c-5e0e-4f2e-9b4f-0d2c4a1b2c3d".into()),
        ("language", "python".into()),
        ("component", if is_root { "flask".to_owned() } else { format!("lib{number}") }.into()),
        ("span.kind", if is_root { "server" } else { "client" }.into()),
        ("http.method", "GET".into()),
        ("http.status_code", "200".into()),
        ("http.url", url.into()),
        ("_dd.base_service", "checkout".into()),
        ("out.host", format!("db-{number}.internal").into()),
        ("usr.id", format!("user-{}", random.u32(1..100_000)).into()),
    ])
}

fn metrics(random: &mut fastrand::Rng, number: usize) -> Value {
    if number == 0 {
        map(vec![
            ("_sampling_priority_v1", 1.0.into()),
            ("process_id", 1234.0.into()),
            ("_dd.top_level", 1.0.into()),
        ])
    } else {
        map(vec![
            ("_dd.measured", 0.0.into()),
            ("process_id", 1234.0.into()),
            ("http.response.size", (random.f64() * 10_000.0).into()),
        ])
    }
}
