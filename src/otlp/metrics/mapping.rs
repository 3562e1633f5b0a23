//! The walk through a request, and points that are numbers.

use super::changes::{Change, Changes};
use super::points::{Explicit, Exponential, Head, Number as NumberPoint, Summary};
use super::tags::Tags;
use super::{FirstTotal, Settings, bounds, resource};
use crate::metrics::{Number, Series, Writer};
use crate::trace::decode::otlp::value::{Attribute, elements, text_of};
use crate::trace::decode::otlp::wire::{Field, Fields};

/// How many points of a request there were, and what became of those that were not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub points: u64,
    /// They have no number, or none that can be understood, or are not newer than what came before.
    pub rejected: u64,
    /// Their totals could not be remembered.
    pub not_tracked: u64,
}

/// `AggregationTemporality`
pub(super) const DELTA: u64 = 1;
pub(super) const CUMULATIVE: u64 = 2;

/// What becomes of requests, one after the other.
#[derive(Debug)]
pub struct Mapping {
    pub(super) settings: Settings,
    /// When we began, nanoseconds since 1970.
    started_ns: u64,
    pub(super) changes: Changes,
    tags: Tags,
    key: Vec<u8>,
}

/// What all points of a request need.
pub(super) struct Request<'a> {
    pub(super) out: &'a mut Writer,
    pub(super) now_s: u64,
    tally: Tally,
}

/// A point's metric and everything that it says beside its values.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) tags: &'a [&'a str],
    /// The fields of resource and library as they came: they tell totals apart whose tags are the same.
    source: &'a [&'a [u8]; 2],
    pub(super) head: Head,
    /// It is the metric's first one in the request.
    pub(super) is_first: bool,
}

/// Why a point is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Rejected,
    NotTracked,
}

pub(super) type Taken = Result<(), Refusal>;

impl Place<'_> {
    /// Seconds since 1970; those of its arrival for a point that says none.
    pub(super) fn time_s(&self, now_s: u64) -> u64 {
        match self.head.time_ns {
            0 => now_s,
            time_ns => time_ns / 1_000_000_000,
        }
    }

    /// Writes a number under the metric's name with `suffix` at its end.
    pub(super) fn write(&self, request: &mut Request<'_>, suffix: &str, of: Number, value: f64) {
        let time_s = self.time_s(request.now_s);
        if suffix.is_empty() {
            return self.write_as(request, self.name, self.tags, of, time_s, value);
        }
        let name = format!("{}{suffix}", self.name);
        self.write_as(request, &name, self.tags, of, time_s, value);
    }

    /// The same with a further tag or two.
    pub(super) fn write_tagged(
        &self,
        request: &mut Request<'_>,
        suffix: &str,
        own: &[&str],
        of: Number,
        value: f64,
    ) {
        let tags: Vec<&str> = self.tags.iter().chain(own).copied().collect();
        let name = format!("{}{suffix}", self.name);
        self.write_as(request, &name, &tags, of, self.time_s(request.now_s), value);
    }

    fn write_as(
        &self,
        request: &mut Request<'_>,
        name: &str,
        tags: &[&str],
        of: Number,
        time_s: u64,
        value: f64,
    ) {
        if value.is_finite() {
            request.out.number(Series { name, tags }, of, time_s, value);
        }
    }

    /// The key under which a total is remembered. `part` tells the totals of one point apart.
    pub(super) fn key(&self, part: u8, key: &mut Vec<u8>) {
        key.clear();
        key.push(part);
        key.extend_from_slice(self.name.as_bytes());
        for source in self.source {
            key.push(0);
            key.extend_from_slice(source);
        }
        let mut sorted: Vec<&str> = self.tags.to_vec();
        sorted.sort_unstable();
        for tag in sorted {
            key.push(0);
            key.extend_from_slice(tag.as_bytes());
        }
    }
}

impl Mapping {
    /// Nothing is remembered yet. `started_ns` is when we began, nanoseconds since 1970.
    pub fn new(settings: Settings, started_ns: u64) -> Self {
        let changes = Changes::new(settings.delta_ttl_s);
        Self { settings, started_ns, changes, tags: Tags::default(), key: Vec::new() }
    }

    /// Takes the body of a request, which was checked and came at `now_s`, in seconds since 1970.
    pub fn take(&mut self, body: &[u8], now_s: u64, out: &mut Writer) -> Tally {
        let mut request = Request { out, now_s, tally: Tally::default() };
        for of_resource in elements(Fields::of(body)) {
            let own = last(of_resource, 1);
            self.tags.truncate(0);
            resource::resource(&mut self.tags, own, self.settings.resource_as_tags);
            let mark = self.tags.len();
            for of_scope in all(of_resource, 2) {
                let scope = last(of_scope, 1);
                if self.settings.scope_as_tags {
                    resource::scope(&mut self.tags, scope);
                }
                for metric in all(of_scope, 2) {
                    self.metric(metric, &[own, scope], &mut request);
                }
                self.tags.truncate(mark);
            }
        }
        request.tally
    }

    fn metric(&mut self, metric: &[u8], source: &[&[u8]; 2], request: &mut Request<'_>) {
        let name = text_of(last(metric, 1));
        for (number, field) in Fields::of(metric) {
            let Field::Bytes(content) = field else { continue };
            let temporality = number_of(content, 2);
            match number {
                5 => self.points(
                    &name,
                    content,
                    source,
                    request,
                    NumberPoint::ATTRIBUTES,
                    |own, place, bytes, request| own.gauge(place, &NumberPoint::of(bytes), request),
                ),
                7 => {
                    let only_grows = number_of(content, 3) != 0;
                    self.points(
                        &name,
                        content,
                        source,
                        request,
                        NumberPoint::ATTRIBUTES,
                        |own, place, bytes, request| {
                            own.sum(
                                place,
                                &NumberPoint::of(bytes),
                                (temporality, only_grows),
                                request,
                            )
                        },
                    );
                }
                9 => self.points(
                    &name,
                    content,
                    source,
                    request,
                    Explicit::ATTRIBUTES,
                    |own, place, bytes, request| {
                        own.histogram(place, Explicit::of(bytes), temporality, request)
                    },
                ),
                10 => self.points(
                    &name,
                    content,
                    source,
                    request,
                    Exponential::ATTRIBUTES,
                    |own, place, bytes, request| {
                        own.exponential(place, &Exponential::of(bytes), temporality, request)
                    },
                ),
                11 => self.points(
                    &name,
                    content,
                    source,
                    request,
                    Summary::ATTRIBUTES,
                    |own, place, bytes, request| own.summary(place, &Summary::of(bytes), request),
                ),
                _ => {}
            }
        }
    }

    /// Has `take` take each point of a metric.
    fn points(
        &mut self,
        name: &str,
        content: &[u8],
        source: &[&[u8]; 2],
        request: &mut Request<'_>,
        attributes: u32,
        mut take: impl FnMut(&mut Parts<'_>, Place<'_>, &[u8], &mut Request<'_>) -> Taken,
    ) {
        let mark = self.tags.len();
        for (index, bytes) in elements(Fields::of(content)).enumerate() {
            request.tally.points += 1;
            for attribute in all(bytes, attributes) {
                self.tags.attribute(&Attribute::of(attribute));
            }
            let Self { settings, started_ns, changes, tags, key } = self;
            let mut parts = Parts { settings, started_ns: *started_ns, changes, key };
            let tags: Vec<&str> = tags.iter().collect();
            let head = Head::default();
            let place = Place { name, tags: &tags, source, head, is_first: index == 0 };
            let taken = match name {
                "" => Err(Refusal::Rejected),
                _ => take(&mut parts, place, bytes, request),
            };
            match taken {
                Ok(()) => {}
                Err(Refusal::Rejected) => request.tally.rejected += 1,
                Err(Refusal::NotTracked) => request.tally.not_tracked += 1,
            }
            self.tags.truncate(mark);
        }
    }
}

/// What points of all sorts are taken by.
pub(super) struct Parts<'a> {
    pub(super) settings: &'a Settings,
    started_ns: u64,
    pub(super) changes: &'a mut Changes,
    pub(super) key: &'a mut Vec<u8>,
}

/// Metrics that the agent sends as a rate per second, as their older names always were.
const RATES: [&str; 14] = [
    "jvm.gc.major_collection_count",
    "jvm.gc.major_collection_time",
    "jvm.gc.minor_collection_count",
    "jvm.gc.minor_collection_time",
    "kafka.log.flush_rate.rate",
    "kafka.messages_in.rate",
    "kafka.net.bytes_in.rate",
    "kafka.net.bytes_out.rate",
    "kafka.replication.isr_expands.rate",
    "kafka.replication.isr_shrinks.rate",
    "kafka.replication.leader_elections.rate",
    "kafka.replication.unclean_leader_elections.rate",
    "kafka.request.fetch.failed.rate",
    "kafka.request.produce.failed.rate",
];

impl Parts<'_> {
    fn gauge(
        &mut self,
        mut place: Place<'_>,
        point: &NumberPoint,
        request: &mut Request<'_>,
    ) -> Taken {
        place.head = point.head;
        let Some(value) = number(point)? else { return Ok(()) };
        place.write(request, "", Number::Gauge, value);
        Ok(())
    }

    fn sum(
        &mut self,
        mut place: Place<'_>,
        point: &NumberPoint,
        (temporality, only_grows): (u64, bool),
        request: &mut Request<'_>,
    ) -> Taken {
        place.head = point.head;
        let Some(value) = number(point)? else { return Ok(()) };
        match temporality {
            DELTA => place.write(request, "", Number::Count, value),
            CUMULATIVE if only_grows && self.settings.totals_to_deltas => {
                return self.total(place, 0, "", value, request);
            }
            CUMULATIVE => place.write(request, "", Number::Gauge, value),
            _ => return Err(Refusal::Rejected),
        }
        Ok(())
    }

    /// A total that only grows: what came since the point before.
    fn total(
        &mut self,
        place: Place<'_>,
        part: u8,
        suffix: &str,
        value: f64,
        request: &mut Request<'_>,
    ) -> Taken {
        place.key(part, self.key);
        let is_rate = suffix.is_empty() && RATES.contains(&place.name);
        match self.changes.number(self.key, &place.head, value, true, request.now_s) {
            Change::By(delta) if is_rate => {
                place.write(request, suffix, Number::Gauge, delta.value / delta.seconds);
            }
            Change::By(delta) => place.write(request, suffix, Number::Count, delta.value),
            Change::First if !is_rate && self.is_first_sent(&place) => {
                place.write(request, suffix, Number::Count, value);
            }
            Change::First => {}
            Change::Old => return Err(Refusal::Rejected),
            Change::NotTracked => return Err(Refusal::NotTracked),
        }
        Ok(())
    }

    /// Whether the first total is sent. As with the agent, of the points that a metric has in one request only the first one's is.
    fn is_first_sent(&self, place: &Place<'_>) -> bool {
        let Head { start_ns, time_ns, .. } = place.head;
        let is_new = self.started_ns < start_ns && start_ns != time_ns;
        place.is_first
            && match self.settings.first_total {
                FirstTotal::Auto => is_new,
                FirstTotal::Keep => true,
                FirstTotal::Drop => false,
            }
    }

    fn summary(
        &mut self,
        mut place: Place<'_>,
        point: &Summary,
        request: &mut Request<'_>,
    ) -> Taken {
        place.head = point.head;
        if point.head.has_no_value() {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "points are doubles")]
        let count = point.count as f64;
        self.total(place, 1, ".count", count, request)?;
        if point.sum.is_finite() {
            place.key(2, self.key);
            let change =
                self.changes.number(self.key, &place.head, point.sum, false, request.now_s);
            if let Change::By(delta) = change {
                place.write(request, ".sum", Number::Count, delta.value);
            }
        }
        if self.settings.quantiles {
            for &(share, value) in &point.quantiles {
                let tag = format!("quantile:{}", bounds::text(share));
                place.write_tagged(request, ".quantile", &[&tag], Number::Gauge, value);
            }
        }
        Ok(())
    }
}

/// The number of a point; nothing of one that says that there is none.
fn number(point: &NumberPoint) -> Result<Option<f64>, Refusal> {
    if point.head.has_no_value() {
        return Ok(None);
    }
    point.value.filter(|value| value.is_finite()).map(Some).ok_or(Refusal::Rejected)
}

/// The fields of this number that have bytes.
fn all(bytes: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields::of(bytes).filter(move |field| field.0 == number).map(|field| field.1.bytes())
}

/// The last one; empty where there is none.
fn last(bytes: &[u8], number: u32) -> &[u8] {
    all(bytes, number).last().unwrap_or_default()
}

/// The number of a field; 0 where there is none.
fn number_of(bytes: &[u8], number: u32) -> u64 {
    Fields::of(bytes).filter(|field| field.0 == number).last().map_or(0, |field| field.1.number())
}
