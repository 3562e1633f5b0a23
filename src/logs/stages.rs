//! The way of a log: what the ring has, lines, messages, the batch, the outlet; and what is counted on it.

use std::fmt;
use std::sync::Arc;

use crate::ledger::{Counts, Ledger, Shed};
use crate::relay::Payload;
use crate::ring::{self, Half, Lost, Piece, Ring};

use super::batch::{Attributes, Batch, Level, Pushed};
use super::join::{Join, Plan};
use super::last::Last;
use super::lines::{Splitter, trim};
use super::message::{Line, Message, Stream};
use super::rules::{Rules, Verdict};
use super::settings::Settings;

/// Where payloads go. It gives an empty buffer for the next.
pub type Outlet = Box<dyn FnMut(Payload) -> Vec<u8>>;

/// All stages of logs. They belong to one thread and know no clock: time comes in, in milliseconds of a clock that does not go back.
pub struct Stages {
    ring: Arc<Ring>,
    /// The half of the ring that is ours.
    half: Half,
    splitters: [Splitter; 2],
    /// The lines of each stream on their way to messages.
    joins: [Join; 2],
    /// When the last bytes of each stream arrived, milliseconds since 1970.
    arrived_ms: [u64; 2],
    end: End,
}

/// The stages behind the splitters.
struct End {
    rules: Arc<Rules>,
    batch: Batch,
    outlet: Outlet,
    ledger: Arc<Ledger>,
    last: Last,
    /// A line has come.
    has_any: bool,
    /// Lines that are not in the ledger yet: it is told once for many.
    received: u64,
}

impl Stages {
    /// Stages that have seen nothing yet.
    pub fn new(
        settings: &Settings,
        level: Level,
        ring: Arc<Ring>,
        ledger: Arc<Ledger>,
        outlet: Outlet,
    ) -> Self {
        let splitter = || Splitter::new(settings.line_bytes_max);
        let batch = Batch::new(settings.batch, settings.attributes.clone(), level);
        Self {
            ring,
            half: Half::default(),
            splitters: [splitter(), splitter()],
            joins: [Join::Lines, Join::Lines],
            arrived_ms: [0; 2],
            end: End {
                rules: Arc::default(),
                batch,
                outlet,
                ledger,
                last: Last::default(),
                has_any: false,
                received: 0,
            },
        }
    }

    /// Has the lines of each stream joined by a plan, and rules applied to the messages. Without this each line is a message, and all are kept.
    #[must_use]
    pub fn with(mut self, plan: &Plan, rules: &Arc<Rules>) -> Self {
        self.joins = [plan.start(), plan.start()];
        self.end.rules = Arc::clone(rules);
        self
    }

    /// Changes what further entries say beside their own text.
    pub fn set_attributes(&mut self, attributes: Attributes) {
        self.end.batch.set_attributes(attributes);
    }

    /// Takes all that the app has written until now.
    pub fn take(&mut self, now_ms: u64) {
        let mut half = std::mem::take(&mut self.half);
        self.ring.take(&mut half);
        half.pieces().for_each(|piece| self.piece(&piece, now_ms));
        self.half = half;
        self.end.count_received();
        let Lost { lines, .. } = self.ring.take_lost();
        self.end.ledger.received(counts(lines));
        self.end.ledger.shed(Shed::QueueFull, counts(lines));
    }

    /// Takes a line that was read elsewhere: from a file. `join` is the file's own.
    pub fn line(&mut self, line: Line<'_>, join: &mut Join, now_ms: u64) {
        self.end.line(line, join, now_ms);
        self.end.count_received();
    }

    /// Takes a message that a file's own join gave out later.
    pub fn message(&mut self, message: Message<'_>, now_ms: u64) {
        self.end.message(message, now_ms);
    }

    /// When [`Stages::tick`] has something to do; nothing where no line is held.
    pub fn due_ms(&self) -> Option<u64> {
        let joins = self.joins.iter().filter_map(Join::due_ms);
        joins.chain(self.end.batch.due_ms()).min()
    }

    /// Gives out lines that have waited for more of their message, and has the batch leave, each if it is due.
    pub fn tick(&mut self, now_ms: u64) {
        let end = &mut self.end;
        for join in &mut self.joins {
            join.tick(now_ms, &mut |message| end.message(message, now_ms));
        }
        if self.end.batch.due_ms().is_some_and(|due| due <= now_ms) {
            self.leave();
            // A burst is over by now, and where it is not, memory for the next is soon had.
            self.half.give_back();
            self.ring.give_back();
        }
    }

    /// Takes what the app has written until now and has it leave.
    pub fn flush(&mut self, now_ms: u64) {
        self.take(now_ms);
        self.flush_joins(now_ms);
        self.leave();
    }

    fn flush_joins(&mut self, now_ms: u64) {
        let end = &mut self.end;
        for join in &mut self.joins {
            join.flush(&mut |message| end.message(message, now_ms));
        }
    }

    /// The app has ended: the same, lines without an end included.
    pub fn finish(&mut self, now_ms: u64) {
        self.end_lines(now_ms);
        self.leave();
    }

    /// Takes all that the app has written, lines without an end included, into the batch.
    fn end_lines(&mut self, now_ms: u64) {
        self.take(now_ms);
        for at in [ring::Output::Stdout, ring::Output::Stderr] {
            self.split(at, now_ms, |splitter, line| splitter.finish(line));
        }
        self.end.count_received();
        self.flush_joins(now_ms);
    }

    /// Whether the app has ever written anything, up to now.
    pub fn has_any(&mut self, now_ms: u64) -> bool {
        self.take(now_ms);
        let is_held = self.splitters.iter().any(|splitter| splitter.held_bytes() > 0);
        self.end.has_any || is_held
    }

    /// The app has ended: what were its last lines? All before them is taken. Nothing where none came.
    pub fn last_lines(&mut self, now_ms: u64) -> Option<String> {
        self.end_lines(now_ms);
        self.end.last.lines()
    }

    /// Takes a message of our own, an error, on which no rule has a say.
    pub fn own_message(&mut self, text: &str, time_ms: u64, now_ms: u64) {
        let (text, stream, is_cut) = (text.as_bytes(), Stream::Stderr, false);
        let line = Line { text, stream, time_ms, tags: "", is_cut };
        if let Some(message) = Message::of_line(line) {
            self.end.received += 1;
            self.end.push(&message, now_ms);
            self.end.count_received();
        }
    }

    fn leave(&mut self) {
        self.end.batch.leave(&mut self.end.outlet);
    }

    fn piece(&mut self, piece: &Piece<'_>, now_ms: u64) {
        let arrived_ms = &mut self.arrived_ms[piece.output as usize];
        *arrived_ms = piece.time_ms.max(*arrived_ms);
        self.split(piece.output, now_ms, |splitter, line| {
            if piece.is_after_gap {
                splitter.gap(line);
            }
            splitter.bytes(piece.bytes, line);
        });
    }

    /// Runs `act` with the splitter of a stream and where its lines go.
    fn split(
        &mut self,
        output: ring::Output,
        now_ms: u64,
        act: impl FnOnce(&mut Splitter, &mut dyn FnMut(&[u8], bool)),
    ) {
        let stream = match output {
            ring::Output::Stdout => Stream::Stdout,
            ring::Output::Stderr => Stream::Stderr,
        };
        let time_ms = self.arrived_ms[output as usize];
        let (end, join) = (&mut self.end, &mut self.joins[output as usize]);
        act(&mut self.splitters[output as usize], &mut |text, is_cut| {
            end.line(Line { text, stream, time_ms, tags: "", is_cut }, join, now_ms);
        });
    }
}

impl End {
    fn line(&mut self, line: Line<'_>, join: &mut Join, now_ms: u64) {
        // A blank line is no line, and yet has a place in some messages.
        self.received += u64::from(!trim(line.text).is_empty());
        self.has_any = true;
        join.line(line, now_ms, &mut |message| self.message(message, now_ms));
    }

    fn message(&mut self, mut message: Message<'_>, now_ms: u64) {
        if self.rules.apply(&mut message) == Verdict::Drop {
            self.count_received();
            self.ledger.filtered(counts(u64::from(message.lines)));
            return;
        }
        self.last.see(&message.text, message.stream);
        self.push(&message, now_ms);
    }

    fn push(&mut self, message: &Message<'_>, now_ms: u64) {
        match self.batch.push(message, now_ms, &mut self.outlet) {
            Pushed::In => {}
            Pushed::TooLarge => {
                self.count_received();
                self.ledger.shed(Shed::TooLarge, counts(u64::from(message.lines)));
            }
        }
    }

    fn count_received(&mut self) {
        self.ledger.received(counts(std::mem::take(&mut self.received)));
    }
}

fn counts(log_lines: u64) -> Counts {
    Counts { log_lines, ..Counts::default() }
}

impl fmt::Debug for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stages").field("batch_due_ms", &self.due_ms()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::Arc;

    use serde_json::Value;

    use super::{Stages, ring};
    use crate::ledger::{Ledger, Shed};
    use crate::logs::Settings;
    use crate::ring::Ring;

    /// Stages with a ring of so many bytes, and what has left.
    struct Fixture {
        stages: Stages,
        ring: Arc<Ring>,
        ledger: Arc<Ledger>,
        left: Rc<RefCell<Vec<Value>>>,
    }

    impl Fixture {
        fn new(ring_bytes: usize, settings: Settings) -> Self {
            let (ring, ledger) = (Arc::new(Ring::new(ring_bytes)), Arc::new(Ledger::default()));
            let left = Rc::new(RefCell::new(Vec::new()));
            let record = Rc::clone(&left);
            let of_payload = Arc::clone(&ledger);
            let outlet = Box::new(move |payload: crate::relay::Payload| {
                record
                    .borrow_mut()
                    .extend(serde_json::from_slice::<Vec<Value>>(&payload.body).unwrap());
                of_payload.sent(payload.counts);
                payload.body
            });
            let none = |_: &[u8]| None;
            let stages =
                Stages::new(&settings, none, Arc::clone(&ring), Arc::clone(&ledger), outlet);
            Self { stages, ring, ledger, left }
        }

        fn messages(&self) -> Vec<String> {
            let text = |entry: &Value| entry["message"].as_str().unwrap().to_owned();
            self.left.borrow().iter().map(text).collect()
        }
    }

    #[test]
    fn streams_do_not_mix_and_what_has_no_end_comes_at_the_end() {
        let mut fixture = Fixture::new(1 << 20, Settings::default());
        for (output, text) in [
            (ring::Output::Stdout, "one, "),
            (ring::Output::Stderr, "oh"),
            (ring::Output::Stdout, "two\nthree"),
            (ring::Output::Stderr, " no\n"),
        ] {
            fixture.ring.push(output, text.as_bytes(), 7);
        }
        fixture.stages.flush(0);
        assert_eq!(fixture.messages(), ["one, two", "oh no"]);
        fixture.stages.finish(0);
        assert_eq!(fixture.messages(), ["one, two", "oh no", "three"]);
        let left = fixture.left.borrow();
        assert_eq!((&left[0]["status"], &left[1]["status"]), (&"info".into(), &"error".into()));
        assert_eq!(left[2]["timestamp"], 7);
        let lines = fixture.ledger.log_lines.read();
        assert_eq!((lines.received, lines.held()), (3, 0));
    }

    #[test]
    fn a_batch_leaves_when_it_is_due() {
        let mut fixture = Fixture::new(1 << 20, Settings::default());
        fixture.ring.push(ring::Output::Stdout, b"a\n", 7);
        fixture.stages.take(1000);
        fixture.stages.tick(5999);
        assert_eq!((fixture.messages().len(), fixture.stages.due_ms()), (0, Some(6000)));
        assert_eq!(fixture.ledger.log_lines.read().held(), 1);
        fixture.stages.tick(6000);
        assert_eq!((fixture.messages().len(), fixture.stages.due_ms()), (1, None));
    }

    #[test]
    fn what_the_ring_dropped_and_what_is_too_large_is_counted() {
        let mut settings = Settings::default();
        settings.batch.bytes_max = 400;
        let mut fixture = Fixture::new(8000, settings);
        fixture.ring.push(ring::Output::Stdout, b"begun", 7);
        fixture.ring.push(ring::Output::Stdout, "x\n".repeat(3000).as_bytes(), 8);
        fixture.ring.push(ring::Output::Stdout, b"end\n", 8);
        fixture.ring.push(ring::Output::Stdout, "y".repeat(1000).as_bytes(), 8);
        fixture.stages.finish(0);
        assert_eq!(fixture.messages(), ["begun...TRUNCATED...", "...TRUNCATED...end"]);
        let lines = fixture.ledger.log_lines.read();
        assert_eq!(lines.received, 3003);
        assert_eq!(lines.shed[Shed::QueueFull as usize], 3000);
        assert_eq!(lines.shed[Shed::TooLarge as usize], 1);
        assert_eq!((lines.sent, lines.held()), (2, 0));
    }
}
