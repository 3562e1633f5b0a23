//! All samplers in the agent's order, and what of a chunk is sent by what they say.

use super::decision::{Decision, Key, Share, Write};
use super::events::Events;
use super::priority::{Priority, Reply};
use super::probabilistic::Probabilistic;
use super::rare::Rare;
use super::score::Score;
use super::{
    PRIORITY_AUTO_DROP, PRIORITY_AUTO_KEEP, PRIORITY_USER_DROP, PRIORITY_USER_KEEP, Root, Settings,
    SpanText, belongs_to_share, weight,
};
use crate::trace::chunk::{PRIORITY_NONE, Ready, Work};
use crate::trace::marks::Marks;
use crate::trace::strings::Strings;

/// The mechanism of a decision by the user's own hand.
const MECHANISM_MANUAL: u32 = 4;

/// The mechanism of a decision by the probabilistic sampler.
const MECHANISM_PROBABILISTIC: u32 = 9;

const SPAN_SAMPLING: &str = "_dd.span_sampling.mechanism";
const HAS_EXCEPTION: &str = "_dd.span_events.has_exception";

/// What the samplers have to know beside the chunk.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The table of the chunk's strings.
    pub strings: &'a Strings,
    /// The env of the payload, empty for the agent's own.
    pub env: &'a str,
    /// Nanoseconds since 1970.
    pub now_ns: u64,
    /// How many traces the tracer has dropped itself for each chunk of the body.
    pub dropped_p0_weight: f32,
}

/// All samplers. Their memory is bounded: 5000 services with a rate, 10,000 signatures of services, 200 of kinds of traces for each of the two
/// score samplers, 65,536 kinds of spans for the rare one.
#[derive(Debug)]
pub struct Samplers {
    priority: Priority,
    no_priority: Score,
    errors: Score,
    rare: Option<Rare>,
    probabilistic: Option<Probabilistic>,
    events: Events,
    errors_alone: bool,
    asks_about_tracer_drops: bool,
    writes: Vec<Write>,
    kept: Vec<usize>,
}

impl Samplers {
    /// `agent_env`: the env of spans that name none. `fixed_rate_one`: tracers are told to keep everything, because nothing is sent and
    /// everything is looked at.
    #[must_use]
    pub fn new(settings: &Settings, agent_env: &str, fixed_rate_one: bool, now_ns: u64) -> Self {
        Self {
            priority: Priority::new(settings.target_tps, agent_env, fixed_rate_one)
                .telling(settings.services_max),
            no_priority: Score::new(settings.target_tps),
            errors: Score::new(settings.errors_tps),
            rare: settings.rare.map(Rare::new),
            probabilistic: settings.probabilistic.map(Probabilistic::new),
            events: Events::new(
                settings.analyzed_spans.clone(),
                settings.events_per_second_max,
                now_ns,
            ),
            errors_alone: settings.errors_alone,
            asks_about_tracer_drops: settings.asks_about_tracer_drops,
            writes: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// The rates that tracers are told.
    pub fn reply(&self) -> &Reply {
        self.priority.reply()
    }

    /// Where a chunk is sent in part: the indexes of the spans that are, which rise.
    pub fn kept(&self) -> &[usize] {
        &self.kept
    }

    /// What is to be written on the chunk's spans.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Decides about a chunk. Its priority and mechanism become what is to be sent; its spans are left as they are.
    pub fn decide(&mut self, work: &mut Work, seen: &Seen<'_>) -> Decision {
        self.writes.clear();
        self.kept.clear();
        let client_rate = self.name_client_rate(work);
        let is_tracked_error = self.errors_alone && has_error_or_exception(work, seen.strings);
        let (keep, looks_for_events) = if self.errors_alone {
            (is_tracked_error && self.keeps_error(work, seen), false)
        } else {
            self.keeps(work, seen)
        };
        if looks_for_events {
            self.choose_events(work, seen, client_rate, !keep);
        }
        let decision = Decision { share: Share::Whole, is_dropped: !keep, is_tracked_error };
        if keep || self.errors_alone {
            return decision;
        }
        // The newer way to keep single spans goes before the older one.
        if work.facts.marks.has(Marks::SPAN_SAMPLING) {
            let is_sampled = |&span: &usize| {
                work.spans[span].notes.marks.has(Marks::SPAN_SAMPLING)
                    && work.number(span, SPAN_SAMPLING, seen.strings).is_some()
            };
            if (0..work.spans.len()).any(|span| is_sampled(&span)) {
                self.kept.clear();
                self.kept.extend((0..work.spans.len()).filter(is_sampled));
                work.facts.priority = i32::from(PRIORITY_USER_KEEP);
                return Decision { share: Share::Part, is_dropped: false, ..decision };
            }
        }
        let share = if self.kept.is_empty() { Share::Nothing } else { Share::Part };
        Decision { share, ..decision }
    }

    /// Writes the tracer's rate on the root under the name that events have for it, and returns it: 1 where there is none.
    fn name_client_rate(&mut self, work: &Work) -> f64 {
        let rate = work.spans[work.root].notes.sample_rate.filter(|&rate| rate < 1.0);
        if rate.is_some() || work.facts.marks.has(Marks::CLIENT_RATE) {
            self.write(work.root, Key::ClientRate, rate);
        }
        rate.unwrap_or(1.0)
    }

    fn write(&mut self, span: usize, key: Key, value: Option<f64>) {
        self.writes.push(Write { span, key, value });
    }

    /// Whether a chunk is kept, and whether events are looked for in it.
    fn keeps(&mut self, work: &mut Work, seen: &Seen<'_>) -> (bool, bool) {
        // First, so that it knows of every kind of spans.
        let is_rare = self.is_rare(work, seen);
        if self.probabilistic.is_some() {
            let keep = if work.is_older {
                self.keeps_by_share_older(work, seen, is_rare)
            } else {
                self.keeps_by_share(work, seen, is_rare)
            };
            let priority = if keep { PRIORITY_AUTO_KEEP } else { PRIORITY_AUTO_DROP };
            work.facts.priority = i32::from(priority);
            return (keep, true);
        }
        let priority = priority(work);
        let is_dropped = if self.asks_about_tracer_drops {
            priority == Some(PRIORITY_USER_DROP) && is_manual(work, seen.strings)
        } else {
            priority.is_some_and(|priority| priority < 0)
        };
        if is_dropped {
            return (false, false);
        }
        let keep = is_rare
            || match priority {
                Some(priority) => self.keeps_by_priority(work, seen, priority),
                None => self.keeps_without_priority(work, seen),
            };
        (keep || has_error(work) && self.keeps_error(work, seen), true)
    }

    fn is_rare(&mut self, work: &Work, seen: &Seen<'_>) -> bool {
        let Some(rare) = &mut self.rare else { return false };
        let counts = |(_, span): &(usize, &Ready)| {
            let notes = &span.notes;
            notes.is_top_level || notes.is_measured
        };
        let spans = work.spans.iter().enumerate().filter(counts);
        let spans = spans.map(|(index, span)| (index, text(work, span, seen.strings)));
        let found = rare.sample(seen.now_ns, seen.env, spans);
        if let Some(span) = found {
            self.write(span, Key::Rare, Some(1.0));
        }
        found.is_some()
    }

    /// The probabilistic sampler.
    fn keeps_by_share(&mut self, work: &mut Work, seen: &Seen<'_>, is_rare: bool) -> bool {
        let sampled =
            self.probabilistic.as_ref().and_then(|sampler| sampler.sample(work.facts.trace_id));
        if let Some(share) = sampled {
            work.facts.sampling_mechanism = Some(MECHANISM_PROBABILISTIC);
            self.write(work.root, Key::ProbabilisticRate, Some(share));
        }
        if has_error(work) { self.keeps_error(work, seen) } else { is_rare || sampled.is_some() }
    }

    /// The same in the older form, where each sampler is asked only what the ones before it did not keep.
    fn keeps_by_share_older(&mut self, work: &mut Work, seen: &Seen<'_>, is_rare: bool) -> bool {
        if is_rare {
            return true;
        }
        let sampler = self.probabilistic.as_ref();
        let sampled = sampler.and_then(|sampler| sampler.sample_older(work, seen.strings));
        if let Some(share) = sampled {
            work.facts.sampling_mechanism = Some(MECHANISM_PROBABILISTIC);
            self.write(work.root, Key::ProbabilisticRate, Some(share));
        }
        sampled.is_some() || has_error(work) && self.keeps_error(work, seen)
    }

    fn keeps_by_priority(&mut self, work: &Work, seen: &Seen<'_>, priority: i8) -> bool {
        let (now_s, root) = (seconds(seen), root(work, seen));
        let verdict = self.priority.sample(now_s, &root, priority, seen.dropped_p0_weight);
        if verdict.rate.is_some() {
            self.write(work.root, Key::PriorityRate, verdict.rate);
        }
        verdict.keep
    }

    fn keeps_without_priority(&mut self, work: &Work, seen: &Seen<'_>) -> bool {
        let rate = score(&mut self.no_priority, work, seen);
        if rate.is_some() {
            self.write(work.root, Key::NoPriorityRate, rate);
        }
        rate.is_some()
    }

    fn keeps_error(&mut self, work: &Work, seen: &Seen<'_>) -> bool {
        let rate = score(&mut self.errors, work, seen);
        if rate.is_some() {
            self.write(work.root, Key::ErrorsRate, rate);
        }
        rate.is_some()
    }

    /// Marks the spans that are analytics events; of a trace that is dropped they are what is kept.
    fn choose_events(&mut self, work: &Work, seen: &Seen<'_>, client_rate: f64, is_dropped: bool) {
        if !self.events.looks_at_all() && !work.facts.marks.has(Marks::EVENT_RATE) {
            return;
        }
        let priority = priority(work).unwrap_or(i8::MIN);
        let trace_id = trace_id(work);
        let pre_sample_rate = work.spans[work.root].notes.pre_sample_rate.unwrap_or(1.0);
        for (index, span) in work.spans.iter().enumerate() {
            let has_own = span.notes.marks.has(Marks::EVENT_RATE);
            let own =
                has_own.then(|| work.number(index, Key::EventRate.text(), seen.strings)).flatten();
            let (service, name) = (seen.strings.get(span.service), seen.strings.get(span.name));
            let Some(rate) = self.events.rate(own, service, name, priority) else { continue };
            if !belongs_to_share(trace_id, rate) {
                continue;
            }
            let Some(limit_rate) = self.events.admit(seen.now_ns, trace_id, priority) else {
                continue;
            };
            for (key, rate) in [
                (Key::EventLimitRate, limit_rate),
                (Key::ClientRate, client_rate),
                (Key::PreSampleRate, pre_sample_rate),
                (Key::EventRate, rate),
            ] {
                // A rate of 1 is told by saying nothing.
                self.writes.push(Write {
                    span: index,
                    key,
                    value: Some(rate).filter(|&rate| rate < 1.0),
                });
            }
            self.writes.push(Write { span: index, key: Key::Analyzed, value: Some(1.0) });
            if is_dropped {
                self.kept.push(index);
            }
        }
    }
}

/// A chunk's priority, where it has one: of a larger number the lowest 8 bits count, as in the agent.
#[expect(clippy::cast_possible_truncation, reason = "that is the rule")]
fn priority(work: &Work) -> Option<i8> {
    (work.facts.priority != PRIORITY_NONE).then_some(work.facts.priority as i8)
}

#[expect(clippy::cast_possible_truncation, reason = "samplers take the low 64 bits")]
fn trace_id(work: &Work) -> u64 {
    work.facts.trace_id as u64
}

fn seconds(seen: &Seen<'_>) -> u64 {
    seen.now_ns / 1_000_000_000
}

fn root<'a>(work: &Work, seen: &Seen<'a>) -> Root<'a> {
    let span = &work.spans[work.root];
    Root {
        trace_id: trace_id(work),
        parent_id: span.parent_id,
        service: seen.strings.get(span.service),
        env: seen.env,
        weight: weight(span.notes.sample_rate, span.notes.pre_sample_rate),
        sample_rate: span.notes.sample_rate.unwrap_or(1.0),
        has_rate: span.notes.has_rate,
    }
}

fn score(sampler: &mut Score, work: &Work, seen: &Seen<'_>) -> Option<f64> {
    let root_text = text(work, &work.spans[work.root], seen.strings);
    let spans = work.spans.iter().map(|span| text(work, span, seen.strings));
    sampler.sample(seconds(seen), &root(work, seen), &root_text, spans)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "that is the rule")]
fn text<'a>(work: &Work, span: &Ready, strings: &'a Strings) -> SpanText<'a> {
    let tags = if work.is_older {
        [strings.get(span.notes.http_status), strings.get(span.notes.error_type)]
    } else {
        [""; 2]
    };
    SpanText {
        service: strings.get(span.service),
        name: strings.get(span.name),
        resource: strings.get(span.resource),
        error: span.error as u8,
        tags,
    }
}

/// Whether the decision about a trace was made by the user's own hand.
fn is_manual(work: &Work, strings: &Strings) -> bool {
    if work.is_older {
        work.facts.decision_maker.is_some_and(|maker| strings.bytes(maker) == b"-4")
    } else {
        work.facts.sampling_mechanism == Some(MECHANISM_MANUAL)
    }
}

fn has_error(work: &Work) -> bool {
    work.spans.iter().any(|span| span.error != 0)
}

fn has_error_or_exception(work: &Work, strings: &Strings) -> bool {
    let has_exception = |span: usize| {
        work.spans[span].notes.marks.has(Marks::HAS_EXCEPTION)
            && work.has_text(span, HAS_EXCEPTION, "true", strings)
    };
    has_error(work)
        || work.facts.marks.has(Marks::HAS_EXCEPTION) && (0..work.spans.len()).any(has_exception)
}
