//! What hides values in span texts before they leave: SQL.

pub mod cache;
pub mod sql;

/// What became of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The result is the input; nothing was written.
    Unchanged,
    /// The result is another text; it was appended to the output.
    Changed,
}
