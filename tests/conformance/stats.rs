//! Stats payloads into the normal form of the expected files: msgpack by `rmpv`, sketches by own protobuf declarations.

use std::collections::{BTreeMap, HashMap};

use prost::Message;
use rmpv::Value as Wire;
use serde_json::{Map, Value, json};

use crate::text;

#[derive(Clone, PartialEq, Message)]
struct Sketch {
    #[prost(message, optional, tag = "1")]
    mapping: Option<Mapping>,
    #[prost(message, optional, tag = "2")]
    positive: Option<Store>,
    #[prost(message, optional, tag = "3")]
    negative: Option<Store>,
    #[prost(double, tag = "4")]
    zero_count: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Mapping {
    #[prost(double, tag = "1")]
    gamma: f64,
    #[prost(double, tag = "2")]
    index_offset: f64,
    #[prost(int32, tag = "3")]
    interpolation: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Store {
    #[prost(map = "sint32, double", tag = "1")]
    bins: HashMap<i32, f64>,
    #[prost(double, repeated, tag = "2")]
    contiguous: Vec<f64>,
    #[prost(sint32, tag = "3")]
    contiguous_offset: i32,
}

/// The agent's own mapping: relative accuracy 0.01.
const GAMMA: f64 = 1.01 / 0.99;

/// A stats payload's bytes in the normal form.
pub(crate) fn normal(body: &[u8]) -> Result<Value, String> {
    let mut rest = body;
    let wire =
        rmpv::decode::read_value(&mut rest).map_err(|error| format!("stats payload: {error}"))?;
    if !rest.is_empty() {
        return Err(format!("stats payload: {} bytes after its end", rest.len()));
    }
    Ok(value("", &wire))
}

/// One value of the tree; `key` is the map key it stands under.
fn value(key: &str, wire: &Wire) -> Value {
    match wire {
        Wire::Nil => Value::Null,
        Wire::Boolean(fact) => Value::Bool(*fact),
        Wire::Integer(number) if key == "IsTraceRoot" => match number.as_u64() {
            Some(0) => json!("NOT_SET"),
            Some(1) => json!("TRUE"),
            Some(2) => json!("FALSE"),
            _ => json!(number.to_string()),
        },
        Wire::Integer(number) => {
            number.as_u64().map_or_else(|| json!(number.as_i64()), |number| json!(number))
        }
        Wire::F32(number) => text::double(f64::from(*number)),
        Wire::F64(number) => text::double(*number),
        Wire::String(string) => string
            .as_str()
            .map_or_else(|| json!({ "base64": text::base64(string.as_bytes()) }), text::string),
        Wire::Binary(bytes) if bytes.is_empty() => Value::Null,
        Wire::Binary(bytes) if key.ends_with("Summary") => sketch(bytes),
        Wire::Binary(bytes) => json!({ "bytes": text::base64(bytes) }),
        Wire::Array(list) => Value::Array(list.iter().map(|item| value("", item)).collect()),
        Wire::Map(pairs) => {
            let mut out = Map::new();
            for (key, item) in pairs {
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                let item = value(&key, item);
                if !is_default(&item) {
                    out.insert(key, item);
                }
            }
            Value::Object(out)
        }
        Wire::Ext(..) => json!(wire.to_string()),
    }
}

/// Empty and zero fields are left out of the normal form.
fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(fact) => !fact,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(_) => false,
    }
}

/// A sketch: its bytes, and what they say for a reader of a difference.
fn sketch(bytes: &[u8]) -> Value {
    let mut out = Map::new();
    out.insert("base64".to_owned(), Value::String(text::base64(bytes)));
    let Ok(sketch) = Sketch::decode(bytes) else {
        return Value::Object(out);
    };
    let bins = bins(sketch.positive.as_ref());
    let negative = self::bins(sketch.negative.as_ref());
    let count = sketch.zero_count + bins.values().sum::<f64>() + negative.values().sum::<f64>();
    out.insert("count".to_owned(), text::double(count));
    if sketch.zero_count != 0.0 {
        out.insert("zeroCount".to_owned(), text::double(sketch.zero_count));
    }
    for (key, bins) in [("bins", bins), ("negativeBins", negative)] {
        if !bins.is_empty() {
            out.insert(
                key.to_owned(),
                json!(
                    bins.into_iter()
                        .map(|(at, n)| json!([at, text::double(n)]))
                        .collect::<Vec<_>>()
                ),
            );
        }
    }
    if let Some(mapping) = sketch.mapping {
        let own = (mapping.gamma - GAMMA).abs() < 1e-12
            && mapping.index_offset == 0.0
            && mapping.interpolation == 0;
        if !own {
            let words = ["NONE", "LINEAR", "QUADRATIC", "CUBIC"];
            let word = usize::try_from(mapping.interpolation)
                .ok()
                .and_then(|at| words.get(at))
                .unwrap_or(&"unknown");
            out.insert("mapping".to_owned(), json!([mapping.gamma, mapping.index_offset, word]));
        }
    }
    Value::Object(out)
}

fn bins(store: Option<&Store>) -> BTreeMap<i32, f64> {
    let mut bins = BTreeMap::new();
    if let Some(store) = store {
        for (at, count) in &store.bins {
            *bins.entry(*at).or_default() += count;
        }
        for (at, count) in (store.contiguous_offset..).zip(&store.contiguous) {
            *bins.entry(at).or_default() += count;
        }
    }
    bins.retain(|_, count| *count != 0.0);
    bins
}
