//! What real SDKs and made-up requests say goes through with nothing lost: every span of a body is sent, with the fields that it came with.

use std::collections::BTreeSet;

use crate::support::decoded::Value;
use crate::support::grpc;
use crate::support::http::Client;
use crate::support::otlp::{JSON, PROTOBUF, cases, spans};
use crate::support::running_otlp::RunningOtlp;

type Ids = BTreeSet<(String, u64)>;

fn sent_ids(body: &[u8]) -> Ids {
    let low = |id: &[u8]| u64::from_be_bytes(id[id.len() - 8..].try_into().unwrap());
    let id = |trace: &[u8]| trace.iter().map(|byte| format!("{byte:02x}")).collect();
    spans(body).iter().map(|span| (id(&span.trace_id), low(&span.span_id))).collect()
}

#[test]
fn every_span_of_every_recorded_body_arrives_in_each_way() {
    for case in cases() {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let protobuf = std::fs::read(case.join("request.bin")).unwrap();
        let expected = sent_ids(&protobuf);
        let mut ways: Vec<(&str, RunningOtlp)> = Vec::new();
        let over_http = RunningOtlp::new();
        assert_eq!(
            Client::tcp(over_http.http).ask("POST", "/v1/traces", &[PROTOBUF], &protobuf).status,
            200
        );
        ways.push(("protobuf", over_http));
        let over_grpc = RunningOtlp::new();
        let answer = grpc::Client::new(over_grpc.grpc).export(&protobuf);
        assert_eq!((answer.code(), answer.unframed().len()), (0, 0), "{name}");
        ways.push(("gRPC", over_grpc));
        if let Ok(json) = std::fs::read(case.join("request.json")) {
            let over_json = RunningOtlp::new();
            assert_eq!(
                Client::tcp(over_json.http).ask("POST", "/v1/traces", &[JSON], &json).status,
                200
            );
            ways.push(("JSON", over_json));
        }
        for (way, mut running) in ways {
            let payloads = running.payloads();
            let read = running.ledger.spans.read();
            assert_eq!((read.rejected, read.shed_total()), (0, 0), "{name} {way}");
            // The app's own wish to drop a trace is the only reason for a span not to be there.
            let mut arrived = Ids::new();
            for payload in &payloads {
                for chunk in &payload.chunks {
                    assert!(chunk.attributes.contains_key("_dd.otlp_sr"), "{name} {way}");
                    for span in &chunk.spans {
                        assert_eq!(
                            span.text("otel.trace_id").map(|id| &id[16..]),
                            Some(format!("{:032x}", chunk.trace_id)[16..].as_ref())
                        );
                        arrived
                            .insert((span.text("otel.trace_id").unwrap().to_owned(), span.span_id));
                    }
                }
            }
            assert!(arrived.is_subset(&expected), "{name} {way}");
            assert_eq!((expected.len() - arrived.len()) as u64, read.sampled_out, "{name} {way}");
        }
    }
}

#[test]
fn a_python_apps_spans_arrive_as_datadog_shows_them() {
    let folder =
        cases().into_iter().find(|case| case.ends_with("corpus-python-1.45.2-http-0003")).unwrap();
    let mut running = RunningOtlp::new();
    let body = std::fs::read(folder.join("request.bin")).unwrap();
    assert_eq!(Client::tcp(running.http).ask("POST", "/v1/traces", &[PROTOBUF], &body).status, 200);
    let payloads = running.payloads();
    let payload = &payloads[0];
    assert_eq!(
        (
            payload.language_name.as_str(),
            payload.tracer_version.as_str(),
            payload.env.as_str(),
            payload.app_version.as_str()
        ),
        ("python", "otlp-1.45.2", "prod", "1.2.3")
    );
    let container = payload.attributes.get("_dd.tags.container");
    assert_eq!(container, Some(&Value::Text("cloud_provider:gcp".to_owned())));
    let spans: Vec<_> = payload.chunks.iter().flat_map(|chunk| &chunk.spans).collect();
    let failed = spans.iter().find(|span| span.error).expect("the request that failed");
    assert_eq!(
        (
            failed.service.as_str(),
            failed.name.as_str(),
            failed.resource.as_str(),
            failed.kind.as_str()
        ),
        ("hello-otel", "http.server.request", "GET /users/{id}", "web")
    );
    assert_eq!(failed.text("error.msg"), Some("half done"));
    assert_eq!(
        (failed.number("http.status_code"), failed.number("_top_level")),
        (Some(500.0), Some(1.0))
    );
    assert!(failed.text("events").unwrap().contains("bad value: ünïcode ☃"));
    assert_eq!(failed.span_kind, 2);
    assert!(spans.iter().any(|span| span.name == "sqlite.query" && span.kind == "sql"));
}
