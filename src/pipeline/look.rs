//! What the viewer is shown of a chunk: its own copy, before any sampler has a say.

use crate::trace::chunk::Work;
use crate::trace::strings::Strings;
use crate::view::Span;

/// The chunk's spans with their strings.
#[expect(clippy::cast_possible_wrap, reason = "a negative start came in as a huge unsigned one")]
pub(super) fn spans(work: &Work, strings: &Strings) -> Vec<Span> {
    let text = |string| strings.get(string).to_owned();
    work.spans
        .iter()
        .map(|span| Span {
            trace_id: work.facts.trace_id,
            span_id: span.span_id,
            parent_id: span.parent_id,
            service: text(span.service),
            name: text(span.name),
            resource: text(span.resource),
            kind: text(span.kind),
            start_ns: span.start as i64,
            duration_ns: span.duration,
            error: span.error != 0,
            error_message: text(span.notes.error_message),
            error_type: text(span.notes.error_type),
            http_status: if span.notes.status_code == 0 {
                String::new()
            } else {
                span.notes.status_code.to_string()
            },
        })
        .collect()
}
