//! How often the trace path asks for memory once its lists have grown: next to never, whatever comes. It is a count and not a time, so it is
//! the same on every machine.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test that fails by a panic and prints its figure"
)]

use std::sync::Arc;

use pillion::config::{self, Env, Mode};
use pillion::ledger::Ledger;
use pillion::pipeline::{Pipeline, TraceRequest};
use pillion::trace::Tracer;
use pillion::trace::decode::ApiVersion;

use allocator::{Counting, measure};

#[path = "../shared/allocator.rs"]
mod allocator;
#[path = "../shared/usual_bodies.rs"]
mod usual_bodies;

#[global_allocator]
static COUNTING: Counting = Counting;

const START_NS: u64 = 1_750_000_000_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// Rounds until everything has its size, and rounds that are counted. Each is a second, in which ten bodies come.
const WARM_ROUNDS: u64 = 25;
const COUNTED_ROUNDS: u64 = 20;

const TRACES: usize = 20;
const SPANS: usize = 10;

/// Allocations for each span, at the most.
const ALLOCATIONS_MAX: f64 = 0.1;

fn main() {
    let settings = config::read(&Env::of(&[("DD_API_KEY", "x")]), Mode::Wrapper).0;
    let ledger = Arc::new(Ledger::default());
    // The payload's own buffer comes back, as it does from the relay.
    let outlet = Box::new(|payload: pillion::relay::Payload| payload.body);
    let mut pipeline =
        Pipeline::new(settings.pipeline, Arc::clone(&ledger), outlet, None, START_NS);
    let mut rounds = |from: u64, to: u64| {
        // Bodies are made beforehand, so that only the pipeline's allocations are counted.
        let bodies: Vec<(u64, Vec<u8>)> = (from * 10..to * 10)
            .map(|number| {
                let now_ns = START_NS + number * SECOND_NS / 10;
                (now_ns, usual_bodies::v04(TRACES, SPANS, number, now_ns))
            })
            .collect();
        let before = ledger.spans.read().received;
        let ((), asked) = measure(|| {
            for (number, (now_ns, body)) in bodies.iter().enumerate() {
                let request = TraceRequest {
                    version: ApiVersion::V04,
                    content_type: Some("application/msgpack"),
                    tracer: Tracer { lang: "python", version: "4.16.0", ..Tracer::default() },
                    body,
                };
                pipeline.traces(&request, *now_ns).unwrap();
                if number % 10 == 9 {
                    pipeline.tick(*now_ns);
                }
            }
        });
        (ledger.spans.read().received - before, asked)
    };
    rounds(0, WARM_ROUNDS);
    let (spans, asked) = rounds(WARM_ROUNDS, WARM_ROUNDS + COUNTED_ROUNDS);
    assert_eq!(spans, COUNTED_ROUNDS * 10 * (TRACES * SPANS) as u64);
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let per_span = asked.allocations as f64 / spans as f64;
    println!(
        "{per_span:.4} allocations per span ({} for {spans} spans); at the most {} kB more at once",
        asked.allocations,
        asked.peak_bytes / 1000
    );
    assert!(per_span <= ALLOCATIONS_MAX, "{per_span} allocations per span");
}
