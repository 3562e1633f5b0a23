//! What arrived at the recording intake, by span id, with what the payload says of the span; and its stats by service, operation and resource.

use std::collections::BTreeMap;

use rmpv::Value;

use crate::support::decoded::Span;
use crate::support::recorder::Recorder;

/// A span with what its chunk and its payload say of it.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// The span.
    pub span: Span,
    /// Its own env, else the payload's.
    pub env: String,
    /// Its own version, else the payload's.
    pub version: String,
    /// The payload's language.
    pub language: String,
    /// The chunk's priority.
    pub priority: i32,
}

impl Arrived {
    /// Whether the agent counts this span in stats: the first of a service, a measured one, or one between services.
    pub fn is_counted(&self) -> bool {
        let is_one = |tag: &str| self.span.number(tag) == Some(1.0);
        is_one("_top_level")
            || is_one("_dd.top_level")
            || is_one("_dd.measured")
            || self.span.span_kind > 1
    }
}

/// All spans by id. A span that arrived twice fails the test.
pub fn spans(intake: &Recorder) -> BTreeMap<u64, Arrived> {
    let mut all = BTreeMap::new();
    for payload in intake.tracer_payloads() {
        let first =
            |own: &str, of_payload: &str| if own.is_empty() { of_payload } else { own }.to_owned();
        for chunk in &payload.chunks {
            for span in &chunk.spans {
                let arrived = Arrived {
                    span: span.clone(),
                    env: first(&span.env, &payload.env),
                    version: first(&span.version, &payload.app_version),
                    language: payload.language_name.clone(),
                    priority: chunk.priority,
                };
                assert!(
                    all.insert(span.span_id, arrived).is_none(),
                    "span {} arrived twice",
                    span.span_id
                );
            }
        }
    }
    all
}

/// Service, operation and resource: what stats are grouped by, as far as these tests go.
pub type Group = (String, String, String);

/// Hits and errors that arrived, all buckets together.
pub fn hits(intake: &Recorder) -> BTreeMap<Group, (u64, u64)> {
    let mut all = BTreeMap::new();
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    for payload in intake.stats() {
        let clients = list(&payload, "Stats");
        let buckets = clients.iter().flat_map(|client| list(client, "Stats"));
        for group in buckets.flat_map(|bucket| list(&bucket, "Stats")) {
            let text = |key: &str| group[key].as_str().unwrap_or_default().to_owned();
            let (hits, errors) =
                all.entry((text("Service"), text("Name"), text("Resource"))).or_insert((0, 0));
            *hits += group["Hits"].as_u64().expect("hits are a number");
            *errors += group["Errors"].as_u64().expect("errors are a number");
        }
    }
    all
}

/// The hits and errors that these spans must make.
pub fn expected_hits(spans: &BTreeMap<u64, Arrived>) -> BTreeMap<Group, (u64, u64)> {
    let mut all = BTreeMap::new();
    for arrived in spans.values().filter(|arrived| arrived.is_counted()) {
        let span = &arrived.span;
        let (hits, errors) = all
            .entry((span.service.clone(), span.name.clone(), span.resource.clone()))
            .or_insert((0, 0));
        *hits += 1;
        *errors += u64::from(span.error);
    }
    all
}
