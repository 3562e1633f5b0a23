//! What the real agent made of the same requests, compared field by field (`tests/otlp/README.md`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{Encoding, Export, Payload, Rules, decode};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otlp");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(cases.len() > 15, "{cases:?}");
    cases
}

fn read(case: &Path, file: &str) -> Value {
    match std::fs::read(case.join(file)) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap(),
        Err(_) => Value::Null,
    }
}

fn rules(settings: &Value) -> Rules {
    let features: Vec<&str> =
        settings["features"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let remappings: Option<BTreeMap<String, String>> =
        serde_json::from_value(settings["span_name_remappings"].clone()).unwrap();
    Rules {
        sampling_percentage: settings["percentage"].as_f64().unwrap_or(100.0),
        span_name_as_resource_name: settings["span_name_as_resource_name"] == true,
        span_name_remappings: remappings.unwrap_or_default(),
        older_names: features.contains(&"disable_operation_and_resource_name_logic_v2"),
        top_level_by_kind: features.contains(&"enable_otlp_compute_top_level_by_span_kind"),
        decided_later: settings["probabilistic_sampler"] == true,
        older_scope_names_only: features.contains(&"disable_otel_scope_convention"),
    }
}

/// Converts the request of a case in each encoding that it has.
fn each_encoding(case: &Path, mut check: impl FnMut(&str, Export)) {
    let settings = read(case, "settings.json");
    let hostname = settings["hostname"].as_str().unwrap_or_default();
    let mut found = 0;
    for (file, encoding) in [("request.bin", Encoding::Protobuf), ("request.json", Encoding::Json)]
    {
        let Ok(body) = std::fs::read(case.join(file)) else { continue };
        let name = format!("{}/{file}", case.file_name().unwrap().to_str().unwrap());
        check(&name, decode(&body, encoding, &rules(&settings), hostname).unwrap());
        found += 1;
    }
    assert!(found > 0, "{} has no request", case.display());
}

/// A payload in the form of the recorded ones.
fn shown(payload: &Payload, settings: &Value) -> Value {
    let mut container_tags: Vec<&str> =
        payload.container_tags.split(',').filter(|tag| !tag.is_empty()).collect();
    container_tags.sort_unstable();
    let spans = rmpv::decode::read_value(&mut payload.msgpack.as_slice()).unwrap();
    let traces = spans.as_array().unwrap();
    assert_eq!(traces.len(), payload.chunks.len());
    let mut chunks: Vec<Value> = traces
        .iter()
        .zip(&payload.chunks)
        .map(|(trace, said)| {
            let spans: Vec<Value> = trace.as_array().unwrap().iter().map(span).collect();
            let id = spans[0]["meta"]["otel.trace_id"].as_str().unwrap();
            assert_eq!(id.get(..16), Some(format!("{:016x}", said.trace_id_high).as_str()));
            json!({
                "origin": "",
                "priority": said.priority.unwrap_or(-128),
                "tags": {"_dd.otlp_sr": payload.sampling_rate},
                "spans": spans,
            })
        })
        .collect();
    chunks.sort_by_key(|chunk| chunk["spans"][0]["trace_id"].as_str().unwrap().to_owned());
    let by_header = settings["computed_stats_header"].is_string();
    json!({
        "hostname": payload.hostname,
        "env": payload.env,
        "app_version": payload.app_version,
        "container_id": payload.container_id,
        "language": payload.lang,
        "tracer_version": payload.tracer_version,
        "container_tags": container_tags,
        "computed_stats": payload.computed_stats.unwrap_or(by_header),
        "chunks": chunks,
    })
}

fn span(span: &rmpv::Value) -> Value {
    let text = |name: &str| span[name].as_str().unwrap().to_owned();
    let id = |name: &str| format!("{:016x}", span[name].as_u64().unwrap());
    let entries = |name: &str| span[name].as_map().unwrap().clone();
    let meta: Map<String, Value> = entries("meta")
        .into_iter()
        .map(|(key, value)| (key.as_str().unwrap().to_owned(), value.as_str().unwrap().into()))
        .collect();
    let metrics: Map<String, Value> = entries("metrics")
        .into_iter()
        .map(|(key, value)| {
            let number = value.as_f64().unwrap();
            let shown = match number {
                _ if number.is_nan() => json!("NaN"),
                f64::INFINITY => json!("+Inf"),
                f64::NEG_INFINITY => json!("-Inf"),
                _ => json!(number),
            };
            (key.as_str().unwrap().to_owned(), shown)
        })
        .collect();
    json!({
        "service": text("service"), "name": text("name"), "resource": text("resource"), "type": text("type"),
        "trace_id": id("trace_id"), "span_id": id("span_id"), "parent_id": id("parent_id"),
        "start": span["start"].as_i64().unwrap().to_string(), "duration": span["duration"].as_i64().unwrap().to_string(),
        "error": span["error"].as_i64().unwrap(), "meta": meta, "metrics": metrics,
    })
}

/// What is recorded, without what stands in the request's settings or is computed later from the spans.
fn recorded(case: &Path) -> Vec<Value> {
    let Value::Array(mut payloads) = read(case, "expected.json") else {
        panic!("{}", case.display())
    };
    // The agent's own answer to a resource without spans is a payload without chunks.
    payloads.retain(|payload| !payload["chunks"].is_null());
    for payload in &mut payloads {
        let fields = payload.as_object_mut().unwrap();
        fields.remove("computed_top_level");
        if fields["container_tags"].is_null() {
            fields.insert("container_tags".to_owned(), json!([]));
        }
        for chunk in fields["chunks"].as_array_mut().unwrap() {
            for span in chunk["spans"].as_array_mut().unwrap() {
                let metrics = span["metrics"].as_object_mut().unwrap();
                for number in metrics.values_mut().filter(|number| number.is_number()) {
                    *number = json!(number.as_f64().unwrap());
                }
            }
        }
    }
    payloads
}

fn is_near(one: Option<f64>, other: Option<f64>) -> bool {
    one.zip(other).is_some_and(|(one, other)| (one - other).abs() <= one.abs() * 1e-15)
}

/// The paths at which two values differ.
fn differences(path: &str, ours: &Value, theirs: &Value, out: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(own), Value::Object(other)) => {
            let mut keys: Vec<&String> = own.keys().chain(other.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let path = format!("{path}.{key}");
                differences(&path, &ours[key], &theirs[key], out);
            }
        }
        (Value::Array(own), Value::Array(other)) if own.len() == other.len() => {
            for (index, (own, other)) in own.iter().zip(other).enumerate() {
                differences(&format!("{path}[{index}]"), own, other, out);
            }
        }
        // The reader of the recorded JSON is not exact in the last place.
        (Value::Number(own), Value::Number(other)) if is_near(own.as_f64(), other.as_f64()) => {}
        _ if ours == theirs => {}
        _ => out.push(format!("{path}: ours {ours}, the agent's {theirs}")),
    }
}

#[test]
fn every_field_is_the_agents() {
    let mut found = Vec::new();
    for case in cases() {
        let expected = Value::Array(recorded(&case));
        let settings = read(&case, "settings.json");
        each_encoding(&case, |name, export| {
            let ours: Vec<Value> =
                export.payloads.iter().map(|payload| shown(payload, &settings)).collect();
            differences(name, &Value::Array(ours), &expected, &mut found);
        });
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}
