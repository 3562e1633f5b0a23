//! What the pipeline makes of a traces body.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use super::signals::now_ns;
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
}
