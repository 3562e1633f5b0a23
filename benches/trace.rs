//! Cost of the trace path alone, without HTTP, compression and network: nanoseconds per span, over bodies given as files.
//! `cargo bench --bench trace -- [--form v04|v05|v07|v10] FILE...`: bodies of `/v0.4/traces` unless another form is named.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints its result"
)]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pillion::ledger::Ledger;
use pillion::pipeline::{Pipeline, Settings, TraceRequest};
use pillion::trace::Tracer;
use pillion::trace::decode::ApiVersion;

fn settings() -> Settings {
    Settings {
        env: "none".into(),
        hostname: String::new(),
        apm_mode: String::new(),
        install: None,
        span_tags: Vec::new(),
        origin: String::new(),
        container_tags: String::new(),
        function_tags: String::new(),
        discards_own_calls: false,
        sampling: Default::default(),
        stats_by_span_kind: true,
        peer_tags_aggregation: true,
        peer_tags: Vec::new(),
        primary_tags: Vec::new(),
        client_stats_interval: Duration::from_secs(1),
        stats_disabled: std::env::args().any(|arg| arg == "--no-stats"),
        component_to_name: false,
        big_resource: false,
        older: std::env::args().any(|arg| arg == "--older"),
        to_worker: false,
        features: Vec::new(),
        obfuscation: Default::default(),
        filters: Default::default(),
        replace: Vec::new(),
        flush_interval: Duration::from_secs(3),
        sending: true,
    }
}

fn now_ns() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// The form of the bodies, and their files.
fn arguments() -> (ApiVersion, Vec<String>) {
    let (mut version, mut files) = (ApiVersion::V04, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--form" {
            version = match arguments.next().as_deref() {
                Some("v04") => ApiVersion::V04,
                Some("v05") => ApiVersion::V05,
                Some("v07") => ApiVersion::V07,
                Some("v10") => ApiVersion::V10,
                other => panic!("no such form: {other:?}"),
            };
        } else if !argument.starts_with("--") {
            files.push(argument);
        }
    }
    (version, files)
}

fn main() {
    let (version, files) = arguments();
    let bodies: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    let ledger = Arc::new(Ledger::default());
    let bytes = Rc::new(RefCell::new((0_usize, 0_usize)));
    let seen = Rc::clone(&bytes);
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    compressor.set_parameter(zstd::zstd_safe::CParameter::WindowLog(17)).unwrap();
    let compress = std::env::args().any(|arg| arg == "--zstd");
    let outlet = Box::new(move |payload: pillion::relay::Payload| {
        let mut seen = seen.borrow_mut();
        seen.0 += payload.body.len();
        if compress {
            seen.1 += compressor.compress(&payload.body).unwrap().len();
        }
        payload.body
    });
    let mut pipeline = Pipeline::new(settings(), Arc::clone(&ledger), outlet, None, now_ns());
    let tracer = Tracer { lang: "python", version: "4.16.0", ..Tracer::default() };
    // One pass over few bodies is enough for a profiler that counts instructions.
    let (rounds, times) =
        if std::env::args().any(|arg| arg == "--once") { (2, bodies.len()) } else { (6, 300) };
    for round in 0..rounds {
        let before = ledger.spans.read().received;
        let start = Instant::now();
        for _ in 0..times / bodies.len().max(1) {
            for body in &bodies {
                let request = TraceRequest {
                    version,
                    content_type: Some("application/msgpack"),
                    tracer,
                    body,
                };
                pipeline.traces(&request, now_ns()).unwrap();
            }
            pipeline.tick(now_ns());
        }
        let spans = ledger.spans.read().received - before;
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let ns = start.elapsed().as_nanos() as f64 / spans as f64;
        println!("round {round}: {ns:.1} ns/span ({spans} spans), out bytes {:?}", bytes.borrow());
    }
    println!("{:?}", ledger.spans.read());
}
