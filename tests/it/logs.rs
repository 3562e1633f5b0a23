//! What the app writes arrives at the intake: each line once, also the last ones of an app that ends at once.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::logged::{PATH, command, entries, messages, scripted};
use crate::support::place::Place;
use crate::support::recorder::{Answer, Recorder};

/// Runs of the test of short apps: `PILLION_LOG_RUNS`, else a hundred.
#[expect(clippy::disallowed_methods, reason = "a person asks for more of them")]
fn runs() -> usize {
    std::env::var("PILLION_LOG_RUNS").map_or(100, |runs| runs.parse().unwrap())
}

#[test]
fn no_line_of_an_app_that_ends_at_once_is_missing() {
    let intake = Recorder::http();
    for run in 1..=runs() {
        let mut command = scripted(Place::Ordinary, &intake.url(), &["lines", "10", "0"]);
        let output = command.output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "run {run}: {output:?}");
    }
    let mut messages = messages(&intake);
    messages.sort();
    let mut expect: Vec<String> =
        (0..10).flat_map(|number| vec![format!("line {number}"); runs()]).collect();
    expect.sort();
    assert!(messages == expect, "{} lines of {}", messages.len(), expect.len());
}

#[test]
fn an_entry_says_where_it_comes_from() {
    let intake = Recorder::http();
    let mut command =
        command(Place::PidOne, &intake.url(), &["sh", "-c", "echo ' out '; echo \"err\tor\" >&2"]);
    command
        .env("DD_SERVICE", "Shop")
        .env("DD_SOURCE", "python")
        .env("DD_ENV", "prod")
        .env("DD_VERSION", "1")
        .env("DD_TAGS", "team:a");
    assert!(command.status().unwrap().success());
    let mut entries = entries(&intake);
    entries.sort_by_key(|entry| entry["status"].as_str().unwrap().to_owned());
    for (entry, message, status) in
        [(&entries[0], "err\tor", "error"), (&entries[1], "out", "info")]
    {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let age = now.as_millis() as u64 - entry["timestamp"].as_u64().unwrap();
        assert!(age < 60_000, "{age}");
        let expect = json!({
            "message": message, "status": status, "timestamp": entry["timestamp"], "hostname": "",
            "service": "shop", "ddsource": "python", "ddtags": "env:prod,version:1,team:a,local:true"
        });
        assert_eq!(*entry, expect);
    }
    assert_eq!(entries.len(), 2);
}

#[test]
fn the_last_words_of_an_app_that_is_killed_arrive() {
    for place in Place::ALL {
        let intake = Recorder::http();
        let mut command = scripted(place, &intake.url(), &["last-words", "9"]);
        assert_eq!(command.output().unwrap().status.code(), Some(137));
        assert_eq!(messages(&intake), ["whole line", "unfinished"]);
    }
}

#[test]
fn a_batch_leaves_after_its_time_and_at_a_stop() {
    let intake = Recorder::http();
    let mut command = scripted(Place::Ordinary, &intake.url(), &["slow-stop", "1500", "0"]);
    let mut top = command.env("DD_LOGS_CONFIG_BATCH_WAIT", "1").spawn().unwrap();
    intake.wait_for("the first batch", |requests| requests.len() == 1);
    assert_eq!(messages(&intake), ["ready"]);
    // What it says when it is asked to stop leaves with what follows, or before.
    crate::support::place::send(i32::try_from(top.id()).unwrap(), libc::SIGTERM);
    assert_eq!(top.wait().unwrap().code(), Some(0));
    assert_eq!(messages(&intake), ["ready", "stopping"]);
}

#[test]
fn a_flood_is_shipped_or_counted_and_comes_through_unchanged() {
    const LINES: usize = 300_000;
    let intake = Recorder::http();
    let last = LINES.to_string();
    let words = ["seq", "-f", "line %.0f of a flood of them", "1", &last];
    let mut command = command(Place::Ordinary, &intake.url(), &words);
    let output = command.env("DD_LOG_LEVEL", "info").output().unwrap();
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), LINES);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let words: Vec<&str> = said.split([' ', ':', ',', ';', '\n']).collect();
    let count = |word: &str| -> usize {
        let at = words.iter().position(|own| *own == word).unwrap_or(0);
        words.get(at.wrapping_sub(1)).and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    let arrived = messages(&intake);
    assert_eq!(arrived.len(), count("sent"), "{said}");
    assert_eq!(count("received"), count("sent") + count("lost"), "{said}");
    assert!(count("received") >= LINES && arrived.len() > LINES / 10, "{said}");
    assert!(intake.taken(PATH).iter().all(|request| request.body.len() <= 5_000_000));
}

#[test]
fn what_the_intake_never_took_is_told() {
    let intake = Recorder::http();
    intake.always(Answer::hang());
    let mut command = scripted(Place::Ordinary, &intake.url(), &["lines", "10", "0"]);
    command.env("DD_PILLION_STOP_TIMEOUT", "1s").env("DD_LOG_LEVEL", "warn");
    let output = command.stdout(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let lost = "log lines: 10 received, 0 sent, 10 lost (10 not delivered by the stop deadline)";
    assert!(said.contains(lost), "{said}");
}

#[test]
fn a_body_that_is_too_large_is_cut_and_arrives() {
    let intake = Recorder::http();
    intake.limit_bodies(100_000);
    let script = "seq -f 'a line of about a hundred bytes for a body that the intake will find too large: %.0f' 1 5000";
    let mut command = command(Place::Ordinary, &intake.url(), &["sh", "-c", script]);
    assert!(command.output().unwrap().status.success());
    let mut numbers: Vec<usize> = messages(&intake)
        .iter()
        .map(|message| message.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=5000).collect::<Vec<_>>());
}

#[test]
fn a_line_that_is_longer_than_a_message_may_be_arrives_in_pieces() {
    let intake = Recorder::http();
    let script = "head -c 220000 /dev/zero | tr '\\0' x; echo; echo next";
    let mut command = command(Place::Ordinary, &intake.url(), &["sh", "-c", script]);
    command.env("DD_LOGS_CONFIG_MAX_MESSAGE_SIZE_BYTES", "100000");
    assert!(command.output().unwrap().status.success());
    let entries = entries(&intake);
    let lens: Vec<usize> = entries.iter().map(|e| e["message"].as_str().unwrap().len()).collect();
    assert_eq!(lens, [100_015, 100_030, 20_015, 4]);
    let tags: Vec<&str> = entries.iter().map(|entry| entry["ddtags"].as_str().unwrap()).collect();
    let cut = "local:true,truncated:single_line";
    assert_eq!(tags, [cut, cut, cut, "local:true"]);
}

#[test]
fn an_app_that_says_nothing_sends_nothing_and_wakes_nothing() {
    let intake = Recorder::http();
    let mut command = scripted(Place::Ordinary, &intake.url(), &["stubborn", "2500", "0"]);
    let mut top = command.spawn().unwrap();
    intake.wait_for("its one line", |requests| requests.len() <= 1);
    thread::sleep(Duration::from_millis(500));
    let switches = |thread: &str| -> u64 {
        let mut all = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", top.id())).unwrap().flatten() {
            let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap();
            if read("comm").trim() == thread {
                let status = read("status");
                let line = status.lines().find(|line| line.starts_with("voluntary")).unwrap();
                all += line.rsplit('\t').next().unwrap().parse::<u64>().unwrap();
            }
        }
        all
    };
    let before = switches("pillion-stdout") + switches("pillion-stderr");
    thread::sleep(Duration::from_millis(1000));
    assert_eq!(switches("pillion-stdout") + switches("pillion-stderr"), before);
    assert_eq!(top.wait().unwrap().code(), Some(0));
    assert_eq!(messages(&intake), ["ready"]);
}

#[test]
fn a_stack_trace_is_one_message_and_what_is_to_be_masked_is() {
    let intake = Recorder::http();
    let script = "printf '2026-11-25 22:00:00 ERROR no order, key=s3cr3t\\n\\tat shop.Orders\\n\\tat shop.Main\\n2026-11-25 22:00:01 INFO served\\n'; \
                  echo '{\"level\": \"warn\", \"text\": \"key=s3cr3t\"}' >&2";
    let mut command = command(Place::Ordinary, &intake.url(), &["sh", "-c", script]);
    let rules = r#"[{"type": "mask_sequences", "name": "keys", "pattern": "key=\\w+", "replace_placeholder": "key=?"}]"#;
    command.env("DD_LOGS_CONFIG_PROCESSING_RULES", rules);
    assert!(command.output().unwrap().status.success());
    let mut found: Vec<(String, String)> = entries(&intake)
        .iter()
        .map(|entry| ["message", "status"].map(|name| entry[name].as_str().unwrap().to_owned()))
        .map(|[message, status]| (message, status))
        .collect();
    found.sort();
    let expect = [
        ("2026-11-25 22:00:00 ERROR no order, key=?\\n\tat shop.Orders\\n\tat shop.Main", "info"),
        ("2026-11-25 22:00:01 INFO served", "info"),
        ("{\"level\": \"warn\", \"text\": \"key=?\"}", "warn"),
    ];
    assert_eq!(found, expect.map(|(message, status)| (message.to_owned(), status.to_owned())));
}

#[test]
fn without_a_mask_that_is_asked_for_nothing_is_shipped_and_the_app_runs_on() {
    let intake = Recorder::http();
    let mut command = scripted(Place::Ordinary, &intake.url(), &["lines", "10", "5"]);
    command
        .env(
            "DD_LOGS_CONFIG_PROCESSING_RULES",
            r#"[{"type": "mask_sequences", "name": "keys", "pattern": "("}]"#,
        )
        .env("DD_LOG_LEVEL", "info");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 10);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("rule \"keys\" can't be used"), "{said}");
    assert!(said.contains("log lines: 10 received, 0 sent, 10 filtered"), "{said}");
    assert!(intake.requests().is_empty());
}
