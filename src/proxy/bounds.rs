//! What bounds the proxy: places for requests, bytes that are held; and what counts every request, once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use hyper::StatusCode;

use super::endpoint::Endpoint;
use crate::ledger::{Flow, Ledger, Shed};

/// A number of which no more than so many are taken at once: requests, or bytes.
#[derive(Debug)]
pub(super) struct Bound {
    max: usize,
    taken: AtomicUsize,
}

impl Bound {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: AtomicUsize::new(0) })
    }

    /// Takes so many, if there are as many. They go back when what is returned is dropped.
    pub(super) fn take(self: &Arc<Self>, count: usize) -> Option<Taken> {
        let mut taken = Taken { of: Arc::clone(self), count: 0 };
        taken.add(count).then_some(taken)
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }
}

/// A share of a [`Bound`].
#[derive(Debug)]
pub(super) struct Taken {
    of: Arc<Bound>,
    count: usize,
}

impl Taken {
    /// Takes more; whether there was as much.
    pub(super) fn add(&mut self, count: usize) -> bool {
        let add = |taken: usize| taken.checked_add(count).filter(|sum| *sum <= self.of.max);
        let is_there = self.of.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok();
        if is_there {
            self.count += count;
        }
        is_there
    }

    /// Gives everything back.
    pub(super) fn clear(&mut self) {
        self.of.taken.fetch_sub(self.count, Ordering::AcqRel);
        self.count = 0;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Which requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// Those whose tracer waits.
    PassedOn,
    /// Telemetry, which is answered first.
    Telemetry,
}

impl Counted {
    /// Those that requests for `endpoint` are among.
    pub(super) fn of(endpoint: Endpoint) -> Self {
        if endpoint == Endpoint::Telemetry { Self::Telemetry } else { Self::PassedOn }
    }
}

/// One request in the ledger: received, and settled once. What is dropped before is counted as not delivered in time, or as a fault.
pub(super) struct Account {
    ledger: Arc<Ledger>,
    counted: Counted,
    is_settled: bool,
}

impl Account {
    /// Counts the request as received.
    pub(super) fn open(ledger: &Arc<Ledger>, counted: Counted) -> Self {
        let account = Self { ledger: Arc::clone(ledger), counted, is_settled: false };
        account.flow().one_received();
        account
    }

    /// Counts it by the status of its answer.
    pub(super) fn answered(mut self, status: StatusCode) {
        self.is_settled = true;
        match status.as_u16() {
            200..=399 => self.flow().one_sent(),
            401 | 403 => self.flow().one_shed(Shed::KeyRefused),
            413 => self.flow().one_shed(Shed::TooLarge),
            _ => self.flow().one_shed(Shed::Refused),
        }
    }

    /// Counts it as not delivered.
    pub(super) fn shed(mut self, reason: Shed) {
        self.is_settled = true;
        self.flow().one_shed(reason);
    }

    fn flow(&self) -> &Flow {
        match self.counted {
            Counted::PassedOn => &self.ledger.passed_on,
            Counted::Telemetry => &self.ledger.telemetry,
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if !self.is_settled {
            let reason = if thread::panicking() { Shed::Fault } else { Shed::Deadline };
            self.flow().one_shed(reason);
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("counted", &self.counted).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::Arc;

    use super::{Account, Bound, Counted, Shed, StatusCode};
    use crate::ledger::Ledger;

    #[test]
    fn no_more_is_taken_than_there_is() {
        let bound = Bound::new(10);
        let mut first = bound.take(4).unwrap();
        assert!(bound.take(7).is_none() && bound.take(usize::MAX).is_none());
        assert!(first.add(6) && !first.add(1));
        first.clear();
        let second = bound.take(10);
        assert!(second.is_some() && bound.taken() == 10);
        drop((first, second));
        assert_eq!(bound.taken(), 0);
    }

    #[test]
    fn every_request_is_counted_once() {
        let ledger = Arc::new(Ledger::default());
        let open = || Account::open(&ledger, Counted::PassedOn);
        for status in [200, 302, 403, 413, 404, 500] {
            open().answered(StatusCode::from_u16(status).unwrap());
        }
        open().shed(Shed::Busy);
        drop(open());
        let account = open();
        assert!(
            catch_unwind(std::panic::AssertUnwindSafe(move || {
                let _account = account;
                panic!("a panic that the test asked for")
            }))
            .is_err()
        );
        let read = ledger.passed_on.read();
        let shed = |reason: Shed| read.shed[reason as usize];
        assert_eq!((read.received, read.sent, read.held()), (9, 2, 0));
        assert_eq!(
            [
                Shed::KeyRefused,
                Shed::TooLarge,
                Shed::Refused,
                Shed::Busy,
                Shed::Deadline,
                Shed::Fault
            ]
            .map(shed),
            [1, 1, 2, 1, 1, 1]
        );
    }
}
