//! What became of everything since the ledger was last told.

use std::mem::take;

use crate::ledger::{Counts, Ledger, Shed};

use super::body::TooLarge;
use super::messages::Refused;

/// Plain numbers, so that counting a sample costs an addition and no more.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) received: Counts,
    pub(super) rejected: Counts,
    /// Points of series that the user does not want.
    pub(super) filtered: Counts,
    /// Samples whose bucket became points.
    pub(super) aggregated: Counts,
    /// Not taken: there were too many contexts.
    pub(super) contexts_full: Counts,
    /// Not taken: there was too much of them.
    pub(super) bytes_full: Counts,
    pub(super) too_large: Counts,
}

impl Tally {
    /// Adds everything to the ledger.
    pub(super) fn settle(&mut self, ledger: &Ledger) {
        ledger.received(take(&mut self.received));
        ledger.rejected(take(&mut self.rejected));
        ledger.filtered(take(&mut self.filtered));
        ledger.aggregated(take(&mut self.aggregated));
        ledger.shed(Shed::ContextsFull, take(&mut self.contexts_full));
        ledger.shed(Shed::MetricBytesFull, take(&mut self.bytes_full));
        ledger.shed(Shed::TooLarge, take(&mut self.too_large));
    }

    /// Counts points that were made of samples, and lost if no body has room for them.
    pub(super) fn points(&mut self, points: u64, added: Result<(), TooLarge>) {
        self.received.points += points;
        if added.is_err() {
            self.too_large.points += points;
        }
    }

    /// Counts messages that came, and what became of them if they were refused.
    pub(super) fn messages(&mut self, messages: Counts, taken: Result<(), Refused>) {
        self.received.add(messages);
        match taken {
            Ok(()) => {}
            Err(Refused::TooLarge) => self.too_large.add(messages),
            Err(Refused::Full) => self.bytes_full.add(messages),
        }
    }
}
