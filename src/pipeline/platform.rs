//! What the platform says of every span: some of it is known only after the first spans have come.

use super::{Pipeline, Settings, stats};
use crate::ledger::Counts;
use crate::limits::TRACES_PAYLOAD_BYTES_MAX;
use crate::trace::keys::Keys;
use crate::trace::model::Chunk;

/// The keys that something looks for, by these settings.
pub(super) fn keys(settings: &Settings) -> Keys {
    let peer_tags = stats::peer_tags(settings);
    Keys::new(
        peer_tags.iter().map(String::as_str),
        settings.primary_tags.iter().map(String::as_str),
        settings.span_tags.iter().map(|(key, _)| key.as_str()),
    )
    .keeping(settings.obfuscation.credit_cards.keep_values.iter().map(String::as_str))
}

impl Pipeline {
    /// Keeps the batch back until [`Pipeline::release`], unless it is full or a flush asks for it: tags of its spans are still to come, which
    /// takes less than a second.
    pub fn hold(&mut self) {
        self.is_holding = true;
    }

    /// Ends [`Pipeline::hold`]: the batch leaves when its time is up.
    pub fn release(&mut self) {
        self.is_holding = false;
    }

    /// Has these attributes on all spans that lack them, those of the open batch too. They precede the tags that there are already, of which
    /// one of the same key counts no more.
    pub fn add_span_tags(&mut self, tags: &[(String, String)]) {
        if tags.is_empty() {
            return;
        }
        let old = std::mem::take(&mut self.settings.span_tags);
        let is_new = |key: &String| !old.iter().any(|(own, _)| own == key);
        let new: Vec<_> = tags.iter().filter(|(key, _)| is_new(key)).cloned().collect();
        self.batch.add_span_tags(&new);
        self.older.add_span_tags(&new);
        let is_replaced = |key: &String| tags.iter().any(|(own, _)| own == key);
        let kept = old.into_iter().filter(|(key, _)| !is_replaced(key));
        self.settings.span_tags = tags.iter().cloned().chain(kept).collect();
        self.keys = keys(&self.settings);
        self.grouping = stats::Grouping::new(&self.settings);
    }

    /// Has `_dd.tags.container` say this in all payloads that leave from now on.
    pub fn set_container_tags(&mut self, tags: String) {
        self.settings.container_tags = tags;
    }

    /// At how many bytes the batch leaves: earlier where each of its spans may still get some hundred.
    pub(super) fn batch_bytes_max(&self) -> usize {
        if self.is_holding { TRACES_PAYLOAD_BYTES_MAX / 2 } else { TRACES_PAYLOAD_BYTES_MAX }
    }

    /// Counts the spans of a chunk that are calls to us, which are left out: whether that is all of it.
    pub(super) fn is_own_calls_alone(&self, chunk: &Chunk, own_calls: u64) -> bool {
        let is_all = own_calls == chunk.spans.range().len() as u64;
        self.ledger.filtered(Counts {
            spans: own_calls,
            chunks: u64::from(is_all),
            ..Counts::default()
        });
        is_all
    }
}
