//! Two sides in the normal form, taken apart into chunks, groups and answers, and every difference between them with its path.
//!
//! A chunk is compared together with the values of the payloads around it, not payload by payload: bodies of one tracer may share a payload
//! here, where the agent makes one of each body. Stats groups likewise.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// One place where the sides differ.
pub(crate) struct Difference {
    pub(crate) path: String,
    pub(crate) ours: String,
    pub(crate) theirs: String,
}

/// All differences between what was sent: `{"traces": […], "stats": […]}` each, `theirs` with `<now>` already filled in.
pub(crate) fn intake(ours: &Value, theirs: &Value) -> Vec<Difference> {
    let mut out = Vec::new();
    for (kind, take_apart) in
        [("traces", chunks as fn(&Value) -> Vec<(String, Value)>), ("stats", groups)]
    {
        by_key(kind, take_apart(&ours[kind]), take_apart(&theirs[kind]), &mut out);
    }
    out
}

/// All differences between requests that were passed on.
pub(crate) fn requests(
    ours: Vec<(String, Value)>,
    theirs: Vec<(String, Value)>,
) -> Vec<Difference> {
    let mut out = Vec::new();
    by_key("other", ours, theirs, &mut out);
    out
}

fn by_key(
    kind: &str,
    ours: Vec<(String, Value)>,
    theirs: Vec<(String, Value)>,
    out: &mut Vec<Difference>,
) {
    let (ours, theirs) = (keyed(ours), keyed(theirs));
    for key in ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key))) {
        let path = format!("{kind}[{key}]");
        match (ours.get(key), theirs.get(key)) {
            (Some(ours), Some(theirs)) => compare(&path, ours, theirs, out),
            (ours, theirs) => out.push(one_sided(path, ours, theirs)),
        }
    }
}

/// All differences between two values.
pub(crate) fn compare(path: &str, ours: &Value, theirs: &Value, out: &mut Vec<Difference>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            // Equal bytes of a sketch say all; what the files tell of it beside (quantiles) is derived from them.
            if ours.contains_key("base64") && ours.get("base64") == theirs.get("base64") {
                return;
            }
            for key in ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key))) {
                let path = format!("{path}/{key}");
                match (ours.get(key), theirs.get(key)) {
                    (Some(ours), Some(theirs)) => compare(&path, ours, theirs, out),
                    (None, Some(_)) if key == "quantiles" => {}
                    (ours, theirs) => out.push(one_sided(path, ours, theirs)),
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            for at in 0..ours.len().max(theirs.len()) {
                let path = format!("{path}/{at}");
                match (ours.get(at), theirs.get(at)) {
                    (Some(ours), Some(theirs)) => compare(&path, ours, theirs, out),
                    (ours, theirs) => out.push(one_sided(path, ours, theirs)),
                }
            }
        }
        _ if is_same(ours, theirs) => {}
        _ => {
            out.push(Difference { path: path.to_owned(), ours: short(ours), theirs: short(theirs) })
        }
    }
}

/// Whole numbers are compared exactly, all 64 bits of them; a double may be written with a fraction or without.
fn is_same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) if ours.is_f64() || theirs.is_f64() => {
            ours.as_f64() == theirs.as_f64()
        }
        _ => ours == theirs,
    }
}

fn one_sided(path: String, ours: Option<&Value>, theirs: Option<&Value>) -> Difference {
    let words = |side: Option<&Value>| side.map_or_else(|| "absent".to_owned(), short);
    Difference { path, ours: words(ours), theirs: words(theirs) }
}

fn short(value: &Value) -> String {
    const CHARS: usize = 160;
    let text = value.to_string();
    match text.char_indices().nth(CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Equal keys get a number behind them, in the order of their values.
fn keyed(mut parts: Vec<(String, Value)>) -> BTreeMap<String, Value> {
    parts.sort_by_cached_key(|(key, value)| (key.clone(), value.to_string()));
    let mut out = BTreeMap::new();
    for (key, value) in parts {
        let free = (1..)
            .map(|n| if n == 1 { key.clone() } else { format!("{key} no. {n}") })
            .find(|key| !out.contains_key(key));
        out.insert(free.unwrap_or(key), value);
    }
    out
}

/// Each chunk, with what its payload and the payload around that say. The key is the trace id and the first span's id.
fn chunks(payloads: &Value) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    for field in ["idxTracerPayloads", "tracerPayloads"] {
        for (agent, tracer_payloads) in opened(payloads, field) {
            for (payload, chunks) in opened(&tracer_payloads, "chunks") {
                for chunk in chunks.as_array().into_iter().flatten() {
                    out.push((
                        chunk_key(chunk),
                        together(&[("agent", &agent), ("payload", &payload), ("chunk", chunk)]),
                    ));
                }
            }
        }
    }
    out
}

/// The key is the same in both forms, but for the upper half of the trace id, which the older form has in a tag.
fn chunk_key(chunk: &Value) -> String {
    let first = &chunk["spans"][0];
    let trace_id = match (chunk["traceID"].as_str(), first["traceID"].as_u64()) {
        (Some(id), _) => id.to_owned(),
        (None, id) => format!("{:032x}", id.unwrap_or_default()),
    };
    format!("{trace_id} {}", first["spanID"])
}

/// Each stats group, with what the bucket and the payloads around it say. The key is all that makes up the group's identity.
fn groups(payloads: &Value) -> Vec<(String, Value)> {
    const COUNTED: [&str; 6] =
        ["Hits", "Errors", "Duration", "TopLevelHits", "OkSummary", "ErrorSummary"];
    let mut out = Vec::new();
    for (agent, client_payloads) in opened(payloads, "Stats") {
        for (payload, buckets) in opened(&client_payloads, "Stats") {
            for (bucket, groups) in opened(&buckets, "Stats") {
                for group in groups.as_array().into_iter().flatten() {
                    let words = group
                        .as_object()
                        .into_iter()
                        .flatten()
                        .filter(|(key, _)| !COUNTED.contains(&key.as_str()));
                    let words: Vec<String> = words
                        .map(|(_, value)| {
                            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
                        })
                        .collect();
                    let key = format!("{} {}", bucket["Start"], words.join(", "));
                    out.push((
                        key,
                        together(&[
                            ("agent", &agent),
                            ("payload", &payload),
                            ("bucket", &bucket),
                            ("group", group),
                        ]),
                    ));
                }
            }
        }
    }
    out
}

/// Each item of a list without its field `inside`, and that field.
fn opened(list: &Value, inside: &str) -> Vec<(Value, Value)> {
    let items = list.as_array().cloned().unwrap_or_default();
    let open = |mut item: Value| {
        let within =
            item.as_object_mut().and_then(|fields| fields.remove(inside)).unwrap_or_default();
        (item, within)
    };
    items.into_iter().map(open).collect()
}

fn together(parts: &[(&str, &Value)]) -> Value {
    Value::Object(
        parts
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).clone()))
            .collect::<Map<_, _>>(),
    )
}
