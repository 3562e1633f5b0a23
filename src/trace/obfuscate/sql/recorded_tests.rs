//! The queries of all recorded requests, and what the real agent sent on of them.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use rmpv::Value as Packed;
use serde_json::Value;

use super::tests::mode_named;
use super::*;

/// The tags of a span that hold a query, beside its resource.
const TAGS: [&str; 3] = ["sql.query", "db.statement", "db.query.text"];

/// A span as the tracer sent it: the texts that matter.
type Sent = HashMap<&'static str, String>;

/// Spans by trace id (its lower half) and span id.
type Spans = HashMap<(u64, u64), Sent>;

/// A request with the agent's answer.
struct Case {
    name: String,
    path: String,
    body: Vec<u8>,
    settings: Settings,
    expected: Value,
}

#[test]
fn queries_leave_as_they_left_the_agent() {
    let mut checked = 0;
    for case in cases() {
        let sent = match case.path.as_str() {
            "/v0.3/traces" | "/v0.4/traces" => spans_of_maps(&case.body),
            "/v0.5/traces" => spans_of_tables(&case.body),
            _ => continue,
        };
        let mut sql = Sql::new(case.settings.clone());
        for (id, span) in expected_spans(&case.expected) {
            if !matches!(span["type"].as_str(), Some("sql" | "cassandra")) {
                continue;
            }
            let sent = sent.get(&id).unwrap_or_else(|| panic!("{}: no span {id:?}", case.name));
            checked += check(&case.name, &mut sql, sent, span);
        }
    }
    assert!(checked > 250, "only {checked} queries");
}

/// Compares the queries of one span. How many there were.
fn check(name: &str, sql: &mut Sql, sent: &Sent, span: &Value) -> usize {
    let dbms = sent.get("db.type").map_or("", String::as_str);
    let mut checked = 0;
    let attributes = &span["attributes"];
    for tag in ["resource"].iter().chain(&TAGS) {
        let expected = if *tag == "resource" { &span["resource"] } else { &attributes[*tag] };
        let Some(query) = sent.get(tag).filter(|query| !query.is_empty()) else { continue };
        let got = obfuscated(sql, query, dbms);
        match expected {
            Value::String(expected) => assert_eq!(got, *expected, "{name}: {tag} {query:?}"),
            // A long text: the record has its ends alone.
            Value::Object(long) => {
                assert!(got.starts_with(long["head"].as_str().unwrap()), "{name}: {tag} {got:?}");
            }
            _ => panic!("{name}: no {tag}"),
        }
        if *tag == "resource" {
            let tables = attributes["sql.tables"].as_str().unwrap_or_default();
            assert_eq!(sql.tables(), tables, "{name}: {query:?}");
        }
        checked += 1;
    }
    checked
}

fn obfuscated(sql: &mut Sql, query: &str, dbms: &str) -> String {
    let mut out = String::new();
    match sql.obfuscate(query, dbms, &mut out) {
        Ok(Outcome::Changed) => out,
        Ok(Outcome::Unchanged) => query.to_owned(),
        Err(Unparsable) => "Non-parsable SQL query".to_owned(),
    }
}

fn cases() -> Vec<Case> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut cases = Vec::new();
    for folder in folders(&tests.join("golden")) {
        let request = json(&folder.join("request.json"));
        let settings = folder.join("settings.json");
        let settings = if settings.exists() { json(&settings) } else { Value::Null };
        cases.push(Case {
            name: folder.display().to_string(),
            path: request["path"].as_str().unwrap_or_default().to_owned(),
            body: fs::read(folder.join("body.bin")).unwrap_or_default(),
            settings: settings_of(&settings["env"]),
            expected: json(&folder.join("expected.json")),
        });
    }
    for folder in folders(&tests.join("corpus")) {
        for file in files(&folder) {
            let name = file.display().to_string();
            let Some(stem) = name.strip_suffix(".expected.json") else { continue };
            let request = json(Path::new(&format!("{stem}.json")));
            cases.push(Case {
                path: request["path"].as_str().unwrap_or_default().to_owned(),
                body: fs::read(format!("{stem}.body")).unwrap(),
                settings: Settings::default(),
                expected: json(&file),
                name,
            });
        }
    }
    cases
}

fn folders(root: &Path) -> Vec<PathBuf> {
    files(root).into_iter().filter(|path| path.is_dir()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap()
}

fn settings_of(env: &Value) -> Settings {
    let features = env["DD_APM_FEATURES"].as_str().unwrap_or_default();
    let has = |name| features.split(',').any(|feature| feature == name);
    Settings {
        mode: mode_named(env["DD_APM_SQL_OBFUSCATION_MODE"].as_str().unwrap_or_default()),
        table_names: has("table_names"),
        keep_sql_alias: has("keep_sql_alias"),
        dollar_quoted_func: has("dollar_quoted_func"),
        replace_digits: has("replace_sql_digits") || has("quantize_sql_tables"),
        ..Settings::default()
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Every span that the agent sent, with its ids.
fn expected_spans(expected: &Value) -> Vec<((u64, u64), &Value)> {
    let mut spans = Vec::new();
    let payloads = list(&expected["intake"]["traces"]);
    let tracers = payloads.flat_map(|payload| list(&payload["idxTracerPayloads"]));
    for chunk in tracers.flat_map(|tracer| list(&tracer["chunks"])) {
        let trace = chunk["traceID"].as_str().unwrap_or_default();
        let trace = u64::from_str_radix(trace.get(16..).unwrap_or_default(), 16).unwrap_or(0);
        for span in list(&chunk["spans"]) {
            spans.push(((trace, span["spanID"].as_u64().unwrap()), span));
        }
    }
    spans
}

/// The spans of v0.3 and v0.4: lists of lists of maps, or the same in JSON.
fn spans_of_maps(body: &[u8]) -> Spans {
    let mut spans = Spans::new();
    if let Ok(json) = serde_json::from_slice::<Value>(body) {
        return spans_of_maps(&rmp_serde::to_vec(&json).unwrap());
    }
    let Ok(traces) = rmpv::decode::read_value(&mut &*body) else { return spans };
    for span in traces.as_array().into_iter().flatten().flat_map(|trace| trace.as_array().unwrap())
    {
        let number = |name| field(span, name).and_then(Packed::as_u64).unwrap_or(0);
        let mut sent = Sent::new();
        insert(&mut sent, "resource", field(span, "resource"));
        for tag in TAGS.into_iter().chain(["db.type"]) {
            insert(&mut sent, tag, field(span, "meta").and_then(|meta| field(meta, tag)));
        }
        spans.insert((number("trace_id"), number("span_id")), sent);
    }
    spans
}

fn field<'a>(map: &'a Packed, name: &str) -> Option<&'a Packed> {
    let entries = map.as_map()?;
    entries.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

fn insert(sent: &mut Sent, name: &'static str, value: Option<&Packed>) {
    if let Some(text) = value.and_then(Packed::as_str) {
        sent.insert(name, text.to_owned());
    }
}

/// The spans of v0.5: a list of texts, and arrays with numbers of texts.
fn spans_of_tables(body: &[u8]) -> Spans {
    let mut spans = Spans::new();
    let Ok(body) = rmpv::decode::read_value(&mut &*body) else { return spans };
    let Some([texts, traces]) = body.as_array().map(Vec::as_slice) else { return spans };
    let text = |index: &Packed| texts.as_array()?.get(usize::try_from(index.as_u64()?).ok()?);
    for span in traces.as_array().into_iter().flatten().flat_map(|trace| trace.as_array().unwrap())
    {
        let fields = span.as_array().unwrap();
        let mut sent = Sent::new();
        insert(&mut sent, "resource", text(&fields[2]));
        for (key, value) in fields[9].as_map().into_iter().flatten() {
            let key = text(key).and_then(Packed::as_str);
            for tag in TAGS.into_iter().chain(["db.type"]).filter(|tag| key == Some(*tag)) {
                insert(&mut sent, tag, text(value));
            }
        }
        spans.insert((fields[3].as_u64().unwrap(), fields[4].as_u64().unwrap()), sent);
    }
    spans
}
