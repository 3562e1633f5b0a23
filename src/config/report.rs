//! The settings of what we report of the app ourselves.

use super::keys::{self, Key};
use super::logs::{SERVICE, VERSION};
use super::parse;
use super::read::Reader;
use crate::platform::{self, Platform};
use crate::report::{Names, Settings};

/// The report of a death.
pub const EXIT_REPORT: Key = Key {
    names: &["DD_PILLION_EXIT_REPORT"],
    yaml: &["pillion.exit_report"],
    default: "true",
    meaning: "Where the app dies (by a signal, or with an exit code other than 0, and not because it was asked to stop) send an error span \
              `pillion.exit` and, where logs are shipped, an error log with its last lines. `false` sends neither. The line on stderr that says so stays.",
};

/// Whether the app is traced.
pub const TRACE_ENABLED: Key = Key {
    names: &["DD_TRACE_ENABLED"],
    yaml: &[],
    default: "true",
    meaning: "`false`, with which a tracer sends nothing, keeps our own spans back, too: that of a death and that of a job's task.",
};

impl Reader<'_> {
    /// What is reported of the app. The name of its program is for who starts it.
    pub(super) fn report(&mut self, has_traces: bool, env: &str, platform: &Platform) -> Settings {
        let is_job = platform.kind == platform::Kind::CloudRunJob;
        Settings {
            exit: self.take(&EXIT_REPORT, true, parse::boolean),
            has_spans: self.take(&TRACE_ENABLED, true, parse::boolean) && has_traces,
            names: Names {
                service: self.text(&SERVICE).or_else(|| platform.service()).unwrap_or_default(),
                env: if env == keys::ENV.default { String::new() } else { env.to_owned() },
                version: self.text(&VERSION).unwrap_or_default().to_lowercase(),
                program: String::new(),
                job: is_job.then(|| platform.tags.get("job_name").unwrap_or_default().to_owned()),
            },
        }
    }
}
