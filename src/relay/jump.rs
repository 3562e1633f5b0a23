//! Notices that the instance was frozen, or restored from a snapshot: its connections are dead then, and nobody has told us.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::relay::Clock;

/// The wall clock may move against the monotonic one by this much between two looks before connections count as dead.
const JUMP_MIN: Duration = Duration::from_secs(3);

/// Sees the wall clock move against the monotonic one.
pub(crate) struct Jump {
    wall: Clock,
    last: Option<(Instant, SystemTime)>,
    is_thawed: Arc<AtomicBool>,
}

impl Jump {
    /// One that has not looked yet.
    pub(crate) fn new(wall: Clock) -> Self {
        Self { wall, last: None, is_thawed: Arc::default() }
    }

    /// Where to say that the process was frozen while both clocks ran on, which somebody else has noticed.
    pub(crate) fn thawed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_thawed)
    }

    /// Whether that has happened since the last call, or somebody has said so.
    pub(crate) fn has_happened(&mut self) -> bool {
        let is_thawed = self.is_thawed.swap(false, Ordering::Relaxed);
        let now = (Instant::now(), (self.wall)());
        let Some((last_instant, last_wall)) = self.last.replace(now) else { return is_thawed };
        let expected = last_wall + now.0.duration_since(last_instant);
        let off = now.1.duration_since(expected).unwrap_or_else(|earlier| earlier.duration());
        is_thawed || off >= JUMP_MIN
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::Jump;

    #[test]
    fn a_jump_of_either_direction_is_noticed_once() {
        let mut offsets = [0_i64, 0, 3600, 3600, -5, -5, -7].into_iter();
        let wall = move || {
            let now =
                SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(10_000);
            UNIX_EPOCH + Duration::from_secs_f64(now.as_secs_f64() + offsets.next().unwrap() as f64)
        };
        let mut jump = Jump::new(Box::new(wall));
        let noticed: Vec<_> = (0..7).map(|_| jump.has_happened()).collect();
        assert_eq!(noticed, [false, false, true, false, true, false, false]);
    }
}
