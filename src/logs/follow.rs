//! The task that empties the ring, in the data plane. Where nothing is written and nothing waits, it is not woken.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::{timeout, timeout_at};

use crate::ring::Ring;

use super::stages::Stages;

/// How long what arrives is let gather, unless it is plenty: a batch is open for seconds, and each wake-up costs more than a line.
const GATHER: Duration = Duration::from_millis(100);

/// The clock of the stages: milliseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock at 0.
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// The time now.
    pub fn now_ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes what the app writes and has batches leave when they are due, for ever.
pub async fn follow(ring: &Ring, stages: Rc<RefCell<Stages>>, clock: Clock) {
    loop {
        let due_ms = stages.borrow().due_ms();
        let has_arrived = match due_ms {
            Some(due_ms) => {
                let at = clock.0 + Duration::from_millis(due_ms);
                timeout_at(at.into(), ring.arrived()).await.is_ok()
            }
            None => {
                ring.arrived().await;
                true
            }
        };
        if has_arrived {
            // Either way it is taken now.
            timeout(GATHER, ring.plenty()).await.ok();
            stages.borrow_mut().take(clock.now_ms());
        }
        if ring.take_hurry() {
            stages.borrow_mut().flush(clock.now_ms());
        }
        stages.borrow_mut().tick(clock.now_ms());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::pin::pin;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Clock, follow};
    use crate::ledger::Ledger;
    use crate::logs::{Settings, Stages};
    use crate::ring::{Output, Ring};

    #[tokio::test]
    async fn what_arrives_leaves_in_time() {
        two_rounds(Duration::from_millis(300), false).await;
    }

    #[tokio::test]
    async fn what_is_hurried_leaves_at_once() {
        two_rounds(Duration::from_secs(3600), true).await;
    }

    /// Has lines written and waits until they have left, twice.
    async fn two_rounds(wait: Duration, hurry: bool) {
        let (ring, ledger) = (Arc::new(Ring::new(1 << 20)), Arc::new(Ledger::default()));
        let left = Rc::new(Cell::new(0));
        let count = Rc::clone(&left);
        let outlet = Box::new(move |payload: crate::relay::Payload| {
            count.set(count.get() + payload.counts.log_lines);
            payload.body
        });
        let mut settings = Settings::default();
        settings.batch.wait = wait;
        let stages = Stages::new(&settings, |_| None, Arc::clone(&ring), ledger, outlet);
        let stages = Rc::new(RefCell::new(stages));
        let done = async {
            for round in 1..=2 {
                ring.push(Output::Stdout, b"a\nb\n", 1);
                if hurry {
                    ring.hurry();
                }
                while left.get() < 2 * round {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        };
        let following = follow(&ring, stages, Clock::new());
        let (mut done, mut following) = (pin!(done), pin!(following));
        let first = std::future::poll_fn(|cx| {
            assert!(following.as_mut().poll(cx).is_pending());
            done.as_mut().poll(cx)
        });
        tokio::time::timeout(Duration::from_secs(20), first).await.unwrap();
    }
}
