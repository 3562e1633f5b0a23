//! An OTLP traces request through the same steps as a tracer's body: a payload for each resource.

use std::sync::atomic::Ordering;

use super::Pipeline;
use crate::ledger::{Counts, Shed};
use crate::trace::Tracer;
use crate::trace::decode::otlp::{self, Encoding, Payload, Rules};
use crate::trace::model::Body;
use crate::trace::payload::Head;

/// A traces request of OTLP as it came.
#[derive(Clone, Copy, Debug)]
pub struct OtlpRequest<'a> {
    /// What the body is written in.
    pub encoding: Encoding,
    /// The user's rules.
    pub rules: &'a Rules,
    /// `Datadog-Client-Computed-Stats` is set and not false.
    pub computed_stats: bool,
    /// The body, without compression.
    pub body: &'a [u8],
}

impl Pipeline {
    /// Takes an OTLP traces body in, whole or not at all. How many of its spans were rejected, because they or others of their trace have no id.
    ///
    /// # Errors
    /// When the body is malformed or too large. Nothing of it is left behind then.
    pub fn otlp(&mut self, request: &OtlpRequest<'_>, now_ns: u64) -> Result<u64, otlp::Error> {
        self.stir();
        let decoded =
            otlp::decode(request.body, request.encoding, request.rules, &self.settings.hostname);
        let export = decoded.inspect_err(|_| {
            self.ledger.bodies_refused.fetch_add(1, Ordering::Relaxed);
        })?;
        let without_trace = Counts { spans: export.without_trace, ..Counts::default() };
        self.ledger.received(without_trace);
        self.ledger.rejected(without_trace);
        let mut rejected = export.without_trace;
        let mut body = std::mem::take(&mut self.body);
        for mut payload in export.payloads {
            match otlp::open(&mut payload, &self.keys, &mut body) {
                Ok(()) => rejected += self.take_payload(&payload, &body, request, now_ns),
                Err(_) => self.count_fault(&payload),
            }
        }
        // It may have been large.
        body.transcoded = None;
        self.body = body;
        self.send_full_stats(now_ns);
        Ok(rejected)
    }

    /// What was written just now can't be read.
    fn count_fault(&self, payload: &Payload) {
        let chunks = payload.chunks.len() as u64;
        let counts = Counts { spans: payload.spans, chunks, ..Counts::default() };
        self.ledger.received(counts);
        self.ledger.shed(Shed::Fault, counts);
    }

    fn take_payload(
        &mut self,
        payload: &Payload,
        body: &Body,
        request: &OtlpRequest<'_>,
        now_ns: u64,
    ) -> u64 {
        let tracer = Tracer {
            lang: &payload.lang,
            version: &payload.tracer_version,
            container_id: &payload.container_id,
            computed_top_level: request.rules.top_level_by_kind,
            computed_stats: payload.computed_stats.unwrap_or(request.computed_stats),
            ..Tracer::default()
        };
        let head = Head {
            container_id: &payload.container_id,
            lang: &payload.lang,
            tracer_version: &payload.tracer_version,
            env: &payload.env,
            hostname: &payload.hostname,
            app_version: &payload.app_version,
            container_tags: &payload.container_tags,
            ..Head::default()
        };
        self.name_language(tracer.lang);
        self.take_chunks(body, body.source(&[]), &head, &tracer, now_ns)
    }
}
