//! Logs: lines in, payloads out.
//!
//! What the app writes is copied into a [`crate::ring`] by the process plane, which has already passed it on. From there on the way is this
//! ([`Stages`]): split into lines ([`lines`]), joined where several are one message ([`join`]: [`multi_line`] by the user's pattern, [`automatic`] by
//! their look), kept, dropped or masked by the user's rules ([`rules`]), written into the open batch ([`batch`], in the text of [`escape`], with the
//! status that a JSON line names: [`level`]). What stands in files is followed by [`tail`] and goes the same way ([`files`]). All of it is a function of
//! bytes and a time; [`follow`] is the task that runs it. Every line that came is counted, and again when it was sent or shed.

pub mod automatic;
pub mod batch;
mod escape;
mod files;
mod follow;
mod held;
pub mod join;
mod last;
pub mod level;
pub mod lines;
mod message;
pub mod multi_line;
pub mod rules;
mod settings;
mod stages;
pub mod tail;

pub use files::Files;
pub use follow::{Clock, follow};
pub use message::{Line, Message, Status, Stream};
pub use settings::{
    BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, BATCH_WAIT_DEFAULT, BATCH_WAIT_RANGE, Messages, Settings,
};
pub use stages::{Outlet, Stages};
