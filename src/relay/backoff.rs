//! How long what failed waits: full jitter from 100 ms, doubling to 10 s, unless the answer says when to come back.

use std::time::{Duration, Instant, SystemTime};

/// The bound of the first wait.
const FIRST: Duration = Duration::from_millis(100);

/// The bound that all further waits grow to.
pub(super) const CAP: Duration = Duration::from_secs(10);

/// The bound while somebody waits in a flush, which is over in seconds.
pub(super) const CAP_IN_FLUSH: Duration = Duration::from_secs(1);

/// The longest `Retry-After` that is respected. A longer one counts as this long.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// The wait after the `failures`-th failure in a row (from 1): uniform in `[0, min(cap, 100 ms × 2^(failures − 1)))`; `random` is uniform in `[0, 1)`.
pub(super) fn wait(failures: u32, cap: Duration, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST * (1 << doublings)).min(cap).mul_f64(random.clamp(0.0, 1.0))
}

/// What a `Retry-After` header asks for, in seconds or as a date (RFC 9110, 10.2.3). At most [`RETRY_AFTER_MAX`]; nothing where it is neither.
pub(super) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            RETRY_AFTER_MAX
        }
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Whether one endpoint may be asked now. After a failure it is left alone for a while, then one request alone tries it; so an intake that is
/// down is asked once per wait, however many payloads there are.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Rounds of failures in a row. Requests that were under way together fail in one round.
    failures: u32,
    last_failure: Option<Instant>,
    until: Option<Instant>,
}

impl Gate {
    /// The moment from which on a request may start, where that is later than `now`.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }

    /// Requests that may be under way at once: one alone as long as the last answer was a failure.
    pub(super) fn sends_max(&self, healthy: usize) -> usize {
        if self.failures == 0 { healthy } else { 1 }
    }

    /// A request that started at `started` has failed. It may be asked again in [`wait`], or after `retry_after`.
    pub(super) fn failed(
        &mut self,
        started: Instant,
        now: Instant,
        retry_after: Option<Duration>,
        cap: Duration,
        random: f64,
    ) {
        let same_round = self.last_failure.is_some_and(|last| started < last);
        if !same_round || self.failures == 0 {
            self.failures = self.failures.saturating_add(1);
            self.last_failure = Some(now);
            self.until = Some(now + wait(self.failures, cap, random));
        }
        if let Some(after) = retry_after {
            self.until = self.until.max(Some(now + after));
        }
    }

    /// The intake has answered with something that is no failure of the endpoint.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Opens it now; a single request tries it where the last one failed.
    pub(super) fn open(&mut self) {
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{CAP, CAP_IN_FLUSH, FIRST, Gate, RETRY_AFTER_MAX, retry_after, wait};

    proptest! {
        #[test]
        fn a_wait_is_below_its_doubling_bound(failures in 1_u32..100_000, random in 0.0_f64..1.0) {
            let got = wait(failures, CAP, random);
            prop_assert!(got <= CAP);
            let bound = FIRST.as_secs_f64() * 2_f64.powi(failures.min(40) as i32 - 1);
            prop_assert!(got.as_secs_f64() <= bound, "{got:?} after {failures} failures");
            prop_assert!(wait(failures, CAP_IN_FLUSH, random) <= CAP_IN_FLUSH);
            prop_assert!(wait(failures + 1, CAP, random) >= got);
        }

        #[test]
        fn jitter_covers_the_whole_range(failures in 1_u32..40) {
            prop_assert_eq!(wait(failures, CAP, 0.0), Duration::ZERO);
            let bound = CAP.min(FIRST * 2_u32.pow(failures.min(20) - 1));
            let top = wait(failures, CAP, 0.999_999);
            prop_assert!(top >= bound.mul_f64(0.999) && top < bound);
        }

        #[test]
        fn any_retry_after_is_bounded(text in ".{0,40}", seconds in 0_u64..u64::MAX) {
            for text in [text, seconds.to_string()] {
                let got = retry_after(&text, SystemTime::now());
                prop_assert!(got.unwrap_or_default() <= RETRY_AFTER_MAX);
            }
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let check = |text, expect: Option<u64>| {
            assert_eq!(retry_after(text, now), expect.map(Duration::from_secs), "{text:?}")
        };
        check("7", Some(7));
        check(" 0 ", Some(0));
        check("3600", Some(60));
        check("99999999999999999999999999", Some(60));
        check("Sun, 06 Nov 1994 08:49:47 GMT", Some(10));
        check("Sunday, 06-Nov-94 08:49:47 GMT", Some(10));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("Sat, 06 Nov 2094 08:00:00 GMT", Some(60));
        check("soon", None);
        check("-1", None);
        check("", None);
    }

    #[test]
    fn requests_that_fail_together_are_one_failure() {
        let start = Instant::now();
        let mut gate = Gate::default();
        for _ in 0..5 {
            gate.failed(start, start + Duration::from_millis(10), None, CAP, 0.5);
        }
        assert_eq!(gate.failures, 1);
        gate.failed(
            start + Duration::from_millis(70),
            start + Duration::from_millis(80),
            None,
            CAP,
            0.5,
        );
        assert_eq!(gate.failures, 2);
        assert_eq!(gate.sends_max(5), 1);
        gate.succeeded();
        assert_eq!(gate.sends_max(5), 5);
    }

    #[test]
    fn the_longer_of_retry_after_and_jitter_counts() {
        let now = Instant::now();
        let mut gate = Gate::default();
        gate.failed(now, now, Some(Duration::from_secs(7)), CAP, 0.9);
        assert_eq!(gate.closed_until(now), Some(now + Duration::from_secs(7)));
        assert_eq!(gate.closed_until(now + Duration::from_secs(7)), None);
        gate.open();
        assert_eq!(gate.closed_until(now), None);
    }
}
