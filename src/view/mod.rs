//! Traces for a person without an account: every trace as a tree on stderr.
//!
//! The data plane hands spans to a [`Tap`], which never waits; a thread of its own gathers the chunks of a trace, lays them out (`tree`,
//! `render`) and writes them at the pace of the terminal.

mod queue;
mod render;
#[cfg(test)]
mod tests;
mod text;
mod thread;
mod tree;

pub use queue::Tap;
pub use render::render;
pub use thread::{Viewer, start};

/// What the viewer shows of one span. Owned, because it leaves the data plane; made only where the viewer is on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// The trace id, 128 bits where the tracer sends them.
    pub trace_id: u128,
    /// The span's own id.
    pub span_id: u64,
    /// The id of the parent, 0 for a root.
    pub parent_id: u64,
    /// Service.
    pub service: String,
    /// Operation name.
    pub name: String,
    /// Resource.
    pub resource: String,
    /// Span type, such as `web` or `sql`.
    pub kind: String,
    /// Start, in nanoseconds since 1970.
    pub start_ns: i64,
    /// Duration in nanoseconds.
    pub duration_ns: u64,
    /// Whether the span is marked as an error.
    pub error: bool,
    /// `error.message` (or `error.msg`), else empty.
    pub error_message: String,
    /// `error.type`, else empty.
    pub error_type: String,
    /// `http.status_code`, else empty.
    pub http_status: String,
}
