//! What the examples say is so: each file is well formed, each variable is a setting, the API key is in none, and each link leads somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pillion::config::keys;
use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};

/// Variables in the examples that tracers and metrics clients read, and we do not.
const OF_CLIENTS: &[&str] = &["DD_AGENT_HOST", "DD_DOGSTATSD_URL", "DD_TRACE_AGENT_URL"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// All files of the examples, and the release image's, with their texts.
fn files() -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for folder in ["examples", "examples/node", "examples/python", "docker"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            // What is installed for a try is not ours.
            if path.is_file() && path.file_name().is_some_and(|name| name != "package-lock.json") {
                let text = fs::read_to_string(&path).unwrap();
                all.push((path, text));
            }
        }
    }
    assert!(all.len() > 25, "only {} files", all.len());
    all
}

/// The files that a platform reads, as values.
fn deployments() -> Vec<(PathBuf, Value)> {
    let value = |(path, text): (PathBuf, String)| {
        let value = match path.extension()?.to_str()? {
            "yaml" => yaml(&text),
            "json" => serde_json::from_str(&text).unwrap(),
            _ => return None,
        };
        Some((path, value))
    };
    files().into_iter().filter_map(value).collect()
}

/// The value of a YAML document without anchors and tags. A key that is there twice fails the test.
fn yaml(text: &str) -> Value {
    enum Open {
        List(Vec<Value>),
        Map(Map<String, Value>, Option<String>),
    }
    let (mut open, mut documents) = (Vec::new(), Vec::new());
    for event in Parser::new_from_str(text) {
        let done = match event.unwrap().0 {
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop().unwrap() {
                Open::List(items) => items.into(),
                Open::Map(items, _) => items.into(),
            },
            Event::Scalar(text, ..) => Value::from(text.as_ref()),
            Event::Alias(_) => panic!("an alias in an example"),
            _ => continue,
        };
        match open.last_mut() {
            None => documents.push(done),
            Some(Open::List(items)) => items.push(done),
            Some(Open::Map(items, key)) => match key.take() {
                None => *key = Some(done.as_str().expect("a text as a key").to_owned()),
                Some(key) => assert!(items.insert(key.clone(), done).is_none(), "{key} twice"),
            },
        }
    }
    assert_eq!(documents.len(), 1, "one document in a file");
    documents.remove(0)
}

/// The variables of each container with their values: lists of `name` and where the value is from, or a map below `environment`.
fn environments(value: &Value, all: &mut Vec<Vec<(String, Value)>>) {
    match value {
        Value::Array(items) => {
            let named = |item: &Value| Some((item.get("name")?.as_str()?.to_owned(), item.clone()));
            let is_variable = |item: &Value| {
                ["value", "valueFrom", "secretRef"].iter().any(|key| item.get(key).is_some())
            };
            let own = items.iter().filter(|item| is_variable(item)).filter_map(named).collect();
            all.push(own);
            items.iter().for_each(|item| environments(item, all));
        }
        Value::Object(items) => {
            if let Some(Value::Object(own)) = items.get("environment") {
                all.push(own.iter().map(|(name, value)| (name.clone(), value.clone())).collect());
            }
            items.values().for_each(|item| environments(item, all));
        }
        _ => {}
    }
}

/// Words of this text that are names of Datadog's variables.
fn variables(text: &str) -> BTreeSet<&str> {
    let words = text.split(|byte: char| !byte.is_ascii_alphanumeric() && byte != '_');
    words.filter(|word| word.starts_with("DD_") && word.len() > 3).collect()
}

fn settings() -> BTreeSet<&'static str> {
    keys::ALL.iter().flat_map(|(_, keys)| keys.iter()).flat_map(|key| key.names).copied().collect()
}

#[test]
fn each_file_is_what_its_platform_reads() {
    for (path, value) in deployments() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let has = |pointer: &str| value.pointer(pointer).is_some_and(|part| !part.is_null());
        let is_so = match name.split('.').next().unwrap() {
            "docker-compose" => has("/services/web/environment"),
            "cloudrun" if name.contains("job") => {
                value["kind"] == "Job" && has("/spec/template/spec/template/spec/containers/0/env")
            }
            "cloudrun" => value["kind"] == "Service" && has("/spec/template/spec/containers/0/env"),
            "containerapp" => has("/properties/template/containers/0/env"),
            "ecs" => has("/containerDefinitions/0/environment"),
            "appservice" => has("/0/slotSetting"),
            "package" => has("/dependencies/dd-trace"),
            _ => false,
        };
        assert!(is_so, "{}", path.display());
    }
}

#[test]
fn each_variable_is_a_setting() {
    let settings = settings();
    for (path, text) in files() {
        for name in variables(&text) {
            let is_known = settings.contains(name) || OF_CLIENTS.contains(&name);
            assert!(is_known, "{}: {name}", path.display());
        }
    }
    // What people copy from the README, its tables left out.
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for block in readme.split("\n```").skip(1).step_by(2) {
        for name in variables(block) {
            assert!(settings.contains(name), "README.md: {name}");
        }
    }
}

#[test]
fn the_api_key_comes_from_the_secrets_of_the_platform() {
    let mut keys = 0;
    for (path, value) in deployments() {
        let mut all = Vec::new();
        environments(&value, &mut all);
        for (_, value) in all.into_iter().flatten().filter(|(name, _)| name == "DD_API_KEY") {
            let text = value.to_string();
            let is_secret = ["valueFrom", "secretRef", "@Microsoft.KeyVault(", "${DD_API_KEY:-}"]
                .iter()
                .any(|form| text.contains(form));
            assert!(is_secret, "{}: {text}", path.display());
            keys += 1;
        }
    }
    // One for each place where it can run: six compose files, five of Cloud Run, and five more.
    assert_eq!(keys, 16);
}

#[test]
fn a_sidecar_looks_for_log_files_where_its_app_writes_them() {
    let mut pairs = 0;
    for (path, value) in deployments() {
        let mut all = Vec::new();
        environments(&value, &mut all);
        let variables: Vec<_> = all.into_iter().flatten().collect();
        let text = |name: &str| {
            let (_, value) = variables.iter().find(|(have, _)| have == name)?;
            value.as_str().or_else(|| value["value"].as_str())
        };
        let (written, read) = (text("LOG_FILE"), text("DD_SERVERLESS_LOG_PATH"));
        assert_eq!(written.is_some(), read.is_some(), "{}", path.display());
        let Some((written, read)) = written.zip(read) else { continue };
        assert_eq!(Path::new(written).parent(), Path::new(read).parent(), "{}", path.display());
        pairs += 1;
    }
    assert_eq!(pairs, 7);
}

/// A link in `from` to a file, to a heading of a file, or to one of its own.
fn check_link(from: &Path, link: &str) {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let to = if file.is_empty() { from.to_owned() } else { from.parent().unwrap().join(file) };
    assert!(to.exists(), "{}: {link}", from.display());
    if heading.is_empty() {
        return;
    }
    let text = fs::read_to_string(&to).unwrap();
    let mut anchors = text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        words
            .replace(' ', "-")
            .replace(|letter: char| !letter.is_alphanumeric() && letter != '-', "")
    });
    assert!(anchors.any(|anchor| anchor == heading), "{}: {link}", from.display());
}

#[test]
fn links_lead_somewhere_and_each_file_is_named() {
    for text in ["README.md", "examples/python/README.md", "examples/node/README.md"] {
        let path = root().join(text);
        let folder = path.parent().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if !link.contains("://") {
                check_link(&path, link);
            }
        }
        let names = files().into_iter().filter(|(path, _)| path.parent() == Some(folder));
        for name in names.map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned()) {
            let is_named = name == "README.md" || text.contains(&format!("`{name}`"));
            assert!(is_named, "{} names no {name}", path.display());
        }
    }
}
