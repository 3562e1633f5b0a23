//! The same spans in the three forms that tracers send: v0.4 as it is made, the others made of it.

use std::collections::HashMap;

use rmpv::Value;

/// The form of a body.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// Maps with their strings in place.
    V04,
    /// A string table first, then spans as arrays of numbers.
    V05,
    /// Numbered fields; a string stands in place the first time and is a number from then on.
    V10,
}

impl Form {
    /// Where such bodies are posted.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::V04 => "/v0.4/traces",
            Self::V05 => "/v0.5/traces",
            Self::V10 => "/v1.0/traces",
        }
    }

    /// `traces`, an array of arrays of spans as maps, in this form.
    pub(crate) fn of(self, traces: Value) -> Value {
        match self {
            Self::V04 => traces,
            Self::V05 => v05(&traces),
            Self::V10 => v10(&traces),
        }
    }
}

/// Strings by their number; 0 is the empty one.
struct Strings {
    numbers: HashMap<String, u64>,
    in_order: Vec<Value>,
}

impl Strings {
    fn new() -> Self {
        Self { numbers: HashMap::from([(String::new(), 0)]), in_order: vec!["".into()] }
    }

    /// The number of `text`, and whether it is new.
    fn number(&mut self, text: &str) -> (u64, bool) {
        let next = self.in_order.len() as u64;
        if let Some(known) = self.numbers.get(text) {
            return (*known, false);
        }
        self.numbers.insert(text.to_owned(), next);
        self.in_order.push(text.into());
        (next, true)
    }

    fn reference(&mut self, text: &str) -> Value {
        self.number(text).0.into()
    }

    /// The text itself where it is new.
    fn streamed(&mut self, text: &str) -> Value {
        match self.number(text) {
            (_, true) => text.into(),
            (number, false) => number.into(),
        }
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn entries<'a>(span: &'a Value, field: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let entries = field_of(span, field).as_map().map_or(&[][..], Vec::as_slice);
    entries.iter().map(|(key, value)| (key.as_str().unwrap_or_default(), value))
}

fn field_of<'a>(span: &'a Value, field: &str) -> &'a Value {
    &span[field]
}

fn text<'a>(span: &'a Value, field: &str) -> &'a str {
    field_of(span, field).as_str().unwrap_or_default()
}

fn tag<'a>(span: &'a Value, key: &str) -> &'a str {
    entries(span, "meta")
        .find(|(own, _)| *own == key)
        .and_then(|(_, value)| value.as_str())
        .unwrap_or_default()
}

fn v05(traces: &Value) -> Value {
    let mut strings = Strings::new();
    let chunks = items(traces).iter().map(|chunk| {
        let spans = items(chunk).iter().map(|span| {
            let mut out: Vec<Value> = ["service", "name", "resource"]
                .map(|field| strings.reference(text(span, field)))
                .into();
            for field in ["trace_id", "span_id", "parent_id", "start", "duration", "error"] {
                out.push(field_of(span, field).clone());
            }
            let meta = entries(span, "meta").map(|(key, value)| {
                (strings.reference(key), strings.reference(value.as_str().unwrap_or_default()))
            });
            out.push(Value::Map(meta.collect()));
            let metrics = entries(span, "metrics")
                .map(|(key, value)| (strings.reference(key), value.clone()));
            out.push(Value::Map(metrics.collect()));
            out.push(strings.reference(text(span, "type")));
            Value::Array(out)
        });
        Value::Array(spans.collect())
    });
    let chunks = Value::Array(chunks.collect());
    Value::Array(vec![Value::Array(strings.in_order), chunks])
}

/// Tags that v1.0 has fields of their own for.
const FIELDS: [&str; 6] = ["env", "version", "component", "span.kind", "language", "runtime-id"];

fn v10(traces: &Value) -> Value {
    let mut strings = Strings::new();
    let numbered = |pairs: Vec<(u64, Value)>| {
        Value::Map(pairs.into_iter().map(|(number, value)| (number.into(), value)).collect())
    };
    let first = &items(traces)[0][0];
    let mut payload: Vec<(u64, Value)> =
        [(3, "language"), (6, "runtime-id"), (7, "env"), (9, "version")]
            .map(|(number, key)| (number, strings.streamed(tag(first, key))))
            .into();
    let chunks = items(traces).iter().map(|chunk| {
        let trace_id = field_of(&items(chunk)[0], "trace_id").as_u64().unwrap_or_default();
        let spans: Vec<Value> =
            items(chunk).iter().map(|span| numbered(v10_span(&mut strings, span))).collect();
        numbered(vec![
            (1, 1.into()),
            (4, Value::Array(spans)),
            (6, Value::Binary(u128::from(trace_id).to_be_bytes().to_vec())),
        ])
    });
    payload.push((11, Value::Array(chunks.collect())));
    numbered(payload)
}

fn v10_span(strings: &mut Strings, span: &Value) -> Vec<(u64, Value)> {
    const KINDS: [&str; 6] = ["", "internal", "server", "client", "producer", "consumer"];
    let mut out: Vec<(u64, Value)> = [(1, "service"), (2, "name"), (3, "resource")]
        .map(|(number, field)| (number, strings.streamed(text(span, field))))
        .into();
    for (number, field) in [(4, "span_id"), (5, "parent_id"), (6, "start"), (7, "duration")] {
        out.push((number, field_of(span, field).clone()));
    }
    out.push((8, (field_of(span, "error").as_u64() == Some(1)).into()));
    let mut attributes = Vec::new();
    for (key, value) in entries(span, "meta").filter(|(key, _)| !FIELDS.contains(key)) {
        let key = strings.streamed(key);
        attributes.extend([key, 1.into(), strings.streamed(value.as_str().unwrap_or_default())]);
    }
    for (key, value) in entries(span, "metrics").filter(|(key, _)| *key != "_sampling_priority_v1")
    {
        attributes.extend([strings.streamed(key), 3.into(), value.clone()]);
    }
    out.push((9, Value::Array(attributes)));
    out.push((10, strings.streamed(text(span, "type"))));
    for (number, key) in [(13, "env"), (14, "version"), (15, "component")] {
        out.push((number, strings.streamed(tag(span, key))));
    }
    let kind = KINDS.iter().position(|kind| *kind == tag(span, "span.kind")).unwrap_or_default();
    out.push((16, (kind as u64).into()));
    out
}
