//! What mutations start from: recorded traffic and recorded queries, as they lie in `tests/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::targets::Start;

/// A body that is larger is left out: it takes long, and shows what smaller ones show.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// All starting points of one kind, each once.
pub(crate) fn inputs(start: Start) -> Vec<Vec<u8>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let (zeros, found) = match start {
        Start::Bodies(path, zeros) => (zeros, [bodies(&tests, path), costly(path)].concat()),
        Start::Queries(zeros) => (zeros, queries(&tests)),
        Start::Texts(texts) => (0, texts.iter().map(|text| text.as_bytes().to_vec()).collect()),
    };
    let behind = |body: Vec<u8>| [vec![0; zeros], body].concat();
    let inputs: BTreeSet<Vec<u8>> = found.into_iter().map(behind).collect();
    inputs.into_iter().collect()
}

/// The bodies of all recorded requests to a path that starts with `path`.
fn bodies(tests: &Path, path: &str) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for folder in folders(&tests.join("golden")) {
        let asked = json(&folder.join("request.json"));
        let all = asked["requests"].as_array().cloned().unwrap_or_else(|| vec![asked]);
        for request in all.iter().filter(|request| is_for(request, path)) {
            if let Some(file) = request["body"].as_str() {
                bodies.push(fs::read(folder.join(file)).expect("the body of a case"));
            }
        }
    }
    for folder in folders(&tests.join("corpus")) {
        for file in entries(&folder) {
            let request = file.with_extension("json");
            if file.extension().is_some_and(|end| end == "body") && is_for(&json(&request), path) {
                bodies.push(fs::read(file).expect("a recorded body"));
            }
        }
    }
    bodies.retain(|body| body.len() <= BODY_BYTES_MAX);
    bodies
}

/// How many elements costly bodies have.
const COSTLY_ELEMENTS: u16 = 2000;

/// Bodies of v0.4 of many small elements of one kind: those that take the most memory for their size.
fn costly(path: &str) -> Vec<Vec<u8>> {
    if path != "/v0.4/traces" {
        return Vec::new();
    }
    let (span, meta) = (b"\x91\x91\x82\xa7span_id\x01", b"\xa4meta\xde");
    let kinds: [(&[&[u8]], &[u8]); 7] = [
        (&[b"\xdc"], b"\x90"),
        (&[b"\x91\xdc"], b"\x80"),
        (&[b"\x91\xdc"], b"\x81\xa7span_id\x01"),
        (&[span, meta], b"\xa0\xa0"),
        (&[span, b"\xa7metrics\xde"], b"\xa0\x01"),
        (&[span, b"\xaaspan_links\xdc"], b"\x80"),
        (&[span, b"\xabspan_events\xdc"], b"\x80"),
    ];
    let body = |(head, element): &(&[&[u8]], &[u8])| {
        let elements = element.repeat(usize::from(COSTLY_ELEMENTS));
        [&head.concat()[..], &COSTLY_ELEMENTS.to_be_bytes(), &elements].concat()
    };
    kinds.iter().map(body).collect()
}

fn is_for(request: &Value, path: &str) -> bool {
    request["path"].as_str().is_some_and(|own| own.starts_with(path))
}

/// The queries whose answers were recorded.
fn queries(tests: &Path) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(tests.join("sql/answers.jsonl")).expect("the recorded answers");
    let query = |line: &str| {
        let answer: Value = serde_json::from_str(line).expect("an answer in a line");
        answer["query"].as_str().unwrap_or_default().as_bytes().to_vec()
    };
    text.lines().map(query).collect()
}

fn json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    entries(parent).into_iter().filter(|path| path.is_dir()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let list = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    list.map(|entry| entry.expect("the folder can be listed").path()).collect()
}
