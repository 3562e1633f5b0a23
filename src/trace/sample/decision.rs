//! What samplers say of a chunk: what of it is sent, and what is written on its spans.

use crate::trace::marks::Marks;

/// An attribute that samplers write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The rate that the tracer has applied itself.
    ClientRate,
    /// The rate of the intake of traces before us.
    PreSampleRate,
    /// The share of such spans that become events.
    EventRate,
    /// The rate by which the number of events is limited.
    EventLimitRate,
    /// The span is an event.
    Analyzed,
    /// The rate that the priority sampler tells for the service.
    PriorityRate,
    /// The rate of the sampler of traces without a priority.
    NoPriorityRate,
    /// The rate of the errors sampler.
    ErrorsRate,
    /// The share of the probabilistic sampler.
    ProbabilisticRate,
    /// The span is why the trace is rare.
    Rare,
}

impl Key {
    /// The attribute's key.
    pub fn text(self) -> &'static str {
        match self {
            Self::ClientRate => "_dd1.sr.rcusr",
            Self::PreSampleRate => "_dd1.sr.rapre",
            Self::EventRate => "_dd1.sr.eausr",
            Self::EventLimitRate => "_dd1.sr.eamax",
            Self::Analyzed => "_dd.analyzed",
            Self::PriorityRate => "_sampling_priority_rate_v1",
            Self::NoPriorityRate => "_dd.no_p_sr",
            Self::ErrorsRate => "_dd.errors_sr",
            Self::ProbabilisticRate => "_dd.prob_sr",
            Self::Rare => "_dd.rare",
        }
    }

    /// The mark of spans that may have the attribute before we write it; none where it does not matter, because of two the later counts.
    pub fn mark(self) -> Marks {
        match self {
            Self::ClientRate => Marks::CLIENT_RATE,
            Self::PreSampleRate => Marks::PRE_SAMPLE_RATE,
            Self::EventRate => Marks::EVENT_RATE,
            Self::EventLimitRate => Marks::EVENT_LIMIT_RATE,
            _ => Marks::NONE,
        }
    }
}

/// An attribute to be written on a span, or to be taken out of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Write {
    /// The span's index in [`crate::trace::chunk::Work::spans`], as it was when the samplers decided.
    pub span: usize,
    /// The attribute.
    pub key: Key,
    /// Its value from now on; none where there is to be no such attribute.
    pub value: Option<f64>,
}

/// What of a chunk is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All of it.
    Whole,
    /// The spans of [`super::Samplers::kept`].
    Part,
    /// Nothing.
    Nothing,
}

/// What the samplers say of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is sent.
    pub share: Share,
    /// The trace counts as dropped, although something of it is sent.
    pub is_dropped: bool,
    /// The trace has an error where only those are of use to the user.
    pub is_tracked_error: bool,
}

impl Decision {
    /// What comes where nobody samples.
    pub const KEEP: Self = Self { share: Share::Whole, is_dropped: false, is_tracked_error: false };
}
