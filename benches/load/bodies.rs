//! The bodies that are posted: traces of realistic spans in msgpack, from seeds, so that every program under test gets the same ones.
//!
//! A span has 12 meta and 3 metrics entries and about 556 bytes. Types cycle through web, http, sql, cache, redis and custom. Roots carry
//! priority 1: nothing is sampled out. Only the start times move with the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use rmpv::Value;

use crate::forms::Form;

/// The seeds: ten different bodies are posted in turn. One body posted again and again would flatter whoever compresses, because zstd
/// finds the last copy in its window.
const SEEDS: std::ops::Range<u64> = 42..52;

/// Ten bodies of this form, each of `traces` traces with `spans` spans.
pub(crate) fn ten(form: Form, traces: usize, spans: usize) -> Vec<Vec<u8>> {
    SEEDS.map(|seed| body(form, seed, traces, spans)).collect()
}

fn body(form: Form, seed: u64, traces: usize, spans: usize) -> Vec<u8> {
    let mut random = Rng::with_seed(seed);
    let now_ns =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
    let chunk = |random: &mut Rng| {
        let (trace_id, root_id) = (random.u64(1..1 << 63), random.u64(1..1 << 63));
        Value::Array((0..spans).map(|at| span(random, now_ns, trace_id, root_id, at)).collect())
    };
    let all = Value::Array((0..traces).map(|_| chunk(&mut random)).collect());
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, &form.of(all)).expect("a vector takes all");
    out
}

fn span(random: &mut Rng, now_ns: u64, trace_id: u64, root_id: u64, at: usize) -> Value {
    const KINDS: [&str; 6] = ["web", "http", "sql", "cache", "redis", "custom"];
    let kind = KINDS[at % KINDS.len()];
    let is_root = at == 0;
    let name = if is_root { "flask.request".to_owned() } else { format!("{kind}.op") };
    let resource = resource(random, kind, at);
    let meta = meta(random, at);
    let metrics = if is_root {
        map(&[
            ("_sampling_priority_v1", 1.0.into()),
            ("process_id", 1234.0.into()),
            ("_dd.top_level", 1.0.into()),
        ])
    } else {
        map(&[
            ("_dd.measured", 0.0.into()),
            ("process_id", 1234.0.into()),
            ("http.response.size", (random.f64() * 10_000.0).into()),
        ])
    };
    map(&[
        ("trace_id", trace_id.into()),
        ("span_id", if is_root { root_id } else { random.u64(1..1 << 63) }.into()),
        ("parent_id", if is_root { 0 } else { root_id }.into()),
        ("service", "checkout".into()),
        ("name", name.into()),
        ("resource", resource.into()),
        ("type", kind.into()),
        ("start", (now_ns - random.u64(0..1_000_000_000)).into()),
        ("duration", random.u64(1000..100_000_000).into()),
        ("error", 0.into()),
        ("meta", meta),
        ("metrics", metrics),
    ])
}

fn meta(random: &mut Rng, at: usize) -> Value {
    let is_root = at == 0;
    map(&[
        ("env", "production".into()),
        ("version", "1.2.3".into()),
        ("runtime-id", "8c4dfa4c-5e0e-4f2e-9b4f-0d2c4a1b2c3d".into()),
        ("language", "python".into()),
        ("component", if is_root { "flask".to_owned() } else { format!("lib{at}") }.into()),
        ("span.kind", if is_root { "server" } else { "client" }.into()),
        ("http.method", "GET".into()),
        ("http.status_code", "200".into()),
        (
            "http.url",
            format!(
                "http://shop.example.com/api/v1/users/{}?token=abc&x={at}",
                random.u32(1..100_000)
            )
            .into(),
        ),
        ("_dd.base_service", "checkout".into()),
        ("out.host", format!("db-{at}.internal").into()),
        ("usr.id", format!("user-{}", random.u32(1..100_000)).into()),
    ])
}

fn resource(random: &mut Rng, kind: &str, at: usize) -> String {
    let number = random.u32(1..100_000);
    match kind {
        "web" => "GET /api/v1/users/?".to_owned(),
        "http" => "GET /api/orders".to_owned(),
        "sql" => format!(
            "SELECT u.id, u.name FROM users u WHERE u.id = {number} AND u.email = 'john{at}@example.com' LIMIT 10"
        ),
        "cache" => format!("get user_{at}"),
        "redis" => format!("GET user:{number}"),
        _ => format!("process.order.{at}"),
    }
}

fn map(pairs: &[(&str, Value)]) -> Value {
    Value::Map(pairs.iter().map(|(key, value)| (Value::from(*key), value.clone())).collect())
}
