//! What spans are to each other: the root of a chunk, and where the chunk enters a service.

use super::Work;

/// A chunk of up to this many spans is searched for a parent; a larger one gets an index.
const SEARCHED_SPANS_MAX: usize = 32;

impl Work {
    /// A span is top-level where it enters its service: it has no parent here, or one of another service.
    pub(super) fn mark_top_level(&mut self, computed_by_client: bool) {
        if computed_by_client {
            for span in &mut self.spans {
                span.add_top_level = span.notes.is_client_top_level;
                span.notes.is_top_level |= span.add_top_level;
            }
            return;
        }
        let is_large = self.spans.len() > SEARCHED_SPANS_MAX;
        if is_large {
            self.services_by_span.clear();
            self.services_by_span
                .extend(self.spans.iter().map(|span| (span.span_id, span.service)));
        }
        // Neighbours mostly share their parent, so the last answer is the first guess.
        let mut last = (0, None);
        for index in 0..self.spans.len() {
            let parent_id = self.spans[index].parent_id;
            if parent_id != last.0 {
                let parent = if is_large {
                    self.services_by_span.get(&parent_id).copied()
                } else {
                    self.spans
                        .iter()
                        .rfind(|span| span.span_id == parent_id)
                        .map(|span| span.service)
                };
                last = (parent_id, parent.filter(|_| parent_id != 0));
            }
            let span = &mut self.spans[index];
            span.add_top_level = last.1 != Some(span.service);
            // What the tracer says counts too, though it is not written as the agent's own.
            span.notes.is_top_level |= span.add_top_level || span.notes.is_client_top_level;
        }
    }
}

/// The index of the root of `len` spans, of which `ids` gives own and parent's id: from the last to the first, the first without a parent;
/// else a span whose parent is not here; else the last (spec: trace-agent 3.5).
pub fn find_root(len: usize, ids: impl Fn(usize) -> (u64, u64)) -> usize {
    if let Some(root) = (0..len).rfind(|index| ids(*index).1 == 0) {
        return root;
    }
    let is_orphan = |index: &usize| !(0..len).any(|other| ids(other).0 == ids(*index).1);
    (0..len).find(is_orphan).unwrap_or(len.saturating_sub(1))
}
