//! How tracing was installed, told with the first trace of each service that is sent (spec: trace-agent 3.7).

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::sampled::Sampled;
use crate::trace::chunk::Work;
use crate::trace::table::Table;

/// What an installer says of itself (`DD_INSTRUMENTATION_INSTALL_ID`, `…_TYPE`, `…_TIME`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// The id of the installation, not empty.
    pub id: String,
    /// Its kind; empty where nothing is said.
    pub kind: String,
    /// Seconds since 1970; 0 where nothing is said.
    pub time_s: i64,
}

/// Services that are told apart. (An app is one, with its databases and caches a few more.) Of further ones nothing is told.
const SERVICES_MAX: usize = 1000;

/// The services with which it was told.
#[derive(Debug, Default)]
pub(super) struct Installed {
    services: HashSet<Box<str>, RandomState>,
}

impl Installed {
    /// Writes it on the root of a trace that is kept, if that is the first of the root's service. What the tracer has written itself stays. A
    /// chunk that is sent without its root says nothing.
    pub(super) fn tell(
        &mut self,
        install: &Install,
        work: &Work,
        table: &mut Table,
        sampled: &mut Sampled,
    ) {
        let Some(root) = work.spans.get(work.root) else { return };
        let service = table.strings.get(root.service);
        if self.services.contains(service) || self.services.len() >= SERVICES_MAX {
            return;
        }
        self.services.insert(service.into());
        let time = install.time_s.to_string();
        for (key, value) in [
            ("_dd.install.id", &install.id),
            ("_dd.install.type", &install.kind),
            ("_dd.install.time", &time),
        ] {
            if !work.has_attribute(work.root, key, &table.strings) {
                let key = table.strings.intern(key.as_bytes());
                let value = table.strings.intern(value.as_bytes());
                sampled.write(work.root, key, value);
            }
        }
    }
}
