//! The relay against a real HTTP server: what is on the wire.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pillion::ledger::{Counts, Ledger};
use pillion::relay::{Compression, Kind, Payload, Relay, Settings};
use pillion::secret::ApiKey;

use crate::support::recorder::Recorder;

#[test]
fn a_payload_arrives_with_the_agents_headers() {
    let intake = Recorder::http();
    let settings = Settings {
        api_key: ApiKey::new("0123456789abcdef0123456789abcdef"),
        trace_url: intake.url(),
        queue_bytes_max: 32 << 20,
        compression: Compression::Zstd,
        proxy_http: None,
        proxy_https: None,
        no_proxy: Vec::new(),
        ca_file: None,
        skip_tls_check: false,
        request_timeout: Duration::from_secs(10),
    };
    let ledger = Arc::new(Ledger::default());
    let relay = Relay::start(settings, Arc::clone(&ledger)).unwrap();
    let counts = Counts { spans: 3, chunks: 1, stats_groups: 0 };
    ledger.received(counts);
    let body = b"not really protobuf".repeat(100);
    relay.push(Payload {
        kind: Kind::Traces,
        body: body.clone(),
        counts,
        languages: "go|python".to_owned(),
        parts: Vec::new(),
    });
    assert!(relay.flush(Instant::now() + Duration::from_secs(20)));
    let requests = intake.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body, body);
    assert_eq!(ledger.spans.read().sent, 3);
}
