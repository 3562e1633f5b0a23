//! Variables and `datadog.yaml` to settings. This is the only reader of either ([`Env`]): a variable counts before the file, and both go through the
//! same readers. What a setting means stands in `keys` (and beside it in files of their own for some themes), how its value is read in `parse`,
//! and each subsystem owns the `Settings` that it gets from here. A bad value is a [`Problem`] to report and never stops anything.
//!
//! The file is read by `small`, found by `file`, and turned by `yaml` into the JSON values that variables hold as text.

pub mod child;
pub mod connecting;
pub mod dogstatsd;
mod env;
mod file;
#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod file_values;
pub mod filtering;
pub mod identity;
pub mod keys;
pub mod log_files;
pub mod logs;
pub mod multi_line;
pub mod obfuscation;
mod otlp;
mod otlp_signals;
mod parse;
pub mod platform;
mod problem;
pub mod proxy_keys;
mod read;
mod read_proxy;
#[cfg(test)]
mod readme;
pub mod report;
pub mod secrets;
pub mod sending;
mod small;
#[cfg(test)]
mod tests;
pub mod unsupported;
pub mod usage;
pub mod worker;
mod yaml;

use std::time::Duration;

use crate::intake;
use crate::log;
use crate::pipeline;
use crate::platform::Platform;
use crate::proxy;
use crate::relay;

pub use child::names_of_keys;
pub use env::Env;
pub use identity::HostnameFile;
pub use problem::Problem;
pub use read::read;
pub use secrets::key_of_file;

/// Which of the two things we are; it decides some defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Around an app, which is the only one to connect.
    Wrapper,
    /// A container of its own: others connect over the network.
    Sidecar,
}

/// All settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where and how we listen.
    pub intake: intake::Settings,
    /// Where and how OTLP comes in.
    pub otlp: crate::otlp::Settings,
    /// Where and how metrics come in.
    pub dogstatsd: crate::dogstatsd::Settings,
    /// What is made of them.
    pub metrics: crate::metrics::Settings,
    /// What is done to traces.
    pub pipeline: pipeline::Settings,
    /// Where they go.
    pub relay: relay::Settings,
    /// Where that goes which is passed on as it is.
    pub proxy: proxy::Settings,
    /// What becomes of the app's output.
    pub logs: crate::logs::Settings,
    /// The file with the host, where no host is named.
    pub hostname_file: Option<HostnameFile>,
    /// How keys are got that are not here.
    pub secrets: crate::secret::backend::Settings,
    /// What we say.
    pub log: log::Settings,
    /// The time from the first TERM to our exit at the latest.
    pub stop_timeout: Duration,
    /// Where we run.
    pub platform: Platform,
    /// The port of the platform's probe; 0 is none.
    pub health_port: u16,
    /// The app does not get the API key.
    pub hides_api_key: bool,
    /// What we report of the app ourselves.
    pub report: crate::report::Settings,
    /// What we measure of the container ourselves.
    pub usage: crate::usage::Settings,
    /// The viewer is asked for, as `--view` does.
    pub view: bool,
}
