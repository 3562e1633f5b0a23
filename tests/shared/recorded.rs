//! A pipeline with settings as a user writes them, whose payloads are recorded instead of sent.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use pillion::config::{self, Env, Mode};
use pillion::ledger::Ledger;
use pillion::pipeline::{Pipeline, Tap};
use pillion::relay::{Kind, Payload};

/// A pipeline, and what it has sent.
pub struct Recorded {
    pub pipeline: Pipeline,
    pub ledger: Arc<Ledger>,
    sent: Rc<RefCell<Vec<Payload>>>,
}

impl Recorded {
    /// Starts at `now_ns` with these settings. What is wrong with them ends the test; without a key, that there is none is expected.
    pub fn new(settings: &[(&str, &str)], now_ns: u64) -> Self {
        Self::with_tap(settings, None, now_ns)
    }

    /// The same with somebody who sees all spans, where nothing is sent.
    pub fn with_tap(settings: &[(&str, &str)], tap: Option<Tap>, now_ns: u64) -> Self {
        let has_key = settings.iter().any(|(name, _)| *name == "DD_API_KEY");
        let (settings, problems) = config::read(&Env::of(settings), Mode::Wrapper);
        let is_expected = |problem: &str| !has_key && problem.contains("DD_API_KEY");
        assert!(problems.iter().all(|problem| is_expected(&problem.to_string())), "{problems:?}");
        let sent: Rc<RefCell<Vec<Payload>>> = Rc::default();
        let outlet = Rc::clone(&sent);
        let outlet = Box::new(move |payload| {
            outlet.borrow_mut().push(payload);
            Vec::new()
        });
        let ledger = Arc::new(Ledger::default());
        let tap = tap.filter(|_| !settings.pipeline.sending);
        let pipeline = Pipeline::new(settings.pipeline, Arc::clone(&ledger), outlet, tap, now_ns);
        Self { pipeline, ledger, sent }
    }

    /// Takes what was sent so far.
    pub fn take(&self) -> Vec<Payload> {
        self.sent.take()
    }
}

/// The body of the traces among what was sent.
pub fn traces(sent: &[Payload]) -> Option<&[u8]> {
    let payload = sent.iter().find(|payload| payload.kind == Kind::Traces);
    payload.map(|payload| payload.body.as_ref())
}
