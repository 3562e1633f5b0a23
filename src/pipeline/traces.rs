//! A traces body through all its steps, chunk by chunk: normalise, count, sample, encode.

use super::place::Place;
use super::{Pipeline, TraceRequest, look, stats};
use crate::ledger::Counts;
use crate::trace::Tracer;
use crate::trace::chunk::{Context, ReadyValue};
use crate::trace::decode::Form;
use crate::trace::encode::{self, Additions};
use crate::trace::head::BodyFacts;
use crate::trace::model::{Body, Chunk};
use crate::trace::older;
use crate::trace::payload::Head;
use crate::trace::sample::{Decision, Seen, Share};
use crate::trace::strings::{Mark, Ref};
use crate::trace::table::Table;

/// The chunk's attribute of a trace with an error, where only errors are tracked.
const TRACKED_ERROR: [&str; 2] = ["_dd.error_tracking_standalone.error", "true"];

/// A chunk's counts.
fn counts(chunk: &Chunk) -> Counts {
    Counts { spans: chunk.spans.range().len() as u64, chunks: 1, ..Counts::default() }
}

impl Pipeline {
    /// Takes a decoded body in.
    pub(super) fn take_body(&mut self, body: &Body, request: &TraceRequest<'_>, now_ns: u64) {
        let source = body.source(request.body);
        let tracer = &request.tracer;
        let is_older = self.settings.older && body.form != Form::V10;
        let facts = BodyFacts::of(body, source, tracer, is_older);
        self.take_chunks(body, source, &facts.head(), tracer, now_ns);
    }

    /// Takes the chunks of a decoded body to the payload of this head. How many spans were rejected.
    pub(super) fn take_chunks(
        &mut self,
        body: &Body,
        source: &[u8],
        head: &Head<'_>,
        tracer: &Tracer<'_>,
        now_ns: u64,
    ) -> u64 {
        let rules = self.rules.clone();
        let context = Context { body, source, tracer, rules: &rules, now_ns };
        if !context.is_older() {
            return self.take_each(&mut Place::Indexed { head, open: None }, &context);
        }
        let mut facts = older::Facts::of(head);
        self.older.begin_body(body);
        let rejected = self.take_each(&mut Place::Older(&mut facts), &context);
        if self.older.finish_body(&facts.payload()) {
            self.send_batch();
        }
        rejected
    }

    /// All chunks of a body. How many spans were rejected.
    fn take_each(&mut self, place: &mut Place<'_, '_>, context: &Context<'_>) -> u64 {
        let Context { body, tracer, .. } = *context;
        // As in the agent: of the chunks that are left the last takes the place of one of which nothing is sent, so this is the order in which
        // the samplers see them; and what the tracer dropped itself counts for those that are left.
        let mut left = std::mem::take(&mut self.left);
        left.clear();
        let mut rejected = 0;
        for (number, chunk) in body.chunks.iter().enumerate() {
            if place.ignores(chunk) {
                self.ledger.received(counts(chunk));
                self.ledger.rejected(counts(chunk));
            } else {
                left.push(number);
            }
        }
        let mut at = 0;
        while let Some(&number) = left.get(at) {
            let weight = dropped_p0_weight(tracer.dropped_p0_traces, left.len());
            let chunk = &body.chunks[number];
            if place.rejects(chunk, context) {
                rejected += counts(chunk).spans;
            }
            if self.take_chunk(chunk, place, context, weight) {
                at += 1;
            } else {
                left.swap_remove(at);
            }
        }
        self.left = left;
        rejected
    }

    /// One chunk; whether something of it is sent.
    fn take_chunk(
        &mut self,
        chunk: &Chunk,
        place: &mut Place<'_, '_>,
        context: &Context<'_>,
        dropped_p0_weight: f32,
    ) -> bool {
        let counts = counts(chunk);
        self.ledger.received(counts);
        if place.rejects(chunk, context) {
            self.ledger.rejected(counts);
            return false;
        }
        if !self.filters.is_empty() && self.filters.drops(chunk, context.body, context.source) {
            self.ledger.filtered(counts);
            return false;
        }
        self.make_room(place, context.body);
        let Some((mark, decision)) = self.decide(chunk, place, context, dropped_p0_weight) else {
            return false;
        };
        if decision.share == Share::Nothing {
            let payload = place.payload(&mut self.batch, &mut self.older);
            payload.table.take_back(mark);
            payload.groups.take_back();
            self.ledger.sampled_out(Counts { spans: self.work.spans.len() as u64, ..counts });
            return false;
        }
        self.send_chunk(chunk, place, mark, &decision, context);
        self.batch_since_ns.get_or_insert(context.now_ns);
        true
    }

    /// Sees to it that there is a payload for the next chunk, and that the batch has room.
    fn make_room(&mut self, place: &mut Place<'_, '_>, body: &Body) {
        match place {
            Place::Indexed { head, open } => {
                if self.batch.encoded_bytes() >= self.batch_bytes_max() {
                    self.send_batch();
                    *open = None;
                }
                open.get_or_insert_with(|| self.open_payload(head, body));
            }
            Place::Older(facts) => {
                if self.older.encoded_bytes() >= self.batch_bytes_max() {
                    self.older.finish_body(&facts.payload());
                    self.send_batch();
                }
            }
        }
    }

    /// The payload that the body's chunks go to.
    fn open_payload(&mut self, head: &Head<'_>, body: &Body) -> usize {
        let index = self.batch.payload(head).unwrap_or_else(|| {
            self.send_batch();
            self.batch.payload(head).unwrap_or_default()
        });
        self.batch.open(index).table.begin_body(body.strings.len(), &body.hashes);
        index
    }

    /// Normalises and redacts a chunk, counts it and asks the samplers; also, where the table stood before. What a later step needs of an
    /// earlier one is in `work`. Nothing where all its spans are calls to us.
    fn decide(
        &mut self,
        chunk: &Chunk,
        place: &mut Place<'_, '_>,
        context: &Context<'_>,
        dropped_p0_weight: f32,
    ) -> Option<(Mark, Decision)> {
        let payload = place.payload(&mut self.batch, &mut self.older);
        let mark = payload.table.strings.mark();
        self.work.take(chunk, &mut payload.table, context, &mut self.redactor);
        let own_calls = counts(chunk).spans - self.work.spans.len() as u64;
        if own_calls > 0 && self.is_own_calls_alone(chunk, own_calls) {
            place.payload(&mut self.batch, &mut self.older).table.take_back(mark);
            return None;
        }
        if let Some(task) = &mut self.task {
            task.adopt(&mut self.work);
        }
        let payload = place.payload(&mut self.batch, &mut self.older);
        if let Some(tap) = &mut self.tap {
            tap(look::spans(&self.work, &payload.table.strings));
        }
        if let Place::Older(facts) = place {
            self.older.see(facts, &self.work);
        }
        let so_far;
        let head = match &*place {
            Place::Indexed { head, .. } => *head,
            Place::Older(facts) => {
                so_far = facts.head();
                self.older.set_head(&so_far);
                &so_far
            }
        };
        let payload = place.payload(&mut self.batch, &mut self.older);
        payload.groups.begin(self.concentrator.generation());
        if !context.tracer.computed_stats && !self.settings.stats_disabled {
            let concentrator = &mut self.concentrator;
            stats::count(
                &self.settings,
                concentrator,
                &mut self.grouping,
                &self.work,
                payload,
                head,
                context.now_ns,
            );
        }
        if !self.settings.sending {
            return Some((mark, Decision::KEEP));
        }
        let strings = &payload.table.strings;
        let seen = Seen { strings, env: head.env, now_ns: context.now_ns, dropped_p0_weight };
        Some((mark, self.samplers.decide(&mut self.work, &seen)))
    }

    /// Encodes what of a chunk is sent.
    fn send_chunk(
        &mut self,
        chunk: &Chunk,
        place: &Place<'_, '_>,
        mark: Mark,
        decision: &Decision,
        context: &Context<'_>,
    ) {
        let Context { body, source, .. } = *context;
        let payload = place.payload(&mut self.batch, &mut self.older);
        let work = &mut self.work;
        // Those that are calls to us have been counted.
        let all = work.spans.len() as u64;
        if work.facts.origin == 0 && !self.settings.origin.is_empty() {
            let origin = self.settings.origin.as_bytes();
            work.facts.origin = payload.table.strings.intern(origin);
        }
        self.sampled.apply(decision, &self.samplers, work, payload, mark);
        let table = &mut payload.table;
        if let Some(install) = &self.settings.install
            && !decision.is_dropped
        {
            self.installed.tell(install, work, table, &mut self.sampled);
        }
        let lacking: Vec<(Ref, Ref)> = span_tags(&self.settings.span_tags, table);
        let mut tracked = None;
        if decision.is_tracked_error {
            let [key, value] = TRACKED_ERROR.map(|text| table.strings.intern(text.as_bytes()));
            tracked = Some((key, value));
        }
        let is_first_gone =
            decision.share == Share::Part && self.samplers.kept().first() != Some(&0);
        let marker = context.body.form.marker().map(|marker| {
            let marker = table.strings.intern(marker.as_bytes());
            (payload.own.converted, ReadyValue::Text(marker))
        });
        let additions = Additions {
            is_dropped: decision.is_dropped,
            chunk: tracked.as_slice(),
            single: self.sampled.single(),
            marker,
            marks: marked_spans(chunk, context.body, is_first_gone),
            lacking: &lacking,
            top_level: payload.own.top_level,
        };
        let out = &mut payload.chunks;
        match place {
            Place::Indexed { .. } => {
                let rules = &self.redactor.rules;
                encode::chunk(out, work, &additions, table, body, source, rules);
            }
            Place::Older(_) => {
                let strings = &table.strings;
                encode::older::chunk(out, work, &additions, strings, body, source, &self.redactor);
            }
        }
        let sent = work.spans.len() as u64;
        self.ledger.sampled_out(Counts { spans: all - sent, ..Counts::default() });
        payload.counts.add(Counts { spans: sent, ..counts(chunk) });
    }
}

/// The user's span tags as numbers. (An empty list allocates nothing.)
fn span_tags(tags: &[(String, String)], table: &mut Table) -> Vec<(Ref, Ref)> {
    let mut intern = |text: &String| table.strings.intern(text.as_bytes());
    tags.iter()
        .take(crate::trace::keys::SPAN_TAGS_MAX)
        .map(|(key, value)| (intern(key), intern(value)))
        .collect()
}

/// How many of the chunk's spans are marked as converted; `is_first_gone`: its first span is not sent.
fn marked_spans(chunk: &Chunk, body: &Body, is_first_gone: bool) -> usize {
    match (body.form, chunk.spans.range().start) {
        (Form::V05, 0) if !is_first_gone => 1,
        (Form::V05 | Form::Otlp, _) => 0,
        _ => usize::MAX,
    }
}

/// How many traces the tracer has dropped itself for each of the chunks that it sent.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a weight")]
fn dropped_p0_weight(dropped: u64, chunks: usize) -> f32 {
    (dropped as f64 / chunks.max(1) as f64) as f32
}
