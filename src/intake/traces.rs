//! What the pipeline makes of a body, and the answer that goes with it. The whole way of a body through the pipeline takes about a third of
//! a millisecond per thousand spans, so it is gone in one piece, on this thread, before the answer: no queue, no copy, and what the tracer
//! is told is what happened.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;

use crate::intake::answer::{self, Answer};
use crate::intake::headers::Headers;
use crate::intake::route::{self, Reply};
use crate::ledger::{Counts, Ledger, Shed};
use crate::pipeline::{Error, Pipeline, TraceRequest};
use crate::trace::decode::ApiVersion;

/// The way to the pipeline, and the rates as they were answered last.
pub(super) struct Traces {
    pipeline: Rc<RefCell<Pipeline>>,
    ledger: Arc<Ledger>,
    rates: RefCell<Rates>,
}

/// The rates as bytes that answers share.
struct Rates {
    body: Bytes,
    version: HeaderValue,
}

impl Traces {
    pub(super) fn new(pipeline: Rc<RefCell<Pipeline>>, ledger: Arc<Ledger>) -> Self {
        let rates =
            RefCell::new(Rates { body: Bytes::new(), version: HeaderValue::from_static("") });
        Self { pipeline, ledger, rates }
    }

    /// Takes the body of a traces path.
    pub(super) fn take(&self, version: ApiVersion, headers: &Headers<'_>, body: &[u8]) -> Answer {
        let request = TraceRequest {
            version,
            content_type: headers.content_type,
            tracer: headers.tracer,
            body,
        };
        // The rates as they were before this body, as the agent answers.
        let reply = match route::reply(version) {
            Reply::Ok => answer::ok(),
            Reply::Rates => self.rates(headers.rates_version),
        };
        let taken = catch_unwind(AssertUnwindSafe(|| {
            self.pipeline.borrow_mut().traces(&request, now_ns())
        }));
        match taken {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Self::refuse(&error),
            Err(_) => self.count_fault(headers),
        }
        reply
    }

    /// Takes a tracer's own stats.
    pub(super) fn take_stats(&self, headers: &Headers<'_>, body: &[u8]) -> Answer {
        let taken = catch_unwind(AssertUnwindSafe(|| {
            self.pipeline.borrow_mut().client_stats(&headers.tracer, body, now_ns())
        }));
        match taken {
            Ok(Ok(())) => answer::empty(),
            Ok(Err(error)) => Self::refuse(&error),
            Err(_) => {
                // How many groups it had is not known: one at the least.
                let counts = Counts { stats_groups: 1, ..Counts::default() };
                self.ledger.received(counts);
                self.ledger.shed(Shed::Fault, counts);
                answer::empty()
            }
        }
    }

    /// The pipeline has counted it.
    fn refuse(error: &Error) -> Answer {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        answer::refusal(status, &error.to_string())
    }

    /// A panic over a body: a fault of ours, which is no reason to make the tracer send it again. How many spans it had is not known;
    /// the tracer's own count of chunks, with a span each, is the least.
    fn count_fault(&self, headers: &Headers<'_>) {
        let chunks = headers.trace_count.unwrap_or(1).max(1);
        let counts = Counts { spans: chunks, chunks, ..Counts::default() };
        self.ledger.received(counts);
        self.ledger.shed(Shed::Fault, counts);
    }

    /// The current rates; an empty object for a tracer that names the version that it has and has the newest.
    fn rates(&self, known_version: &str) -> Answer {
        let mut rates = self.rates.borrow_mut();
        let mut pipeline = self.pipeline.borrow_mut();
        let reply = pipeline.reply();
        if rates.body != reply.body || rates.version.as_bytes() != reply.version.as_bytes() {
            rates.body = Bytes::copy_from_slice(&reply.body);
            rates.version =
                HeaderValue::from_str(&reply.version).unwrap_or(HeaderValue::from_static(""));
        }
        if known_version.is_empty() {
            return answer::rates(rates.body.clone(), None);
        }
        let body = if known_version == reply.version {
            Bytes::from_static(b"{}")
        } else {
            rates.body.clone()
        };
        answer::rates(body, Some(rates.version.clone()))
    }
}

/// Nanoseconds since 1970; 0 for a clock before that.
fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}
