//! JSON bodies. Few clients send them, so they take the long way: read by serde, written as v0.4 msgpack, decoded as that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Error, Fallible, Form, too_large, v04};
use crate::limits::BODY_SPANS_MAX;
use crate::trace::keys::Keys;
use crate::trace::model::Body;

/// A null stands for nothing wherever it is.
type Maybe<T> = Option<T>;

/// A span with the types that the agent insists on in JSON: no negative or fractional id, no tag that is not a string.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Span {
    service: Maybe<String>,
    name: Maybe<String>,
    resource: Maybe<String>,
    trace_id: Maybe<u64>,
    span_id: Maybe<u64>,
    parent_id: Maybe<u64>,
    start: Maybe<i64>,
    duration: Maybe<i64>,
    error: Maybe<i32>,
    meta: Maybe<BTreeMap<String, Maybe<String>>>,
    metrics: Maybe<BTreeMap<String, Maybe<f64>>>,
    #[serde(rename = "type")]
    kind: Maybe<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_links: Maybe<Vec<Maybe<Link>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_events: Maybe<Vec<Maybe<Event>>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Link {
    trace_id: Maybe<u64>,
    trace_id_high: Maybe<u64>,
    span_id: Maybe<u64>,
    attributes: Maybe<BTreeMap<String, Maybe<String>>>,
    tracestate: Maybe<String>,
    flags: Maybe<u32>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Event {
    time_unix_nano: Maybe<u64>,
    name: Maybe<String>,
    attributes: Maybe<BTreeMap<String, Maybe<EventValue>>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct EventValue {
    #[serde(rename = "type")]
    kind: Maybe<i32>,
    string_value: Maybe<String>,
    bool_value: Maybe<bool>,
    int_value: Maybe<i64>,
    double_value: Maybe<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    array_value: Maybe<EventArray>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct EventArray {
    values: Maybe<Vec<Maybe<EventValue>>>,
}

/// Decodes a whole body of form [`Form::V04Json`] or [`Form::V01Json`]. What follows the first value is ignored, as in the agent.
pub(super) fn decode(bytes: &[u8], form: Form, keys: &Keys, body: &mut Body) -> Fallible<()> {
    let text = String::from_utf8_lossy(bytes);
    check_size(&text)?;
    let chunks: Vec<Vec<Maybe<Span>>> = match form {
        Form::V01Json => by_trace(read(&text)?),
        _ => read::<Vec<Maybe<Vec<Maybe<Span>>>>>(&text)?.into_iter().flatten().collect(),
    };
    let msgpack =
        rmp_serde::to_vec_named(&chunks).map_err(|error| Error::Json(error.to_string()))?;
    v04::decode_as(form, &msgpack, keys, body)?;
    body.transcoded = Some(msgpack);
    Ok(())
}

/// Refuses a text with more lists, maps and nulls than a body may have spans: three bytes of text that stand for a span take hundreds here. What
/// tracers send has hundreds of bytes for each.
fn check_size(text: &str) -> Fallible<()> {
    let (mut items, mut is_in_string, mut is_escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_in_string,
            b'"' => is_in_string = !is_in_string,
            b'{' | b'[' | b'n' if !is_in_string => items += 1,
            _ => {}
        }
    }
    if items > BODY_SPANS_MAX { Err(too_large("lists and maps", BODY_SPANS_MAX)) } else { Ok(()) }
}

fn read<'a, T: Deserialize<'a> + Default>(text: &'a str) -> Fallible<T> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Maybe::<T>::deserialize(&mut reader).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => Error::JsonEof,
        _ => Error::Json(error.to_string()),
    })?;
    Ok(value.unwrap_or_default())
}

/// The spans of a flat list by their trace, traces in the order in which they come first.
fn by_trace(spans: Vec<Maybe<Span>>) -> Vec<Vec<Maybe<Span>>> {
    let mut numbers = BTreeMap::new();
    let mut chunks: Vec<Vec<Maybe<Span>>> = Vec::new();
    for span in spans.into_iter().flatten() {
        let number = *numbers.entry(span.trace_id).or_insert_with(|| {
            chunks.push(Vec::new());
            chunks.len() - 1
        });
        if let Some(chunk) = chunks.get_mut(number) {
            chunk.push(Some(span));
        }
    }
    chunks
}
