//! Totals since the start of the app become what came since the point before: the last point of every metric is remembered for that, for a
//! time and within a bound of memory (spec: metrics-logs 5.2).

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::limits::OTLP_TOTALS_BYTES_MAX;

use super::points::{Explicit, Head};

/// What a total says beside the one before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change<T> {
    /// There is none before it, or it began anew.
    First,
    /// The point is not newer than the one before.
    Old,
    /// It can't be remembered: there are too many metrics.
    NotTracked,
    /// So much came since then.
    By(T),
}

/// What came of a number, and in which time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Delta {
    pub(super) value: f64,
    pub(super) seconds: f64,
}

/// What came of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) counts: Vec<u64>,
    /// Whether the lowest and the highest value of all time are of this window.
    pub(super) has_min: bool,
    pub(super) has_max: bool,
}

#[derive(Debug)]
enum Total {
    Number(f64),
    Histogram(Box<Explicit>),
}

/// The last point of a metric. Keys tell totals of different sorts apart.
#[derive(Debug)]
struct Last {
    start_ns: u64,
    time_ns: u64,
    /// When it came, seconds since 1970.
    seen_s: u64,
    total: Total,
}

impl Last {
    /// Whether `head` goes on where this ended: it says no other start. A point whose own time is its start is the first.
    fn goes_on(&self, head: &Head) -> bool {
        head.start_ns == 0 || head.start_ns != head.time_ns && head.start_ns == self.start_ns
    }
}

/// The last totals.
#[derive(Debug)]
pub(super) struct Changes {
    last: HashMap<Box<[u8]>, Last, RandomState>,
    ttl_s: u64,
    bytes: usize,
    swept_s: u64,
}

/// How often totals whose time is up are looked for, at the most.
const SWEEP_S: u64 = 60;

impl Changes {
    pub(super) fn new(ttl_s: u64) -> Self {
        Self { last: HashMap::default(), ttl_s, bytes: 0, swept_s: 0 }
    }

    /// Takes a total of the metric that has this key. One that only grows begins anew where it is less than before.
    pub(super) fn number(
        &mut self,
        key: &[u8],
        head: &Head,
        value: f64,
        only_grows: bool,
        now_s: u64,
    ) -> Change<Delta> {
        if let Some(last) = self.live(key, now_s) {
            let goes_on = last.goes_on(head);
            let Total::Number(before) = &mut last.total else { return Change::NotTracked };
            if head.time_ns <= last.time_ns {
                return Change::Old;
            }
            #[expect(clippy::cast_precision_loss, reason = "a time between two points")]
            let seconds = (head.time_ns - last.time_ns) as f64 / 1e9;
            let delta = Delta { value: value - *before, seconds };
            let goes_on = goes_on && !(only_grows && delta.value < 0.0);
            *before = value;
            (last.start_ns, last.time_ns, last.seen_s) = (head.start_ns, head.time_ns, now_s);
            return if goes_on { Change::By(delta) } else { Change::First };
        }
        self.remember(key, head, Total::Number(value), now_s)
    }

    /// Takes a histogram. It begins anew where it has other bounds, or any count is less than before.
    pub(super) fn histogram(&mut self, key: &[u8], point: &Explicit, now_s: u64) -> Change<Window> {
        let head = point.head;
        let total = |point: &Explicit| {
            Total::Histogram(Box::new(Explicit {
                counts: point.counts.clone(),
                bounds: point.bounds.clone(),
                ..*point
            }))
        };
        if let Some(last) = self.live(key, now_s) {
            let goes_on = last.goes_on(&head);
            let Total::Histogram(before) = &mut last.total else { return Change::NotTracked };
            if head.time_ns <= last.time_ns {
                return Change::Old;
            }
            let has_same_bounds =
                before.bounds == point.bounds && before.counts.len() == point.counts.len();
            let window = if goes_on { window(before, point) } else { None };
            (last.start_ns, last.time_ns, last.seen_s) = (head.start_ns, head.time_ns, now_s);
            if has_same_bounds {
                before.totals = point.totals;
                before.counts.clone_from(&point.counts);
                return window.map_or(Change::First, Change::By);
            }
        }
        let total = total(point);
        self.remember(key, &head, total, now_s)
    }

    /// The last total that is not forgotten yet.
    fn live(&mut self, key: &[u8], now_s: u64) -> Option<&mut Last> {
        let oldest_s = now_s.saturating_sub(self.ttl_s);
        self.last.get_mut(key).filter(|last| last.seen_s >= oldest_s)
    }

    fn remember<T>(&mut self, key: &[u8], head: &Head, total: Total, now_s: u64) -> Change<T> {
        let more = bytes(key, &total);
        let is_full = |changes: &Self| changes.bytes + more > OTLP_TOTALS_BYTES_MAX;
        if is_full(self) || now_s >= self.swept_s + self.ttl_s.max(SWEEP_S) {
            self.sweep(now_s);
        }
        if let Some(before) = self.last.remove(key) {
            self.bytes -= bytes(key, &before.total);
        }
        if is_full(self) {
            return Change::NotTracked;
        }
        self.bytes += more;
        let Head { start_ns, time_ns, .. } = *head;
        self.last.insert(key.into(), Last { start_ns, time_ns, seen_s: now_s, total });
        Change::First
    }

    /// Forgets what has not come for so long; at most once in a while, because it looks at everything.
    fn sweep(&mut self, now_s: u64) {
        if now_s < self.swept_s + SWEEP_S {
            return;
        }
        self.swept_s = now_s;
        let oldest_s = now_s.saturating_sub(self.ttl_s);
        let mut freed = 0;
        self.last.retain(|key, last| {
            let is_live = last.seen_s >= oldest_s;
            if !is_live {
                freed += bytes(key, &last.total);
            }
            is_live
        });
        self.bytes -= freed;
    }
}

/// Memory of an entry, with what a table has beside each and what allocations round up to.
fn bytes(key: &[u8], total: &Total) -> usize {
    let histogram = match total {
        Total::Number(_) => 0,
        Total::Histogram(point) => {
            size_of::<Explicit>() + 8 * (point.bounds.len() + point.counts.len()) + 48
        }
    };
    2 * size_of::<(Box<[u8]>, Last)>() + key.len() + 16 + histogram
}

/// What came between two points of a histogram; nothing where it began anew.
fn window(before: &Explicit, point: &Explicit) -> Option<Window> {
    let pairs = point.counts.iter().zip(&before.counts);
    let counts: Option<Vec<u64>> = pairs.map(|(now, before)| now.checked_sub(*before)).collect();
    let (old, new) = (&before.totals, &point.totals);
    let is_other = |old: Option<f64>, new: Option<f64>| {
        old.zip(new).is_some_and(|(old, new)| old.total_cmp(&new).is_ne())
    };
    Some(Window {
        count: new.count.checked_sub(old.count)?,
        sum: new.sum.zip(old.sum).map(|(new, old)| new - old),
        counts: counts.filter(|_| before.bounds == point.bounds)?,
        has_min: is_other(old.min, new.min),
        has_max: is_other(old.max, new.max),
    })
}
