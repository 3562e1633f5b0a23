//! The end: every request whose bytes have arrived is still served, also from connections that nobody has accepted yet and from clients
//! that are dead already; then all is closed.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::server::Desk;
use crate::server::room::{Phase, Room, Wish};
use crate::server::serve::Acceptor;

/// How long a client that is in the middle of a request may send nothing.
const GRACE: Duration = Duration::from_millis(100);

/// Looks without a pause at the start: what a dead app left is served within a few turns of the event loop.
const LOOKS_AT_ONCE: u32 = 16;

/// Between later looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Serves what has arrived, until all of it is served, nobody has sent anything for [`GRACE`], or half of the time to the deadline is gone:
/// the other half is for delivering what came. Requests that are being passed on stay under way.
pub(super) async fn drain<D: Desk>(acceptor: Acceptor, desk: &Rc<D>, deadline: Instant) {
    let room = &desk.floor().room;
    let backlog = acceptor.into_backlog();
    let mut moves = 0;
    let start = Instant::now();
    let half_time = start + deadline.saturating_duration_since(start) / 2;
    let mut last_move = start;
    let mut looks = 0;
    loop {
        let accepted = backlog.accept_all(desk);
        let seen = look(room);
        let now = Instant::now();
        if accepted > 0 || seen != moves {
            (moves, last_move) = (seen, now);
        }
        if room.len() == room.passing() && accepted == 0 {
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
    room.each(|entry| {
        if entry.phase() != Phase::Passing {
            entry.ask(Wish::Abort);
        }
    });
    tokio::task::yield_now().await;
}

/// Asks every connection that is at nothing, and has nothing waiting in its socket, to close. The sum of all moves is returned: as long as it
/// changes, something is going on.
fn look(room: &Room) -> u64 {
    let mut moves = 0_u64;
    room.each(|entry| {
        moves = moves.wrapping_add(entry.moves()).wrapping_add(entry.number << 32);
        if entry.phase() == Phase::Idle && entry.wish() == Wish::Stay && !entry.has_arrived() {
            entry.ask(Wish::Close);
        }
    });
    moves
}
