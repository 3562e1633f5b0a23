//! A traces body through all its steps for payloads of the older form. They are the steps of [`super::traces`]; what differs is that the values
//! of the payload become known chunk by chunk.

use super::traces::{counts, dropped_p0_weight, span_tags, tracked_error};
use super::{Pipeline, TraceRequest, look, stats};
use crate::ledger::Counts;
use crate::limits::TRACES_PAYLOAD_BYTES_MAX;
use crate::trace::chunk::{Context, ReadyValue, older};
use crate::trace::encode::{self, Additions};
use crate::trace::model::{Body, Chunk};
use crate::trace::older::Facts;
use crate::trace::sample::{Decision, Seen, Share};
use crate::trace::strings::Mark;

impl Pipeline {
    /// Takes a decoded body in.
    pub(super) fn take_older_body(&mut self, body: &Body, request: &TraceRequest<'_>, now_ns: u64) {
        let source = body.source(request.body);
        let tracer = &request.tracer;
        let mut facts = Facts::of(body, source, tracer);
        self.older.begin_body(body.strings.len());
        let rules = self.rules.clone();
        let context = Context { body, source, tracer, rules: &rules, now_ns };
        // In the order in which the agent works on them: the last of those that are left takes the place of one of which nothing is sent.
        let mut left = std::mem::take(&mut self.left);
        left.clear();
        // What has no span is gone before anything is counted by.
        for (number, chunk) in body.chunks.iter().enumerate() {
            if chunk.spans.range().is_empty() {
                self.ledger.received(counts(chunk));
                self.ledger.rejected(counts(chunk));
            } else {
                left.push(number);
            }
        }
        let mut at = 0;
        while let Some(&number) = left.get(at) {
            let weight = dropped_p0_weight(tracer.dropped_p0_traces, left.len());
            if self.take_older_chunk(&body.chunks[number], &mut facts, &context, weight) {
                at += 1;
            } else {
                left.swap_remove(at);
            }
        }
        self.left = left;
        if self.older.finish_body(&facts.payload()) {
            self.send_batch();
        }
    }

    /// One chunk; whether something of it is sent.
    fn take_older_chunk(
        &mut self,
        chunk: &Chunk,
        facts: &mut Facts<'_>,
        context: &Context<'_>,
        dropped_p0_weight: f32,
    ) -> bool {
        let counts = counts(chunk);
        self.ledger.received(counts);
        if older::is_rejected(chunk, context.body, context.source) {
            self.ledger.rejected(counts);
            return false;
        }
        if !self.filters.is_empty() && self.filters.drops(chunk, context.body, context.source) {
            self.ledger.filtered(counts);
            return false;
        }
        if self.older.encoded_bytes() >= TRACES_PAYLOAD_BYTES_MAX {
            self.older.finish_body(&facts.payload());
            self.send_batch();
        }
        let (mark, decision) = self.decide_older(chunk, facts, context, dropped_p0_weight);
        if decision.share == Share::Nothing {
            self.ledger.sampled_out(counts);
            return false;
        }
        self.send_older_chunk(chunk, mark, &decision, context);
        self.batch_since_ns.get_or_insert(context.now_ns);
        true
    }

    /// Normalises and redacts a chunk, counts it and asks the samplers; also, where the table stood before.
    fn decide_older(
        &mut self,
        chunk: &Chunk,
        facts: &mut Facts<'_>,
        context: &Context<'_>,
        dropped_p0_weight: f32,
    ) -> (Mark, Decision) {
        let table = &mut self.older.desk.table;
        let mark = table.strings.mark();
        self.work.take(chunk, table, context, &mut self.redactor);
        if let Some(tap) = &mut self.tap {
            tap(look::spans(&self.work, &table.strings));
        }
        self.older.see(facts, &self.work);
        let head = facts.head();
        self.older.set_head(&head);
        let desk = &mut self.older.desk;
        desk.groups.begin(self.concentrator.generation());
        if !context.tracer.computed_stats && !self.settings.stats_disabled {
            let words = &mut self.group_words;
            stats::count(&self.settings, &mut self.concentrator, words, &self.work, desk, &head);
        }
        if !self.settings.sending {
            return (mark, Decision::KEEP);
        }
        let strings = &desk.table.strings;
        let seen = Seen { strings, env: head.env, now_ns: context.now_ns, dropped_p0_weight };
        (mark, self.samplers.decide(&mut self.work, &seen))
    }

    /// Encodes what of a chunk is sent.
    fn send_older_chunk(
        &mut self,
        chunk: &Chunk,
        mark: Mark,
        decision: &Decision,
        context: &Context<'_>,
    ) {
        let desk = &mut self.older.desk;
        let work = &mut self.work;
        let single = self.sampled.apply(decision, &self.samplers, work, desk, mark);
        let table = &mut desk.table;
        let lacking = span_tags(&self.settings.span_tags, table);
        let tracked = decision.is_tracked_error.then(|| tracked_error(table));
        let additions = Additions {
            is_dropped: decision.is_dropped,
            chunk: tracked.as_slice(),
            single,
            marker: (0, ReadyValue::Text(0)),
            marks: 0,
            lacking: &lacking,
            top_level: desk.own.top_level,
        };
        encode::older::chunk(
            &mut desk.chunks,
            work,
            &additions,
            &table.strings,
            context.body,
            context.source,
            &self.redactor,
        );
        let (all, sent) = (counts(chunk), work.spans.len() as u64);
        self.ledger.sampled_out(Counts { spans: all.spans - sent, ..Counts::default() });
        desk.counts.add(Counts { spans: sent, ..all });
    }
}
