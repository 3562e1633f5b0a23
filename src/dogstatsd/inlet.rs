//! Packets in, samples out to the aggregator. Pure: no socket and no clock; nothing is allocated for a metric.

use std::borrow::Cow;
use std::mem::take;

use crate::ledger::{Counts, Ledger};
use crate::metrics::{Aggregator, Check, Event, Origin, Sample, Values};

use super::Settings;
use super::enrich::{Named, Names, take_internal};
use super::parse::{self, Kind, Line, Lists, Metric, Wrong};
use super::say::Complaints;

/// How a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// It was longer than what is read at once, so its last line is cut off.
    pub is_cut_off: bool,
    /// Its last line has to have a line feed, too.
    pub needs_line_feed: bool,
}

impl Manner {
    /// A whole packet, whose last line needs no line feed.
    pub const WHOLE: Self = Self { is_cut_off: false, needs_line_feed: false };
}

/// Reads packets.
#[derive(Debug)]
pub struct Inlet {
    has_timestamps: bool,
    names: Names,
    lists: Lists<'static>,
    received: Counts,
    rejected: Counts,
    filtered: Counts,
    complaints: Complaints,
}

impl Inlet {
    /// An inlet, and what is wrong in the settings, one line each, for people.
    pub fn new(settings: &Settings) -> (Self, Vec<String>) {
        let (names, problems) = Names::new(settings);
        let inlet = Self {
            has_timestamps: settings.has_timestamps,
            names,
            lists: Lists::default(),
            received: Counts::default(),
            rejected: Counts::default(),
            filtered: Counts::default(),
            complaints: Complaints::default(),
        };
        (inlet, problems)
    }

    /// Takes all lines of a packet that came at `now_s`, in seconds since 1970. Bytes that are no UTF-8 are replaced in it, one by one, so
    /// that the lengths of events hold.
    pub fn packet(
        &mut self,
        packet: &mut [u8],
        manner: Manner,
        aggregator: &mut Aggregator,
        now_s: u64,
    ) {
        if std::str::from_utf8(packet).is_err() {
            replace_invalid(packet);
        }
        let mut rest = std::str::from_utf8(packet).unwrap_or_default();
        while !rest.is_empty() {
            let (line, behind) = match rest.split_once('\n') {
                Some((line, behind)) => (Ok(line), behind),
                None if manner.is_cut_off => (Err((rest, Wrong::CutOff)), ""),
                None if manner.needs_line_feed => (Err((rest, Wrong::NoLineFeed)), ""),
                None => (Ok(rest), ""),
            };
            rest = behind;
            match line {
                Ok("") => {}
                Ok(line) => self.line(line, aggregator, now_s),
                Err((line, wrong)) => self.reject(line, wrong),
            }
        }
    }

    /// A frame that ended before it was whole: nobody knows what would have been in it.
    pub(super) fn broken_frame(&mut self, bytes: &mut [u8]) {
        replace_invalid(bytes);
        self.reject(std::str::from_utf8(bytes).unwrap_or_default(), Wrong::CutOff);
    }

    /// A frame that would be so many bytes long.
    pub(super) fn long_frame(&mut self, bytes: u32) {
        self.reject(&format!("a frame of {bytes} bytes"), Wrong::CutOff);
    }

    fn line(&mut self, line: &str, aggregator: &mut Aggregator, now_s: u64) {
        let mut lists: Lists<'_> = take(&mut self.lists);
        match parse::line(line, self.has_timestamps, &mut lists) {
            Ok(Line::Metric(metric)) => self.metric(&metric, &mut lists, aggregator, now_s),
            Ok(Line::Event(event)) => {
                let host = take_internal(&mut lists.tags);
                let (title, text) = (line_feeds(event.title), line_feeds(event.text));
                let host = if event.host.is_empty() { host } else { event.host };
                let tags = &lists.tags;
                aggregator.event(&Event { title: &title, text: &text, host, tags, ..event }, now_s);
            }
            Ok(Line::Check(check)) => {
                let host = take_internal(&mut lists.tags);
                let host = if check.host.is_empty() { host } else { check.host };
                aggregator.check(&Check { host, tags: &lists.tags, ..check }, now_s);
            }
            Err(wrong) => self.reject(line, wrong),
        }
        self.lists = lists.for_later();
    }

    fn metric<'a>(
        &'a mut self,
        metric: &Metric<'a>,
        lists: &mut Lists<'a>,
        aggregator: &mut Aggregator,
        now_s: u64,
    ) {
        // The host of a metric is that of its container, which has none.
        take_internal(&mut lists.tags);
        let values = match metric.kind {
            crate::metrics::Kind::Set => Values::Member(metric.member),
            _ => Values::Numbers(&lists.numbers),
        };
        match self.names.name(metric.name) {
            Named::Blocked => {
                self.received.samples += values.count();
                self.filtered.samples += values.count();
            }
            Named::As(name, tags) => {
                lists.tags.extend(tags.iter().map(String::as_str));
                let sample = Sample {
                    name,
                    kind: metric.kind,
                    values,
                    rate: metric.rate,
                    timestamp_s: metric.timestamp_s,
                    tags: &lists.tags,
                    origin: Origin::of_name(name),
                };
                aggregator.sample(&sample, now_s);
            }
        }
    }

    #[cold]
    fn reject(&mut self, line: &str, wrong: Wrong) {
        let one = match Kind::of(line) {
            Kind::Metric => Counts { samples: 1, ..Counts::default() },
            Kind::Event => Counts { events: 1, ..Counts::default() },
            Kind::Check => Counts { checks: 1, ..Counts::default() },
        };
        self.received.add(one);
        self.rejected.add(one);
        self.complaints.line(line, wrong);
    }

    /// Adds to the ledger what was refused and filtered since the last call. What went to the aggregator is counted by it.
    pub fn settle(&mut self, ledger: &Ledger) {
        ledger.received(take(&mut self.received));
        ledger.rejected(take(&mut self.rejected));
        ledger.filtered(take(&mut self.filtered));
    }

    /// What is to be said to people about lines that were refused: one line a minute at most.
    pub fn complaint(&mut self, now_s: u64) -> Option<String> {
        self.complaints.due(now_s)
    }
}

impl Lists<'_> {
    /// The same memory, with nothing borrowed in it: an empty vector is collected in place.
    fn for_later(mut self) -> Lists<'static> {
        self.tags.clear();
        self.numbers.clear();
        Lists { numbers: self.numbers, tags: self.tags.into_iter().map(|_| "").collect() }
    }
}

/// `\n` as a line feed: a line can't have one itself.
fn line_feeds(text: &str) -> Cow<'_, str> {
    if text.contains("\\n") { Cow::Owned(text.replace("\\n", "\n")) } else { Cow::Borrowed(text) }
}

/// Puts a question mark for each byte that is not UTF-8.
#[cold]
fn replace_invalid(bytes: &mut [u8]) {
    let mut rest = bytes;
    while let Err(error) = std::str::from_utf8(rest) {
        let length = error.error_len().unwrap_or(rest.len() - error.valid_up_to());
        let (_, invalid) = rest.split_at_mut(error.valid_up_to());
        let (invalid, behind) = invalid.split_at_mut(length);
        invalid.fill(b'?');
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::{any, prop, proptest};

    use super::{Inlet, Ledger, Lists, Manner, replace_invalid};
    use crate::dogstatsd::Settings;
    use crate::metrics::{Aggregator, OpenBuckets, Output};

    struct Door {
        inlet: Inlet,
        aggregator: Aggregator,
        ledger: Ledger,
    }

    impl Door {
        fn new(settings: &Settings) -> Self {
            let (inlet, problems) = Inlet::new(settings);
            assert!(problems.is_empty(), "{problems:?}");
            let aggregator = Aggregator::new(crate::metrics::Settings::default());
            Self { inlet, aggregator, ledger: Ledger::default() }
        }

        fn packet(&mut self, packet: &[u8], manner: Manner) {
            self.inlet.packet(&mut packet.to_vec(), manner, &mut self.aggregator, 1_700_000_000);
            self.inlet.settle(&self.ledger);
            self.aggregator.settle(&self.ledger);
        }

        /// Received, rejected and filtered samples, and the same of events and checks.
        fn counts(&self) -> [[u64; 3]; 3] {
            [&self.ledger.samples, &self.ledger.events, &self.ledger.checks].map(|flow| {
                let read = flow.read();
                [read.received, read.rejected, read.filtered]
            })
        }

        /// Everything that leaves, as text with its strings in it.
        fn flush(&mut self) -> String {
            let mut all = String::new();
            let mut out = |output: Output| all.push_str(&String::from_utf8_lossy(&output.body));
            self.aggregator.flush(1_700_000_001, OpenBuckets::Flush, &mut out);
            all
        }
    }

    fn door() -> Door {
        Door::new(&Settings::default())
    }

    #[test]
    fn a_bad_line_does_not_concern_the_others() {
        let mut door = door();
        door.packet(
            b"\na:1:2|c\n\nb\n_e{1,1}:a|b\n_e{1,9}:a|b\n_sc|a|0\n_sc|a|9\nlast:1|s",
            Manner::WHOLE,
        );
        assert_eq!(door.counts(), [[4, 1, 0], [2, 1, 0], [2, 1, 0]]);
        let complaint = door.inlet.complaint(0).unwrap();
        assert!(complaint.contains("\"b\"") && complaint.ends_with("and 2 more"), "{complaint}");
        assert!(door.flush().contains("last"));
    }

    #[test]
    fn a_line_without_its_end_counts_as_the_settings_say() {
        for (manner, rejected) in [
            (Manner::WHOLE, 0),
            (Manner { needs_line_feed: true, ..Manner::WHOLE }, 1),
            (Manner { is_cut_off: true, ..Manner::WHOLE }, 1),
        ] {
            let mut door = door();
            door.packet(b"a:1|c\nb:1|c\n", manner);
            assert_eq!(door.counts()[0], [2, 0, 0]);
            door.packet(b"a:1|c\nb:1|c", manner);
            assert_eq!(door.counts()[0], [4, rejected, 0]);
        }
    }

    #[test]
    fn names_and_tags_are_enriched_and_blocked_metrics_counted() {
        let json = r#"[{"name": "p", "prefix": "job.", "mappings": [{"match": "job.*", "name": "job", "tags": {"of": "$1"}}]}]"#;
        let mut door = Door::new(&Settings {
            mapper_profiles: serde_json::from_str(json).unwrap(),
            namespace: "shop".to_owned(),
            blocked: vec!["shop.noise".to_owned()],
            ..Settings::default()
        });
        door.packet(b"job.load:1|c|#host:box,own:1\nnoise:1:2:3|g\njob.save:2|c", Manner::WHOLE);
        assert_eq!(door.counts()[0], [5, 0, 3]);
        let sent = door.flush();
        for text in ["shop.job", "of:load", "of:save", "own:1"] {
            assert!(sent.contains(text), "{text}");
        }
        assert!(!sent.contains("box") && !sent.contains("noise"));
    }

    #[test]
    fn an_event_has_its_line_feeds_and_its_host_and_a_check_too() {
        let mut door = door();
        door.packet(
            b"_e{4,7}:a\\nb|c\\nd\\ne|#host:tag,x:1\n_sc|s|1|h:field|#host:tag|m:m",
            Manner::WHOLE,
        );
        let sent = door.flush();
        for text in
            [r#""a\nb""#, r#""c\nd\ne""#, r#""host":"tag""#, r#""host_name":"field""#, "x:1"]
        {
            assert!(sent.contains(text), "{text}: {sent}");
        }
        assert!(!sent.contains("host:tag"), "{sent}");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_one_by_one() {
        let mut bytes = b"a\xff\xfe\xc3:\xe2\x82|\xc3\xa9\xc3".to_vec();
        replace_invalid(&mut bytes);
        assert_eq!(String::from_utf8(bytes).unwrap(), "a???:??|é?");
        let mut door = door();
        door.packet(b"_e{3,3}:a\xffb|\xfe\xfe\xfe|t:error\nbad\xff.name:1|c", Manner::WHOLE);
        assert_eq!(door.counts(), [[1, 0, 0], [1, 0, 0], [0, 0, 0]]);
        let sent = door.flush();
        assert!(sent.contains("a?b") && sent.contains("bad?.name") && sent.contains("error"));
    }

    #[test]
    fn the_memory_for_tags_stays() {
        let mut lists = Lists { numbers: Vec::new(), tags: Vec::with_capacity(100) };
        let line = String::from("tag");
        lists.tags.push(&line);
        let place = lists.tags.as_ptr() as usize;
        let lists = lists.for_later();
        assert_eq!((lists.tags.capacity(), lists.tags.as_ptr() as usize), (100, place));
    }

    #[test]
    fn nothing_that_clients_really_sent_is_rejected() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
        let mut clients = 0;
        for folder in fs::read_dir(corpus).unwrap().map(|folder| folder.unwrap().path()) {
            if !folder.file_name().unwrap().to_string_lossy().starts_with("dogstatsd-") {
                continue;
            }
            clients += 1;
            let mut door = door();
            for file in fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()) {
                if file.extension().is_some_and(|extension| extension == "dgram") {
                    door.packet(&fs::read(&file).unwrap(), Manner::WHOLE);
                    // What the agent rejects, too: a message with a line feed that Node's client writes as it is, and a name with a colon.
                    let known = ["\"again\": there is no type", "odd name/with:colon:1|g"];
                    let complaint = door.inlet.complaint(u64::MAX / 2);
                    let complaint =
                        complaint.filter(|line| !known.iter().any(|known| line.contains(known)));
                    assert_eq!(complaint, None, "{}", file.display());
                }
            }
            assert!(door.counts()[0][0] > 0, "{}", folder.display());
        }
        assert!(clients >= 4, "{clients}");
    }

    proptest! {
        #[test]
        fn any_packets_are_taken_and_every_line_is_counted(
            packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8),
            is_cut_off in any::<bool>(),
        ) {
            let mut door = door();
            for packet in &packets {
                let before: u64 = door.counts().iter().map(|[received, ..]| received).sum();
                door.packet(packet, Manner { is_cut_off, needs_line_feed: false });
                let after: u64 = door.counts().iter().map(|[received, ..]| received).sum();
                let lines = packet.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                assert!(after - before >= lines.count() as u64);
            }
        }
    }
}
