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
    pub fn packet(&mut self, packet: &mut [u8], manner: Manner, aggregator: &mut Aggregator, now_s: u64) {
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
mod tests;
