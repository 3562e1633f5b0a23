//! The relay's thread: compresses what comes in, keeps up to five requests under way, and survives its own panics.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::HeaderValue;
use tokio::runtime::Builder;
use tokio::task::{AbortHandle, JoinError, JoinSet, yield_now};
use tokio::time::timeout_at;

use crate::ledger::Shed;
use crate::relay::answer::Outcome;
use crate::relay::held::{Next, Number, Outgoing};
use crate::relay::pack::Packer;
use crate::relay::queue::Queue;
use crate::relay::say::Condition;
use crate::relay::send::Sender;
use crate::relay::{Clock, Kind, Settings};

/// Stack of the relay's thread and of the one that looks up names, bytes.
const STACK_BYTES: usize = 256 * 1024;

/// How often the thread's work is begun anew after a panic before the relay gives up.
const RESTARTS_MAX: u32 = 5;

/// After this long without anything to do, memory that is only kept for speed is given back.
const QUIET: Duration = Duration::from_secs(15);

/// The wall clock may move against the monotonic one by this much between two looks before connections count as dead.
const JUMP_MIN: Duration = Duration::from_secs(3);

/// Starts the thread. It ends when the queue is closed.
pub(super) fn spawn(
    queue: Arc<Queue>,
    settings: Settings,
    key: HeaderValue,
    wall: Clock,
) -> io::Result<()> {
    let work = move || keep_working(&queue, settings, key, wall);
    thread::Builder::new()
        .name("pillion-relay".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
        .map(drop)
}

fn keep_working(queue: &Arc<Queue>, settings: Settings, key: HeaderValue, wall: Clock) {
    step_back();
    let packer = Packer::new(settings.compression);
    let sender = Arc::new(Sender::new(settings, key));
    let mut work = Work {
        queue: Arc::clone(queue),
        sender,
        packer,
        jump: Jump::new(wall),
        sends: JoinSet::new(),
        under_way: Vec::new(),
    };
    for restart in 1..=RESTARTS_MAX + 1 {
        match catch_unwind(AssertUnwindSafe(|| work.run())) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => queue.said.at_times(Condition::Fault, || {
                format!("the relay can't start its runtime: {error}")
            }),
            Err(_) => queue.said.at_times(Condition::Fault, || {
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
    queue.give_up();
}

/// What the thread works with.
struct Work {
    queue: Arc<Queue>,
    sender: Arc<Sender>,
    packer: Packer,
    jump: Jump,
    sends: JoinSet<Option<Number>>,
    under_way: Vec<(AbortHandle, Number, Kind)>,
}

impl Work {
    fn run(&mut self) -> io::Result<()> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name("pillion-names")
            .thread_stack_size(STACK_BYTES)
            .max_blocking_threads(2)
            .thread_keep_alive(Duration::from_secs(1))
            .build()?;
        let worked = catch_unwind(AssertUnwindSafe(|| runtime.block_on(self.work())));
        // A name that is still being looked up would hold up a plain drop.
        runtime.shutdown_background();
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(())
    }

    /// Puts everything in order after a panic.
    fn start_over(&mut self) {
        self.sends = JoinSet::new();
        self.under_way.clear();
        self.packer.release();
        self.sender.discard_pool(None);
        self.queue.fault();
    }

    async fn work(&mut self) {
        let mut is_released = true;
        while !self.queue.is_closed() {
            self.abort_purposeless();
            let packed = self.pack_one();
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
            let quiet_at = (!is_released && self.queue.is_empty()).then(|| Instant::now() + QUIET);
            match self.wait(wake_at.or(quiet_at)).await {
                Woken::Ended(ended) => self.ended(ended),
                Woken::Changed => {}
                Woken::Time if wake_at.is_none() => {
                    self.packer.release();
                    self.queue.release_spare();
                    give_memory_back();
                    is_released = true;
                }
                Woken::Time => {}
            }
        }
    }

    /// Compresses the next payload, if there is one.
    fn pack_one(&mut self) -> bool {
        let Some((number, mut payload)) = self.queue.take_input() else { return false };
        let item = self.packer.pack(&mut payload);
        self.queue.keep_spare(payload.body);
        let items = item.map(|item| vec![item]).map_err(|error| {
            self.queue.said.at_times(Condition::Fault, || {
                format!("a payload can't be compressed: {error}; it is dropped")
            });
            Shed::Fault
        });
        self.queue.packed(number, items);
        true
    }

    /// Starts all requests that may start. When the next may, where that is known.
    fn send_due(&mut self) -> Option<Instant> {
        loop {
            let mut counts = [0; 2];
            self.under_way.iter().for_each(|(.., kind)| counts[*kind as usize] += 1);
            match self.queue.next(Instant::now(), counts) {
                Next::Send(payload) => self.start(payload),
                Next::At(at) => return Some(at),
                Next::Nothing => return None,
            }
        }
    }

    fn start(&mut self, payload: Outgoing) {
        if self.jump.has_happened() {
            tracing::debug!("the clock has jumped: connections are made anew");
            self.sender.discard_pool(None);
        }
        let (number, kind) = (payload.number, payload.kind);
        let send = Arc::clone(&self.sender).send(Arc::clone(&self.queue), payload);
        self.under_way.push((self.sends.spawn(send), number, kind));
    }

    async fn wait(&mut self, until: Option<Instant>) -> Woken {
        let Self { queue, sends, .. } = self;
        let mut changed = pin!(queue.changed());
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
    fn ended(&mut self, ended: Result<(tokio::task::Id, Option<Number>), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(at) = self.under_way.iter().position(|(task, ..)| task.id() == id) else { return };
        let (_, number, _) = self.under_way.swap_remove(at);
        match ended {
            Ok((_, Some(too_large))) => self.cut(too_large),
            Err(error) if error.is_panic() => {
                self.queue.said.at_times(Condition::Fault, || {
                    "an internal fault (panic) in a request was caught; its payload is dropped"
                        .to_owned()
                });
                self.queue.settle(number, &Outcome::Fault);
            }
            Ok((_, None)) | Err(_) => {}
        }
    }

    /// Cuts what the intake finds too large, or drops it where it can't be cut.
    fn cut(&mut self, number: Number) {
        match self.queue.take_cuttable(number) {
            Some(item) => {
                self.queue.packed(number, self.packer.cut(&item).map_err(|_| Shed::TooLarge))
            }
            None => self.queue.settle(number, &Outcome::TooLarge),
        }
    }

    /// Ends the requests whose payloads a deadline has counted as lost.
    fn abort_purposeless(&mut self) {
        if !self.queue.has_dropped_on_the_wire() {
            return;
        }
        self.under_way.retain(|(task, number, _)| {
            let has_purpose = self.queue.holds(*number);
            if !has_purpose {
                task.abort();
            }
            has_purpose
        });
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

/// Makes the allocator give free memory back to the system. (That of musl does so by itself.)
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    {
        #[expect(unsafe_code, reason = "a function of the C library without a safe form")]
        // SAFETY: it has no preconditions, and memory that is in use stays where it is.
        let _is_less = unsafe { libc::malloc_trim(0) };
    }
}

/// Why the thread goes on.
enum Woken {
    Ended(Result<(tokio::task::Id, Option<Number>), JoinError>),
    Changed,
    Time,
}

/// Notices that the wall clock has moved against the monotonic one: the instance was frozen or restored from a snapshot.
struct Jump {
    wall: Clock,
    last: Option<(Instant, SystemTime)>,
}

impl Jump {
    fn new(wall: Clock) -> Self {
        Self { wall, last: None }
    }

    /// Whether that has happened since the last call.
    fn has_happened(&mut self) -> bool {
        let now = (Instant::now(), (self.wall)());
        let Some((last_instant, last_wall)) = self.last.replace(now) else { return false };
        let expected = last_wall + now.0.duration_since(last_instant);
        let off = now.1.duration_since(expected).unwrap_or_else(|earlier| earlier.duration());
        off >= JUMP_MIN
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use reqwest::header::HeaderValue;
    use tokio::runtime::Builder;
    use tokio::task::JoinSet;

    use super::{Jump, Next, Packer, Queue, Sender, Work};
    use crate::ledger::{Counts, Ledger, Shed};
    use crate::relay::{Compression, Kind, Payload, Settings};

    fn settings() -> Settings {
        Settings {
            api_key: None,
            trace_url: "http://127.0.0.1:1".to_owned(),
            queue_bytes_max: 1 << 20,
            compression: Compression::Zstd,
            proxy_http: None,
            proxy_https: None,
            no_proxy: Vec::new(),
            ca_file: None,
            skip_tls_check: false,
            request_timeout: Duration::from_secs(1),
            connecting: Default::default(),
        }
    }

    #[test]
    fn a_panic_in_a_request_drops_its_payload_alone_and_counts_it() {
        let ledger = Arc::new(Ledger::default());
        let queue = Arc::new(Queue::new(1 << 20, true, Arc::clone(&ledger)));
        let counts = Counts { spans: 1, ..Counts::default() };
        for _ in 0..2 {
            queue.push(Payload {
                kind: Kind::Traces,
                body: vec![1],
                counts,
                languages: String::new(),
                parts: Vec::new(),
            });
        }
        let sender = Arc::new(Sender::new(settings(), HeaderValue::from_static("key")));
        let (packer, jump) = (Packer::new(Compression::Zstd), Jump::new(Box::new(SystemTime::now)));
        let queue_of_work = Arc::clone(&queue);
        let mut work = Work {
            queue: queue_of_work,
            sender,
            packer,
            jump,
            sends: JoinSet::new(),
            under_way: Vec::new(),
        };
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            while work.pack_one() {}
            let Next::Send(payload) = queue.next(Instant::now(), [0, 0]) else {
                panic!("it is due")
            };
            let task = work.sends.spawn(async { panic!("a panic that the test asked for") });
            work.under_way.push((task, payload.number, payload.kind));
            let ended = work.sends.join_next_with_id().await.unwrap();
            work.ended(ended);
        });
        assert_eq!(ledger.spans.read().shed[Shed::Fault as usize], 1);
        assert_eq!(queue.held(), counts);
        assert!(work.under_way.is_empty());
    }

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
