//! An app with OpenTelemetry's own SDK under the binary: what it measured and logged arrives, as Datadog shows it.

use std::path::Path;

use serde_json::Value;

use crate::support::metrics::{self, Series, Sketch};
use crate::support::recorder::Recorder;
use crate::support::wrapped::{Wrapped, cache, free_port, pillion};

const ORDERS: usize = 20;

/// Runs the app to its end with this exporter and these settings, and gives what arrived.
fn run(protocol: &str, temporality: &str) -> Recorder {
    let path = cache().join("otlp-python/bin");
    assert!(path.join("python").exists(), "no {}: tests/run.sh installs the SDKs", path.display());
    let intake = Recorder::http();
    let url = intake.url();
    let [receiver, dogstatsd, http, grpc] = [(); 4].map(|()| free_port());
    let [receiver, dogstatsd] = [receiver, dogstatsd].map(|port| port.to_string());
    let [http_endpoint, grpc_endpoint] = [http, grpc].map(|port| format!("localhost:{port}"));
    let target = format!("http://127.0.0.1:{}", if protocol == "grpc" { grpc } else { http });
    let orders = ORDERS.to_string();
    let all = [
        ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
        ("DD_APM_DD_URL", url.as_str()),
        ("DD_DD_URL", url.as_str()),
        ("DD_LOGS_CONFIG_LOGS_DD_URL", url.as_str()),
        ("DD_TAGS", "team:books"),
        ("DD_APM_RECEIVER_PORT", receiver.as_str()),
        ("DD_DOGSTATSD_PORT", dogstatsd.as_str()),
        ("DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_ENDPOINT", http_endpoint.as_str()),
        ("DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_GRPC_ENDPOINT", grpc_endpoint.as_str()),
        ("DD_OTLP_CONFIG_LOGS_ENABLED", "true"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", target.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality),
        ("OTEL_SERVICE_NAME", "hello"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.2.3,deployment.environment.name=testing"),
        ("ORDERS", orders.as_str()),
    ];
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/otlp/measure.py");
    let [binary, app] = [pillion(), app].map(|path| path.display().to_string());
    let mut wrapped = Wrapped::start(&[&binary, "python", &app], &path, &all);
    let status = wrapped.wait();
    assert_eq!(status.code(), Some(0), "{}", wrapped.stderr());
    intake
}

fn series(intake: &Recorder, name: &str) -> Vec<Series> {
    let bodies = intake.taken("/api/v2/series");
    let all = bodies.iter().flat_map(|request| metrics::series(&request.body));
    all.filter(|series| series.metric == name).collect()
}

fn sketches(intake: &Recorder, name: &str) -> Vec<Sketch> {
    let bodies = intake.taken("/api/beta/sketches");
    let all = bodies.iter().flat_map(|request| metrics::sketches(&request.body));
    all.filter(|sketch| sketch.metric == name).collect()
}

fn total(series: &[Series]) -> f64 {
    series.iter().flat_map(|series| &series.points).map(|point| point.value).sum()
}

/// What every way has to have brought.
fn check(intake: &Recorder) {
    let orders = series(intake, "shop.orders");
    assert_eq!((total(&orders), orders[0].kind, orders[0].interval), (ORDERS as f64, 1, 0));
    for tag in [
        "kind:book",
        "service:hello",
        "env:testing",
        "version:1.2.3",
        "team:books",
        "instrumentation_scope:shop",
    ] {
        assert!(orders[0].tags.iter().any(|own| own == tag), "{tag}: {:?}", orders[0].tags);
    }
    let depth = series(intake, "shop.queue");
    assert!(
        depth.iter().all(|series| series.kind == 3 && series.points[0].value == 40.0),
        "{depth:?}"
    );
    let entries: Vec<Value> = intake
        .taken("/api/v2/logs")
        .iter()
        .flat_map(|request| serde_json::from_slice::<Vec<Value>>(&request.body).unwrap())
        .collect();
    assert_eq!(entries.len(), ORDERS);
    for (number, entry) in entries.iter().enumerate() {
        assert_eq!(entry["message"], format!("order {number}"));
        assert_eq!((&entry["status"], &entry["service"]), (&"warn".into(), &"hello".into()));
        assert_eq!(entry["order"], number);
        assert!(entry["ddtags"].as_str().unwrap().contains("env:testing"), "{entry}");
    }
}

#[test]
#[ignore = "needs OpenTelemetry's SDK for Python: run by tests/run.sh"]
fn what_python_measures_arrives_over_http() {
    let intake = run("http/protobuf", "cumulative");
    check(&intake);
    // The first total is what the second is compared with.
    let took = sketches(&intake, "shop.took");
    let [took] = took.as_slice() else { panic!("{took:?}") };
    assert_eq!((took.dogsketches[0].cnt, took.dogsketches[0].sum), (5, 510.0));
}

#[test]
#[ignore = "needs OpenTelemetry's SDK for Python: run by tests/run.sh"]
fn what_python_measures_arrives_over_grpc() {
    let intake = run("grpc", "delta");
    check(&intake);
    let took = sketches(&intake, "shop.took");
    let sketches: Vec<_> = took.iter().flat_map(|sketch| &sketch.dogsketches).collect();
    assert_eq!(sketches.iter().map(|sketch| sketch.cnt).sum::<i64>(), 25);
    assert_eq!(sketches.iter().map(|sketch| sketch.sum).sum::<f64>(), 190.0 + 510.0);
}
