//! A traces body through all its steps, chunk by chunk: normalise, count, sample, encode.

use super::{Pipeline, TraceRequest, look, stats};
use crate::ledger::Counts;
use crate::limits::TRACES_PAYLOAD_BYTES_MAX;
use crate::trace::chunk::{Context, PRIORITY_NONE, ReadyValue, Work, is_rejected};
use crate::trace::decode::Form;
use crate::trace::encode::{self, Additions};
use crate::trace::head::BodyFacts;
use crate::trace::model::{Body, Chunk};
use crate::trace::payload::Head;
use crate::trace::sample::{self, NoPriority, Priority, Root, SpanText, Verdict};
use crate::trace::strings::{Ref, Strings};
use crate::trace::table::Table;

/// A chunk's counts.
fn counts(chunk: &Chunk) -> Counts {
    Counts { spans: chunk.spans.range().len() as u64, chunks: 1, stats_groups: 0 }
}

impl Pipeline {
    /// Takes a decoded body in.
    pub(super) fn take_body(&mut self, body: &Body, request: &TraceRequest<'_>, now_ns: u64) {
        let source = body.source(request.body);
        let tracer = &request.tracer;
        let facts = BodyFacts::of(body, source, tracer);
        let head = facts.head();
        #[expect(clippy::cast_precision_loss, reason = "a weight")]
        let dropped_p0_weight = tracer.dropped_p0_traces as f32 / body.chunks.len().max(1) as f32;
        let mut index = None;
        for chunk in &body.chunks {
            let counts = counts(chunk);
            self.ledger.received(counts);
            if is_rejected(chunk, body) {
                self.ledger.rejected(counts);
                continue;
            }
            if self.batch.encoded_bytes() >= TRACES_PAYLOAD_BYTES_MAX {
                self.send_batch();
                index = None;
            }
            let open = *index.get_or_insert_with(|| self.open_payload(&head, body));
            let rules = self.rules.clone();
            let context = Context { body, source, tracer, rules: &rules, now_ns };
            self.take_chunk(chunk, open, &head, &context, dropped_p0_weight);
            self.batch_since_ns.get_or_insert(now_ns);
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

    /// One chunk. What a later step needs of an earlier one is in [`Work`]; filters, obfuscation and replace rules have their place between
    /// taking it in and counting it.
    fn take_chunk(
        &mut self,
        chunk: &Chunk,
        open: usize,
        head: &Head<'_>,
        context: &Context<'_>,
        dropped_p0_weight: f32,
    ) {
        let counts = counts(chunk);
        let payload = self.batch.open(open);
        let mark = payload.table.strings.mark();
        self.work.take(chunk, &mut payload.table, context);
        if let Some(tap) = &mut self.tap {
            tap(look::spans(&self.work, &payload.table.strings));
        }
        payload.groups.begin(self.concentrator.generation());
        if !context.tracer.computed_stats && !self.settings.stats_disabled {
            let concentrator = &mut self.concentrator;
            stats::count(
                &self.settings,
                concentrator,
                &mut self.group_words,
                &self.work,
                payload,
                head,
            );
        }
        let verdict = if self.settings.sending {
            let samplers = (&mut self.priority, &mut self.no_priority);
            sample(
                samplers,
                &self.work,
                &payload.table.strings,
                head,
                context.now_ns,
                dropped_p0_weight,
            )
        } else {
            Verdict { keep: true, rate: None }
        };
        if !verdict.keep {
            payload.table.take_back(mark);
            payload.groups.take_back();
            self.ledger.sampled_out(counts);
            return;
        }
        let table = &mut payload.table;
        let mut root = None;
        if let Some(rate) = verdict.rate {
            let key = if has_priority(&self.work) { Priority::KEY } else { NoPriority::KEY };
            root = Some((table.strings.intern(key.as_bytes()), ReadyValue::Number(rate)));
        }
        let marker = context.body.form.marker().map(|marker| {
            let marker = table.strings.intern(marker.as_bytes());
            (payload.own.converted, ReadyValue::Text(marker))
        });
        let lacking: Vec<(Ref, Ref)> = span_tags(&self.settings.span_tags, table);
        let additions = Additions {
            root: root.as_slice(),
            marker,
            marks: marked_spans(chunk, context.body),
            lacking: &lacking,
            top_level: payload.own.top_level,
        };
        encode::chunk(
            &mut payload.chunks,
            &self.work,
            &additions,
            table,
            context.body,
            context.source,
        );
        payload.counts.add(counts);
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

/// How many of the chunk's spans are marked as converted.
fn marked_spans(chunk: &Chunk, body: &Body) -> usize {
    match (body.form, chunk.spans.range().start) {
        (Form::V05, 0) => 1,
        (Form::V05, _) => 0,
        _ => usize::MAX,
    }
}

fn has_priority(work: &Work) -> bool {
    work.facts.priority != PRIORITY_NONE
}

/// Asks the samplers, in the agent's order.
fn sample(
    (priority, no_priority): (&mut Priority, &mut NoPriority),
    work: &Work,
    strings: &Strings,
    head: &Head<'_>,
    now_ns: u64,
    dropped_p0_weight: f32,
) -> Verdict {
    let now_s = now_ns / 1_000_000_000;
    let span = &work.spans[work.root];
    #[expect(clippy::cast_possible_truncation, reason = "samplers take the low 64 bits")]
    let root = Root {
        trace_id: work.facts.trace_id as u64,
        parent_id: span.parent_id,
        service: strings.get(span.service),
        env: head.env,
        weight: sample::weight(span.notes.sample_rate, span.notes.pre_sample_rate),
        sample_rate: span.notes.sample_rate.unwrap_or(1.0),
        has_rate: span.notes.has_rate,
    };
    if has_priority(work) {
        return priority.sample(now_s, &root, work.facts.priority, dropped_p0_weight);
    }
    let text = |index: usize| {
        let span = &work.spans[index];
        SpanText {
            service: strings.get(span.service),
            name: strings.get(span.name),
            resource: strings.get(span.resource),
            error: span.error,
            status_code: strings.get(span.notes.http_status),
            error_type: strings.get(span.notes.error_type),
        }
    };
    no_priority.sample(now_s, &root, &text(work.root), (0..work.spans.len()).map(text))
}
