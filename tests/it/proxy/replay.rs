//! What real tracers sent, replayed: it arrives byte for byte.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::proxy::Fixture;
use crate::support::http::Answer;

/// A recorded request: method, path, headers, body.
fn recorded(folder: &str, number: &str) -> (String, String, Vec<(String, String)>, Vec<u8>) {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let file = |ending: &str| fs::read(base.join(format!("{number}.{ending}"))).unwrap();
    let head: Value = serde_json::from_slice(&file("json")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let headers = match &head["headers"] {
        Value::Object(headers) => headers.iter().map(|(k, v)| (k.clone(), text(v))).collect(),
        headers => {
            let pairs = headers.as_array().unwrap().iter();
            pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
        }
    };
    (text(&head["method"]), text(&head["path"]), headers, file("body"))
}

fn replay(fixture: &Fixture, folder: &str, number: &str) -> (Answer, Vec<u8>) {
    let (method, path, headers, body) = recorded(folder, number);
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    let is_chunked = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
    for (name, value) in &headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut client = fixture.client();
    client.send(format!("{head}\r\n").as_bytes());
    if is_chunked {
        for piece in body.chunks(5000) {
            client.send(format!("{:x}\r\n", piece.len()).as_bytes());
            client.send(&[piece, b"\r\n"].concat());
        }
        client.send(b"0\r\n\r\n");
    } else {
        client.send(&body);
    }
    (client.answer(), body)
}

#[test]
fn real_profiles_probes_and_crash_reports_arrive_as_they_were() {
    for (folder, number, host, path) in [
        (
            "dd-trace-js-5.132.0-express-profiling",
            "0008",
            "intake.profile.dd.test",
            "/api/v2/profile",
        ),
        ("ddtrace-py-4.16.0-flask-profiling", "0006", "intake.profile.dd.test", "/api/v2/profile"),
        (
            "ddtrace-py-4.16.0-flask-rc",
            "0003",
            "debugger-intake.dd.test",
            "/api/v2/debugger?ddtags=host%3Abox%2C",
        ),
        ("ddtrace-py-4.16.0-flask-rc", "0004", "debugger-intake.dd.test", "/api/v2/debugger"),
        (
            "dd-trace-js-6.21.0-crash",
            "0000",
            "instrumentation-telemetry-intake.dd.test",
            "/api/v2/apmtelemetry",
        ),
        (
            "dd-trace-js-6.21.0-crash",
            "0001",
            "error-tracking-intake.dd.test",
            "/api/v2/errorsintake",
        ),
        (
            "dd-trace-js-6.21.0-crash",
            "0003",
            "error-tracking-intake.dd.test",
            "/api/v2/errorsintake",
        ),
    ] {
        let fixture = Fixture::start();
        let (answer, body) = replay(&fixture, folder, number);
        assert_eq!(answer.status / 100, 2, "{folder} {number}: {answer:?}");
        fixture.outside.wait_for(folder, |requests| requests.len() == 1);
        let request = &fixture.outside.requests()[0];
        assert_eq!(request.header("host"), Some(host), "{folder} {number}");
        assert!(request.path.starts_with(path), "{folder} {number}: {}", request.path);
        assert!(request.wire == body, "{folder} {number}");
    }
}
