//! What is still under way when everything that is ours to take has been taken.

use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::intake::desk::Desk;
use crate::server::Wish;

/// What telemetry has at the end (the agent's time for it).
const TELEMETRY_TIME: Duration = Duration::from_secs(1);

/// Between looks at requests that are passed on.
const PASSING_PAUSE: Duration = Duration::from_millis(5);

/// What is left when all traces have been taken: requests that are being passed on. They go on while others deliver, on the same thread as
/// before.
#[must_use = "they are served in `finish`"]
pub struct Rest {
    desk: Rc<Desk>,
}

impl Rest {
    pub(super) fn new(desk: Rc<Desk>) -> Self {
        Self { desk }
    }

    /// Serves them until they are answered, or until `until`; what comes after them on their connections is not read. Telemetry, whose tracers
    /// have their answer, has a second in which to go out.
    pub async fn finish(self, until: Instant) {
        let (room, proxy) = (&self.desk.floor.room, &self.desk.proxy);
        let telemetry_until = until.min(Instant::now() + TELEMETRY_TIME);
        room.each(|entry| entry.ask(Wish::Close));
        loop {
            let now = Instant::now();
            let is_passing = room.len() > 0 || proxy.is_passing_on();
            let waits = is_passing && now < until || proxy.has_telemetry() && now < telemetry_until;
            if !waits {
                break;
            }
            tokio::time::sleep(PASSING_PAUSE).await;
        }
        room.each(|entry| entry.ask(Wish::Abort));
        tokio::task::yield_now().await;
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("connections", &self.desk.floor.room.len()).finish()
    }
}
