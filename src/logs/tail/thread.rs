//! The thread that follows the files. Reading them may block, so it has one of its own; it sleeps while there is nothing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Event, Polled, Settings, Tailer};

/// How long it sleeps where nothing is new (the agent's figure).
const IDLE: Duration = Duration::from_secs(1);

/// How long it waits for room.
const NO_ROOM: Duration = Duration::from_millis(50);

/// The running thread.
#[derive(Debug)]
pub struct Tailing {
    thread: Thread,
    stop: Arc<Stop>,
    done: Receiver<()>,
}

#[derive(Debug, Default)]
struct Stop {
    is_asked: AtomicBool,
    /// When it has to be over; set before it is asked.
    until: std::sync::OnceLock<Instant>,
}

/// Starts to follow. Events go to `sink`, on the new thread; `false` for bytes says that there is no room for them now.
///
/// # Errors
/// The thread could not be made.
pub fn start(
    settings: Settings,
    sink: impl FnMut(Event<'_>) -> bool + Send + 'static,
) -> io::Result<Tailing> {
    let stop = Arc::new(Stop::default());
    let own = Arc::clone(&stop);
    let (ended, done) = mpsc::channel();
    let run = move || run(settings, sink, &own, &ended);
    let handle = thread::Builder::new().name("pillion-tail".to_owned()).spawn(run)?;
    Ok(Tailing { thread: handle.thread().clone(), stop, done })
}

impl Tailing {
    /// Reads what is in the files once more, until `until` at the latest, and ends. What was not read then is read at the next start.
    pub fn finish(self, until: Instant) {
        self.stop.until.get_or_init(|| until);
        self.stop.is_asked.store(true, Ordering::Release);
        self.thread.unpark();
        // An answer, no answer in time and a thread that is gone all end the wait.
        self.done.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap_or_default();
    }
}

fn run(
    settings: Settings,
    mut sink: impl FnMut(Event<'_>) -> bool,
    stop: &Stop,
    ended: &Sender<()>,
) {
    let mut tailer = Tailer::new(settings);
    loop {
        // Asked before the step, so that what was written before the end is read in it.
        let is_last = stop.is_asked.load(Ordering::Acquire);
        if is_last {
            tailer.look_again();
        }
        let polled = tailer.poll(now_ms(), &mut sink);
        say(&polled);
        let is_late = || stop.until.get().is_some_and(|until| Instant::now() >= *until);
        if is_last && (!polled.has_more && !polled.has_no_room || is_late()) {
            break;
        }
        if polled.has_no_room {
            thread::sleep(NO_ROOM);
        } else if !polled.has_more {
            thread::park_timeout(IDLE);
        }
    }
    say(&tailer.finish(now_ms(), &mut sink));
    // Nobody may wait any more.
    ended.send(()).unwrap_or_default();
}

fn say(polled: &Polled) {
    for problem in &polled.problems {
        tracing::warn!("{problem}");
    }
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
