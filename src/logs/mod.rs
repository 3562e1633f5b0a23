//! Logs: lines in, payloads out.
//!
//! What the app writes is copied into a ring by the process plane, which has already passed it on; what stands in files is followed. From
//! there on the way is the same: split into lines, join the lines that are one message, apply the user's rules, write each message into the
//! open batch. Everything on this way is a function of bytes and a time.

pub mod automatic;
mod held;
pub mod join;
mod json;
pub mod level;
pub mod lines;
mod message;
pub mod multi_line;
pub mod rules;
pub mod tail;

pub use message::{Line, Message, Status, Stream};
