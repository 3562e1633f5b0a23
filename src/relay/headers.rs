//! The headers of a request, by the kind of its payload: those of the agent.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};

use crate::relay::held::Outgoing;
use crate::relay::kind::Family;
use crate::version;

/// Who log entries come from, as the serverless agents say it.
const LOGS_ORIGIN: &str = "lambda-extension";

/// The headers for `payload` with the API key `key`, sent at `now`.
pub(super) fn of(payload: &Outgoing, key: &HeaderValue, now: SystemTime) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(payload.kind.traits().content_type));
    if let Some(encoding) = payload.encoding.header() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    headers.insert(HeaderName::from_static("dd-api-key"), key.clone());
    match payload.kind.family() {
        Family::Traces => of_traces(&mut headers, &payload.languages),
        Family::Metrics => of_metrics(&mut headers),
        Family::Logs => of_logs(&mut headers, payload.made_at, now),
    }
    headers
}

fn of_traces(headers: &mut HeaderMap, languages: &str) {
    let agent = format!("Datadog Trace Agent/{}/{}", version::AGENT, version::OWN);
    headers.extend(HeaderValue::try_from(agent).map(|agent| (USER_AGENT, agent)));
    // The languages come from tracers: what no header may hold leaves the header out.
    if let Some(languages) =
        HeaderValue::from_str(languages).ok().filter(|languages| !languages.is_empty())
    {
        headers.insert(HeaderName::from_static("x-datadog-reported-languages"), languages);
    }
}

/// (`DD-Agent-Payload`, the version of the protobuf files of one build of the agent, is left out: what is sent does not depend on it.)
fn of_metrics(headers: &mut HeaderMap) {
    name_us(headers);
    headers.insert(
        HeaderName::from_static("dd-agent-version"),
        HeaderValue::from_static(version::AGENT),
    );
}

/// The intake takes the times to tell how long entries were on their way.
fn of_logs(headers: &mut HeaderMap, made_at: SystemTime, now: SystemTime) {
    name_us(headers);
    for (name, value) in [
        ("dd-protocol", "agent-json"),
        ("dd-evp-origin", LOGS_ORIGIN),
        ("dd-evp-origin-version", version::AGENT),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for (name, time) in [("dd-message-timestamp", made_at), ("dd-current-timestamp", now)] {
        let ms = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let ms = u64::try_from(ms).unwrap_or(u64::MAX);
        headers.insert(HeaderName::from_static(name), HeaderValue::from(ms));
    }
}

/// The agent's product name and version, and ours behind it.
fn name_us(headers: &mut HeaderMap) {
    let agent = format!("datadog-agent/{} {}", version::AGENT, version::OWN);
    headers.extend(HeaderValue::try_from(agent).map(|agent| (USER_AGENT, agent)));
}
