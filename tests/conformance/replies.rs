//! Answers in the normal form: what an answer promises to a tracer, without what differs from run to run.

use serde_json::{Map, Value, json};

/// The headers that are compared. Date, Connection and the length are the HTTP library's.
const HEADERS: [&str; 6] = [
    "Content-Type",
    "Datadog-Agent-State",
    "Datadog-Agent-Version",
    "Datadog-Rates-Payload-Version",
    "Location",
    "X-Content-Type-Options",
];

/// One answer, as it came over the wire.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Our answer in the normal form.
pub(crate) fn ours(reply: &Reply) -> Value {
    let mut headers = Map::new();
    for name in HEADERS {
        if let Some((_, value)) =
            reply.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))
        {
            headers.insert(name.to_owned(), json!(placeholder(name, value)));
        }
    }
    let body = String::from_utf8_lossy(&reply.body);
    json!({ "status": reply.status, "headers": headers, "body": normal_body(reply.status, &body) })
}

/// The agent's answer in the normal form.
pub(crate) fn theirs(reply: &Value) -> Value {
    let all = reply["headers"].as_object().cloned().unwrap_or_default();
    let headers: Map<String, Value> =
        all.into_iter().filter(|(name, _)| HEADERS.contains(&name.as_str())).collect();
    let status =
        reply["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or_default();
    json!({ "status": status, "headers": headers, "body": normal_body(status, reply["body"].as_str().unwrap_or_default()) })
}

fn placeholder<'a>(name: &str, value: &'a str) -> &'a str {
    match name {
        "Datadog-Agent-State"
            if value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            "<sha256 of the /info body>"
        }
        "Datadog-Rates-Payload-Version" if !value.is_empty() => "<version>",
        _ => value,
    }
}

/// Texts of refusals are not compared: the agent's are those of its own libraries. Rates depend on timing. `/info` is read as JSON.
fn normal_body(status: u16, body: &str) -> Value {
    if status >= 300 {
        return Value::Null;
    }
    if body.starts_with("{\"rate_by_service\":") && body.ends_with("}\n") {
        return json!("{\"rate_by_service\":<rates>}\n");
    }
    if body.starts_with("{\n\t\"version\"") {
        let kinds = "<server, client, producer, consumer in any order>";
        let filled = body.replace(kinds, "[\"client\", \"consumer\", \"producer\", \"server\"]");
        return serde_json::from_str(&filled)
            .map_or_else(|error| json!(format!("not JSON: {error}")), by_name);
    }
    json!(body)
}

/// Lists of names as objects: what one side has and the other has not is then a difference with a name.
fn by_name(mut info: Value) -> Value {
    for list in ["endpoints", "evp_proxy_allowed_headers", "peer_tags", "span_kinds_stats_computed"]
    {
        if let Some(names) = info[list].as_array() {
            info[list] = names
                .iter()
                .map(|name| (name.as_str().unwrap_or_default().to_owned(), json!("listed")))
                .collect::<Map<_, _>>()
                .into();
        }
    }
    info
}
