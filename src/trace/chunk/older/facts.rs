//! What is said of a chunk as a whole, and what the agent drops whole.

use crate::trace::chunk::{Context, PRIORITY_NONE, Work};
use crate::trace::keys::Meaning;
use crate::trace::model::{Body, Chunk, Span, Text, Value};
use crate::trace::table::Table;

/// The chunk's tag for how the sampling decision was made.
const DECISION_MAKER: &[u8] = b"_dd.p.dm";

impl Work {
    /// What is said of the chunk, as it came: by the body itself, else by its spans: priority and origin by the root, the decision maker by the
    /// first span that names one.
    #[expect(clippy::cast_possible_truncation, reason = "as casts saturate, like the agent's")]
    pub(in crate::trace::chunk) fn take_older_facts(
        &mut self,
        chunk: &Chunk,
        table: &mut Table,
        context: &Context<'_>,
    ) {
        let Context { body, source, .. } = *context;
        let Some(spans) = body.spans.get(chunk.spans.range()) else { return };
        // By its id: spans that are left out are not among those taken in.
        let Some(root) = self.spans.get(self.root) else { return };
        let Some(root) = spans.iter().rfind(|span| span.span_id == root.span_id) else { return };
        self.chunk_attributes = chunk.attributes;
        let priority = |span: &Span| number_of(span, body, Meaning::Priority);
        if let Some(priority) = chunk.priority.filter(|priority| *priority != PRIORITY_NONE) {
            self.facts.priority = priority;
        } else if let Some(priority) = priority(root).or_else(|| spans.iter().find_map(priority)) {
            self.facts.priority = priority as i32;
        }
        let origin = Some(chunk.origin).filter(|origin| !origin.is_empty());
        let origin = origin.or_else(|| text_of(root, body, Meaning::Origin));
        self.facts.origin = origin.map_or(0, |text| table.intern(text, source));
        let of_tags = body.entries[chunk.attributes.range()].iter().rev();
        let of_tags = of_tags.filter(|(key, _)| key.of(source) == DECISION_MAKER);
        let of_tags = of_tags.into_iter().find_map(|(_, value)| match value {
            Value::Text(text) => Some(*text),
            _ => None,
        });
        let of_spans = || spans.iter().find_map(|span| text_of(span, body, Meaning::DecisionMaker));
        let maker = of_tags.or_else(of_spans);
        self.facts.decision_maker = maker.map(|text| table.intern(text, source));
        self.facts.trace_id |= u128::from(root.trace_id);
    }
}

/// Whether the agent drops the chunk whole: it has no span, one whose own or trace id is 0, or one of another trace than the first. The upper
/// half of a trace id counts only where both name it.
pub fn is_rejected(chunk: &Chunk, body: &Body, source: &[u8]) -> bool {
    let spans = &body.spans[chunk.spans.range()];
    let Some(first) = spans.first() else { return true };
    let high = |span: &Span| text_of(span, body, Meaning::TraceIdHigh).map(|text| text.of(source));
    let high_of_first = high(first);
    spans.iter().any(|span| {
        span.trace_id == 0
            || span.span_id == 0
            || span.trace_id != first.trace_id
            || high_of_first.is_some() && high(span).is_some_and(|high| Some(high) != high_of_first)
    })
}

/// The parent of a span: none where the three ids are the same.
pub fn parent_id(span: &Span) -> u64 {
    if span.parent_id == span.span_id && span.span_id == span.trace_id { 0 } else { span.parent_id }
}

/// The last text of a span's tag.
pub fn text_of(span: &Span, body: &Body, meaning: Meaning) -> Option<Text> {
    body.attributes[span.attributes.range()].iter().rev().find_map(|attribute| {
        match attribute.value {
            Value::Text(text) if attribute.class.meaning == meaning => Some(text),
            _ => None,
        }
    })
}

fn number_of(span: &Span, body: &Body, meaning: Meaning) -> Option<f64> {
    body.attributes[span.attributes.range()].iter().rev().find_map(|attribute| {
        match attribute.value {
            Value::Number(number) if attribute.class.meaning == meaning => Some(number),
            _ => None,
        }
    })
}
