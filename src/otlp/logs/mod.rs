//! OTLP logs: records in, entries of the intake's batches out (spec: metrics-logs 5.3). Pure: bytes that were checked and a time in, JSON out.
//!
//! [`records`] walks through a request. What of a record and its resource has a place of its own in the intake's form ([`severity`], ids, the
//! message) is found first; all [`attributes`] beside that stand at the top level of the [`entry`].

mod attributes;
mod entry;
mod records;
mod severity;
#[cfg(test)]
mod tests;

pub use records::Records;

use crate::logs::batch::{Attributes, Limits};

/// What becomes of logs.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether they are taken at all (`DD_OTLP_CONFIG_LOGS_ENABLED`).
    pub is_enabled: bool,
    /// When a batch leaves, as for the app's output.
    pub limits: Limits,
    /// What is said of records that do not say it themselves.
    pub attributes: Attributes,
}

impl Default for Settings {
    fn default() -> Self {
        let own = crate::logs::Settings::default();
        Self { is_enabled: false, limits: own.batch, attributes: own.attributes }
    }
}
