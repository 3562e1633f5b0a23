//! Log files: a thread reads them, the data plane's thread makes entries of what it read.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::yield_now;
use tokio::time::timeout_at;

use crate::limits::LOGS_FILES_BYTES;
use crate::logs::join::Plan;
use crate::logs::tail::{self, Held, Queue, Tailing};
use crate::logs::{Clock, Files, Settings, Stages};

use super::pulse::now_ns;

/// How long the end waits for the thread before it looks for what that has read meanwhile.
const LAST_LOOK: Duration = Duration::from_millis(5);

/// Both ends of the way, and the files in between.
#[derive(Debug)]
pub(super) struct Following {
    thread: Tailing,
    lines: Lines,
}

/// What makes entries of what was read.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    queue: Arc<Queue>,
    files: Rc<RefCell<Files>>,
    stages: Rc<RefCell<Stages>>,
    clock: Clock,
}

impl Following {
    /// Starts to read, where files are to be followed. Where there is no thread for it, the rest runs on. [`Lines::follow`] has to run beside it.
    pub(super) fn start(
        settings: &Settings,
        plan: &Plan,
        stages: &Rc<RefCell<Stages>>,
        clock: Clock,
    ) -> Option<Self> {
        let own = settings.files.clone()?;
        let queue = Arc::new(Queue::new(LOGS_FILES_BYTES));
        let files = Files::new(plan.clone(), settings.line_bytes_max);
        let way_in = Arc::clone(&queue);
        let started = tail::start(own, move |event| way_in.push(event));
        if let Err(error) = &started {
            tracing::error!("No thread for log files ({error}): they are not followed.");
        }
        let files = Rc::new(RefCell::new(files));
        let lines = Lines { queue, files, stages: Rc::clone(stages), clock };
        started.ok().map(|thread| Self { thread, lines })
    }

    /// What has to run.
    pub(super) fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Reads what is in the files once more, until `until`. What was not read then is read at the next start.
    pub(super) fn finish(self, until: Instant) {
        self.thread.begin_finish(until);
        // The thread waits for room, so the queue is emptied while it is waited for.
        while !self.thread.has_ended(LAST_LOOK) && Instant::now() < until {
            self.lines.take_all();
        }
        self.lines.queue.close();
        self.lines.take_all();
        let now_ms = self.lines.clock.now_ms();
        self.lines.files.borrow_mut().finish(&mut self.lines.stages.borrow_mut(), now_ms);
    }
}

impl Lines {
    /// Makes entries of what is read, for ever. Other tasks have their turn after each piece.
    pub(super) async fn follow(self) {
        loop {
            if let Some(event) = self.queue.pop() {
                self.take(event);
                self.tick();
                yield_now().await;
                continue;
            }
            let due_ms = self.due_ms();
            match due_ms {
                Some(due_ms) => {
                    let at = self.clock.at(due_ms);
                    timeout_at(at.into(), self.queue.arrived()).await.unwrap_or_default();
                }
                None => self.queue.arrived().await,
            }
            self.tick();
        }
    }

    fn due_ms(&self) -> Option<u64> {
        let of_files = self.files.borrow().due_ms();
        of_files.into_iter().chain(self.stages.borrow().due_ms()).min()
    }

    fn take_all(&self) {
        while let Some(event) = self.queue.pop() {
            self.take(event);
        }
    }

    fn take(&self, event: Held) {
        let (time_ms, now_ms) = (now_ns() / 1_000_000, self.clock.now_ms());
        self.files.borrow_mut().take(event, &mut self.stages.borrow_mut(), time_ms, now_ms);
    }

    fn tick(&self) {
        let (mut stages, now_ms) = (self.stages.borrow_mut(), self.clock.now_ms());
        self.files.borrow_mut().tick(&mut stages, now_ms);
        stages.tick(now_ms);
    }
}
