//! The counts of everything that came, left or was dropped: at every moment, for every kind of item,
//! received = sent + rejected + filtered + sampled out + aggregated + shed + held.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many items of each kind something holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spans.
    pub spans: u64,
    /// Chunks: the spans of one trace in one body.
    pub chunks: u64,
    /// Groups of stats: one key in one time bucket.
    pub stats_groups: u64,
    /// Lines of logs. A message that was joined of several counts all of them.
    pub log_lines: u64,
    /// Values of metrics as clients sent them.
    pub samples: u64,
    /// Metric points: one per value of a series, and one per sketch.
    pub points: u64,
    /// Service checks.
    pub checks: u64,
    /// Events.
    pub events: u64,
}

impl Counts {
    /// Adds `other` to this.
    pub fn add(&mut self, other: Self) {
        self.spans += other.spans;
        self.chunks += other.chunks;
        self.stats_groups += other.stats_groups;
        self.log_lines += other.log_lines;
        self.samples += other.samples;
        self.points += other.points;
        self.checks += other.checks;
        self.events += other.events;
    }

    /// Each with its name, chunks left out: whose spans are there is not told beside the spans.
    fn named(&self) -> [(u64, &'static str); 6] {
        [
            (self.spans, "span"),
            (self.stats_groups, "stats group"),
            (self.log_lines, "log line"),
            (self.points, "metric point"),
            (self.checks, "service check"),
            (self.events, "event"),
        ]
    }

    /// Whether there is nothing of any kind.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Counts {
    /// `1 span and 4 stats groups`, without those that are none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = self.named().into_iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> =
            some.map(|(n, name)| format!("{n} {name}{}", if n == 1 { "" } else { "s" })).collect();
        match words.split_last() {
            Some((last, [])) => f.write_str(last),
            Some((last, others)) => write!(f, "{} and {last}", others.join(", ")),
            None => f.write_str("nothing"),
        }
    }
}

/// Why something that had been accepted was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// The relay's queue was full: the oldest went first.
    QueueFull,
    /// The intake said 413 and the payload could not be split further.
    TooLarge,
    /// The intake refused it with a status that a retry does not change.
    Refused,
    /// The intake refused the API key (401 or 403).
    KeyRefused,
    /// The stop deadline came first.
    Deadline,
    /// There is no API key, so nothing is sent.
    NoKey,
    /// The body waited at the door while too many bytes were in flight.
    Busy,
    /// Nobody answered, and it is not tried again.
    Unanswered,
    /// There are too many metrics with different names or tags.
    ContextsFull,
    /// The values of metrics that wait to be sent take too many bytes.
    MetricBytesFull,
    /// The kernel's buffer of a socket was full.
    SocketFull,
    /// A fault of our own: a panic that was caught.
    Fault,
}

impl Shed {
    /// All reasons, in the order of the exit line.
    pub const ALL: [Self; 12] = [
        Self::QueueFull,
        Self::TooLarge,
        Self::Refused,
        Self::KeyRefused,
        Self::Deadline,
        Self::NoKey,
        Self::Busy,
        Self::Unanswered,
        Self::ContextsFull,
        Self::MetricBytesFull,
        Self::SocketFull,
        Self::Fault,
    ];

    /// The reason in words, for the exit line.
    pub fn words(self) -> &'static str {
        match self {
            Self::QueueFull => "queue full",
            Self::TooLarge => "too large for the intake",
            Self::Refused => "refused by the intake",
            Self::KeyRefused => "API key refused",
            Self::Deadline => "not delivered by the stop deadline",
            Self::NoKey => "no DD_API_KEY",
            Self::Busy => "too many bytes in flight",
            Self::Unanswered => "no answer from the intake",
            Self::ContextsFull => "too many different metrics and tags",
            Self::MetricBytesFull => "too many bytes of metrics",
            Self::SocketFull => "no room in a socket's buffer",
            Self::Fault => "internal fault",
        }
    }
}

/// Where items of one kind went. Every field only grows.
#[derive(Debug, Default)]
pub struct Flow {
    received: AtomicU64,
    rejected: AtomicU64,
    filtered: AtomicU64,
    sampled_out: AtomicU64,
    aggregated: AtomicU64,
    sent: AtomicU64,
    shed: [AtomicU64; Shed::ALL.len()],
}

/// A reading of one [`Flow`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Accepted from clients, or made by us (stats groups, metric points).
    pub received: u64,
    /// Dropped by normalisation, as the agent does (a span id of 0).
    pub rejected: u64,
    /// Dropped by a filter that the user set.
    pub filtered: u64,
    /// Dropped by a sampler.
    pub sampled_out: u64,
    /// Put together into items of another kind: samples into points.
    pub aggregated: u64,
    /// Taken by the intake (2xx).
    pub sent: u64,
    /// Not delivered, by reason, in the order of [`Shed::ALL`].
    pub shed: [u64; Shed::ALL.len()],
}

impl Reading {
    /// What was not delivered, for all reasons together.
    pub fn shed_total(&self) -> u64 {
        self.shed.iter().sum()
    }

    /// What was not delivered or is not yet.
    pub fn lost(&self) -> u64 {
        self.shed_total() + self.held()
    }

    /// What is still held: in the batch, the queue or on the wire.
    pub fn held(&self) -> u64 {
        let gone = self.rejected + self.filtered + self.sampled_out + self.aggregated + self.sent;
        self.received.saturating_sub(gone + self.shed_total())
    }
}

impl Reading {
    /// Whether all that was not delivered had nowhere to go: that has been said at the start.
    fn only_for_want_of_a_key(&self) -> bool {
        self.held() == 0 && self.shed_total() == self.shed[Shed::NoKey as usize]
    }
}

impl fmt::Display for Reading {
    /// `7 received, 5 sent, 1 sampled out, 1 lost (1 queue full)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} received", self.received)?;
        // What is aggregated is not sent itself.
        if self.aggregated == 0 || self.sent > 0 {
            write!(f, ", {} sent", self.sent)?;
        }
        let dropped = [
            (self.aggregated, "aggregated"),
            (self.rejected, "rejected"),
            (self.filtered, "filtered"),
            (self.sampled_out, "sampled out"),
        ];
        for (count, word) in dropped.iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {word}")?;
        }
        if self.lost() == 0 {
            return Ok(());
        }
        let shed = Shed::ALL.iter().zip(self.shed).map(|(reason, count)| (count, reason.words()));
        let lost = shed.chain([(self.held(), Shed::Deadline.words())]);
        let reasons: Vec<String> = lost
            .filter(|(count, _)| *count > 0)
            .map(|(count, words)| format!("{count} {words}"))
            .collect();
        write!(f, ", {} lost ({})", self.lost(), reasons.join(", "))
    }
}

impl Flow {
    /// Counts one item that was accepted.
    pub fn one_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one item that the intake took.
    pub fn one_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one item that was not delivered.
    pub fn one_shed(&self, reason: Shed) {
        self.shed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Reads all counts. While other threads count, the fields may be of slightly different instants.
    pub fn read(&self) -> Reading {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Reading {
            received: load(&self.received),
            rejected: load(&self.rejected),
            filtered: load(&self.filtered),
            sampled_out: load(&self.sampled_out),
            aggregated: load(&self.aggregated),
            sent: load(&self.sent),
            shed: std::array::from_fn(|i| self.shed.get(i).map_or(0, load)),
        }
    }
}

/// The counts of the whole process.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Spans.
    pub spans: Flow,
    /// Chunks.
    pub chunks: Flow,
    /// Groups of stats.
    pub stats_groups: Flow,
    /// Lines of logs.
    pub log_lines: Flow,
    /// Values of metrics as clients sent them, until they are aggregated into points.
    pub samples: Flow,
    /// Metric points.
    pub points: Flow,
    /// Service checks.
    pub checks: Flow,
    /// Events.
    pub events: Flow,
    /// Requests of tracers that are passed on as they are while the tracer waits: profiles, probes and the like.
    pub passed_on: Flow,
    /// Tracers' telemetry about themselves, which is answered first and passed on then.
    pub telemetry: Flow,
    /// Further destinations, each of which gets a copy of every payload.
    further: Mutex<Vec<(String, Arc<Ledger>)>>,
    /// Request bodies that were refused as malformed or too large.
    pub bodies_refused: AtomicU64,
    /// Lines of our own that were not written because stderr would have blocked.
    pub lines_skipped: AtomicU64,
}

impl Ledger {
    /// Counts what was accepted.
    pub fn received(&self, counts: Counts) {
        self.each(counts, |flow| &flow.received);
    }

    /// Counts what normalisation dropped.
    pub fn rejected(&self, counts: Counts) {
        self.each(counts, |flow| &flow.rejected);
    }

    /// Counts what a filter dropped.
    pub fn filtered(&self, counts: Counts) {
        self.each(counts, |flow| &flow.filtered);
    }

    /// Counts what a sampler dropped.
    pub fn sampled_out(&self, counts: Counts) {
        self.each(counts, |flow| &flow.sampled_out);
    }

    /// Counts what was put together into items of another kind.
    pub fn aggregated(&self, counts: Counts) {
        self.each(counts, |flow| &flow.aggregated);
    }

    /// Counts what the intake took.
    pub fn sent(&self, counts: Counts) {
        self.each(counts, |flow| &flow.sent);
    }

    /// Counts what was not delivered.
    pub fn shed(&self, reason: Shed, counts: Counts) {
        self.each(counts, |flow| &flow.shed[reason as usize]);
    }

    /// All that was not delivered for this reason.
    pub fn shed_for(&self, reason: Shed) -> Counts {
        let of = |flow: &Flow| flow.shed[reason as usize].load(Ordering::Relaxed);
        Counts {
            spans: of(&self.spans),
            chunks: of(&self.chunks),
            stats_groups: of(&self.stats_groups),
            log_lines: of(&self.log_lines),
            samples: of(&self.samples),
            points: of(&self.points),
            checks: of(&self.checks),
            events: of(&self.events),
        }
    }

    /// The ledger of a further destination, named `host` in the line at the end: it counts the copies that go there, and this one does not.
    pub fn further(&self, host: &str) -> Arc<Self> {
        let ledger = Arc::new(Self::default());
        let mut further = self.further.lock().unwrap_or_else(PoisonError::into_inner);
        further.push((host.to_owned(), Arc::clone(&ledger)));
        ledger
    }

    /// What was lost, in one line for people, or nothing where nothing was: what came, what was sent, and what was not, by reason. Spans
    /// that are still held count as not delivered. Telemetry of tracers about themselves is no loss to anybody.
    pub fn losses(&self) -> Option<String> {
        let flows = [
            (&self.spans, "spans"),
            (&self.stats_groups, "stats groups"),
            (&self.log_lines, "log lines"),
            (&self.samples, "metric samples"),
            (&self.points, "metric points"),
            (&self.checks, "service checks"),
            (&self.events, "events"),
            (&self.passed_on, "requests passed on"),
        ];
        self.account(&flows, |read| read.lost() > 0 && !read.only_for_want_of_a_key(), Self::losses)
    }

    /// What became of everything that came, lost or not, in one line; nothing where nothing came.
    pub fn summary(&self) -> Option<String> {
        let flows = [
            (&self.spans, "spans"),
            (&self.stats_groups, "stats groups"),
            (&self.log_lines, "log lines"),
            (&self.samples, "metric samples"),
            (&self.points, "metric points"),
            (&self.checks, "service checks"),
            (&self.events, "events"),
            (&self.passed_on, "requests passed on"),
            (&self.telemetry, "telemetry requests"),
        ];
        self.account(&flows, |read| read.received > 0, Self::summary)
    }

    fn account(
        &self,
        flows: &[(&Flow, &str)],
        is_told: impl Fn(&Reading) -> bool,
        of_further: impl Fn(&Self) -> Option<String>,
    ) -> Option<String> {
        let read = flows.iter().map(|(flow, items)| (flow.read(), items));
        let told = read.filter(|(read, _)| is_told(read));
        let mut parts: Vec<String> = told.map(|(read, items)| format!("{items}: {read}")).collect();
        let further = self.further.lock().unwrap_or_else(PoisonError::into_inner);
        let of_further = further
            .iter()
            .filter_map(|(host, ledger)| Some(format!("to {host}: {}", of_further(ledger)?)));
        parts.extend(of_further);
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    fn each(&self, counts: Counts, count: impl for<'a> Fn(&'a Flow) -> &'a AtomicU64) {
        let flows = [
            (&self.spans, counts.spans),
            (&self.chunks, counts.chunks),
            (&self.stats_groups, counts.stats_groups),
            (&self.log_lines, counts.log_lines),
            (&self.samples, counts.samples),
            (&self.points, counts.points),
            (&self.checks, counts.checks),
            (&self.events, counts.events),
        ];
        for (flow, n) in flows {
            if n > 0 {
                count(flow).fetch_add(n, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Ledger, Shed};

    #[test]
    fn what_is_not_accounted_for_is_held() {
        let ledger = Ledger::default();
        ledger.received(Counts { spans: 10, chunks: 2, ..Counts::default() });
        ledger.sent(Counts { spans: 4, chunks: 1, ..Counts::default() });
        ledger.shed(Shed::Deadline, Counts { spans: 3, ..Counts::default() });
        let spans = ledger.spans.read();
        assert_eq!((spans.held(), spans.shed_total()), (3, 3));
        assert_eq!(ledger.chunks.read().held(), 1);
    }

    #[test]
    fn counts_are_said_in_words() {
        let none = Counts::default();
        for (counts, expect) in [
            (none, "nothing"),
            (Counts { spans: 1, chunks: 7, ..none }, "1 span"),
            (Counts { spans: 3, stats_groups: 4, ..none }, "3 spans and 4 stats groups"),
            (Counts { log_lines: 1, points: 2, ..none }, "1 log line and 2 metric points"),
            (
                Counts { points: 1, checks: 2, events: 3, ..none },
                "1 metric point, 2 service checks and 3 events",
            ),
        ] {
            assert_eq!(counts.to_string(), expect);
        }
    }

    #[test]
    fn every_kind_of_item_is_told_at_the_end() {
        let ledger = Ledger::default();
        let all = Counts { log_lines: 5, points: 4, checks: 3, events: 2, ..Counts::default() };
        ledger.received(all);
        ledger.shed(Shed::QueueFull, Counts { log_lines: 1, ..Counts::default() });
        ledger.sent(Counts { log_lines: 4, ..all });
        assert_eq!(ledger.shed_for(Shed::QueueFull).log_lines, 1);
        assert_eq!(
            ledger.losses().unwrap(),
            "log lines: 5 received, 4 sent, 1 lost (1 queue full)"
        );
        assert_eq!(
            ledger.summary().unwrap(),
            "log lines: 5 received, 4 sent, 1 lost (1 queue full); metric points: 4 received, 4 sent; \
             service checks: 3 received, 3 sent; events: 2 received, 2 sent"
        );
    }

    #[test]
    fn the_line_at_the_end_says_what_became_of_everything() {
        let ledger = Ledger::default();
        assert_eq!((ledger.losses(), ledger.summary()), (None, None));
        let spans = |spans| Counts { spans, ..Counts::default() };
        ledger.received(spans(10));
        ledger.sampled_out(spans(3));
        ledger.sent(spans(7));
        assert_eq!(ledger.losses(), None);
        assert_eq!(ledger.summary().unwrap(), "spans: 10 received, 7 sent, 3 sampled out");
        ledger.received(Counts { stats_groups: 4, ..spans(5) });
        ledger.shed(Shed::QueueFull, spans(2));
        ledger.sent(Counts { stats_groups: 4, ..Counts::default() });
        let lost = "spans: 15 received, 7 sent, 3 sampled out, 5 lost (2 queue full, 3 not delivered by the stop deadline)";
        assert_eq!(ledger.losses().unwrap(), lost);
        assert_eq!(ledger.summary().unwrap(), format!("{lost}; stats groups: 4 received, 4 sent"));
    }

    #[test]
    fn samples_become_points_and_are_not_lost() {
        let ledger = Ledger::default();
        let samples = |samples| Counts { samples, ..Counts::default() };
        ledger.received(samples(9));
        ledger.aggregated(samples(9));
        assert_eq!(ledger.losses(), None);
        ledger.received(samples(3));
        ledger.rejected(samples(1));
        ledger.shed(Shed::ContextsFull, samples(2));
        let lost = "metric samples: 12 received, 9 aggregated, 1 rejected, 2 lost (2 too many different metrics and tags)";
        assert_eq!(ledger.losses().unwrap(), lost);
        assert_eq!(ledger.summary().unwrap(), lost);
    }

    #[test]
    fn a_further_destination_has_counts_of_its_own() {
        let ledger = Ledger::default();
        let further = ledger.further("b.test");
        let spans = Counts { spans: 2, ..Counts::default() };
        for each in [&ledger, &*further] {
            each.received(spans);
        }
        ledger.sent(spans);
        further.shed(Shed::Refused, spans);
        let lost = "to b.test: spans: 2 received, 0 sent, 2 lost (2 refused by the intake)";
        assert_eq!(ledger.losses().unwrap(), lost);
        assert_eq!(ledger.summary().unwrap(), format!("spans: 2 received, 2 sent; {lost}"));
    }

    #[test]
    fn a_request_that_was_not_passed_on_is_told_and_telemetry_only_to_those_who_ask() {
        let ledger = Ledger::default();
        ledger.telemetry.one_received();
        ledger.telemetry.one_shed(Shed::Unanswered);
        assert_eq!(ledger.losses(), None);
        ledger.passed_on.one_received();
        ledger.passed_on.one_received();
        ledger.passed_on.one_sent();
        let lost =
            "requests passed on: 2 received, 1 sent, 1 lost (1 not delivered by the stop deadline)";
        assert_eq!(ledger.losses().unwrap(), lost);
        assert_eq!(
            ledger.summary().unwrap(),
            format!(
                "{lost}; telemetry requests: 1 received, 0 sent, 1 lost (1 no answer from the intake)"
            )
        );
    }
}
