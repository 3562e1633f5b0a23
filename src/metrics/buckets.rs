//! The buckets of 10 seconds: which one is open, and the values of those that no longer are.

use super::BUCKET_S;
use super::contexts::{Context, Id};
use super::value::Value;

/// How far a clock may be set back before its time is believed: until then the open bucket stays open, so that no bucket is sent twice.
const SET_BACK_S_MAX: u64 = 60;

/// The values of a context in a bucket that is no longer open.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) id: Id,
    pub(super) bucket_s: u64,
    pub(super) value: Value,
}

/// All buckets that were not flushed. The values of the open one are in their contexts.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// The start of the open bucket.
    open_s: u64,
    /// The starts of all buckets that have values.
    starts: Vec<u64>,
    closed: Vec<Closed>,
    /// Samples in the open bucket, and in closed ones.
    samples: (u64, u64),
    /// What the open bucket was when the closed ones were flushed last.
    flushed_s: u64,
}

impl Buckets {
    /// Opens the bucket of a time, if that is another.
    #[inline]
    pub(super) fn roll(&mut self, now_s: u64) {
        let start = now_s - now_s % BUCKET_S;
        if start > self.open_s || start + SET_BACK_S_MAX < self.open_s {
            self.open_s = start;
            self.samples = (0, self.samples.0 + self.samples.1);
        }
    }

    /// The start of the open bucket.
    pub(super) fn open_s(&self) -> u64 {
        self.open_s
    }

    /// Makes a context's value one of the open bucket. Not where that takes more than `room` bytes of further memory.
    #[inline]
    pub(super) fn enter(&mut self, id: Id, context: &mut Context, room: usize) -> bool {
        if context.bucket_s == self.open_s {
            return true;
        }
        if !context.value.is_none() {
            if room < size_of::<Closed>() {
                return false;
            }
            let value = std::mem::take(&mut context.value);
            self.closed.push(Closed { id, bucket_s: context.bucket_s, value });
        }
        context.bucket_s = self.open_s;
        true
    }

    /// Counts samples that were put into the open bucket.
    #[inline]
    pub(super) fn count(&mut self, samples: u64) {
        self.samples.0 += samples;
        if self.starts.last() != Some(&self.open_s) && samples > 0 {
            self.starts.push(self.open_s);
        }
    }

    /// Bytes of the list of closed values.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.closed.len() * size_of::<Closed>()
    }

    /// Takes the closed values.
    pub(super) fn take_closed(&mut self) -> Vec<Closed> {
        std::mem::take(&mut self.closed)
    }

    /// Whether a bucket has ended since the last flush.
    pub(super) fn has_ended(&self) -> bool {
        self.flushed_s != self.open_s
    }

    /// Begins a flush: the starts of the buckets that are due, sorted, and how many samples they have. Where none has values, it is the bucket
    /// that ended last, if it ended since the last flush: counters are sent as zeros then.
    pub(super) fn begin_flush(&mut self, is_open_due: bool) -> (Vec<u64>, u64) {
        let open_s = self.open_s;
        let mut due: Vec<u64> =
            self.starts.extract_if(.., |start| is_open_due || *start != open_s).collect();
        due.sort_unstable();
        due.dedup();
        if due.is_empty() && self.flushed_s + BUCKET_S <= open_s {
            due.push(open_s - BUCKET_S);
        }
        self.flushed_s = open_s;
        let open = if is_open_due { std::mem::take(&mut self.samples.0) } else { 0 };
        (due, open + std::mem::take(&mut self.samples.1))
    }
}

#[cfg(test)]
mod tests {
    use super::Buckets;

    #[test]
    fn a_clock_that_is_set_back_a_little_opens_no_bucket_again() {
        let mut buckets = Buckets::default();
        for (now_s, open_s) in
            [(109, 100), (110, 110), (105, 110), (51, 110), (125, 120), (59, 50), (61, 60)]
        {
            buckets.roll(now_s);
            assert_eq!(buckets.open_s(), open_s, "{now_s}");
        }
    }

    #[test]
    fn what_is_due_are_the_buckets_that_ended() {
        let mut buckets = Buckets::default();
        for (now_s, samples) in [(101, 2), (119, 3), (121, 1)] {
            buckets.roll(now_s);
            buckets.count(samples);
        }
        assert!(buckets.has_ended());
        assert_eq!(buckets.begin_flush(false), (vec![100, 110], 5));
        assert!(!buckets.has_ended());
        assert_eq!(buckets.begin_flush(true), (vec![120], 1));
        buckets.roll(129);
        assert_eq!(buckets.begin_flush(false), (vec![], 0));
        buckets.roll(151);
        assert_eq!(buckets.begin_flush(false), (vec![140], 0));
        assert_eq!(buckets.begin_flush(true), (vec![], 0));
    }
}
