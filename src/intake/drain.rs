//! The end: every request whose bytes have arrived is still served, also from connections that nobody has accepted yet and from clients
//! that are dead already; then all is closed.

use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::intake::desk::Desk;
use crate::intake::room::{Phase, Wish};
use crate::intake::serve::Acceptor;

/// How long a client that is in the middle of a request may send nothing.
const GRACE: Duration = Duration::from_millis(100);

/// Looks without a pause at the start: what a dead app left is served within a few turns of the event loop.
const LOOKS_AT_ONCE: u32 = 16;

/// Between later looks.
const PAUSE: Duration = Duration::from_millis(1);

/// What telemetry has at the end (the agent's time for it).
const TELEMETRY_TIME: Duration = Duration::from_secs(1);

/// Between looks at requests that are passed on.
const PASSING_PAUSE: Duration = Duration::from_millis(5);

/// Serves what has arrived, until all of it is served, nobody has sent anything for [`GRACE`], or half of the time to the deadline is gone:
/// the other half is for delivering what came. Requests that are being passed on are left to [`Rest`].
pub(super) async fn drain(acceptor: Acceptor, desk: &Rc<Desk>, deadline: Instant) {
    let backlog = acceptor.into_backlog();
    let mut moves = 0;
    let start = Instant::now();
    let half_time = start + deadline.saturating_duration_since(start) / 2;
    let mut last_move = start;
    let mut looks = 0;
    loop {
        let accepted = backlog.accept_all(desk);
        let seen = look(desk);
        let now = Instant::now();
        if accepted > 0 || seen != moves {
            (moves, last_move) = (seen, now);
        }
        if desk.room.len() == desk.room.passing() && accepted == 0 {
            return;
        }
        if now >= half_time || now.duration_since(last_move) >= GRACE {
            break;
        }
        looks += 1;
        if looks <= LOOKS_AT_ONCE {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(PAUSE).await;
        }
    }
    desk.room.each(|entry| {
        if entry.phase() != Phase::Passing {
            entry.ask(Wish::Abort);
        }
    });
    tokio::task::yield_now().await;
}

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
        let (room, proxy) = (&self.desk.room, &self.desk.proxy);
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
        f.debug_struct("Rest").field("connections", &self.desk.room.len()).finish()
    }
}

/// Asks every connection that is at nothing, and has nothing waiting in its socket, to close. The sum of all moves is returned: as long as it
/// changes, something is going on.
fn look(desk: &Desk) -> u64 {
    let mut moves = 0_u64;
    desk.room.each(|entry| {
        moves = moves.wrapping_add(entry.moves()).wrapping_add(entry.number << 32);
        if entry.phase() == Phase::Idle && entry.wish() == Wish::Stay && !entry.has_arrived() {
            entry.ask(Wish::Close);
        }
    });
    moves
}
