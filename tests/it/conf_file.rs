//! `datadog.yaml` as a user meets it: the settings in it work, a variable counts before them, and no file keeps the app from running.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use serde_json::json;
use tempfile::TempDir;

use crate::support::decoded::{self, AgentPayload};
use crate::support::http::Client;
use crate::support::recorder::Recorder;
use crate::support::wrapped::{Wrapped, free_port, get, pillion, wait_until};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Runs `sh -c script` under pillion, with these words before it.
fn start(before: &[&str], script: &str, env: &[(&str, &str)]) -> Wrapped {
    let pillion = pillion();
    let words = [before, &[pillion.to_str().unwrap(), "sh", "-c", script]].concat();
    Wrapped::start(&words, Path::new("/bin"), env)
}

/// A folder with this `datadog.yaml` in it.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("datadog.yaml"), text).unwrap();
    folder
}

/// Sends a trace to `port`, and gives what the intake has of it when the app has ended.
fn payload(wrapped: &mut Wrapped, port: u16, intake: &Recorder) -> AgentPayload {
    wait_until("it takes traces", || get(port, "/info") == Some(200));
    let span = |id: u64, meta: serde_json::Value| json!([{"trace_id": id, "span_id": id, "service": "s", "name": "n", "resource": "r", "start": 1, "duration": 1, "meta": meta}]);
    let body = json!([
        span(1, json!({"url": "/a?token=abc", "team": "own"})),
        span(2, json!({"health": "yes"})),
        span(3, json!({})),
    ]);
    let mut client = Client::tcp(([127, 0, 0, 1], port).into());
    let header = [("Content-Type", "application/json")];
    let answer = client.ask("POST", "/v0.4/traces", &header, &serde_json::to_vec(&body).unwrap());
    assert_eq!(answer.status, 200, "{answer:?}");
    wrapped.signal(Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(143), "{}", wrapped.stderr());
    let requests = intake.taken("/api/v0.2/traces");
    assert_eq!(requests.len(), 1, "{}", wrapped.stderr());
    assert_eq!(requests[0].header("dd-api-key"), Some(SECRET));
    decoded::agent_payload(&requests[0].body)
}

/// Each span's id with its `url`, `team` and `note`.
fn spans(payload: &AgentPayload) -> Vec<(u64, [Option<&str>; 3])> {
    let chunks = payload.tracer_payloads.iter().flat_map(|payload| &payload.chunks);
    let spans = chunks.flat_map(|chunk| &chunk.spans);
    spans.map(|span| (span.span_id, ["url", "team", "note"].map(|key| span.text(key)))).collect()
}

/// A file as people write it: comments, quotes, lists, maps.
fn text(intake: &Recorder, port: u16) -> String {
    format!(
        "\
# The settings of a test.
api_key: \"{SECRET}\"
hostname: web-1   # The host.
tags:
  - team:web
  - 'note:two words, and a comma'
log_level: warn
apm_config:
  env: From File
  receiver_port: {port}
  apm_dd_url: {url}
  filter_tags:
    reject: [\"health:yes\"]
  replace_tags:
    - name: url
      pattern: \"token=[^&]*\"
      repl: token=?
pillion:
  flush_interval: 1m
",
        url = intake.url()
    )
}

#[test]
fn the_settings_of_a_file_work_without_a_variable() {
    let (intake, port) = (Recorder::http(), free_port());
    let folder = folder(&text(&intake, port));
    let conf = [("DD_CONF_PATH", folder.path().to_str().unwrap())];
    let mut wrapped = start(&[], "exec sleep 60", &conf);
    let sent = payload(&mut wrapped, port, &intake);
    assert_eq!((sent.hostname.as_str(), sent.env.as_str()), ("web-1", "from_file"));
    let note = Some("two words, and a comma");
    assert_eq!(
        spans(&sent),
        [(1, [Some("/a?token=?"), Some("own"), note]), (3, [None, Some("web"), note])]
    );
    assert_eq!(wrapped.stderr(), "");
}

#[test]
fn a_variable_counts_before_the_file() {
    let (intake, port) = (Recorder::http(), free_port());
    let folder = folder(&text(&intake, 1));
    let (file, port_text) = (folder.path().join("datadog.yaml"), port.to_string());
    let env = [
        ("DD_CONF_PATH", file.to_str().unwrap()),
        ("DD_APM_RECEIVER_PORT", port_text.as_str()),
        ("DD_ENV", "from-variable"),
        ("DD_TAGS", "team:other"),
        ("DD_APM_REPLACE_TAGS", "[]"),
    ];
    let mut wrapped = start(&[], "exec sleep 60", &env);
    let sent = payload(&mut wrapped, port, &intake);
    assert_eq!((sent.hostname.as_str(), sent.env.as_str()), ("web-1", "from-variable"));
    assert_eq!(
        spans(&sent),
        [(1, [Some("/a?token=abc"), Some("own"), None]), (3, [None, Some("other"), None])]
    );
    assert_eq!(wrapped.stderr(), "");
}

#[test]
fn the_file_in_the_usual_place_needs_no_variable() {
    let (intake, port) = (Recorder::http(), free_port());
    let etc = tempfile::tempdir().unwrap();
    fs::create_dir(etc.path().join("datadog-agent")).unwrap();
    let file = etc.path().join("datadog-agent/datadog.yaml");
    fs::write(file, text(&intake, port)).unwrap();
    // Its own view of the file system, in which that folder is /etc.
    let mount = format!("mount --bind {} /etc && exec \"$@\"", etc.path().display());
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let user: &[&str] = if is_root { &[] } else { &["--user", "--map-root-user"] };
    let before = [&["unshare", "--mount"], user, &["sh", "-c", &mount, "sh"]].concat();
    let mut wrapped = start(&before, "exec sleep 60", &[]);
    assert_eq!(payload(&mut wrapped, port, &intake).hostname, "web-1");
    assert_eq!(wrapped.stderr(), "");
}

#[test]
fn a_file_that_cannot_be_used_is_one_line_and_the_app_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    nix::unistd::mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("huge"), "x".repeat(2_000_000)).unwrap();
    fs::write(path("broken"), format!("api_key: {SECRET}\nsite: [x")).unwrap();
    std::os::unix::fs::symlink(path("loop"), path("loop")).unwrap();
    for (name, expect) in [
        ("fifo", "is no regular file: its settings are not used; mend it, or DD_CONF_PATH"),
        ("folder", "has no datadog.yaml that can be used (No such file or directory): "),
        ("huge", "is larger than 1048576 bytes: "),
        ("broken", "is not valid YAML ("),
        ("loop", "can't be read (Too many symbolic links encountered): "),
        ("missing", "can't be read (No such file or directory): "),
    ] {
        let file = path(name);
        let env = [("DD_CONF_PATH", file.to_str().unwrap()), ("DD_APM_RECEIVER_PORT", "0")];
        let mut wrapped = start(&[], "echo ran; exit 3", &env);
        assert_eq!(wrapped.wait().code(), Some(3));
        assert_eq!(wrapped.stdout(), b"ran\n");
        let stderr = wrapped.stderr();
        let line = format!("pillion: warning: {} {expect}", file.display());
        assert!(stderr.contains(&line), "{name}: {stderr}");
        // The others are that there is no key, and how the app ended.
        assert_eq!(stderr.lines().count(), 3, "{stderr}");
        assert!(!stderr.contains(SECRET), "{stderr}");
    }
}

#[test]
fn bad_values_and_idle_settings_of_a_file_are_said_once() {
    let folder = folder(&format!(
        "api_key: ENC[{SECRET}]\nhostname_fqdn: true\napm_config:\n  receiver_port: 0\n  target_traces_per_second: lots\n  max_tps: 3\n"
    ));
    let file = folder.path().join("datadog.yaml").display().to_string();
    let conf = [("DD_CONF_PATH", folder.path().to_str().unwrap())];
    let mut wrapped = start(&[], "exit 0", &conf);
    assert_eq!(wrapped.wait().code(), Some(0));
    let stderr = wrapped.stderr();
    for line in [
        format!(
            "invalid api_key in {file}: its value needs DD_SECRET_BACKEND_COMMAND, which is not set, sending nothing\n"
        ),
        format!(
            "invalid apm_config.target_traces_per_second in {file}: \"lots\" is not a number of 0 or more, using 10\n"
        ),
        format!(
            "not supported in {file}, ignored: hostname_fqdn; the table of such settings in the README says why\n"
        ),
        format!("unknown in {file}, ignored: apm_config.max_tps; check the spelling\n"),
        "No DD_API_KEY: nothing is sent. --view shows traces here.\n".to_owned(),
    ] {
        assert_eq!(
            stderr.matches(&format!("pillion: warning: {line}")).count(),
            1,
            "{line}{stderr}"
        );
    }
    assert_eq!(stderr.lines().count(), 5, "{stderr}");
    assert!(!stderr.contains(SECRET), "{stderr}");
}

#[test]
fn a_host_in_a_file_is_that_of_the_payloads() {
    let (intake, port) = (Recorder::http(), free_port());
    let mut host = tempfile::NamedTempFile::new().unwrap();
    writeln!(host, " web-7 ").unwrap();
    let folder = folder(
        &text(&intake, port)
            .replace("hostname: web-1", &format!("hostname_file: {}", host.path().display())),
    );
    let conf = [("DD_CONF_PATH", folder.path().to_str().unwrap())];
    let mut wrapped = start(&[], "exec sleep 60", &conf);
    assert_eq!(payload(&mut wrapped, port, &intake).hostname, "web-7");
    assert_eq!(wrapped.stderr(), "");
}

#[test]
fn a_socket_that_was_opened_before_is_served_and_not_passed_on() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    fcntl(&listener, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let number = listener.as_raw_fd().to_string();
    // The port of the settings is not opened: it is that of the socket, which would be taken.
    let port_text = port.to_string();
    let env = [("DD_APM_NET_RECEIVER_FD", number.as_str()), ("DD_APM_RECEIVER_PORT", &port_text)];
    let script = format!("test -e /proc/self/fd/{number} && echo open; exec sleep 60");
    let mut wrapped = start(&[], &script, &env);
    drop(listener);
    wait_until("it answers", || get(port, "/info") == Some(200));
    wrapped.signal(Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(143));
    assert_eq!(wrapped.stdout(), b"", "the app has the socket");
    assert_eq!(
        wrapped.stderr(),
        "pillion: warning: No DD_API_KEY: nothing is sent. --view shows traces here.\n"
    );
    assert!(wrapped.age() < Duration::from_secs(60));
}
