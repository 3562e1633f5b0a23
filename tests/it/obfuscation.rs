//! What the obfuscators make of the recorded spans is what the real agent made of them: golden cases and traffic of real tracers.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use pillion::config::{self, Env, Mode};
use pillion::trace::obfuscate::json::Json;
use pillion::trace::obfuscate::{Outcome, Settings, cards, memcached, redis, url};
use serde_json::Value;

/// A span as a tracer sent it.
struct Sent {
    trace: u64,
    span: u64,
    kind: String,
    resource: String,
    meta: HashMap<String, String>,
    metrics: HashMap<String, f64>,
}

#[test]
fn recorded_spans_become_what_the_agent_made_of_them() {
    let mut seen = HashMap::new();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for folder in folders(&tests.join("golden")) {
        let settings = folder.join("settings.json");
        let settings = if settings.exists() { json(&settings) } else { Value::Null };
        check(&folder.join("expected.json"), &folder.join("request.json"), &settings, &mut seen);
    }
    for folder in folders(&tests.join("corpus")) {
        for expected in files(&folder, ".expected.json") {
            let request = expected.to_str().unwrap().replace(".expected.json", ".json");
            check(&expected, Path::new(&request), &Value::Null, &mut seen);
        }
    }
    // Of each kind there are some, so that the comparison means something.
    for (what, least) in [
        ("resource", 190),
        ("redis.raw_command", 170),
        ("memcached.command", 6),
        ("mongodb.query", 16),
        ("elasticsearch.body", 16),
        ("opensearch.body", 16),
        ("http.url", 300),
        ("card", 24),
        ("card in a metric", 1),
        ("other", 10_000),
    ] {
        let found = seen.get(what).copied().unwrap_or_default();
        assert!(found >= least, "only {found} of {what}: {seen:?}");
    }
}

/// Compares one case: every text that was sent with what the agent sent on.
fn check(
    expected: &Path,
    request: &Path,
    settings: &Value,
    seen: &mut HashMap<&'static str, usize>,
) {
    let variables: Vec<(&str, &str)> = settings["env"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    if variables.iter().any(|(name, _)| name.starts_with("DD_APM_REPLACE")) {
        return;
    }
    let settings = config::read(&Env::of(&variables), Mode::Wrapper).0.pipeline.obfuscation;
    let arrived = arrived(&json(expected));
    for sent in bodies(request).iter().flat_map(|(path, body)| spans(path, body)) {
        // Only one span of that number: what was sent with it is what arrived with it.
        let Some([arrived]) = arrived.get(&(sent.trace, sent.span)).map(Vec::as_slice) else {
            continue;
        };
        let place = format!("{}, span {}", expected.display(), sent.span);
        compare(&sent, arrived, &settings, &place, seen);
    }
}

fn compare(
    sent: &Sent,
    arrived: &Value,
    settings: &Settings,
    place: &str,
    seen: &mut HashMap<&'static str, usize>,
) {
    let mut out = String::new();
    if ["redis", "valkey"].contains(&sent.kind.as_str()) && !sent.resource.is_empty() {
        let made = made(&sent.resource, |out| redis::quantise(&sent.resource, out), &mut out);
        // Empty fields are left out of the record.
        assert_eq!(arrived["resource"].as_str().unwrap_or_default(), made, "{place}");
        *seen.entry("resource").or_default() += 1;
    }
    let is_looked_at = |key: &str| {
        settings.credit_cards.enabled
            && !cards::key_is_exempt(key, &settings.credit_cards.keep_values)
    };
    let luhn = settings.credit_cards.luhn;
    for (key, value) in &sent.meta {
        // What the agent drops or changes for other reasons is not this test's concern.
        let Some(arrived) = arrived["attributes"][key].as_str() else { continue };
        if ["env", "peer.service", "_dd.base_service"].contains(&key.as_str()) {
            continue;
        }
        let is_card = is_looked_at(key) && cards::is_card(value.as_bytes(), luhn);
        let value = if is_card { cards::HIDDEN } else { value };
        let (what, made) = match tag(&sent.kind, key, value, settings, &mut out) {
            Some((what, outcome)) => (what, if outcome == Outcome::Changed { &out } else { value }),
            None => (if is_card { "card" } else { "other" }, value),
        };
        if sent.kind != "sql" && sent.kind != "cassandra" {
            assert_eq!(arrived, made, "{place}: {key} of {:?}", sent.kind);
            *seen.entry(what).or_default() += 1;
        }
    }
    for (key, number) in &sent.metrics {
        if let Some(arrived) = arrived["attributes"].get(key) {
            let is_card = is_looked_at(key) && cards::float_is_card(*number, luhn);
            assert_eq!(arrived == cards::HIDDEN, is_card, "{place}: {key}");
            *seen.entry(if is_card { "card in a metric" } else { "metric" }).or_default() += 1;
        }
    }
}

/// What the agent does to a tag of a span of this type (spec: trace-agent 7.1).
fn tag(
    kind: &str,
    key: &str,
    value: &str,
    settings: &Settings,
    out: &mut String,
) -> Option<(&'static str, Outcome)> {
    let mut json = |what, of: &pillion::trace::obfuscate::settings::Json| {
        let hidden = Json::new(of).obfuscate(value, &mut |_, _| None, out);
        of.enabled.then_some((what, hidden))
    };
    match (kind, key) {
        ("redis", "redis.raw_command") if settings.redis.enabled => Some((
            "redis.raw_command",
            redis::obfuscate_command(value, settings.redis.remove_all_args, out),
        )),
        ("memcached", "memcached.command") if settings.memcached.enabled => Some((
            "memcached.command",
            memcached::obfuscate(value, settings.memcached.keep_command, out),
        )),
        ("web" | "http", "http.url") => {
            Some(("http.url", url::obfuscate(value, &settings.http, out)))
        }
        ("mongodb", "mongodb.query") => json("mongodb.query", &settings.mongodb),
        ("elasticsearch" | "opensearch", "elasticsearch.body") => {
            json("elasticsearch.body", &settings.elasticsearch)
        }
        ("elasticsearch" | "opensearch", "opensearch.body") => {
            json("opensearch.body", &settings.opensearch)
        }
        _ => None,
    }
}

fn made<'a>(
    text: &'a str,
    write: impl FnOnce(&mut String) -> Outcome,
    out: &'a mut String,
) -> &'a str {
    if write(out) == Outcome::Changed { out } else { text }
}

/// The spans that the agent sent on, by trace and span id.
fn arrived(expected: &Value) -> HashMap<(u64, u64), Vec<Value>> {
    let mut spans: HashMap<(u64, u64), Vec<Value>> = HashMap::new();
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    for payload in
        list(&expected["intake"], "traces").iter().flat_map(|p| list(p, "idxTracerPayloads"))
    {
        for chunk in list(&payload, "chunks") {
            let trace = chunk["traceID"]
                .as_str()
                .map_or(0, |id| u64::from_str_radix(&id[16..], 16).unwrap());
            for span in list(&chunk, "spans") {
                let id = span["spanID"].as_u64().unwrap_or_default();
                spans.entry((trace, id)).or_default().push(span);
            }
        }
    }
    spans
}

/// Path and body of each request of a case.
fn bodies(request: &Path) -> Vec<(String, Vec<u8>)> {
    let asked = json(request);
    let all = asked["requests"].as_array().cloned().unwrap_or_else(|| vec![asked]);
    let read = |asked: &Value| {
        let own = request.with_extension("body");
        let body = asked["body"].as_str().map_or(own, |name| request.with_file_name(name));
        let path = asked["path"].as_str().unwrap_or_default();
        (path.to_owned(), fs::read(body).unwrap_or_default())
    };
    all.iter().map(read).collect()
}

/// The spans of a msgpack body of v0.3, v0.4 or v0.5; none of any other.
fn spans(path: &str, body: &[u8]) -> Vec<Sent> {
    let Ok(value) = rmpv::decode::read_value(&mut &*body) else { return Vec::new() };
    match path {
        "/v0.3/traces" | "/v0.4/traces" => {
            items(&value).iter().flat_map(items).filter_map(span_v04).collect()
        }
        "/v0.5/traces" => {
            let [strings, traces] = items(&value) else { return Vec::new() };
            let strings = items(strings);
            let spans = items(traces).iter().flat_map(items);
            spans.filter_map(|span| span_v05(items(span), strings)).collect()
        }
        _ => Vec::new(),
    }
}

fn items(value: &rmpv::Value) -> &[rmpv::Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn span_v04(span: &rmpv::Value) -> Option<Sent> {
    let field = |name: &str| {
        let fields = span.as_map()?.iter();
        fields.rev().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
    };
    let text = |name| field(name).and_then(rmpv::Value::as_str).unwrap_or_default().to_owned();
    let pairs = |name| field(name).and_then(rmpv::Value::as_map).into_iter().flatten();
    let meta = pairs("meta");
    let metrics = pairs("metrics");
    Some(Sent {
        trace: field("trace_id")?.as_u64()?,
        span: field("span_id")?.as_u64()?,
        kind: text("type"),
        resource: text("resource"),
        meta: meta
            .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.as_str()?.to_owned())))
            .collect(),
        metrics: metrics
            .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.as_f64()?)))
            .collect(),
    })
}

fn span_v05(fields: &[rmpv::Value], strings: &[rmpv::Value]) -> Option<Sent> {
    let string = |value: &rmpv::Value| {
        let at = usize::try_from(value.as_u64()?).ok()?;
        Some(strings.get(at)?.as_str()?.to_owned())
    };
    let meta = fields.get(9)?.as_map()?.iter();
    let metrics = fields.get(10)?.as_map()?.iter();
    Some(Sent {
        trace: fields.get(3)?.as_u64()?,
        span: fields.get(4)?.as_u64()?,
        kind: string(fields.get(11)?)?,
        resource: string(fields.get(2)?)?,
        meta: meta.filter_map(|(key, value)| Some((string(key)?, string(value)?))).collect(),
        metrics: metrics.filter_map(|(key, value)| Some((string(key)?, value.as_f64()?))).collect(),
    })
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    all.sort();
    all
}

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_str().unwrap().ends_with(end)).collect()
}
