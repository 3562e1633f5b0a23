//! Lines of files arrive as what an app prints does: each once, from a sidecar and from the wrapper, over rotations and restarts.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::logged::{PATH, command, entries, messages};
use crate::support::place::Place;
use crate::support::recorder::Recorder;
use crate::support::wrapped::wait_until;

/// A sidecar that follows the files of a pattern in `folder`, and whoever ends it.
struct Sidecar(Child);

impl Sidecar {
    fn start(intake: &Recorder, folder: &Path, env: &[(&str, &str)]) -> Self {
        let pattern = folder.join("*.log");
        let mut command = command(Place::Ordinary, &intake.url(), &[]);
        command
            .env_remove("DD_LOGS_ENABLED")
            .env("DD_SERVERLESS_LOG_PATH", pattern)
            .env("DD_LOGS_CONFIG_BATCH_WAIT", "1")
            .env("DD_DOGSTATSD_PORT", "0")
            .env("DD_DOGSTATSD_SOCKET", "")
            .envs(env.iter().copied());
        Self(command.spawn().unwrap())
    }

    /// Sends TERM and waits for the end; what it said.
    fn stop(mut self) -> String {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGTERM).unwrap();
        assert_eq!(self.0.wait().unwrap().code(), Some(0));
        let mut said = String::new();
        let mut stderr = self.0.stderr.take().unwrap();
        std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
        said
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn wait_for(intake: &Recorder, expect: &[&str]) {
    wait_until("the lines arrive", || messages(intake).len() >= expect.len());
    assert_eq!(messages(intake), expect);
}

#[test]
fn a_sidecar_ships_lines_of_files_with_the_tags_of_their_place() {
    let (intake, folder) = (Recorder::http(), tempfile::tempdir().unwrap());
    append(&folder.path().join("app.log"), "first\n");
    let env = [("DD_SERVICE", "shop"), ("DD_SOURCE", "python"), ("DD_ENV", "prod")];
    let sidecar = Sidecar::start(&intake, folder.path(), &env);
    wait_for(&intake, &["first"]);
    append(&folder.path().join("app.log"), "{\"level\": \"warn\", \"text\": \"second\"}\n");
    wait_until("the second arrives", || messages(&intake).len() == 2);
    assert_eq!(sidecar.stop(), "");
    let entries = entries(&intake);
    let tags = format!("env:prod,local:true,filename:app.log,dirname:{}", folder.path().display());
    let timestamp = entries[0]["timestamp"].as_u64().unwrap();
    assert!(timestamp > 1_600_000_000_000, "{timestamp}");
    let expect = json!({
        "message": "first", "status": "info", "timestamp": timestamp, "hostname": "",
        "service": "shop", "ddsource": "python", "ddtags": tags
    });
    assert_eq!(entries[0], expect);
    assert_eq!(entries[1]["status"], "warn");
}

#[test]
fn the_wrapper_ships_files_beside_the_output_of_its_app() {
    let (intake, folder) = (Recorder::http(), tempfile::tempdir().unwrap());
    let path = folder.path().join("app.log");
    let script = format!("echo printed; echo written >> {}; exit 5", path.display());
    let mut command = command(Place::Ordinary, &intake.url(), &["sh", "-c", &script]);
    let output = command.env("DD_SERVERLESS_LOG_PATH", &path).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(5), &b"printed\n"[..]));
    let mut messages = messages(&intake);
    messages.sort();
    assert_eq!(messages, ["printed", "written"]);
}

#[test]
fn without_logs_no_file_is_followed() {
    let (intake, folder) = (Recorder::http(), tempfile::tempdir().unwrap());
    let path = folder.path().join("app.log");
    append(&path, "unseen\n");
    let mut command = command(Place::Ordinary, &intake.url(), &["true"]);
    command.env("DD_LOGS_ENABLED", "false").env("DD_SERVERLESS_LOG_PATH", &path);
    assert!(command.status().unwrap().success());
    assert_eq!(messages(&intake), [""; 0]);
    assert!(!folder.path().join("registry.json").exists());
}

#[test]
fn a_file_that_is_rotated_away_is_read_to_its_end_and_the_new_one_from_its_beginning() {
    let (intake, folder) = (Recorder::http(), tempfile::tempdir().unwrap());
    let (path, old) = (folder.path().join("app.log"), folder.path().join("app.log.1"));
    append(&path, "one\n");
    let sidecar = Sidecar::start(&intake, folder.path(), &[]);
    wait_for(&intake, &["one"]);
    fs::rename(&path, &old).unwrap();
    append(&old, "two\n");
    append(&path, "three\n");
    wait_until("both arrive", || messages(&intake).len() >= 3);
    assert_eq!(sidecar.stop(), "");
    let mut messages = messages(&intake);
    messages.sort();
    assert_eq!(messages, ["one", "three", "two"]);
}

#[test]
fn a_file_that_became_shorter_is_read_anew() {
    let (intake, folder) = (Recorder::http(), tempfile::tempdir().unwrap());
    let path = folder.path().join("app.log");
    append(&path, "one\ntwo\n");
    let sidecar = Sidecar::start(&intake, folder.path(), &[]);
    wait_for(&intake, &["one", "two"]);
    // As `copytruncate` does it.
    fs::write(&path, "").unwrap();
    append(&path, "new\n");
    wait_for(&intake, &["one", "two", "new"]);
    assert_eq!(sidecar.stop(), "");
}

#[test]
fn after_a_restart_it_goes_on_where_it_was() {
    let (intake, folder) = (Recorder::http(), tempfile::tempdir().unwrap());
    let path = folder.path().join("app.log");
    append(&path, "one\n");
    let sidecar = Sidecar::start(&intake, folder.path(), &[]);
    wait_for(&intake, &["one"]);
    assert_eq!(sidecar.stop(), "");
    append(&path, "two\n");
    let sidecar = Sidecar::start(&intake, folder.path(), &[]);
    wait_for(&intake, &["one", "two"]);
    assert_eq!(sidecar.stop(), "");
    assert_eq!(messages(&intake), ["one", "two"]);
}

#[test]
fn lines_that_are_in_a_file_at_the_stop_arrive_the_unfinished_one_too() {
    let (intake, folder) = (Recorder::http(), tempfile::tempdir().unwrap());
    let path = folder.path().join("app.log");
    append(&path, "one\n");
    let sidecar = Sidecar::start(&intake, folder.path(), &[("DD_LOG_LEVEL", "info")]);
    wait_for(&intake, &["one"]);
    append(&path, "two\nthree");
    // A file that is there only now.
    append(&folder.path().join("late.log"), "four\n");
    let said = sidecar.stop();
    let mut messages = messages(&intake);
    messages.sort();
    assert_eq!(messages, ["four", "one", "three", "two"]);
    assert!(said.contains("log lines: 4 received, 4 sent"), "{said}");
}

#[test]
fn a_file_that_is_longer_than_what_has_room_arrives_whole_and_each_body_in_order() {
    const LINES: usize = 60_000;
    let (intake, folder) = (Recorder::http(), tempfile::tempdir().unwrap());
    let line = |number: usize| format!("{number} {}", "x".repeat(100));
    let text: String = (1..=LINES).map(|number| line(number) + "\n").collect();
    let sidecar = Sidecar::start(&intake, folder.path(), &[("DD_LOG_LEVEL", "info")]);
    append(&folder.path().join("app.log"), &text);
    wait_until("all arrive", || messages(&intake).len() >= LINES);
    let said = sidecar.stop();
    // Bodies are sent beside each other; they are put in order by their first line.
    let number = |entry: &Value| -> usize {
        entry["message"].as_str().unwrap().split(' ').next().unwrap().parse().unwrap()
    };
    let mut bodies: Vec<Vec<Value>> = intake
        .taken(PATH)
        .iter()
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect();
    bodies.sort_by_key(|body| number(&body[0]));
    let arrived = bodies.iter().flatten().map(|entry| entry["message"].as_str().unwrap());
    assert!(
        arrived.eq((1..=LINES).map(line)),
        "a line is missing, changed, twice or not in its place"
    );
    assert!(said.contains(&format!("log lines: {LINES} received, {LINES} sent")), "{said}");
}

#[test]
fn at_the_stop_an_intake_that_hangs_holds_nothing_up_and_the_lines_are_counted() {
    let (intake, folder) = (Recorder::http(), tempfile::tempdir().unwrap());
    intake.always(crate::support::recorder::Answer::hang());
    append(&folder.path().join("app.log"), "one\ntwo\n");
    let env = [("DD_LOG_LEVEL", "info"), ("DD_PILLION_STOP_TIMEOUT", "1s")];
    let sidecar = Sidecar::start(&intake, folder.path(), &env);
    wait_until("it has sent them", || folder.path().join("registry.json").exists());
    let said = sidecar.stop();
    assert!(said.contains("log lines: 2 received, 0 sent, 2 lost"), "{said}");
}
