//! TLS and proxies.

use std::io::Write;
use std::time::{Duration, Instant};

use pillion::ledger::Shed;
use pillion::relay::Settings;
use pillion::secret::Url;
use tempfile::NamedTempFile;

use crate::relay::{Fixture, KEY, numbers, settings, wait_until};
use crate::support::connect_proxy::ConnectProxy;
use crate::support::lines;
use crate::support::recorder::Recorder;

const PASSWORD: &str = "pr0xy-Passw0rd";

fn warning(host: &str) -> String {
    let mut found = None;
    wait_until("a warning", || {
        found = lines::with(host).into_iter().find(|line| line.starts_with("WARN"));
        found.is_some()
    });
    found.unwrap()
}

fn host(intake: &Recorder) -> String {
    format!("localhost:{}", intake.address().port())
}

#[test]
fn the_users_ca_file_is_trusted() {
    let intake = Recorder::https();
    let fixture =
        Fixture::start(Settings { ca_file: Some(intake.ca_file()), ..settings(&intake.url()) });
    fixture.push_number(1);
    fixture.push_number(2);
    fixture.flush();
    let mut all = numbers(&intake);
    all.sort_unstable();
    assert_eq!(all, [1, 2]);
}

#[test]
fn a_certificate_of_an_unknown_authority_is_not_trusted() {
    let intake = Recorder::https();
    let fixture = Fixture::start(settings(&intake.url()));
    fixture.push_number(1);
    let line = warning(&host(&intake));
    assert!(line.contains("its certificate is not trusted ("), "{line}");
    assert!(!fixture.relay.flush(Instant::now()));
    assert_eq!((intake.requests().len(), fixture.shed(Shed::Deadline)), (0, 1));
}

#[test]
fn a_certificate_for_another_name_is_not_trusted_even_with_the_ca_file() {
    let intake = Recorder::https();
    let other = format!("https://127.0.0.2:{}", intake.address().port());
    let proxy = ConnectProxy::start(intake.address(), 200);
    let proxy_https = Some(Url::new(&format!("http://{}", proxy.address())));
    let other = other.replace("127.0.0.2", "other.test");
    let fixture = Fixture::start(Settings {
        ca_file: Some(intake.ca_file()),
        proxy_https,
        ..settings(&other)
    });
    fixture.push_number(1);
    let line = warning(&format!("other.test:{}", intake.address().port()));
    assert!(line.contains("its certificate is not trusted ("), "{line}");
    assert_eq!(intake.requests().len(), 0);
}

#[test]
fn any_certificate_is_accepted_where_the_user_says_so() {
    let intake = Recorder::https();
    let fixture = Fixture::start(Settings { skip_tls_check: true, ..settings(&intake.url()) });
    fixture.push_number(1);
    fixture.flush();
    assert_eq!(numbers(&intake), [1]);
}

#[test]
fn a_ca_file_that_cannot_be_used_is_said_and_the_relay_works_on() {
    let intake = Recorder::http();
    let mut garbage = NamedTempFile::new().unwrap();
    garbage
        .write_all(b"-----BEGIN CERTIFICATE-----\nnot base 64 at all!\n-----END CERTIFICATE-----\n")
        .unwrap();
    let empty = NamedTempFile::new().unwrap();
    for file in ["/nowhere/ca.pem".into(), garbage.path().to_path_buf(), empty.path().to_path_buf()]
    {
        let name = file.display().to_string();
        let fixture = Fixture::start(Settings { ca_file: Some(file), ..settings(&intake.url()) });
        fixture.push_number(1);
        fixture.flush();
        let [line] = lines::with(&name).try_into().unwrap();
        assert!(line.starts_with("WARN the CA file"), "{line}");
    }
}

#[test]
fn https_goes_through_a_tunnel_of_the_proxy_which_never_sees_the_key() {
    let intake = Recorder::https();
    let proxy = ConnectProxy::start(intake.address(), 200);
    let url = Url::new(&format!("http://me:{PASSWORD}%40@{}", proxy.address()));
    let fixture = Fixture::start(Settings {
        proxy_https: Some(url),
        proxy_http: Some(Url::new("http://127.0.0.1:1")),
        ca_file: Some(intake.ca_file()),
        ..settings("https://intake.test")
    });
    fixture.push_number(1);
    fixture.flush();
    fixture.push_number(2);
    fixture.flush();
    assert_eq!(numbers(&intake), [1, 2]);
    let [asked] = proxy.asked().try_into().unwrap();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("CONNECT", "intake.test:443"));
    // "me:pr0xy-Passw0rd@"
    assert_eq!(asked.authorization.as_deref(), Some("Basic bWU6cHIweHktUGFzc3cwcmRA"));
    assert!(!asked.head.contains(KEY));
    assert_eq!(intake.requests()[0].header("proxy-authorization"), None);
}

#[test]
fn http_goes_through_the_proxy_for_http() {
    let intake = Recorder::http();
    let proxy = ConnectProxy::start(intake.address(), 200);
    let url = Url::new(&format!("me:{PASSWORD}@{}", proxy.address()));
    let fixture =
        Fixture::start(Settings { proxy_http: Some(url), ..settings("http://intake.test:8080") });
    fixture.push_number(1);
    fixture.flush();
    assert_eq!(numbers(&intake), [1]);
    let [asked] = proxy.asked().try_into().unwrap();
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("POST", "http://intake.test:8080/api/v0.2/traces")
    );
    assert_eq!(asked.authorization.as_deref(), Some("Basic bWU6cHIweHktUGFzc3cwcmQ="));
}

#[test]
fn a_target_that_no_proxy_names_is_asked_directly() {
    let intake = Recorder::http();
    let proxy = ConnectProxy::start(intake.address(), 200);
    let url = || Some(Url::new(&format!("http://{}", proxy.address())));
    let no_proxy = vec![".other.test, invalid-intake.test".to_owned()];
    let direct = Fixture::start(Settings {
        proxy_http: url(),
        no_proxy: no_proxy.clone(),
        ..settings("http://invalid-intake.test:81")
    });
    direct.push_number(1);
    let line = warning("invalid-intake.test:81");
    assert!(line.contains("takes no data now: "), "{line}");
    assert_eq!(proxy.asked(), []);
    // The own host is never reached through a proxy.
    let own = Fixture::start(Settings { proxy_http: url(), ..settings(&intake.url()) });
    own.push_number(2);
    own.flush();
    assert_eq!((numbers(&intake), proxy.asked()), (vec![2], Vec::new()));
    let proxied =
        Fixture::start(Settings { proxy_http: url(), no_proxy, ..settings("http://intake.test") });
    proxied.push_number(3);
    proxied.flush();
    assert_eq!((numbers(&intake), proxy.asked().len()), (vec![2, 3], 1));
}

#[test]
fn a_proxy_that_refuses_is_a_failure_that_is_tried_again() {
    let intake = Recorder::https();
    let proxy = ConnectProxy::start(intake.address(), 407);
    let url = Url::new(&format!("http://me:{PASSWORD}@{}", proxy.address()));
    let fixture =
        Fixture::start(Settings { proxy_https: Some(url), ..settings("https://refused.test") });
    fixture.push_number(1);
    let line = warning("refused.test");
    let via = format!(" (through the proxy http://{}/)", proxy.address());
    assert!(line.contains(&via) && !line.contains(PASSWORD), "{line}");
    assert!(!fixture.relay.flush(Instant::now() + Duration::from_millis(10)));
    assert_eq!(fixture.shed(Shed::Deadline), 1);
}

#[test]
fn a_proxy_that_cannot_be_used_is_said_and_the_intake_is_asked_directly() {
    for url in [
        &format!("ftp://me:{PASSWORD}@proxy-a.test"),
        &format!("http://me:{PASSWORD}@proxy-b.test:port"),
    ] {
        let fixture = Fixture::start(Settings {
            proxy_http: Some(Url::new(url)),
            ..settings("http://direct.invalid")
        });
        fixture.push_number(1);
        let name = url.split_once('@').unwrap().1;
        let line = warning(name);
        assert!(
            line.contains("the intake is asked directly") && !line.contains(PASSWORD),
            "{line}"
        );
    }
}
