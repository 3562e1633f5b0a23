//! What is sent of a body, slowly: rule by rule, with maps of texts.

use std::collections::BTreeMap;

use super::model::{Body, Event, EventValue, Form, Link, Span};
use super::normal;
use crate::support::decoded::{self, Chunk, Value};

/// What the values of a payload are that all its chunks share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Head {
    pub(super) lang: String,
    pub(super) env: String,
    pub(super) hostname: String,
    pub(super) version: String,
    pub(super) commit: String,
    pub(super) apm_mode: String,
    pub(super) process_tags: String,
}

/// What comes with a body beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) lang: &'static str,
    pub(super) computed_top_level: bool,
    pub(super) computed_stats: bool,
    pub(super) now_ns: u64,
}

/// The user's own tags, which every span has that has none of their keys.
pub(super) const OWN_TAGS: [(&str, &str); 2] = [("region", "eu"), ("http.method", "unknown")];

/// The last text of a key among a span's own.
fn meta(span: &Span, key: &str) -> Option<String> {
    let found = span.meta.iter().rfind(|(own, _)| own == key.as_bytes())?;
    Some(normal::text(&found.1))
}

fn metric(span: &Span, key: &str) -> Option<f64> {
    span.metrics.iter().rfind(|(own, _)| own == key.as_bytes()).map(|(_, value)| *value)
}

pub(super) fn head(body: &Body, request: &Request) -> Head {
    // Of all spans the last one that says something; in JSON the first one of the last chunk in which one does.
    let said = |key: &str| {
        let mut said = String::new();
        for chunk in &body.chunks {
            let mut texts =
                chunk.iter().filter_map(|span| meta(span, key)).filter(|text| !text.is_empty());
            let found = if body.form == Form::Json { texts.next() } else { texts.next_back() };
            said = found.unwrap_or(said);
        }
        said
    };
    let first = body.chunks.iter().flatten().next();
    Head {
        lang: request.lang.to_owned(),
        env: normal::tag_value(&said("env")),
        hostname: said("_dd.hostname"),
        version: said("version"),
        commit: said("_dd.git.commit.sha"),
        apm_mode: said("_dd.apm_mode"),
        process_tags: first.and_then(|span| meta(span, "_dd.tags.process")).unwrap_or_default(),
    }
}

/// The chunks of a body as they are sent; those that are dropped whole are left out. The last one takes the place of one that is.
pub(super) fn chunks(body: &Body, request: &Request) -> Vec<Chunk> {
    let mut left: Vec<&Vec<Span>> = body.chunks.iter().collect();
    let mut at = 0;
    while at < left.len() {
        if left[at].is_empty() || left[at].iter().any(|span| span.span_id == 0) {
            left.swap_remove(at);
        } else {
            at += 1;
        }
    }
    let first = body.chunks.iter().flatten().next();
    let has_first =
        |spans: &[Span]| spans.first().zip(first).is_some_and(|(a, b)| std::ptr::eq(a, b));
    left.iter().map(|spans| chunk(spans, body.form, request, has_first(spans))).collect()
}

fn chunk(spans: &[Span], form: Form, request: &Request, is_first: bool) -> Chunk {
    let mut sent: Vec<_> = spans.iter().map(|own| span(own, form, request)).collect();
    let marker = match form {
        Form::V04 => "v04",
        Form::V05 => "v05",
        Form::Json => "v04-json",
    };
    for (at, span) in sent.iter_mut().enumerate() {
        if form != Form::V05 || is_first && at == 0 {
            span.attributes.insert("_dd.convertedv1".into(), Value::Text(marker.into()));
        }
    }
    mark_top_level(&mut sent, request.computed_top_level);
    let is_json = form == Form::Json;
    let trace_id = if is_json { spans.first() } else { spans.last() };
    // A JSON chunk is rebuilt from its first span.
    let naming = if is_json { spans.get(..1).unwrap_or_default() } else { spans };
    let mut high = naming.iter().filter_map(|span| meta(span, "_dd.p.tid")).filter_map(|text| {
        let is_hex = !text.is_empty() && text.chars().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then(|| u64::from_str_radix(&text, 16).unwrap())
    });
    let trace_id = u128::from(high.next_back().unwrap_or(0)) << 64
        | u128::from(trace_id.map_or(0, |span| span.trace_id));
    for span in &mut sent {
        span.trace_id = trace_id;
    }
    let mut origins = spans.iter().filter_map(|span| meta(span, "_dd.origin"));
    let mut mechanisms =
        spans.iter().filter_map(|span| meta(span, "_dd.p.dm")).filter_map(|text| {
            let text = text.strip_prefix('-').map(str::to_owned).unwrap_or(text);
            let is_number = !text.is_empty() && text.chars().all(|digit| digit.is_ascii_digit());
            // Of JSON, one that is too large is the largest, and 0 says nothing.
            let large = is_json.then_some(u32::MAX);
            is_number.then(|| text.parse().ok().or(large)).flatten().filter(|n| !is_json || *n > 0)
        });
    Chunk {
        trace_id,
        priority: priority(spans),
        origin: if is_json { origins.next() } else { origins.next_back() }.unwrap_or_default(),
        sampling_mechanism: if is_json { mechanisms.next() } else { mechanisms.next_back() }
            .unwrap_or(0),
        dropped_trace: false,
        attributes: BTreeMap::new(),
        spans: sent,
    }
}

/// Of the spans without a parent the last one that says something, else of all.
fn priority(spans: &[Span]) -> i32 {
    let said = |span: &Span| metric(span, "_sampling_priority_v1");
    let is_root = |span: &&Span| span.parent_id == 0 || span.parent_id == span.span_id;
    let of_root = spans.iter().filter(is_root).filter_map(said).next_back();
    let priority = of_root.or_else(|| spans.iter().filter_map(said).next_back());
    priority.map_or(-128, |priority| priority.trunc() as i32)
}

fn mark_top_level(spans: &mut [decoded::Span], is_computed: bool) {
    // Of spans with one id the last one is the parent.
    let services: BTreeMap<u64, String> =
        spans.iter().map(|span| (span.span_id, span.service.clone())).collect();
    for span in spans {
        let enters = span.parent_id == 0 || services.get(&span.parent_id) != Some(&span.service);
        let is_said = span.number("_dd.top_level") == Some(1.0);
        if if is_computed { is_said } else { enters } {
            span.attributes.insert("_top_level".into(), Value::Double(1.0));
        }
    }
}

fn span(own: &Span, form: Form, request: &Request) -> decoded::Span {
    let resource = normal::cut(&normal::text(&own.resource), 5000);
    let name = normal::name(&normal::text(&own.name));
    let (start, duration) = times(own, request.now_ns);
    let kinds = ["internal", "server", "client", "producer", "consumer"];
    let span_kind = match meta(own, "span.kind") {
        None if form == Form::V05 => 0,
        kind => kinds.iter().position(|name| Some(*name) == kind.as_deref()).unwrap_or(0) + 1,
    };
    decoded::Span {
        trace_id: 0,
        span_id: own.span_id,
        parent_id: if own.parent_id == own.span_id { 0 } else { own.parent_id },
        service: normal::service(&normal::text(&own.service), request.lang),
        resource: if resource.is_empty() { name.clone() } else { resource },
        name,
        kind: normal::cut(&normal::text(&own.kind), 100),
        start,
        duration,
        error: own.error != 0,
        env: normal::tag_value(&meta(own, "env").unwrap_or_default()),
        version: meta(own, "version").unwrap_or_default(),
        component: meta(own, "component").unwrap_or_default(),
        span_kind: i32::try_from(span_kind).unwrap(),
        attributes: attributes(own, form),
        links: own.links.iter().map(link).collect(),
        events: own.events.iter().map(event).collect(),
    }
}

fn times(own: &Span, now_ns: u64) -> (u64, u64) {
    let start = own.start.cast_unsigned();
    let mut duration = own.duration.cast_unsigned();
    // In unsigned numbers that wrap: a negative start leaves much room, a negative duration needs more than there is.
    if duration > (u64::MAX / 2).wrapping_sub(start) {
        duration = 0;
    }
    let is_before_2000 = start < 946_684_800_000_000_000;
    let guess = if duration > now_ns { now_ns } else { now_ns - duration };
    (if is_before_2000 { guess } else { start }, duration)
}

fn attributes(own: &Span, form: Form) -> BTreeMap<String, Value> {
    let mut attributes = BTreeMap::new();
    for (key, value) in &own.meta {
        let (key, value) = (normal::text(key), normal::text(value));
        let value = match key.as_str() {
            "env" | "version" | "component" | "span.kind" if form == Form::Json => continue,
            "http.status_code" if !normal::is_status_code(&value) => continue,
            "peer.service" | "_dd.base_service" => normal::peer_service(&value),
            _ => normal::meta_value(&key, &value),
        };
        attributes.insert(normal::meta_key(&key), Value::Text(value));
    }
    for (key, value) in &own.metrics {
        attributes.insert(normal::text(key), Value::Double(*value));
    }
    for (key, value) in &own.meta_struct {
        attributes.insert(normal::text(key), Value::Bytes(value.clone()));
    }
    for (key, value) in OWN_TAGS {
        attributes.entry(key.to_owned()).or_insert_with(|| Value::Text(value.to_owned()));
    }
    attributes
}

fn link(own: &Link) -> decoded::Link {
    let attribute = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let (key, value) = (normal::text(key), normal::text(value));
        let value = if key == "link.name" { normal::name(&value) } else { value };
        (key, Value::Text(value))
    };
    decoded::Link {
        trace_id: u128::from(own.trace_id_high) << 64 | u128::from(own.trace_id),
        span_id: own.span_id,
        attributes: own.attributes.iter().map(attribute).collect(),
        tracestate: normal::text(&own.tracestate),
        flags: own.flags,
    }
}

fn event(own: &Event) -> decoded::Event {
    let attributes = own.attributes.iter();
    decoded::Event {
        time: own.time,
        name: normal::text(&own.name),
        attributes: attributes
            .map(|(key, value)| (normal::text(key), event_value(value)))
            .collect(),
    }
}

fn event_value(own: &EventValue) -> Value {
    match own {
        EventValue::Text(text) => Value::Text(normal::text(text)),
        EventValue::Bool(flag) => Value::Bool(*flag),
        EventValue::Int(int) => Value::Int(*int),
        EventValue::Double(double) => Value::Double(*double),
        EventValue::List(values) => Value::List(values.iter().map(event_value).collect()),
    }
}
