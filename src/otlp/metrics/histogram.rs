//! Points that are histograms.

use super::changes::{Change, Window};
use super::mapping::{CUMULATIVE, DELTA, Parts, Place, Refusal, Request, Taken};
use super::points::{Explicit, Exponential, Totals};
use super::{Histograms, bounds};
use crate::metrics::{Exponential as Side, Number, Series, Sketch};

/// What is told apart from the totals of the same metric as a number.
const HISTOGRAM: u8 = 3;

impl Parts<'_> {
    pub(super) fn histogram(
        &mut self,
        mut place: Place<'_>,
        mut point: Explicit,
        temporality: u64,
        request: &mut Request<'_>,
    ) -> Taken {
        place.head = point.head;
        if point.head.has_no_value() {
            return Ok(());
        }
        if !point.is_sound() {
            return Err(Refusal::Rejected);
        }
        if temporality == CUMULATIVE {
            place.key(HISTOGRAM, self.key);
            match self.changes.histogram(self.key, &point, request.now_s) {
                Change::By(window) => narrow(&mut point, window),
                Change::First => return Ok(()),
                Change::Old => return Err(Refusal::Rejected),
                Change::NotTracked => return Err(Refusal::NotTracked),
            }
        } else if temporality != DELTA {
            return Err(Refusal::Rejected);
        }
        self.aggregations(&place, &point.totals, temporality, request);
        match self.settings.histograms {
            Histograms::Distributions => {
                let sketch = sketch(&point).ok_or(Refusal::Rejected)?;
                write(&place, &sketch, request);
            }
            Histograms::Counters => counters(&place, &point, request),
            Histograms::NoBuckets => {}
        }
        Ok(())
    }

    /// Count and sum as series of their own, and what is lowest and highest where that is of this window alone.
    fn aggregations(
        &self,
        place: &Place<'_>,
        totals: &Totals,
        temporality: u64,
        request: &mut Request<'_>,
    ) {
        if !self.settings.aggregations {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "points are doubles")]
        place.write(request, ".count", Number::Count, totals.count as f64);
        if let Some(sum) = totals.sum {
            place.write(request, ".sum", Number::Count, sum);
        }
        if temporality == DELTA {
            for (suffix, extreme) in [(".min", totals.min), (".max", totals.max)] {
                if let Some(extreme) = extreme {
                    place.write(request, suffix, Number::Gauge, extreme);
                }
            }
        }
    }

    pub(super) fn exponential(
        &mut self,
        mut place: Place<'_>,
        point: &Exponential,
        temporality: u64,
        request: &mut Request<'_>,
    ) -> Taken {
        place.head = point.head;
        if point.head.has_no_value() {
            return Ok(());
        }
        if temporality != DELTA {
            return Err(Refusal::Rejected);
        }
        let [positive, negative] = [&point.positive, &point.negative]
            .map(|side| Side { offset: side.offset, counts: &side.counts });
        let sketch = Sketch::of_exponential(point.scale, point.zeros, positive, negative);
        let mut sketch = sketch.map_err(|_| Refusal::Rejected)?;
        self.aggregations(&place, &point.totals, temporality, request);
        if self.settings.histograms == Histograms::NoBuckets || sketch.is_empty() {
            return Ok(());
        }
        let Totals { count, sum, min, max } = point.totals;
        if let Some(sum) = sum.filter(|_| count > 0) {
            sketch.set_sum(count, sum);
            if count == 1 {
                sketch.set_range(Some(sum), Some(sum));
            }
        }
        sketch.set_range(min, max);
        write(&place, &sketch, request);
        Ok(())
    }
}

fn write(place: &Place<'_>, sketch: &Sketch, request: &mut Request<'_>) {
    let series = Series { name: place.name, tags: place.tags };
    request.out.sketch(series, place.time_s(request.now_s), sketch);
}

/// Leaves of a total what came since the one before.
fn narrow(point: &mut Explicit, window: Window) {
    let Totals { min, max, .. } = point.totals;
    point.counts = window.counts;
    point.totals = Totals {
        count: window.count,
        sum: window.sum,
        min: min.filter(|_| window.has_min),
        max: max.filter(|_| window.has_max),
    };
}

/// The bounds of a bucket, which may be infinite.
fn bucket(point: &Explicit, index: usize) -> (f64, f64) {
    let low = index.checked_sub(1).and_then(|before| point.bounds.get(before));
    let high = point.bounds.get(index);
    (low.copied().unwrap_or(f64::NEG_INFINITY), high.copied().unwrap_or(f64::INFINITY))
}

/// The values spread over the bins between the bounds of their buckets; nothing where a bucket has too many, or there is nothing to tell where
/// they are.
fn sketch(point: &Explicit) -> Option<Sketch> {
    let Totals { count, sum, min, max } = point.totals;
    let mut sketch = Sketch::default();
    let mut range: Option<(f64, f64)> = None;
    let whole = [count];
    let counts = if point.bounds.is_empty() { &whole[..] } else { &point.counts };
    for (index, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (mut low, mut high) = bucket(point, index);
        if point.bounds.is_empty() {
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
            let average = sum.map(|sum| sum / count as f64);
            low = min.or(average).or(max)?;
            high = max.or(average).or(min)?.max(low);
        }
        if high == f64::INFINITY {
            high = low;
        } else if low == f64::NEG_INFINITY {
            low = high;
        }
        sketch.spread(low, high, u32::try_from(count).ok()?);
        range = Some((range.map_or(low, |range| range.0), high));
    }
    if let Some(sum) = sum.filter(|_| count > 0) {
        sketch.set_sum(count, sum);
    }
    if let Some((low, high)) = range {
        sketch.set_range(Some(min.unwrap_or(low)), Some(max.unwrap_or(high)));
    }
    Some(sketch)
}

/// A count for each bucket.
fn counters(place: &Place<'_>, point: &Explicit, request: &mut Request<'_>) {
    for (index, &count) in point.counts.iter().enumerate() {
        let (low, high) = bucket(point, index);
        let low = format!("lower_bound:{}", bounds::text(low));
        let high = format!("upper_bound:{}", bounds::text(high));
        #[expect(clippy::cast_precision_loss, reason = "points are doubles")]
        let count = count as f64;
        place.write_tagged(request, ".bucket", &[&low, &high], Number::Count, count);
    }
}
