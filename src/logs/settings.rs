//! What can be set about logs.

use std::time::Duration;

use super::batch::{Attributes, Limits};
use super::lines::LINE_BYTES_MAX;
use super::{automatic, multi_line};

/// The settings of logs.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether logs are shipped (`DD_LOGS_ENABLED`): by default not in front of an app, whose output is then not touched, and yes in a sidecar.
    pub is_enabled: bool,
    /// Bytes of one line (`DD_LOGS_CONFIG_MAX_MESSAGE_SIZE_BYTES`); longer ones are cut.
    pub line_bytes_max: usize,
    /// How lines become messages.
    pub messages: Messages,
    /// When a batch leaves (`DD_LOGS_CONFIG_BATCH_WAIT`, `_BATCH_MAX_SIZE`, `_BATCH_MAX_CONTENT_SIZE`).
    pub batch: Limits,
    /// What is said of all logs.
    pub attributes: Attributes,
}

/// How lines become messages. Rules, samples and patterns are texts here: what they mean is found out when the app runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Messages {
    /// The rules, a JSON list ([`super::rules::Rules::read`]).
    pub rules: String,
    /// Samples of beginnings, a JSON list ([`automatic::samples::parse`]).
    pub samples: String,
    /// Patterns of beginnings.
    pub patterns: Vec<String>,
    /// Joining by a pattern of the rules.
    pub multi_line: multi_line::Settings,
    /// Joining by their look; its samples are those above.
    pub automatic: automatic::Settings,
}

/// How long a batch is open: the agent's default.
pub const BATCH_WAIT_DEFAULT: Duration = Duration::from_secs(5);

/// Between these the agent takes a time for a batch; what is outside becomes the default.
pub const BATCH_WAIT_RANGE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(10);

/// Messages of a batch: what the intake takes in one array.
pub const BATCH_MESSAGES_MAX: usize = 1000;

/// Bytes of a batch: what the intake takes in one body.
pub const BATCH_BYTES_MAX: usize = 5_000_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            is_enabled: false,
            line_bytes_max: LINE_BYTES_MAX,
            messages: Messages::default(),
            batch: Limits {
                wait: BATCH_WAIT_DEFAULT,
                messages_max: BATCH_MESSAGES_MAX,
                bytes_max: BATCH_BYTES_MAX,
            },
            attributes: Attributes { tags_truncated: true, ..Attributes::default() },
        }
    }
}
