//! Cases: requests, settings and what the real agent did with them, read from `tests/golden` and `tests/corpus`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

/// One recorded conversation with the real agent.
pub(crate) struct Case {
    /// `golden/<folder>` or `corpus/<folder>/<number>`.
    pub(crate) name: String,
    /// The heading that the case is printed under.
    pub(crate) topic: &'static str,
    /// What the agent's stats concentrator took for the time, in unix seconds.
    pub(crate) clock: u64,
    /// Settings under their environment names.
    pub(crate) settings: Vec<(String, String)>,
    /// The rates in the answers are part of the case.
    pub(crate) raw_rates: bool,
    pub(crate) requests: Vec<Request>,
    /// What the agent did by default.
    indexed: Recorded,
    /// What it did when it was to send payloads of the older form.
    older: Recorded,
}

/// What the agent did with a case's requests.
#[derive(Clone, Default)]
pub(crate) struct Recorded {
    /// The answers, one for each request.
    pub(crate) replies: Vec<Value>,
    /// What the agent sent: `{"traces": […], "stats": […]}`.
    pub(crate) intake: Value,
}

/// The form of payloads that a case is run with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// With a string table: `idxTracerPayloads`, the default.
    Indexed,
    /// With strings in the spans: `tracerPayloads`.
    Older,
}

impl Form {
    pub(crate) const ALL: [Self; 2] = [Self::Indexed, Self::Older];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Indexed => "indexed",
            Self::Older => "older",
        }
    }
}

impl Case {
    /// What the agent did when it was to send payloads of that form.
    pub(crate) fn recorded(&self, form: Form) -> &Recorded {
        match form {
            Form::Indexed => &self.indexed,
            Form::Older => &self.older,
        }
    }
}

/// One request as it was sent.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The pause before it.
    pub(crate) wait: Duration,
}

impl Request {
    /// The value of a header, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// All cases, topic by topic, in the order of their names.
pub(crate) fn all(tests: &Path) -> Vec<Case> {
    let mut cases: Vec<Case> =
        folders(&tests.join("golden")).iter().map(|folder| golden(folder)).collect();
    for folder in folders(&tests.join("corpus")) {
        let mut expected: Vec<PathBuf> = entries(&folder)
            .into_iter()
            .filter(|path| name_of(path).ends_with(".expected.json"))
            .collect();
        expected.sort();
        cases.extend(expected.iter().map(|path| corpus(&folder, path)));
    }
    let mut topics: Vec<&str> = Vec::new();
    for case in &cases {
        if !topics.contains(&case.topic) {
            topics.push(case.topic);
        }
    }
    cases.sort_by_key(|case| topics.iter().position(|topic| *topic == case.topic));
    cases
}

fn golden(folder: &Path) -> Case {
    let name = name_of(folder);
    let asked = json(&folder.join("request.json"));
    let settings = Some(folder.join("settings.json"))
        .filter(|path| path.exists())
        .map_or(Value::Null, |path| json(&path));
    let requests = match asked.get("requests").and_then(Value::as_array) {
        Some(list) => list.iter().map(|request| read_request(folder, request)).collect(),
        None => vec![read_request(folder, &asked)],
    };
    let number = name
        .split('-')
        .next()
        .and_then(|text| text.parse().ok())
        .expect("a golden folder starts with its number");
    with_expected(
        Case {
            name: format!("golden/{name}"),
            topic: topic(number),
            clock: 0,
            settings: pairs(settings.get("env")),
            raw_rates: settings.get("raw_rates") == Some(&Value::Bool(true)),
            requests,
            indexed: Recorded::default(),
            older: Recorded::default(),
        },
        &folder.join("expected.json"),
    )
}

fn corpus(folder: &Path, expected: &Path) -> Case {
    let number = name_of(expected).replace(".expected.json", "");
    let asked = json(&folder.join(format!("{number}.json")));
    let mut request = read_request(folder, &asked);
    request.body = fs::read(folder.join(format!("{number}.body")))
        .expect("a recorded request has its body beside it");
    with_expected(
        Case {
            name: format!("corpus/{}/{number}", name_of(folder)),
            topic: "traffic of real tracers",
            clock: 0,
            settings: Vec::new(),
            raw_rates: false,
            requests: vec![request],
            indexed: Recorded::default(),
            older: Recorded::default(),
        },
        expected,
    )
}

fn with_expected(mut case: Case, path: &Path) -> Case {
    let mut expected = json(path);
    case.clock = expected["clock"].as_u64().expect("the clock is in whole seconds");
    let replies = expected["replies"].as_array().expect("there are replies").clone();
    let intake = expected["intake"].take();
    let mut older = expected["intake_v0"].take();
    for (kind, list) in older.as_object_mut().expect("the older form was recorded, too") {
        if list == "same as intake" {
            *list = intake[kind].clone();
        }
    }
    let replies_to_older =
        expected["replies_v0"].as_array().map_or_else(|| replies.clone(), Clone::clone);
    case.indexed = Recorded { replies, intake };
    case.older = Recorded { replies: replies_to_older, intake: older };
    case
}

fn read_request(folder: &Path, request: &Value) -> Request {
    let text = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
    let mut body = match request.get("body").and_then(Value::as_str) {
        Some(file) => fs::read(folder.join(file)).expect("the body lies in the case's folder"),
        None => Vec::new(),
    };
    let zeros = request.get("zeros").and_then(Value::as_u64).unwrap_or_default();
    body.resize(body.len() + usize::try_from(zeros).expect("it fits memory"), 0);
    let wait =
        Duration::from_millis(request.get("wait_ms").and_then(Value::as_u64).unwrap_or_default());
    Request {
        method: text("method"),
        path: text("path"),
        headers: pairs(request.get("headers")),
        body,
        wait,
    }
}

fn pairs(object: Option<&Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    object
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

fn topic(number: u32) -> &'static str {
    match number {
        0..12 => "wire forms",
        12..24 | 60 => "normalisation",
        24..29 => "span links, events and meta_struct",
        29..38 => "roots, top-level, chunk and payload values",
        38..60 | 61..63 => "obfuscation",
        63..69 => "filters and replace rules",
        69..82 => "samplers",
        82..96 => "stats",
        96..106 => "client stats",
        106..112 => "malformed bodies",
        112..116 => "HTTP",
        _ => "proxies",
    }
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        entries(parent).into_iter().filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let list = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    list.map(|entry| entry.expect("the folder can be listed").path()).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().expect("a path inside a folder").to_string_lossy().into_owned()
}

fn json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
