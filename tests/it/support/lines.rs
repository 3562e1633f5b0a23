//! The lines that are said through `tracing`, from the first call of [`start`] on, whichever thread they come from. Tests run side by side:
//! look for lines that name what only your test has, such as the address of its intake.

use std::fmt::{Debug, Write};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static STARTED: Once = Once::new();

/// Starts to listen, once per process.
pub fn start() {
    STARTED.call_once(|| {
        tracing::subscriber::set_global_default(Listener).expect("no other subscriber in the tests")
    });
}

/// All lines of the product itself up to now with `part` in them, as `LEVEL text`.
pub fn with(part: &str) -> Vec<String> {
    let lines = lines();
    let own = lines.iter().filter_map(|line| line.strip_prefix("pillion::")?.split_once(' '));
    own.map(|(_, text)| text.to_owned()).filter(|text| text.contains(part)).collect()
}

/// All lines of whichever crate up to now with `part` in them.
pub fn of_all_with(part: &str) -> Vec<String> {
    lines().iter().filter(|line| line.contains(part)).cloned().collect()
}

fn lines() -> MutexGuard<'static, Vec<String>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{} {}", event.metadata().target(), event.metadata().level()));
        event.record(&mut line);
        lines().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        write!(self.0, " {value:?}").expect("a string takes all");
    }
}
