//! The program itself: what is wired, when it starts, how it ends.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::http::{Client, request};
use crate::support::recorder::{Answer, Recorder};
use crate::support::wrapped::{Wrapped, free_port, get, pillion, wait_until};

const KEY: &str = "7ae4f9ccb1c2d3e4f5061728394a5b6d";

const SPANS: &[u8] = br#"[[{"service":"s","name":"n","resource":"r","trace_id":1,"span_id":1,"start":1750000000000000000,"duration":1}]]"#;

/// `sleep` under pillion with these variables, once it takes requests.
fn start(env: &[(&str, &str)]) -> (Wrapped, SocketAddr) {
    let port = free_port();
    let port_text = port.to_string();
    let mut all = vec![
        ("DD_API_KEY", KEY),
        ("DD_APM_RECEIVER_PORT", port_text.as_str()),
        ("DD_APM_TELEMETRY_DD_URL", "127.0.0.1:1"),
    ];
    all.extend(env);
    let pillion = pillion().display().to_string();
    let wrapped = Wrapped::start(&[&pillion, "sleep", "60"], Path::new("/bin"), &all);
    wait_until("it takes requests", || get(port, "/info") == Some(200));
    (wrapped, ([127, 0, 0, 1], port).into())
}

fn send_spans(to: SocketAddr) {
    let json = [("Content-Type", "application/json")];
    assert_eq!(Client::tcp(to).ask("POST", "/v0.4/traces", &json, SPANS).status, 200);
}

/// The names of the process's threads.
fn threads(wrapped: &Wrapped) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", wrapped.id())).unwrap();
    let names =
        tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[test]
fn the_thread_is_there_only_once_something_is_passed_on() {
    let outside = Recorder::http();
    let url = outside.url();
    let env = [("DD_APM_DD_URL", url.as_str()), ("DD_APM_SYMDB_DD_URL", url.as_str())];
    let (wrapped, address) = start(&env);
    send_spans(address);
    let has_thread = || threads(&wrapped).iter().any(|name| name == "pillion-proxy");
    assert!(!has_thread(), "{:?}", threads(&wrapped));
    assert_eq!(Client::tcp(address).ask("POST", "/symdb/v1/input", &[], b"x").status, 202);
    assert!(has_thread());
}

#[test]
fn what_is_under_way_at_the_end_is_delivered_beside_the_last_traces() {
    let outside = Recorder::http();
    outside.script([Answer::ok().after(Duration::from_millis(800))]);
    let url = outside.url();
    let profiles = format!("{url}/profiles");
    let env = [("DD_APM_DD_URL", url.as_str()), ("DD_APM_PROFILING_DD_URL", profiles.as_str())];
    let (mut wrapped, address) = start(&env);
    let mut client = Client::tcp(address);
    client.send(&request("POST", "/profiling/v1/input", &[], &vec![7; 300_000]));
    wait_until("the profile is under way", || outside.busy_max() == 1);
    send_spans(address);
    wrapped.signal(Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(143));
    let requests = outside.requests();
    let sent = |path: &str| requests.iter().filter(|r| r.path == path && r.is_taken()).count();
    assert_eq!((sent("/profiles"), sent("/api/v0.2/traces")), (1, 1));
    assert_eq!(wrapped.stderr(), "");
}

#[test]
fn additional_intakes_get_copies_and_a_dead_one_ends_with_the_deadline_and_a_line() {
    let (main, other, hangs) = (Recorder::http(), Recorder::http(), Recorder::http());
    hangs.always(Answer::hang());
    let further = format!(r#"{{"{}": ["k2", "k3"], "{}": ["k4"]}}"#, other.url(), hangs.url());
    let url = main.url();
    let env = [
        ("DD_APM_DD_URL", url.as_str()),
        ("DD_APM_ADDITIONAL_ENDPOINTS", further.as_str()),
        ("DD_PILLION_STOP_TIMEOUT", "2"),
        ("DD_SERVERLESS_INIT_DISABLE_TRACE_STATS", "true"),
    ];
    let (mut wrapped, address) = start(&env);
    send_spans(address);
    let asked = Instant::now();
    wrapped.signal(Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(143));
    let took = asked.elapsed();
    assert!((Duration::from_millis(1500)..Duration::from_secs(6)).contains(&took), "{took:?}");
    let keys = |recorder: &Recorder| {
        let taken = recorder.taken("/api/v0.2/traces");
        let mut keys: Vec<_> =
            taken.iter().map(|r| r.header("dd-api-key").unwrap().to_owned()).collect();
        keys.sort();
        keys
    };
    assert_eq!(
        (keys(&main), keys(&other)),
        (vec![KEY.to_owned()], vec!["k2".to_owned(), "k3".to_owned()])
    );
    let line = format!(
        "pillion: warning: to {}: spans: 1 received, 0 sent, 1 lost (1 not delivered by the stop deadline)\n",
        hangs.address()
    );
    assert_eq!(wrapped.stderr(), line);
}
