//! Points that are finished when they come, with times of their own: they are not put together with others but written down.

use crate::ledger::{Counts, Ledger};

use super::Settings;
use super::body::{Bodies, Output, TooLarge};
use super::key::{Key, Shared};
use super::sample::{Kind, Origin};
use super::series::{Fields, Metric, Type};
use super::sketch::Sketch;
use super::tally::Tally;

/// What a point belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// The metric's name.
    pub name: &'a str,
    /// Tags as they came: unsorted, possibly twice.
    pub tags: &'a [&'a str],
}

/// How the number of a point is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// So many since the point before.
    Count,
    /// As it is.
    Gauge,
}

/// Writes points into bodies within the intake's limits. It has no clock and waits for nothing.
#[derive(Debug)]
pub struct Writer {
    fields: Fields,
    series: Bodies,
    sketches: Bodies,
    tally: Tally,
    key: Key,
    bytes_max: usize,
}

impl Writer {
    /// A writer that holds nothing. Of the settings, those of histograms, expiry and contexts mean nothing here.
    pub fn new(mut settings: Settings) -> Self {
        let shared = Shared::new(std::mem::take(&mut settings.tags));
        let hostname = std::mem::take(&mut settings.hostname);
        Self {
            fields: Fields::new(shared, hostname, settings.category),
            series: Bodies::of_series(settings.are_series_compressed),
            sketches: Bodies::of_sketches(),
            tally: Tally::default(),
            key: Key::default(),
            bytes_max: settings.bytes_max,
        }
    }

    /// Replaces [`Settings::tags`], such as when the platform has told what it is. What is written stays as it is.
    pub fn set_tags(&mut self, tags: Vec<String>) {
        self.fields.shared = Shared::new(tags);
    }

    /// Writes a finite number at a time in seconds since 1970.
    pub fn number(&mut self, series: Series<'_>, number: Number, time_s: u64, value: f64) {
        if !self.has_room() {
            return;
        }
        let (kind, of) = match number {
            Number::Count => (Kind::Count, Type::Count),
            Number::Gauge => (Kind::Gauge, Type::Gauge),
        };
        self.key.write(kind, series.name, series.tags, Some(&self.fields.shared));
        let Self { fields, series: bodies, key, tally, .. } = self;
        let metric = metric(key, series.name);
        let point = [(time_s, value)].into_iter();
        let added = bodies.push(1, |out| fields.series(out, metric, "", of, point));
        tally.points(1, added);
    }

    /// Writes a sketch, the same way. An empty one says nothing.
    pub fn sketch(&mut self, series: Series<'_>, time_s: u64, sketch: &Sketch) {
        if sketch.is_empty() || !self.has_room() {
            return;
        }
        self.key.write(Kind::Distribution, series.name, series.tags, Some(&self.fields.shared));
        let Self { fields, sketches, key, tally, .. } = self;
        let metric = metric(key, series.name);
        let point = [(time_s, sketch)].into_iter();
        let added: Result<(), TooLarge> =
            sketches.push(1, |out| fields.sketches(out, metric, point));
        tally.points(1, added);
    }

    /// Whether a further point may be written; where it may not, it is counted as shed.
    fn has_room(&mut self) -> bool {
        let has_room = self.held_bytes() < self.bytes_max;
        if !has_room {
            self.tally.received.points += 1;
            self.tally.bytes_full.points += 1;
        }
        has_room
    }

    /// Hands out all that is written.
    pub fn flush(&mut self, out: &mut dyn FnMut(Output)) {
        self.series.take(out);
        self.sketches.take(out);
    }

    /// Counts what came and what of it was turned down, beside the points that were made of it.
    pub fn count(&mut self, received: Counts, rejected: Counts, not_tracked: Counts) {
        self.tally.received.add(received);
        self.tally.rejected.add(rejected);
        self.tally.contexts_full.add(not_tracked);
        let gone = rejected.samples + not_tracked.samples;
        self.tally.aggregated.samples += received.samples.saturating_sub(gone);
    }

    /// Adds to the ledger what became of everything since the last call: before what was handed out is settled anywhere else.
    pub fn settle(&mut self, ledger: &Ledger) {
        self.tally.settle(ledger);
    }

    /// Bytes of what is written and not handed out.
    pub fn held_bytes(&self) -> usize {
        self.series.bytes() + self.sketches.bytes()
    }
}

fn metric<'a>(key: &'a Key, name: &str) -> Metric<'a> {
    let (field, tags) = key.fields();
    Metric { name: field, tags, is_shared: true, origin: Origin::of_name(name) }
}

#[cfg(test)]
mod tests {
    use super::{Number, Series, Sketch, Writer};
    use crate::ledger::{Counts, Ledger, Shed};
    use crate::metrics::{BodyKind, Settings};

    const SERIES: Series<'static> = Series { name: "n", tags: &["b:1", "a:1", "b:1"] };

    #[test]
    fn points_are_written_once_and_counted() {
        let tags = vec!["a:1".to_owned()];
        let mut writer = Writer::new(Settings { tags, ..Settings::default() });
        writer.number(SERIES, Number::Count, 17, 2.5);
        let mut sketch = Sketch::default();
        sketch.spread(1.0, 2.0, 3);
        writer.sketch(SERIES, 17, &sketch);
        writer.sketch(SERIES, 17, &Sketch::default());
        let mut out = Vec::new();
        writer.flush(&mut |output| out.push((output.kind, output.counts.points, output.body)));
        assert_eq!(
            out.iter().map(|body| (body.0, body.1)).collect::<Vec<_>>(),
            [(BodyKind::Series, 1), (BodyKind::Sketches, 1)]
        );
        // The count has no interval, and the common tag stands once.
        let text = String::from_utf8_lossy(&out[0].2);
        assert_eq!((text.matches("a:1").count(), text.matches("b:1").count()), (1, 1));
        assert!(out[0].2.windows(2).any(|two| two == [0x28, 1]));
        let ledger = Ledger::default();
        writer.settle(&ledger);
        assert_eq!(ledger.points.read().received, 2);
    }

    #[test]
    fn what_there_is_no_room_for_is_shed() {
        let mut writer = Writer::new(Settings { bytes_max: 10, ..Settings::default() });
        for _ in 0..3 {
            writer.number(SERIES, Number::Gauge, 17, 1.0);
        }
        let samples = |samples| Counts { samples, ..Counts::default() };
        writer.count(samples(9), samples(2), samples(1));
        let ledger = Ledger::default();
        writer.settle(&ledger);
        let points = ledger.points.read();
        assert_eq!((points.received, points.shed[Shed::MetricBytesFull as usize]), (3, 2));
        let samples = ledger.samples.read();
        assert_eq!((samples.aggregated, samples.held()), (6, 0));
    }
}
