//! What is reported of the app itself: its death, in a span, a log and a line, and the task of a job.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::decoded::Span;
use crate::support::http::{Client, MSGPACK};
use crate::support::recorder::{Answer, Recorder};
use crate::support::wrapped::{Wrapped, free_port, get, pillion, wait_until};

/// An app in `sh` under the binary, all of whose telemetry goes to one intake.
struct App {
    wrapped: Wrapped,
    intake: Recorder,
    port: u16,
}

impl App {
    fn start(script: &str, env: &[(&str, &str)]) -> Self {
        Self::run(&["sh", "-c", script], env, Recorder::http())
    }

    fn run(words: &[&str], env: &[(&str, &str)], intake: Recorder) -> Self {
        let (port, url, pillion) = (free_port(), intake.url(), pillion());
        let port_text = port.to_string();
        let own = [
            ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
            ("DD_APM_DD_URL", url.as_str()),
            ("DD_DD_URL", url.as_str()),
            ("DD_LOGS_CONFIG_LOGS_DD_URL", url.as_str()),
            ("DD_APM_RECEIVER_PORT", &port_text),
        ];
        let words = [&[pillion.to_str().unwrap()], words].concat();
        let env = [&own[..], env].concat();
        Self { wrapped: Wrapped::start(&words, Path::new("/bin"), &env), intake, port }
    }

    /// Waits for the end, and checks the exit code.
    fn ends(&mut self, code: i32) {
        assert_eq!(self.wrapped.wait().code(), Some(code), "{}", self.wrapped.stderr());
    }

    fn client(&self) -> Client {
        wait_until("it listens", || get(self.port, "/info") == Some(200));
        Client::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }

    /// The lines that we wrote on stderr ourselves.
    fn said(&self) -> Vec<String> {
        let stderr = self.wrapped.stderr();
        stderr.lines().filter(|line| line.starts_with("pillion: ")).map(str::to_owned).collect()
    }

    /// The span of this name; its chunk has to be one that the user wants.
    fn span(&self, name: &str) -> Span {
        let payloads = self.intake.tracer_payloads();
        let chunks = payloads.into_iter().flat_map(|payload| payload.chunks);
        let mut chunks = chunks.filter(|chunk| chunk.spans.iter().any(|span| span.name == name));
        let chunk = chunks.next().unwrap_or_else(|| panic!("no span {name}"));
        assert_eq!((chunk.priority, chunks.next()), (2, None));
        chunk.spans.into_iter().find(|span| span.name == name).unwrap()
    }

    fn has_stats(&self, name: &str) -> bool {
        self.intake.stats().iter().any(|stats| format!("{stats}").contains(name))
    }

    fn messages(&self) -> Vec<String> {
        let text = |entry: &Value| entry["message"].as_str().unwrap().to_owned();
        self.intake.log_entries().iter().map(text).collect()
    }
}

const LOGS: (&str, &str) = ("DD_LOGS_ENABLED", "true");

#[test]
fn an_exit_code_is_reported_with_the_last_lines() {
    let env = [LOGS, ("DD_SERVICE", "shop"), ("DD_ENV", "prod"), ("DD_VERSION", "7")];
    let mut app = App::start("echo fine; echo one >&2; echo two >&2; exit 3", &env);
    app.ends(3);
    let said = app.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("pillion: error: the app ended with exit code 3 after "),
        "{said:?}"
    );

    let span = app.span("pillion.exit");
    assert_eq!((span.service.as_str(), span.resource.as_str()), ("shop", "sh"));
    assert_eq!((span.env.as_str(), span.version.as_str()), ("prod", "7"));
    assert!(span.error && span.parent_id == 0 && span.span_id != 0 && span.trace_id != 0);
    assert_eq!(span.text("error.type"), Some("exit 3"));
    let message = span.text("error.message").unwrap();
    assert!(message.starts_with("sh ended with exit code 3 after "), "{message}");
    assert_eq!(span.text("error.stack"), Some("one\ntwo"));
    assert_eq!(span.text("exit_code"), Some("3"));
    assert_eq!(span.text("signal"), None);
    assert!(span.duration > 0 && span.duration < 60_000_000_000, "{}", span.duration);
    assert!(app.has_stats("pillion.exit"));

    let entries = app.intake.log_entries();
    let last = entries.last().unwrap();
    assert_eq!((last["status"].as_str(), last["service"].as_str()), (Some("error"), Some("shop")));
    let text = last["message"].as_str().unwrap();
    assert!(text.starts_with("pillion: the app ended with exit code 3 after "), "{text}");
    assert!(text.ends_with("\nIts last lines:\none\ntwo"), "{text}");
    assert_eq!(entries.len(), 4, "{entries:?}");
}

#[test]
fn a_signal_has_its_name_and_nothing_is_known_of_lines_that_are_not_shipped() {
    let mut app = App::start("echo secret >&2; kill -9 $$", &[]);
    app.ends(137);
    let said = app.said();
    assert!(
        said[0].starts_with("pillion: error: the app was killed by SIGKILL after "),
        "{said:?}"
    );
    let span = app.span("pillion.exit");
    assert_eq!(span.text("error.type"), Some("SIGKILL"));
    assert_eq!((span.text("signal"), span.text("exit_code")), (Some("SIGKILL"), Some("137")));
    assert_eq!(span.text("error.stack"), None);
    assert_eq!(span.service, "sh", "nobody has named one");
    assert!(app.messages().is_empty());
}

#[test]
fn an_end_that_is_good_or_was_asked_for_is_not_reported() {
    let mut app = App::start("exit 0", &[LOGS]);
    app.ends(0);
    assert!(app.said().is_empty() && app.intake.spans().is_empty());

    let mut app = App::start("echo ready; exec sleep 60", &[LOGS]);
    wait_until("it is ready", || app.wrapped.stdout() == b"ready\n");
    app.wrapped.signal(Signal::SIGTERM);
    app.ends(143);
    assert!(app.said().is_empty() && app.intake.spans().is_empty(), "{:?}", app.said());
    assert_eq!(app.messages(), ["ready"]);
}

#[test]
fn only_the_line_is_left_where_reports_are_off_and_not_even_that_where_we_say_nothing() {
    let mut app = App::start("exit 3", &[LOGS, ("DD_PILLION_EXIT_REPORT", "false")]);
    app.ends(3);
    assert_eq!((app.said().len(), app.messages().len()), (1, 0));
    assert!(app.intake.spans().is_empty());

    let mut app = App::start("exit 3", &[("DD_LOG_LEVEL", "off"), ("DD_APM_ENABLED", "false")]);
    app.ends(3);
    assert!(app.wrapped.stderr().is_empty() && app.intake.spans().is_empty());
}

#[test]
fn the_rules_for_logs_hold_for_the_last_lines_too() {
    let rules = r#"[{"type": "mask_sequences", "name": "m", "pattern": "pass=\\S+", "replace_placeholder": "pass=?"},
        {"type": "exclude_at_match", "name": "e", "pattern": "^noise"}]"#;
    let env = [LOGS, ("DD_LOGS_CONFIG_PROCESSING_RULES", rules)];
    let mut app = App::start("echo 'login pass=12' >&2; echo noise >&2; exit 1", &env);
    app.ends(1);
    assert_eq!(app.span("pillion.exit").text("error.stack"), Some("login pass=?"));
    assert!(app.messages().iter().all(|text| !text.contains("12") || text.contains("after 12")));
}

#[test]
fn an_app_that_can_not_be_started_is_reported_and_the_exit_waits_for_no_intake() {
    let mut app = App::run(&["no-such-program", "--password=x"], &[LOGS], Recorder::http());
    app.ends(127);
    let span = app.span("pillion.exit");
    assert_eq!(span.text("error.type"), Some("exec"));
    assert_eq!((span.resource.as_str(), span.text("exit_code")), ("no-such-program", Some("127")));
    assert!(span.text("error.message").unwrap().contains("not found in PATH"));
    let messages = app.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].starts_with("pillion: the app did not start: cannot start "));
    assert_eq!(app.said().len(), 1, "{:?}", app.said());

    let intake = Recorder::http();
    intake.always(Answer::hang());
    let mut app = App::run(&["/"], &[], intake);
    app.ends(126);
    assert!(app.wrapped.age() < Duration::from_secs(3), "{:?}", app.wrapped.age());
}

const JOB: [(&str, &str); 5] = [
    ("CLOUD_RUN_JOB", "nightly"),
    ("CLOUD_RUN_EXECUTION", "nightly-abc"),
    ("CLOUD_RUN_TASK_INDEX", "0"),
    ("GCE_METADATA_HOST", "127.0.0.1:1"),
    ("DD_ENV", "prod"),
];

#[test]
fn a_job_has_a_span_though_nothing_is_traced() {
    let mut app = App::start("exit 0", &JOB);
    app.ends(0);
    let span = app.span("gcp.run.job.task");
    assert_eq!((span.service.as_str(), span.resource.as_str()), ("nightly", "nightly"));
    assert_eq!((span.kind.as_str(), span.env.as_str(), span.error), ("", "prod", false));
    assert_eq!((span.text("exit_code"), span.text("error.msg")), (None, None));
    assert_eq!(span.text("gcrj.execution_name"), Some("nightly-abc"));
    assert_eq!(span.text("origin"), Some("cloudrunjobs"));
    assert!(app.has_stats("gcp.run.job.task"));
    let payloads = app.intake.tracer_payloads();
    assert_eq!(payloads[0].chunks[0].origin, "cloudrunjobs");

    let mut app = App::start("exit 0", &[&JOB[..], &[("DD_APM_ENABLED", "false")]].concat());
    app.ends(0);
    assert!(app.intake.spans().is_empty());
}

#[test]
fn the_first_trace_is_the_jobs_and_the_death_is_too() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let script = format!("while ! [ -e {} ]; do sleep 0.02; done; exit 4", go.display());
    let mut app = App::start(&script, &[&JOB[..], &[("DD_SERVICE", "Batch")]].concat());
    let mut client = app.client();
    for (trace, parents) in [(7, [0, 70]), (9, [0, 90]), (7, [70, 0])] {
        let body = trace_of(trace, parents);
        assert_eq!(client.ask("POST", "/v0.4/traces", &[MSGPACK], &body).status, 200);
    }
    std::fs::write(&go, "").unwrap();
    app.ends(4);
    let task = app.span("gcp.run.job.task");
    assert_eq!((task.service.as_str(), task.parent_id, task.error), ("batch", 0, true));
    assert_eq!((task.text("exit_code"), task.trace_id), (Some("4"), TRACE));
    assert!(task.text("error.msg").unwrap().contains("exit code 4"));
    let exit = app.span("pillion.exit");
    assert_eq!((exit.parent_id, exit.trace_id), (task.span_id, TRACE));
    let spans = app.intake.spans();
    let of_app = spans.iter().filter(|span| span.name == "work");
    let mut parents: Vec<(u128, u64)> =
        of_app.map(|span| (span.trace_id << 64 >> 64, span.parent_id)).collect();
    parents.sort_unstable();
    let id = task.span_id;
    let mut expect = [(7, id), (7, 70), (7, 70), (7, id), (9, 0), (9, 90)];
    expect.sort_unstable();
    assert_eq!(parents, expect);
}

/// A body of one chunk: a span for each parent.
fn trace_of(trace: u64, parents: [u64; 2]) -> Vec<u8> {
    let map = |pairs: Vec<(&str, rmpv::Value)>| {
        rmpv::Value::Map(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    };
    let spans = parents.iter().enumerate().map(|(at, parent)| {
        map(vec![
            ("service", "worker".into()),
            ("name", "work".into()),
            ("resource", "step".into()),
            ("trace_id", trace.into()),
            ("span_id", (trace * 100 + at as u64 + 1).into()),
            ("parent_id", (*parent).into()),
            ("start", 1_750_000_000_000_000_000_i64.into()),
            ("duration", 5.into()),
            ("meta", map(vec![("_dd.p.tid", "000000000000005f".into())])),
            ("metrics", map(vec![("_sampling_priority_v1", rmpv::Value::F64(1.0))])),
        ])
    });
    let mut body = Vec::new();
    let chunk = rmpv::Value::Array(spans.collect());
    rmpv::encode::write_value(&mut body, &rmpv::Value::Array(vec![chunk])).unwrap();
    body
}

/// The id of the job's trace, of which the tracer sends the upper half apart.
const TRACE: u128 = 0x5f << 64 | 7;
