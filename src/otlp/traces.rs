//! What the pipeline makes of a traces body.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::ledger::{Counts, Ledger, Shed};
use crate::pipeline::{OtlpRequest, Pipeline};
use crate::trace::decode::otlp::{Encoding, Error, Rules};

/// The way to the pipeline.
pub(super) struct Traces {
    pipeline: Rc<RefCell<Pipeline>>,
    rules: Rules,
    ledger: Arc<Ledger>,
}

impl Traces {
    pub(super) fn new(pipeline: Rc<RefCell<Pipeline>>, rules: Rules, ledger: Arc<Ledger>) -> Self {
        Self { pipeline, rules, ledger }
    }

    /// Takes a body. How many of its spans were rejected.
    pub(super) fn take(
        &self,
        encoding: Encoding,
        computed_stats: bool,
        body: &[u8],
    ) -> Result<u64, Error> {
        let request = OtlpRequest { encoding, rules: &self.rules, computed_stats, body };
        let taken =
            catch_unwind(AssertUnwindSafe(|| self.pipeline.borrow_mut().otlp(&request, now_ns())));
        taken.unwrap_or_else(|_| {
            // A fault of ours, which is no reason to make the app send it again. How many spans it had is not known: one at the least.
            let counts = Counts { spans: 1, chunks: 1, ..Counts::default() };
            self.ledger.received(counts);
            self.ledger.shed(Shed::Fault, counts);
            Ok(0)
        })
    }

    /// Counts a body that was refused before anybody looked at it.
    pub(super) fn count_refusal(&self) {
        self.ledger.bodies_refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// Nanoseconds since 1970; 0 for a clock before that.
fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}
