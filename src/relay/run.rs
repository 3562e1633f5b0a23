//! The relay's thread: compresses what comes in, keeps up to five requests under way, and survives its own panics.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinError, JoinSet, yield_now};
use tokio::time::timeout_at;

use crate::ledger::Shed;
use crate::relay::answer::Outcome;
use crate::relay::cut::cut;
use crate::relay::held::{Next, Number, Outgoing};
use crate::relay::input::Packed;
use crate::relay::jump::Jump;
use crate::relay::pack::Packer;
use crate::relay::queue::Queue;
use crate::relay::queues::Queues;
use crate::relay::say::Condition;
use crate::relay::send::{Sender, TooLarge};
use crate::relay::{Compression, Kind};

/// Stack of the relay's thread and of the one that looks up names, bytes.
const STACK_BYTES: usize = 256 * 1024;

/// How often the thread's work is begun anew after a panic before the relay gives up.
const RESTARTS_MAX: u32 = 5;

/// After this long without anything to do, memory that is only kept for speed is given back.
const QUIET: Duration = Duration::from_secs(15);

/// One destination: its queue and who empties it.
pub(super) struct Lane {
    pub(super) queue: Arc<Queue>,
    pub(super) sender: Arc<Sender>,
    under_way: Vec<(AbortHandle, Number, Kind)>,
}

impl Lane {
    /// A destination that nothing is under way to.
    pub(super) fn new(queue: Arc<Queue>, sender: Sender) -> Self {
        Self { queue, sender: Arc::new(sender), under_way: Vec::new() }
    }
}

/// Starts the thread. It ends when the queues are closed. `changed` is what they all notify.
pub(super) fn spawn(
    lanes: Vec<Lane>,
    changed: Arc<Notify>,
    queues: Arc<Queues>,
    compression: [Compression; 3],
    jump: Jump,
) -> io::Result<()> {
    let work = move || keep_working(lanes, changed, queues, compression, jump);
    thread::Builder::new()
        .name("pillion-relay".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
        .map(drop)
}

/// A runtime for a thread that sends. Names are looked up on a thread of their own, which goes away after a second.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .thread_name("pillion-names")
        .thread_stack_size(STACK_BYTES)
        .max_blocking_threads(2)
        .thread_keep_alive(Duration::from_secs(1))
        .build()
}

fn keep_working(
    lanes: Vec<Lane>,
    changed: Arc<Notify>,
    queues: Arc<Queues>,
    compression: [Compression; 3],
    jump: Jump,
) {
    step_back();
    let (packer, sends) = (Packer::new(compression), JoinSet::new());
    let mut work = Work { lanes, changed, queues, packer, jump, sends };
    let fault = |work: &Work, text: &dyn Fn() -> String| {
        if let Some(lane) = work.lanes.first() {
            lane.queue.said.at_times(Condition::Fault, text);
        }
    };
    for restart in 1..=RESTARTS_MAX + 1 {
        match catch_unwind(AssertUnwindSafe(|| work.run())) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                fault(&work, &|| format!("the relay can't start its runtime: {error}"))
            }
            Err(_) => fault(&work, &|| {
                "an internal fault (panic) in the relay was caught; it goes on".to_owned()
            }),
        }
        work.start_over();
        if restart <= RESTARTS_MAX {
            thread::sleep(Duration::from_millis(10) * 2_u32.pow(restart));
        }
    }
    tracing::error!(
        "the relay has given up after {RESTARTS_MAX} faults: no more data is sent until a restart; the app is not affected"
    );
    work.lanes.iter().for_each(|lane| lane.queue.give_up());
}

/// What the thread works with.
struct Work {
    lanes: Vec<Lane>,
    changed: Arc<Notify>,
    queues: Arc<Queues>,
    packer: Packer,
    jump: Jump,
    /// All requests, each with the place of its lane and, where it is too large, its payload.
    sends: JoinSet<(usize, Option<TooLarge>)>,
}

impl Work {
    fn run(&mut self) -> io::Result<()> {
        let runtime = runtime()?;
        let worked = catch_unwind(AssertUnwindSafe(|| runtime.block_on(self.work())));
        // A name that is still being looked up would hold up a plain drop.
        runtime.shutdown_background();
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(())
    }

    /// Puts everything in order after a panic.
    fn start_over(&mut self) {
        self.sends = JoinSet::new();
        self.packer.release();
        for lane in &mut self.lanes {
            lane.under_way.clear();
            lane.sender.discard_pool(None);
            lane.queue.fault();
        }
    }

    async fn work(&mut self) {
        let mut is_released = true;
        while !self.lanes.iter().any(|lane| lane.queue.is_closed()) {
            self.abort_purposeless();
            let packed = self.pack_one_each();
            let wake_at = self.send_due();
            if packed {
                is_released = false;
                // Requests go on between two compressions.
                yield_now().await;
                while let Some(ended) = self.sends.try_join_next_with_id() {
                    self.ended(ended);
                }
                continue;
            }
            let is_empty = self.lanes.iter().all(|lane| lane.queue.is_empty());
            let quiet_at = (!is_released && is_empty).then(|| Instant::now() + QUIET);
            match self.wait(wake_at.or(quiet_at)).await {
                Woken::Ended(ended) => self.ended(ended),
                Woken::Changed => {}
                Woken::Time if wake_at.is_none() => {
                    self.packer.release();
                    self.lanes.iter().for_each(|lane| lane.queue.release_spare());
                    give_memory_back();
                    is_released = true;
                }
                Woken::Time => {}
            }
        }
    }

    /// Compresses the next payload of every queue that has one; it is the same one where no queue is behind. Whether there was any.
    fn pack_one_each(&mut self) -> bool {
        let mut has_packed = false;
        for lane in &self.lanes {
            let Some((number, input)) = lane.queue.take_input() else { continue };
            let items = match input.packed(&mut self.packer) {
                Ok(Packed { item, body }) => {
                    self.queues.keep_spare(body);
                    Ok(vec![item])
                }
                Err(error) => {
                    lane.queue.said.at_times(Condition::Fault, || {
                        format!("a payload can't be compressed: {error}; it is dropped")
                    });
                    Err(Shed::Fault)
                }
            };
            self.queues.packed(&lane.queue, number, items);
            has_packed = true;
        }
        has_packed
    }

    /// Starts all requests that may start. When the next may, where that is known.
    fn send_due(&mut self) -> Option<Instant> {
        (0..self.lanes.len()).filter_map(|at| self.send_due_of(at)).min()
    }

    fn send_due_of(&mut self, at: usize) -> Option<Instant> {
        loop {
            let lane = self.lanes.get(at)?;
            let mut counts = [0; Kind::ALL.len()];
            lane.under_way.iter().for_each(|(.., kind)| counts[*kind as usize] += 1);
            match lane.queue.next(Instant::now(), counts) {
                Next::Send(payload) => self.start(at, payload),
                Next::At(at) => return Some(at),
                Next::Nothing => return None,
            }
        }
    }

    fn start(&mut self, at: usize, payload: Outgoing) {
        if self.jump.has_happened() {
            tracing::debug!("the clock has jumped: connections are made anew");
            self.lanes.iter().for_each(|lane| lane.sender.discard_pool(None));
        }
        let Some(lane) = self.lanes.get_mut(at) else { return };
        let (number, kind) = (payload.number, payload.kind);
        let send = Arc::clone(&lane.sender).send(Arc::clone(&lane.queue), payload);
        let task = self.sends.spawn(async move { (at, send.await) });
        lane.under_way.push((task, number, kind));
    }

    async fn wait(&mut self, until: Option<Instant>) -> Woken {
        let Self { changed, sends, .. } = self;
        let mut changed = pin!(changed.notified());
        let first = poll_fn(|cx| match sends.poll_join_next_with_id(cx) {
            Poll::Ready(Some(ended)) => Poll::Ready(Woken::Ended(ended)),
            _ => changed.as_mut().poll(cx).map(|()| Woken::Changed),
        });
        match until {
            Some(until) => timeout_at(until.into(), first).await.unwrap_or(Woken::Time),
            None => first.await,
        }
    }

    /// A request's task is over.
    fn ended(&mut self, ended: Ended) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some((lane, number)) = self.lanes.iter_mut().find_map(|lane| {
            let at = lane.under_way.iter().position(|(task, ..)| task.id() == id)?;
            let (_, number, _) = lane.under_way.swap_remove(at);
            Some((lane, number))
        }) else {
            return;
        };
        match ended {
            Ok((_, (at, Some(too_large)))) => self.cut(at, too_large),
            Err(error) if error.is_panic() => {
                lane.queue.said.at_times(Condition::Fault, || {
                    "an internal fault (panic) in a request was caught; its payload is dropped"
                        .to_owned()
                });
                lane.queue.settle(number, &Outcome::Fault);
            }
            Ok((_, (_, None))) | Err(_) => {}
        }
    }

    /// Cuts what the intake finds too large, or drops it where it can't be cut.
    fn cut(&mut self, at: usize, TooLarge { number, is_answer }: TooLarge) {
        let Some(Lane { queue, sender, .. }) = self.lanes.get(at) else { return };
        if let Some(item) = queue.take_cuttable(number, is_answer) {
            let pieces = cut(&mut self.packer, &item).map_err(|_| Shed::TooLarge);
            return self.queues.packed(queue, number, pieces);
        }
        queue.settle(number, if is_answer { &Outcome::TooLarge } else { &Outcome::OverLimit });
        if !is_answer {
            queue.said.at_times(Condition::TooLarge, || {
                format!(
                    "one item is larger than all that {} takes at once: it is dropped",
                    sender.host
                )
            });
        }
    }

    /// Ends the requests whose payloads a deadline has counted as lost.
    fn abort_purposeless(&mut self) {
        for Lane { queue, under_way, .. } in &mut self.lanes {
            if !queue.has_dropped_on_the_wire() {
                continue;
            }
            under_way.retain(|(task, number, _)| {
                let has_purpose = queue.holds(*number);
                if !has_purpose {
                    task.abort();
                }
                has_purpose
            });
        }
    }
}

/// How much less urgent the relay's thread is than those of the app and than the one that answers tracers (`man 7 sched`, nice values are a
/// thread's own on Linux): where a CPU is short it gets a third of their share, which compresses half a million spans a second still.
const NICENESS: libc::c_int = 5;

/// Lets others go first. Where that is forbidden nothing is lost.
fn step_back() {
    #[expect(unsafe_code, reason = "no wrapper for setpriority")]
    // SAFETY: it takes numbers only; 0 is the calling thread.
    let _is_nicer = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
}
/// How a request's task has ended.
type Ended = Result<(tokio::task::Id, (usize, Option<TooLarge>)), JoinError>;

/// Makes the allocator give free memory back to the system. (That of musl does so by itself.)
pub(crate) fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    {
        #[expect(unsafe_code, reason = "a function of the C library without a safe form")]
        // SAFETY: it has no preconditions, and memory that is in use stays where it is.
        let _is_less = unsafe { libc::malloc_trim(0) };
    }
}

/// Why the thread goes on.
enum Woken {
    Ended(Ended),
    Changed,
    Time,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant, SystemTime};

    use reqwest::header::HeaderValue;
    use tokio::runtime::Builder;
    use tokio::sync::Notify;
    use tokio::task::JoinSet;

    use super::{Jump, Lane, Next, Packer, Queue, Queues, Sender, Work};
    use crate::ledger::{Counts, Ledger, Shed};
    use crate::relay::dial::Dialer;
    use crate::relay::room::Room;
    use crate::relay::send::Role;
    use crate::relay::{Compression, Family, Kind, Payload, Settings};

    fn dialer() -> Arc<Dialer> {
        Arc::new(Dialer::new(Settings::none()))
    }

    #[test]
    fn a_panic_in_a_request_drops_its_payload_alone_and_counts_it() {
        let (ledger, changed) = (Arc::new(Ledger::default()), Arc::new(Notify::new()));
        let room = Arc::new(Room::new(1 << 20));
        let (family, of_ledger) = (Family::Traces, Arc::clone(&ledger));
        let queue = Queue::new(family, &room, true, of_ledger, Arc::clone(&changed));
        let queue = Arc::new(queue);
        let queues = Arc::new(Queues {
            all: vec![Arc::clone(&queue)],
            room,
            ledger: Arc::clone(&ledger),
            off: Vec::new(),
        });
        let counts = Counts { spans: 1, ..Counts::default() };
        for _ in 0..2 {
            queues.push(Payload {
                kind: Kind::Traces,
                body: vec![1],
                counts,
                languages: String::new(),
                parts: Vec::new(),
            });
        }
        let key = HeaderValue::from_static("key");
        let second = Duration::from_secs(1);
        let url = "http://127.0.0.1:1";
        let sender = Sender::new(dialer(), url, key, second, family, Role::Main);
        let mut work = Work {
            lanes: vec![Lane::new(Arc::clone(&queue), sender)],
            changed,
            queues,
            packer: Packer::new([Compression::Zstd(1); 3]),
            jump: Jump::new(Box::new(SystemTime::now)),
            sends: JoinSet::new(),
        };
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            while work.pack_one_each() {}
            let Next::Send(payload) = queue.next(Instant::now(), [0; Kind::ALL.len()]) else {
                panic!("it is due")
            };
            let task = work.sends.spawn(async { panic!("a panic that the test asked for") });
            work.lanes[0].under_way.push((task, payload.number, payload.kind));
            let ended = work.sends.join_next_with_id().await.unwrap();
            work.ended(ended);
        });
        assert_eq!(ledger.spans.read().shed[Shed::Fault as usize], 1);
        assert_eq!(queue.held(), counts);
        assert!(work.lanes[0].under_way.is_empty());
    }
}
