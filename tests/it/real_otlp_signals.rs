//! An app with OpenTelemetry's own SDK under the binary: what it measured and logged arrives, as Datadog shows it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::support::metrics::{self, Series, Sketch};
use crate::support::recorder::Recorder;
use crate::support::wrapped::{Wrapped, cache, free_port, pillion};

const ORDERS: usize = 20;

/// Runs an app of `tests/real/otlp` to its end with this exporter and these settings, and gives what arrived.
fn run(
    words: [&str; 2],
    path: &Path,
    env: &[(&str, &str)],
    protocol: &str,
    temporality: &str,
) -> Recorder {
    let intake = Recorder::http();
    let url = intake.url();
    let [receiver, dogstatsd, http, grpc] = [(); 4].map(|()| free_port());
    let [receiver, dogstatsd] = [receiver, dogstatsd].map(|port| port.to_string());
    let [http_endpoint, grpc_endpoint] = [http, grpc].map(|port| format!("localhost:{port}"));
    let target = format!("http://127.0.0.1:{}", if protocol == "grpc" { grpc } else { http });
    let orders = ORDERS.to_string();
    let mut all = vec![
        ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
        ("DD_APM_DD_URL", url.as_str()),
        ("DD_DD_URL", url.as_str()),
        ("DD_LOGS_CONFIG_LOGS_DD_URL", url.as_str()),
        ("DD_LOG_LEVEL", "info"),
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
    all.extend(env);
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/otlp").join(words[1]);
    let [binary, app] = [pillion(), app].map(|path| path.display().to_string());
    let mut wrapped = Wrapped::start(&[&binary, words[0], &app], path, &all);
    let status = wrapped.wait();
    let stderr = wrapped.stderr();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("lost"), "{stderr}");
    intake
}

fn python(protocol: &str, temporality: &str) -> Recorder {
    let path = cache().join("otlp-python/bin");
    assert!(path.join("python").exists(), "no {}: tests/run.sh installs the SDKs", path.display());
    run(["python", "measure.py"], &path, &[], protocol, temporality)
}

fn node(protocol: &str, temporality: &str) -> Recorder {
    let modules = cache().join("otlp-node/node_modules");
    assert!(modules.exists(), "no {}: tests/run.sh installs the SDKs", modules.display());
    let modules = modules.display().to_string();
    let env = [("NODE_PATH", modules.as_str())];
    run(["node", "measure.js"], Path::new("/usr/local/bin"), &env, protocol, temporality)
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

fn entries(intake: &Recorder) -> Vec<Value> {
    let bodies = intake.taken("/api/v2/logs");
    let all = bodies.iter().map(|request| serde_json::from_slice::<Vec<Value>>(&request.body));
    all.flat_map(|entries| entries.expect("a list of entries")).collect()
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
    let entries = entries(intake);
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
    let intake = python("http/protobuf", "cumulative");
    check(&intake);
    // The first total is what the second is compared with.
    let took = sketches(&intake, "shop.took");
    let [took] = took.as_slice() else { panic!("{took:?}") };
    assert_eq!((took.dogsketches[0].cnt, took.dogsketches[0].sum), (5, 510.0));
}

#[test]
#[ignore = "needs OpenTelemetry's SDK for Python: run by tests/run.sh"]
fn what_python_measures_arrives_over_grpc() {
    let intake = python("grpc", "delta");
    check(&intake);
    let took = sketches(&intake, "shop.took");
    let sketches: Vec<_> = took.iter().flat_map(|sketch| &sketch.dogsketches).collect();
    assert_eq!(sketches.iter().map(|sketch| sketch.cnt).sum::<i64>(), 25);
    assert_eq!(sketches.iter().map(|sketch| sketch.sum).sum::<f64>(), 190.0 + 510.0);
}

/// What Node's SDK has to have brought beside that.
fn check_node(intake: &Recorder) {
    check(intake);
    let [scope, version] = ["instrumentation_scope:shop", "instrumentation_scope_version:0.1"];
    let shared = [
        "env:testing",
        scope,
        version,
        "local:true",
        "service:hello",
        "team:books",
        "version:1.2.3",
    ];
    for (name, own, kind, last) in [
        ("shop.orders", Some("kind:book"), 1, None),
        ("shop.opened", Some("door:öst"), 1, None),
        ("shop.queue", None, 3, Some(40.0)),
        ("shop.price", None, 3, Some(23.75)),
    ] {
        let mut tags: Vec<&str> = own.into_iter().chain(shared).collect();
        tags.sort_unstable();
        let all = series(intake, name);
        assert!(!all.is_empty(), "no {name}");
        for series in all {
            let mut own = series.tags.clone();
            own.sort();
            assert_eq!(
                (&own, series.kind, series.interval),
                (&tags.iter().map(ToString::to_string).collect(), kind, 0)
            );
            assert!(series.resources.iter().all(|resource| resource.name.is_empty()), "{series:?}");
            assert!(
                last.is_none_or(|last| series.points.iter().all(|point| point.value == last)),
                "{series:?}"
            );
        }
    }
    let names: BTreeSet<String> = intake.series().into_iter().map(|series| series.metric).collect();
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["shop.opened", "shop.orders", "shop.price", "shop.queue"]
    );
    for (number, entry) in entries(intake).iter().enumerate() {
        assert_eq!(entry["dd.trace_id"], 0x8448_eb21_1c80_319c_u64.to_string());
        assert_eq!(entry["dd.span_id"], 0xb7ad_6b71_6920_3331_u64.to_string());
        assert_eq!(entry["otel.trace_id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(
            (&entry["shop.gift"], &entry["place"]),
            (&(number % 2 == 0).into(), &"Zoë’s".into())
        );
    }
}

/// What is sent as changes: every value once, whichever way.
fn node_by_delta(protocol: &str) {
    let intake = node(protocol, "delta");
    check_node(&intake);
    assert_eq!(total(&series(&intake, "shop.opened")), 3.0);
    let of = |name: &str| -> Vec<(i64, f64, f64, f64)> {
        let found = sketches(&intake, name);
        assert!(found.iter().all(|sketch| sketch.host.is_empty()), "{found:?}");
        let all = found.iter().flat_map(|sketch| &sketch.dogsketches);
        all.map(|sketch| (sketch.cnt, sketch.sum, sketch.min, sketch.max)).collect()
    };
    assert_eq!(of("shop.took"), [(20, 190.0, 0.0, 19.0), (5, 510.0, 100.0, 104.0)]);
    assert_eq!(of("shop.weight"), [(20, 200.0, 0.5, 19.5)]);
}

#[test]
#[ignore = "needs OpenTelemetry's SDK for Node: run by tests/run.sh"]
fn what_node_measures_arrives_as_protobuf_over_http() {
    node_by_delta("http/protobuf");
}

#[test]
#[ignore = "needs OpenTelemetry's SDK for Node: run by tests/run.sh"]
fn what_node_measures_arrives_over_grpc() {
    node_by_delta("grpc");
}

#[test]
#[ignore = "needs OpenTelemetry's SDK for Node: run by tests/run.sh"]
fn what_node_measures_arrives_as_json_and_totals() {
    let intake = node("http/json", "cumulative");
    check_node(&intake);
    // A first total that began when it was read is not known to be of this app: the agent sends nothing of it, and this SDK reads such counters so.
    assert_eq!(total(&series(&intake, "shop.opened")), 0.0);
    // The first total is what the second is compared with; exponential histograms are for changes alone.
    let took = sketches(&intake, "shop.took");
    let [took] = took.as_slice() else { panic!("{took:?}") };
    assert_eq!((took.dogsketches[0].cnt, took.dogsketches[0].sum), (5, 510.0));
    assert!(sketches(&intake, "shop.weight").is_empty());
}
