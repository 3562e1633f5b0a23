//! The environment of the app: what is added to ours, and what is kept from it.

use std::path::Path;

use crate::support::wrapped::{Wrapped, pillion};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// What `env` says under the binary, sorted.
fn environment(variables: &[(&str, &str)]) -> Vec<String> {
    let pillion = pillion();
    let own = [("DD_APM_RECEIVER_PORT", "0"), ("DD_PILLION_STOP_TIMEOUT", "0")];
    let variables = [&own[..], variables].concat();
    let mut wrapped =
        Wrapped::start(&[pillion.to_str().unwrap(), "env"], Path::new("/bin"), &variables);
    assert_eq!(wrapped.wait().code(), Some(0), "{}", wrapped.stderr());
    let text = String::from_utf8(wrapped.stdout()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn the_app_has_the_defaults_of_serverless_init_where_it_has_no_value() {
    let lines = environment(&[("DD_HOSTNAME", "box"), ("DD_API_KEY", KEY)]);
    for line in [
        "DD_APM_ENABLED=true",
        "DD_HOSTNAME=box",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED=false",
        "DD_REMOTE_CONFIGURATION_ENABLED=false",
        "DD_TRACE_ENABLED=true",
        &format!("DD_API_KEY={KEY}"),
    ] {
        assert_eq!(lines.iter().filter(|own| *own == line).count(), 1, "{line}: {lines:?}");
    }
    assert_eq!(lines.iter().filter(|line| line.starts_with("DD_HOSTNAME=")).count(), 1);
}

#[test]
fn the_key_is_kept_from_the_app_where_that_is_wanted() {
    let endpoints = r#"{"https://a.example": ["abcdefabcdefabcdefabcdefabcdefab"]}"#;
    let lines = environment(&[
        ("DD_API_KEY", KEY),
        ("DD_APM_ADDITIONAL_ENDPOINTS", endpoints),
        ("DD_PILLION_HIDE_API_KEY", "true"),
    ]);
    let text = lines.join("\n");
    assert!(!text.contains(KEY) && !text.contains("abcdefab"), "{text}");
    assert!(text.contains("DD_PILLION_HIDE_API_KEY=true"), "{text}");
}
