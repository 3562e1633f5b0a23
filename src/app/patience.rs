//! How long the end waits for a destination that does not take what it gets.
//!
//! What the app has given us is worth all of the time that there is. What we say ourselves (metrics of the container, the report of a death) is not: an
//! app from which nothing is left to be sent must not end ten seconds later because an intake can't be reached.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::dogstatsd;
use crate::ledger::Counts;
use crate::pipeline::Pipeline;
use crate::relay::{Family, Relay};

use super::output::Logs;

/// What is waited for our own reports at the most, where there is nothing else.
const OWN_MAX: Duration = Duration::from_secs(2);

/// Of which families there is something of the app's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    traces: bool,
    metrics: bool,
    logs: bool,
}

impl Patience {
    /// There is something of all.
    pub(super) const ALL: Self = Self { traces: true, metrics: true, logs: true };

    /// Looks at what there is before we add something ourselves. Where more than DogStatsD may have brought metrics, `has_otlp` says so.
    pub(super) fn look(
        pipeline: &Rc<RefCell<Pipeline>>,
        relay: &Relay,
        logs: Option<&Logs>,
        metrics: Option<&dogstatsd::Metrics>,
        has_otlp: bool,
    ) -> Self {
        let Counts { spans, stats_groups, log_lines, .. } = relay.held();
        Self {
            traces: spans + stats_groups > 0 || !pipeline.borrow().is_idle(),
            metrics: has_otlp || metrics.is_some_and(dogstatsd::Metrics::has_heard),
            logs: log_lines > 0 || logs.is_some_and(Logs::has_any),
        }
    }

    /// Until when a family is waited for, where there is time until `until`.
    pub(super) fn until(self, family: Family, until: Instant) -> Instant {
        let is_of_app = match family {
            Family::Traces => self.traces,
            Family::Metrics => self.metrics,
            Family::Logs => self.logs,
        };
        if is_of_app { until } else { until.min(Instant::now() + OWN_MAX) }
    }
}
