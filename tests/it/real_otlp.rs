//! Apps with OpenTelemetry's own SDKs under the release binary: every span that the SDK made arrives, as Datadog shows it, and is counted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::arrived::{self, Arrived};
use crate::support::recorder::Recorder;
use crate::support::wrapped::{Wrapped, cache, free_port, pillion};

const ORDERS: usize = 20;

/// A file of `tests/real/otlp`.
fn file(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/otlp").join(name).display().to_string()
}

/// Runs the app to its end with this exporter; gives what arrived by span id.
fn run(
    command: &[&str],
    path: &Path,
    protocol: &str,
    env: &[(&str, &str)],
) -> BTreeMap<u64, Arrived> {
    let intake = Recorder::http();
    let [receiver, http, grpc] = [(); 3].map(|()| free_port());
    let is_grpc = protocol == "grpc";
    let url = intake.url();
    let receiver = receiver.to_string();
    let [http_endpoint, grpc_endpoint] = [http, grpc].map(|port| format!("localhost:{port}"));
    let target = format!("http://127.0.0.1:{}", if is_grpc { grpc } else { http });
    let orders = ORDERS.to_string();
    let mut all = vec![
        ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
        ("DD_APM_DD_URL", url.as_str()),
        ("DD_APM_RECEIVER_PORT", receiver.as_str()),
        ("DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_ENDPOINT", http_endpoint.as_str()),
        ("DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_GRPC_ENDPOINT", grpc_endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", target.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_SERVICE_NAME", "hello"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.2.3,deployment.environment.name=testing"),
        ("ORDERS", orders.as_str()),
    ];
    all.extend(env);
    let pillion = pillion().display().to_string();
    let words: Vec<&str> = [pillion.as_str()].iter().chain(command).copied().collect();
    let mut wrapped = Wrapped::start(&words, path, &all);
    let status = wrapped.wait();
    assert_eq!(
        (status.code(), wrapped.stderr().as_str()),
        (Some(0), ""),
        "neither has anything to say"
    );

    let spans = arrived::spans(&intake);
    let stdout = String::from_utf8(wrapped.stdout()).unwrap();
    let made: Vec<(String, u64)> = stdout
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            let (trace, span) = (words.next().unwrap(), words.next().unwrap());
            (trace.to_owned(), u64::from_str_radix(span, 16).unwrap())
        })
        .collect();
    assert_eq!(made.len(), 2 * ORDERS + 1, "{stdout}");
    assert_eq!(spans.len(), made.len());
    for (trace, span) in &made {
        let arrived = &spans[span];
        assert_eq!(format!("{:032x}", arrived.span.trace_id), *trace);
        assert_eq!(arrived.span.text("otel.trace_id"), Some(trace.as_str()));
    }
    assert_eq!(arrived::hits(&intake), arrived::expected_hits(&spans));
    spans
}

/// What every SDK has to have said.
fn check(spans: &BTreeMap<u64, Arrived>, language: &str) {
    for arrived in spans.values() {
        let said = (arrived.env.as_str(), arrived.version.as_str(), arrived.language.as_str());
        assert_eq!(said, ("testing", "1.2.3", language), "{arrived:?}");
        assert_eq!((arrived.priority, arrived.span.text("otel.scope.name")), (1, Some("shop")));
    }
    let of = |name: &str, resource: &str| -> Vec<&Arrived> {
        let is_it = |arrived: &&Arrived| {
            (arrived.span.name.as_str(), arrived.span.resource.as_str()) == (name, resource)
        };
        spans.values().filter(is_it).collect()
    };
    let servers = of("http.server.request", "GET /orders/{number}");
    assert_eq!(servers.len(), ORDERS);
    for server in &servers {
        let span = &server.span;
        assert_eq!(
            (span.kind.as_str(), span.service.as_str(), span.span_kind),
            ("web", "hello", 2)
        );
        assert_eq!(
            (span.number("http.status_code"), span.number("_top_level")),
            (Some(200.0), Some(1.0))
        );
        assert!(span.text("events").unwrap().contains("accepted"), "{span:?}");
    }
    let queries: Vec<&Arrived> = spans
        .values()
        .filter(|arrived| arrived.span.name == "postgresql.query")
        .filter(|arrived| {
            arrived.span.resource.starts_with("SELECT item FROM orders WHERE number = ")
        })
        .collect();
    assert_eq!(queries.len(), ORDERS);
    for query in &queries {
        assert_eq!((query.span.kind.as_str(), query.span.span_kind), ("sql", 3));
        assert!(spans.contains_key(&query.span.parent_id), "{query:?}");
    }
    let [failed] = of("http.server.request", "GET")[..] else { panic!("{spans:#?}") };
    assert!(failed.span.error);
    assert_eq!(failed.span.text("error.msg"), Some("the warehouse is closed"));
    assert_eq!(failed.span.text("_dd.span_events.has_exception"), Some("true"));
    assert!(failed.span.text("events").unwrap().contains("exception.stacktrace"));
    assert!(failed.span.text("_dd.span_links").is_some_and(|links| links.contains("span_id")));
}

fn python(protocol: &str) {
    let path = cache().join("otlp-python/bin");
    assert!(path.join("python").exists(), "no {}: tests/run.sh installs the SDKs", path.display());
    check(
        &run(&["python", &file("app.py")], &path, protocol, &[("PYTHONUNBUFFERED", "1")]),
        "python",
    );
}

#[test]
#[ignore = "needs OpenTelemetry's SDK for Python: run by tests/run.sh"]
fn pythons_spans_arrive_over_http() {
    python("http/protobuf");
}

#[test]
#[ignore = "needs OpenTelemetry's SDK for Python: run by tests/run.sh"]
fn pythons_spans_arrive_over_grpc() {
    python("grpc");
}

#[test]
#[ignore = "needs OpenTelemetry's SDK for Node: run by tests/run.sh"]
fn nodes_spans_arrive_as_json_over_http() {
    let modules = cache().join("otlp-node/node_modules");
    assert!(modules.exists(), "no {}: tests/run.sh installs the SDKs", modules.display());
    let modules = modules.display().to_string();
    let spans = run(
        &["node", &file("app.js")],
        &PathBuf::from("/usr/local/bin"),
        "http/json",
        &[("NODE_PATH", modules.as_str())],
    );
    check(&spans, "nodejs");
}
