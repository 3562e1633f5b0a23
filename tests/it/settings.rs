//! Settings as a user meets them: a bad one is said and stops nothing, a secret is seen nowhere.

use std::path::Path;

use crate::support::http::Client;
use crate::support::wrapped::{Wrapped, free_port, get, pillion, wait_until};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

const BODY: &[u8] = br#"[[{"trace_id": 1, "span_id": 1, "service": "a", "name": "b", "resource": "c", "start": 1, "duration": 1}]]"#;

/// Runs `sh -c script` under pillion with `env` on a free port.
fn start(script: &str, env: &[(&str, &str)]) -> (Wrapped, u16) {
    let (port, pillion) = (free_port(), pillion());
    let port_text = port.to_string();
    let env = [&[("DD_APM_RECEIVER_PORT", port_text.as_str())], env].concat();
    (
        Wrapped::start(&[pillion.to_str().unwrap(), "sh", "-c", script], Path::new("/bin"), &env),
        port,
    )
}

#[test]
fn bad_settings_are_said_once_each_and_the_app_runs() {
    let env = [
        ("DD_APM_TARGET_TPS", "lots"),
        ("DD_SITE", "mars"),
        ("DD_APM_MAX_MEMORY", "1000"),
        ("DD_HOSTNAME_FQDN", "true"),
        ("DD_PILLION_STOP_TIMEOUT", "1 s"),
    ];
    let (mut wrapped, _) = start("echo ran; exit 3", &env);
    assert_eq!(wrapped.wait().code(), Some(3));
    assert_eq!(wrapped.stdout(), b"ran\n");
    let stderr = wrapped.stderr();
    for line in [
        "pillion: warning: invalid DD_APM_TARGET_TPS: \"lots\" is not a number of 0 or more, using 10\n",
        "pillion: warning: invalid DD_SITE: \"mars\" is not a host name such as datadoghq.eu, using datadoghq.com\n",
        "pillion: warning: not supported, ignored: DD_APM_MAX_MEMORY, DD_HOSTNAME_FQDN; the table of such settings in the README says why\n",
        "pillion: warning: No DD_API_KEY: nothing is sent. --view shows traces here.\n",
    ] {
        assert_eq!(stderr.matches(line).count(), 1, "{line}{stderr}");
    }
    assert!(stderr.contains("pillion: error: the app ended with exit code 3 after "), "{stderr}");
    assert_eq!(stderr.lines().count(), 5, "{stderr}");
}

#[test]
fn the_key_and_a_proxys_password_are_seen_nowhere() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let proxy = format!("http://me:{SECRET}@127.0.0.1:{}", free_port());
    let env = [
        ("DD_API_KEY", SECRET),
        ("DD_APM_DD_URL", nobody.as_str()),
        ("DD_PROXY_HTTP", proxy.as_str()),
        ("DD_LOG_LEVEL", "trace"),
        ("DD_PILLION_FLUSH_INTERVAL", "100ms"),
        ("DD_PILLION_STOP_TIMEOUT", "1"),
    ];
    let (mut wrapped, port) = start("exec sleep 60", &env);
    wait_until("it takes traces", || get(port, "/info") == Some(200));
    let mut client = Client::tcp(([127, 0, 0, 1], port).into());
    let info = client.ask("GET", "/info", &[], b"");
    assert!(!info.text().contains(SECRET), "{}", info.text());
    let answer = client.ask("POST", "/v0.4/traces", &[("Content-Type", "application/json")], BODY);
    assert_eq!(answer.status, 200, "{answer:?}");
    // The proxy refuses the connection, and the relay says so.
    wait_until("the relay has complained", || wrapped.stderr().contains("127.0.0.1"));
    wrapped.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(143));
    let stderr = wrapped.stderr();
    assert!(!stderr.contains(SECRET), "{stderr}");
    assert!(
        stderr.contains("spans: 1 received, 0 sent, 1 lost (1 not delivered by the stop deadline)"),
        "{stderr}"
    );
}

#[test]
fn what_was_delivered_is_said_to_those_who_ask() {
    for (level, is_said) in [("info", true), ("warn", false), ("off", false)] {
        let (mut wrapped, port) = start("exec sleep 60", &[("DD_LOG_LEVEL", level)]);
        wait_until("it takes traces", || get(port, "/info") == Some(200));
        let mut client = Client::tcp(([127, 0, 0, 1], port).into());
        client.ask("POST", "/v0.4/traces", &[("Content-Type", "application/json")], BODY);
        wrapped.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(wrapped.wait().code(), Some(143));
        let stderr = wrapped.stderr();
        assert_eq!(
            stderr.contains("spans: 1 received, 0 sent, 1 lost (1 no DD_API_KEY)"),
            is_said,
            "{level}: {stderr}"
        );
        assert_eq!(stderr.is_empty(), level == "off", "{level}: {stderr}");
    }
}

#[test]
fn a_taken_otlp_port_is_one_line_and_nothing_else_suffers() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let http = format!("127.0.0.1:{}", other.local_addr().unwrap().port());
    let grpc_port = free_port();
    let grpc = format!("127.0.0.1:{grpc_port}");
    let env = [
        ("DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_ENDPOINT", http.as_str()),
        ("DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_GRPC_ENDPOINT", grpc.as_str()),
    ];
    let (mut wrapped, port) = start("exec sleep 60", &env);
    wait_until("it takes traces", || get(port, "/info") == Some(200));
    // Bound before the app was there.
    let mut client = crate::support::grpc::Client::new(([127, 0, 0, 1], grpc_port).into());
    assert_eq!(client.export(&crate::support::otlp::request(1, 1)).code(), 0);
    wrapped.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(143));
    let stderr = wrapped.stderr();
    assert_eq!(
        stderr.matches(&format!("cannot listen on {http} for OTLP: ")).count(),
        1,
        "{stderr}"
    );
    // The other line says that there is no key.
    assert_eq!(stderr.lines().count(), 2, "{stderr}");
}
