//! The wrapper around an app whose output is shipped as logs.

#![allow(clippy::disallowed_types, reason = "a test starts processes")]

use std::ffi::OsString;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::place::{Place, pillion, scripted_child};
use super::recorder::Recorder;

/// Where logs arrive.
pub const PATH: &str = "/api/v2/logs";

/// The wrapper with logs on that go to `url`, around these words, as a command with pipes for its outputs.
pub fn command(place: Place, url: &str, words: &[&str]) -> Command {
    let mut all = place.words();
    all.push(pillion().into());
    all.extend(words.iter().map(OsString::from));
    with_logs(all, url)
}

/// The same in a process state that a word of the scripted child's `enter` has changed.
pub fn entered(change: &str, url: &str, words: &[&str]) -> Command {
    let mut all = vec![scripted_child().into()];
    all.extend(["enter", change, "--"].map(OsString::from));
    all.push(pillion().into());
    all.extend(words.iter().map(OsString::from));
    with_logs(all, url)
}

fn with_logs(all: Vec<OsString>, url: &str) -> Command {
    let mut command = Command::new(&all[0]);
    command
        .args(&all[1..])
        .env("DD_API_KEY", "0123456789abcdef0123456789abcdef")
        .env("DD_APM_DD_URL", url)
        .env("DD_LOGS_CONFIG_LOGS_DD_URL", url)
        .env("DD_LOGS_ENABLED", "true")
        .env("DD_APM_RECEIVER_PORT", "0")
        .env("DD_LOG_LEVEL", "off")
        // What we say ourselves has tests of its own.
        .env("DD_ENHANCED_METRICS", "false")
        .env("DD_PILLION_EXIT_REPORT", "false")
        // So has what we say of ourselves, which would go to Datadog from here.
        .env("DD_ENHANCED_METRICS", "false")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The same around the scripted child.
pub fn scripted(place: Place, url: &str, task: &[&str]) -> Command {
    let child = scripted_child().display().to_string();
    let words: Vec<&str> = [child.as_str()].into_iter().chain(task.iter().copied()).collect();
    command(place, url, &words)
}

/// All entries that arrived and were taken, in order.
pub fn entries(intake: &Recorder) -> Vec<Value> {
    let taken = intake.taken(PATH);
    let lists = taken.iter().map(|request| serde_json::from_slice::<Vec<Value>>(&request.body));
    lists.flat_map(|list| list.expect("an array of entries")).collect()
}

/// The messages of all entries that arrived, in order.
pub fn messages(intake: &Recorder) -> Vec<String> {
    let text = |entry: &Value| entry["message"].as_str().expect("a text").to_owned();
    entries(intake).iter().map(text).collect()
}
