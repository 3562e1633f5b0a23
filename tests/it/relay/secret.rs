//! The API key and the proxy's password appear in no line, no error and no debug output.

use std::time::{Duration, Instant};

use pillion::ledger::Shed;
use pillion::relay::Settings;
use pillion::secret::{ApiKey, Url};

use crate::relay::{Fixture, settings, wait_until};
use crate::support::connect_proxy::ConnectProxy;
use crate::support::lines;
use crate::support::recorder::{Answer, Recorder};

/// A key and a password that no other test has.
const KEY: &str = "0e1f2a3b4c5d6e7f-of-this-test-alone";
const PASSWORD: &str = "s3cr3t-of-this-test-alone";

fn with_secrets(url: &str, proxy: &str) -> Settings {
    let proxy = Some(Url::new(proxy));
    let api_key = ApiKey::new(KEY);
    let mut settings = Settings { proxy_http: proxy.clone(), proxy_https: proxy, ..settings(url) };
    settings.traces.api_key = api_key;
    settings
}

/// Pushes until something is said about `name`, then ends.
fn fail(settings: Settings, name: &str) {
    for text in [format!("{settings:?}"), format!("{settings:#?}")] {
        assert!(!text.contains(KEY) && !text.contains(PASSWORD), "{text}");
    }
    let fixture = Fixture::start(settings);
    fixture.push_number(1);
    wait_until(&format!("a line about {name}"), || {
        lines::with(name).iter().any(|line| line.starts_with("WARN"))
    });
    let debug = format!("{:?} {:?}", fixture.relay, fixture.ledger);
    assert!(!debug.contains(KEY), "{debug}");
    assert!(
        fixture.relay.flush(Instant::now() + Duration::from_millis(1))
            || fixture.shed(Shed::Deadline) == 1
    );
}

#[test]
fn secrets_are_in_no_line_whatever_goes_wrong() {
    let proxy = |to: &str| format!("http://me:{PASSWORD}@{to}");
    for status in [401, 403, 413, 400, 404, 302, 500] {
        let intake = Recorder::http();
        // An intake that repeats what it was given.
        let answer = Answer { body: KEY.to_owned(), ..Answer::status(status) };
        intake.always(
            answer.with("Location", &format!("http://x/?api_key={KEY}")).with("Retry-After", "0"),
        );
        fail(with_secrets(&intake.url(), &proxy("127.0.0.1:1")), &intake.address().to_string());
    }
    let intake = Recorder::https();
    fail(
        with_secrets(&intake.url(), &proxy("127.0.0.1:1")),
        &format!("localhost:{}", intake.address().port()),
    );
    for status in [407, 502] {
        let refusing = ConnectProxy::start(intake.address(), status);
        let name = format!("refused-{status}.secret.test");
        fail(
            with_secrets(&format!("https://{name}"), &proxy(&refusing.address().to_string())),
            &name,
        );
    }
    for (name, proxied) in [
        ("a.secret.test", "127.0.0.1:1"),
        ("b.secret.test", "no-such-proxy.invalid:3128"),
        ("c.secret.test", "bad host"),
    ] {
        fail(with_secrets(&format!("http://{name}"), &proxy(proxied)), name);
        fail(with_secrets(&format!("https://tls-{name}"), &proxy(proxied)), name);
    }
    fail(with_secrets("ftp://d.secret.test", ""), "d.secret.test");
    fail(with_secrets("e.secret.test", ""), "e.secret.test");
    for secret in [KEY, PASSWORD] {
        assert_eq!(lines::of_all_with(secret), Vec::<String>::new());
    }
}
