//! What the samplers' decision does to a chunk before it is encoded: spans that are not sent leave, attributes come and go.

use crate::trace::chunk::{ReadyValue, Work};
use crate::trace::payload::Payload;
use crate::trace::sample::{Decision, Samplers, Share, Write};
use crate::trace::strings::{Mark, Ref};
use crate::trace::trim::Trim;

/// An attribute of one span, by the span's index.
type Single = (usize, (Ref, ReadyValue));

/// Lists that are used again for the next chunk.
#[derive(Debug, Default)]
pub(super) struct Sampled {
    trim: Trim,
    single: Vec<Single>,
}

impl Sampled {
    /// Leaves of a chunk what is sent of it. `mark` is where the table stood before the chunk came. What samplers write on its spans is in
    /// [`Self::single`] then.
    pub(super) fn apply(
        &mut self,
        decision: &Decision,
        samplers: &Samplers,
        work: &mut Work,
        payload: &mut Payload,
        mark: Mark,
    ) {
        for Write { span, key, .. } in samplers.writes() {
            if work.spans[*span].notes.marks.has(key.mark()) {
                work.remove_attribute(*span, key.text(), &payload.table.strings);
            }
        }
        let kept = (decision.share == Share::Part).then(|| samplers.kept());
        if let Some(kept) = kept {
            work.retain_spans(kept);
            payload.groups.take_back();
            self.trim.strings(work, &mut payload.table, mark);
        }
        self.single.clear();
        for Write { span, key, value } in samplers.writes() {
            let span = kept.map_or(Some(*span), |kept| kept.binary_search(span).ok());
            if let (Some(span), Some(value)) = (span, value) {
                let key = payload.table.strings.intern(key.text().as_bytes());
                self.single.push((span, (key, ReadyValue::Number(*value))));
            }
        }
    }

    /// Adds an attribute of a span, by the span's index.
    pub(super) fn write(&mut self, span: usize, key: Ref, value: Ref) {
        self.single.push((span, (key, ReadyValue::Text(value))));
    }

    /// The attributes of single spans.
    pub(super) fn single(&self) -> &[Single] {
        &self.single
    }
}
