//! Files that are followed: what is written to them becomes lines as what the app prints does (`DD_SERVERLESS_LOG_PATH`, spec: metrics-logs 4.9,
//! serverless-init 6). It is how a sidecar gets logs at all.
//!
//! [`Tailer`] does it a step at a time: it looks for files by a pattern ([`glob`]), reads what is new in each ([`file`]) and keeps how far it
//! came in a file beside them ([`registry`]), so that a container that starts anew goes on there. [`thread`] takes the steps. A file keeps what was not
//! read yet, so nothing is ever shed here: where there is no room for bytes, they are read again later.

mod file;
mod glob;
mod registry;
mod tailer;
mod thread;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use tailer::{Polled, Tailer};
pub use thread::{Tailing, start};

/// Where a file is begun that is there at the start and that the registry does not know. Files that come later are read from the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Begin {
    /// At its beginning.
    #[default]
    Beginning,
    /// At its end.
    End,
}

/// Which files are followed where more match than may be open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Select {
    /// The last ones by name: names with dates are in the order of time.
    #[default]
    ByName,
    /// Those that were changed last.
    ByModificationTime,
}

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `DD_SERVERLESS_LOG_PATH`: a path, or a pattern with `*`, `?` and `[…]` in its name or folders. Or [`app_service_pattern`].
    pub pattern: PathBuf,
    /// `DD_LOGS_CONFIG_RUN_PATH`: the folder of the registry; where nothing is set, the folder of the logs ([`Settings::new`]).
    pub registry_folder: PathBuf,
    /// Where files are begun that are there at the start.
    pub begin: Begin,
    /// `DD_LOGS_CONFIG_OPEN_FILES_LIMIT`, 500: files at once, at least 1.
    pub files_max: usize,
    /// `DD_LOGS_CONFIG_FILE_WILDCARD_SELECTION_MODE`, `by_name` or `by_modification_time`.
    pub select: Select,
    /// `DD_LOGS_CONFIG_FILE_SCAN_PERIOD`, 1 s: how often new files are looked for, ms.
    pub scan_ms: u64,
    /// `DD_LOGS_CONFIG_CLOSE_TIMEOUT`, 60 s: how long a file is read on after it was renamed or removed, ms.
    pub close_ms: u64,
}

impl Settings {
    /// The defaults for a pattern.
    pub fn new(pattern: PathBuf) -> Self {
        Self {
            registry_folder: glob::folder_before(&pattern),
            pattern,
            begin: Begin::default(),
            files_max: 500,
            select: Select::default(),
            scan_ms: 1000,
            close_ms: 60_000,
        }
    }
}

/// The pattern of the logs of this instance on Azure App Service (`DD_AAS_INSTANCE_LOGGING_ENABLED`, which comes before
/// `DD_SERVERLESS_LOG_PATH`): by its `COMPUTERNAME`, and by `DD_AAS_INSTANCE_LOG_FILE_DESCRIPTOR`, which may be empty.
pub fn app_service_pattern(computer_name: &str, descriptor: &str) -> PathBuf {
    let end = if descriptor.is_empty() { "*" } else { descriptor };
    PathBuf::from(format!("/home/LogFiles/*{computer_name}*{}.log", end.trim_start_matches('*')))
}

/// What happens with the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A file has more bytes.
    Bytes {
        /// The file's number. Numbers are not used again; a file that was truncated gets a new one.
        file: u64,
        /// Its tags, joined by commas: `filename:…`, and `dirname:…` where the pattern is not a plain path.
        tags: &'a str,
        /// Whole lines, and maybe the beginning of one.
        bytes: &'a [u8],
    },
    /// Nothing more comes from it: a line without its end is over.
    End {
        /// Its number.
        file: u64,
    },
}

/// Takes events. `false` for [`Event::Bytes`] says that there is no room for them now: they come again. An end is always taken.
pub type Sink<'a> = dyn FnMut(Event<'_>) -> bool + 'a;
