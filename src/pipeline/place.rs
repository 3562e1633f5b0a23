//! Where the chunks of a body are worked on, which depends on the form of the payloads that they go to.

use crate::trace::chunk::{self, Context};
use crate::trace::model::Chunk;
use crate::trace::older;
use crate::trace::payload::{Batch, Head, Payload};

/// Where the chunks of a body are worked on.
pub(super) enum Place<'p, 'a> {
    /// At the payload for the values of the body, once it is open.
    Indexed {
        /// The values.
        head: &'p Head<'a>,
        /// The payload.
        open: Option<usize>,
    },
    /// At the desk of the older form, until all chunks have said what they say of their payload.
    Older(&'p mut older::Facts<'a>),
}

impl Place<'_, '_> {
    /// The payload itself, or the desk.
    pub(super) fn payload<'b>(
        &self,
        batch: &'b mut Batch,
        older: &'b mut older::Batch,
    ) -> &'b mut Payload {
        match self {
            Self::Indexed { open, .. } => batch.open(open.unwrap_or_default()),
            Self::Older(_) => &mut older.desk,
        }
    }

    /// Whether the agent drops the chunk whole for what is wrong with it.
    pub(super) fn rejects(&self, chunk: &Chunk, context: &Context<'_>) -> bool {
        match self {
            Self::Indexed { .. } => chunk::is_rejected(chunk, context.body),
            Self::Older(_) => chunk::older::is_rejected(chunk, context.body, context.source),
        }
    }

    /// Whether the agent drops the chunk before it looks at any.
    pub(super) fn ignores(&self, chunk: &Chunk) -> bool {
        matches!(self, Self::Older(_)) && chunk.spans.range().is_empty()
    }
}
