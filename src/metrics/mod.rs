//! Metrics: samples in, payloads out. Values of one metric and the same tags are put together in buckets of 10 seconds, as the agent does,
//! and become series, sketches, events and service checks in the forms of the intake. Pure: time is an argument, and there is no clock,
//! file or socket in here.
//!
//! [`sample`] is what comes in.

pub mod sample;

pub use sample::{Check, Event, Kind, Origin, Sample, Values};
