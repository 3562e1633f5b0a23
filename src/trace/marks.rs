//! Which of the attributes that samplers look at once in a while are there: one bit each, so that a span without them costs a bit and no look.

use crate::trace::keys::Meaning;

/// A set of such attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u8);

impl Marks {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// `_dd1.sr.rcusr`.
    pub const CLIENT_RATE: Self = Self(1);
    /// `_dd1.sr.rapre`.
    pub const PRE_SAMPLE_RATE: Self = Self(2);
    /// `_dd1.sr.eausr`.
    pub const EVENT_RATE: Self = Self(4);
    /// `_dd1.sr.eamax`.
    pub const EVENT_LIMIT_RATE: Self = Self(8);
    /// `_dd.span_sampling.mechanism`.
    pub const SPAN_SAMPLING: Self = Self(16);
    /// `_dd.span_events.has_exception`.
    pub const HAS_EXCEPTION: Self = Self(32);

    /// Notes that there is an attribute of this meaning.
    #[inline]
    pub fn see(&mut self, meaning: Meaning) {
        self.0 |= match meaning {
            Meaning::ClientRate => Self::CLIENT_RATE,
            Meaning::PreSampleRate => Self::PRE_SAMPLE_RATE,
            Meaning::EventRate => Self::EVENT_RATE,
            Meaning::EventLimitRate => Self::EVENT_LIMIT_RATE,
            Meaning::SpanSampling => Self::SPAN_SAMPLING,
            Meaning::HasException => Self::HAS_EXCEPTION,
            _ => Self::NONE,
        }
        .0;
    }

    /// Whether one of `others` is there.
    #[inline]
    pub fn has(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}
