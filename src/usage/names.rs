//! What the metrics are called on each platform.

use crate::platform::Kind;

/// The names of all metrics.
#[derive(Debug)]
pub(super) struct Names {
    /// The app was started.
    pub(super) start: String,
    /// It has ended.
    pub(super) end: String,
    /// What `datadog-init` called these two before, and still sends beside them.
    pub(super) legacy: Option<[&'static str; 2]>,
    /// How long a job's task took.
    pub(super) duration: Option<String>,
    /// One for each instance: a gauge of 1.
    pub(super) instance: String,
    pub(super) cpu_usage: String,
    pub(super) cpu_limit: String,
    pub(super) memory_usage: String,
    pub(super) memory_limit: String,
}

impl Names {
    pub(super) fn of(kind: Kind) -> Self {
        let is_job = kind == Kind::CloudRunJob;
        let life = |what: &str| format!("{}enhanced.{what}", kind.metric_prefix());
        let usage = |what: &str| format!("{}enhanced.{what}", kind.usage_prefix());
        Self {
            start: life(if is_job { "task.started" } else { "cold_start" }),
            end: life(if is_job { "task.ended" } else { "shutdown" }),
            legacy: legacy(kind),
            duration: is_job.then(|| life("task.duration")),
            instance: usage("instance"),
            cpu_usage: usage("cpu.usage"),
            cpu_limit: usage("cpu.limit"),
            memory_usage: usage("memory.usage"),
            memory_limit: usage("memory.limit"),
        }
    }
}

/// The older names of start and end. Those of Container Apps follow from the prefix that its other metrics had.
fn legacy(kind: Kind) -> Option<[&'static str; 2]> {
    Some(match kind {
        Kind::CloudRun | Kind::CloudRunFunction => {
            ["gcp.run.enhanced.cold_start", "gcp.run.enhanced.shutdown"]
        }
        Kind::AppService => {
            ["azure.appservice.enhanced.cold_start", "azure.appservice.enhanced.shutdown"]
        }
        Kind::ContainerApps => {
            ["azure.containerapp.enhanced.cold_start", "azure.containerapp.enhanced.shutdown"]
        }
        Kind::CloudRunJob | Kind::Ecs | Kind::Kubernetes | Kind::Local => return None,
    })
}
