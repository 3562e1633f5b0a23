//! What is passed on: all that leaves the intake leads to one recorder, whatever host is asked for, and is compared in the form of the expected
//! files.

use pillion::config;
use serde_json::{Map, Value, json};

use crate::case::{Case, Form};
use crate::drive;
use crate::support::connect_proxy::ConnectProxy;
use crate::support::recorder::{Recorder, Request};
use crate::text;

/// The outside of a case in which something is passed on.
pub(crate) struct Outside {
    recorder: Recorder,
    way: ConnectProxy,
    expected: usize,
}

impl Outside {
    /// The outside that the case needs, if it needs one.
    pub(crate) fn of(case: &Case, form: Form) -> Option<Self> {
        let expected = case.recorded(form).intake.get("other")?.as_array()?.len();
        let recorder = Recorder::https();
        let way = ConnectProxy::start(recorder.address(), 200);
        Some(Self { recorder, way, expected })
    }

    /// The case's settings with every way out leading here. The site is that of the recordings.
    pub(crate) fn settings(&self, case: &Case, form: Form) -> config::Settings {
        let proxy = format!("http://{}", self.way.address());
        let more = [
            ("DD_SITE", "dd.invalid"),
            ("DD_SKIP_SSL_VALIDATION", "true"),
            ("DD_PROXY_HTTPS", &proxy),
        ];
        drive::settings_with(case, form, &more)
    }

    /// What has arrived, once there is as much as is expected.
    pub(crate) fn arrived(self) -> Vec<Request> {
        self.recorder.wait_for("all that is passed on", |requests| requests.len() >= self.expected);
        self.recorder.requests()
    }
}

/// What was passed on, in the normal form: by method, host and path.
pub(crate) fn ours(requests: &[Request]) -> Vec<(String, Value)> {
    let normal = |request: &Request| {
        let headers: Map<String, Value> = request
            .headers
            .iter()
            .filter(|(name, _)| name != "host")
            .map(|(name, value)| (canonical(name), json!(placeholder(name, value))))
            .collect();
        let body = match String::from_utf8(request.wire.clone()) {
            Ok(text) => text::string(&text),
            Err(bytes) => json!({ "base64": text::base64(bytes.as_bytes()) }),
        };
        let host = request.header("host").unwrap_or_default();
        (
            format!("{} {host}{}", request.method, request.path),
            json!({ "headers": headers, "body": body }),
        )
    };
    requests.iter().map(normal).collect()
}

/// The same of what the agent passed on.
pub(crate) fn theirs(list: &Value) -> Vec<(String, Value)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let normal = |request: &Value| {
        let [method, host, path] = ["method", "host", "path"].map(|key| text(&request[key]));
        (
            format!("{method} {host}{path}"),
            json!({ "headers": request["headers"], "body": request["body"] }),
        )
    };
    list.as_array().into_iter().flatten().map(normal).collect()
}

/// A header's name as Go spells it.
fn canonical(name: &str) -> String {
    let part = |part: &str| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}

fn placeholder<'a>(name: &str, value: &'a str) -> &'a str {
    match name {
        "x-forwarded-host" if value == "127.0.0.1:8126" => "<agent address>",
        "dd-request-id" if value.len() == 36 => "<uuid>",
        _ => value,
    }
}
