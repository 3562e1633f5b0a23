//! What the proxy decides by itself, before any network.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use hyper::http::request::Parts;
use hyper::{Request, StatusCode};

use super::{AtOnce, Endpoint, Proxy, ReplyBody, Settings, Upstream};
use crate::ledger::{Ledger, Shed};
use crate::limits::{PROXY_AT_ONCE_MAX, TELEMETRY_BYTES_MAX};
use crate::relay::{self, Destination};
use crate::secret::ApiKey;

fn upstream(url: &str) -> Upstream {
    let api_key = ApiKey::new("k3y").unwrap();
    Upstream {
        destinations: vec![Destination { url: url.to_owned(), api_key }],
        body_bytes_max: 1000,
        timeout: Duration::from_secs(30),
    }
}

/// Settings of an agent `box` in `prod`. Nobody listens at its addresses.
pub(crate) fn settings() -> Settings {
    let nobody = || upstream("http://127.0.0.1:1/x");
    Settings {
        errors_alone: false,
        hostname: "box".to_owned(),
        env: "prod".to_owned(),
        tags: Vec::new(),
        install: None,
        telemetry: Some(upstream("https://127.0.0.1:1")),
        profiles: Some(nobody()),
        profile_tags: Vec::new(),
        evp: Some(upstream("localhost:1")),
        debugger_logs: nobody(),
        debugger: nobody(),
        symbols: nobody(),
        pipeline_stats: nobody(),
        lineage: Some(nobody()),
        flare: nobody(),
        statsd: Some(([127, 0, 0, 1], 8125).into()),
    }
}

pub(crate) fn proxy(settings: &Settings) -> (Proxy, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::default());
    (Proxy::new(settings, relay::Settings::none(), Arc::clone(&ledger)), ledger)
}

fn head(path: &str) -> Parts {
    Request::builder().uri(path).body(()).unwrap().into_parts().0
}

#[test]
fn each_endpoint_stands_at_its_number() {
    for (at, (endpoint, _)) in settings().upstreams().iter().enumerate() {
        assert_eq!(*endpoint as usize, at);
    }
}

#[test]
fn what_is_off_says_so_and_what_has_no_key_is_dropped_and_counted() {
    let mut settings = settings();
    assert_eq!(proxy(&settings).0.at_once(Endpoint::Profiles), None);
    (settings.telemetry, settings.evp, settings.lineage, settings.profiles, settings.statsd) =
        (None, None, None, None, None);
    let (proxy_off, _) = proxy(&settings);
    for (endpoint, status) in [
        (Endpoint::Evp, 405),
        (Endpoint::Lineage, 500),
        (Endpoint::Profiles, 500),
        (Endpoint::Statsd, 503),
    ] {
        let Some(AtOnce::Off(found, _)) = proxy_off.at_once(endpoint) else {
            panic!("{endpoint:?} is off")
        };
        assert_eq!(found.as_u16(), status, "{endpoint:?}");
        assert!(!proxy_off.is_on(endpoint));
    }
    assert_eq!(proxy_off.at_once(Endpoint::Telemetry), Some(AtOnce::Unknown));
    settings.symbols.destinations.clear();
    let (proxy, ledger) = proxy(&settings);
    assert_eq!(proxy.at_once(Endpoint::Symbols), Some(AtOnce::Dropped));
    assert!(proxy.is_on(Endpoint::Symbols));
    assert_eq!(ledger.passed_on.read().shed[Shed::NoKey as usize], 1);
}

#[test]
fn what_is_known_to_be_too_large_or_asks_for_too_much_is_refused_before_its_body() {
    let (proxy, ledger) = proxy(&settings());
    let ask = |endpoint, path, length| {
        proxy.pass_on(endpoint, &head(path), None, Some(length)).map_err(|reply| reply.status)
    };
    let bad_gateway = Some(StatusCode::BAD_GATEWAY);
    assert_eq!(ask(Endpoint::Profiles, "/profiling/v1/input", 1001).err(), bad_gateway);
    assert_eq!(ask(Endpoint::Evp, "/evp_proxy/v2/x", 1).err(), bad_gateway);
    let read = ledger.passed_on.read();
    assert_eq!([Shed::TooLarge, Shed::Refused].map(|reason| read.shed[reason as usize]), [1, 1]);
    assert!(!proxy.is_passing_on());
}

#[test]
fn more_than_so_many_at_once_are_refused() {
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let symbols = upstream(&format!("http://{}", silent.local_addr().unwrap()));
    let (proxy, _) = proxy(&Settings { symbols, ..settings() });
    let ask = || proxy.pass_on(Endpoint::Symbols, &head("/symdb/v1/input"), None, Some(1));
    // Each waits for its body.
    let under_way: Vec<_> = (0..PROXY_AT_ONCE_MAX).map(|_| ask().unwrap()).collect();
    let reply = ask().unwrap_err();
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(matches!(reply.body, ReplyBody::Whole(body) if body == "{}"));
    drop(under_way);
}

#[test]
fn telemetry_above_what_may_wait_is_refused() {
    let (proxy, ledger) = proxy(&settings());
    let head = head("/telemetry/proxy/api/v2/apmtelemetry");
    let large = vec![0; TELEMETRY_BYTES_MAX + 1];
    let status = |body: &[u8]| proxy.take_telemetry(&head, None, body).status.as_u16();
    assert_eq!((status(&large), status(b"{}")), (429, 200));
    assert_eq!(ledger.telemetry.read().shed[Shed::Busy as usize], 1);
    assert_eq!(ledger.passed_on.read().received, 0);
}
