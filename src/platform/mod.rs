//! Which platform we run on, what that says of everything that is sent, and how long the platform waits between TERM and KILL.
//!
//! [`detect`] is pure: it looks at the environment alone and never fails; a variable that is missing leaves out what depends on it. Each
//! platform has a file with the names of its variables and its tags: [`cloud_run`] (services, functions and jobs), [`container_apps`],
//! [`app_service`], and [`containers`] for ECS and Kubernetes. What the environment does not say is asked for by a [`Source`] once the app
//! runs: [`google`] and [`ecs`] by HTTP with [`metadata`], Kubernetes and [`container_id`] from files. [`tags`] says which of the tags go where.
//! [`health`] answers the platform's probes.

mod app_service;
mod cloud_run;
mod container_apps;
mod container_id;
mod containers;
mod ecs;
mod google;
pub mod health;
mod metadata;
mod source;
mod tags;

use std::time::Duration;

#[doc(hidden)]
pub use container_id::of_text as container_ids_of;
#[doc(hidden)]
pub use ecs::of_answers as tags_of_ecs;
pub use source::{FIRST_ANSWER_MAX, Source};
pub use tags::{Tag, Tags, is_high_cardinality};

/// A platform that is recognised, in the order in which they are looked for (spec: serverless-init 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A Cloud Run service.
    CloudRun,
    /// A Cloud Run function.
    CloudRunFunction,
    /// A task of a Cloud Run job.
    CloudRunJob,
    /// Azure Container Apps: an app or a job.
    ContainerApps,
    /// Azure App Service on Linux.
    AppService,
    /// Amazon ECS, on Fargate or on instances.
    Ecs,
    /// A pod of Kubernetes.
    Kubernetes,
    /// None of them: docker, or no container at all.
    Local,
}

impl Kind {
    /// The tag `origin`, the attribute `_dd.origin` and the origin of chunks; nothing where the product is the agent and no serverless
    /// platform is involved.
    pub fn origin(self) -> Option<&'static str> {
        match self {
            Self::CloudRun | Self::CloudRunFunction => Some("cloudrun"),
            Self::CloudRunJob => Some("cloudrunjobs"),
            Self::ContainerApps => Some("containerapp"),
            Self::AppService => Some("appservice"),
            Self::Ecs | Self::Kubernetes | Self::Local => None,
        }
    }

    /// The source of logs where `DD_SOURCE` names none; nothing where `datadog-init` says `unknown`.
    pub fn log_source(self) -> Option<&'static str> {
        match self {
            Self::CloudRunJob => Self::CloudRun.origin(),
            other => other.origin(),
        }
    }

    /// What the names of metrics about starts and ends begin with; `enhanced.…` follows.
    pub fn metric_prefix(self) -> &'static str {
        match self {
            Self::CloudRun | Self::CloudRunFunction => "gcp.run.container.",
            Self::CloudRunJob => "gcp.run.job.",
            Self::ContainerApps => "azure.app_containerapps.",
            Self::AppService => "azure.app_services.",
            Self::Ecs | Self::Kubernetes | Self::Local => "datadog.serverless_agent.",
        }
    }

    /// What the names of metrics about CPU and use begin with: those of a job's tasks are the container's.
    pub fn usage_prefix(self) -> &'static str {
        match self {
            Self::CloudRunJob => Self::CloudRun.metric_prefix(),
            other => other.metric_prefix(),
        }
    }

    /// What the intake calls the platform in the origin of metrics (spec: metrics-logs 3.1); elsewhere they are DogStatsD's as the agent has it.
    pub fn metric_category(self) -> u32 {
        match self {
            Self::CloudRun | Self::CloudRunFunction | Self::CloudRunJob => 36,
            Self::ContainerApps => 37,
            Self::AppService => 35,
            Self::Ecs | Self::Kubernetes | Self::Local => 10,
        }
    }

    /// The time between TERM and KILL that the platform grants by default (spec: init 4).
    pub fn stop_grace(self) -> Duration {
        Duration::from_secs(match self {
            Self::AppService => 5,
            Self::CloudRun | Self::CloudRunFunction | Self::CloudRunJob | Self::Local => 10,
            Self::ContainerApps | Self::Ecs | Self::Kubernetes => 30,
        })
    }
}

/// The platform, as far as the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Which one it is.
    pub kind: Kind,
    /// What goes along with everything.
    pub tags: Tags,
    /// The time between TERM and KILL; App Service's setting for it counts where it is there.
    pub stop_grace: Duration,
    /// Where the tags are to be had that the environment has not; nothing where there are none.
    pub source: Option<Source>,
}

impl Platform {
    /// What the platform calls the app, in lower case: the service where the user names none.
    pub fn service(&self) -> Option<String> {
        let key = match self.kind {
            Kind::CloudRun | Kind::CloudRunFunction => "service_name",
            Kind::CloudRunJob => "job_name",
            Kind::ContainerApps | Kind::AppService => "app_name",
            Kind::Ecs | Kind::Kubernetes | Kind::Local => return None,
        };
        self.tags.get(key).map(str::to_lowercase)
    }
}

/// A look at one variable; what is empty counts as not set.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables that [`detect`] looks at, so that their reader knows them.
pub const VARIABLES: &[&str] = &[
    "CLOUD_RUN_EXECUTION",
    "CLOUD_RUN_JOB",
    "CLOUD_RUN_TASK_ATTEMPT",
    "CLOUD_RUN_TASK_COUNT",
    "CLOUD_RUN_TASK_INDEX",
    "COMPUTERNAME",
    "CONTAINER_APP_ENV_DNS_SUFFIX",
    "CONTAINER_APP_JOB_NAME",
    "CONTAINER_APP_NAME",
    "CONTAINER_APP_REPLICA_NAME",
    "CONTAINER_APP_REVISION",
    "DOCKER_SERVER_VERSION",
    "ECS_CONTAINER_METADATA_URI",
    "ECS_CONTAINER_METADATA_URI_V4",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTION_SIGNATURE_TYPE",
    "FUNCTION_TARGET",
    "GCE_METADATA_HOST",
    "GOOGLE_FUNCTION_SIGNATURE_TYPE",
    "GOOGLE_FUNCTION_TARGET",
    "HOSTNAME",
    "KUBERNETES_SERVICE_HOST",
    "K_CONFIGURATION",
    "K_REVISION",
    "K_SERVICE",
    "LOG_EXECUTION_ID",
    "POD_NAME",
    "POD_NAMESPACE",
    "REGION_NAME",
    "WEBSITES_CONTAINER_STOP_TIME_LIMIT",
    "WEBSITE_INSTANCE_ID",
    "WEBSITE_OWNER_NAME",
    "WEBSITE_RESOURCE_GROUP",
    "WEBSITE_SITE_NAME",
    "WEBSITE_STACK",
];

/// Finds the platform that the environment speaks of: the first of [`Kind`] whose variable is set.
pub fn detect(env: Env<'_>) -> Platform {
    let present = |name: &str| env(name).filter(|value| !value.is_empty());
    let env: Env<'_> = &present;
    let kind = kind(env);
    let mut tags = Tags::default();
    let source = match kind {
        Kind::CloudRun => Some(cloud_run::service(env, &mut tags)),
        Kind::CloudRunFunction => Some(cloud_run::function(env, &mut tags)),
        Kind::CloudRunJob => Some(cloud_run::job(env, &mut tags)),
        Kind::ContainerApps => {
            container_apps::tags(env, &mut tags);
            None
        }
        Kind::AppService => {
            app_service::tags(env, &mut tags);
            None
        }
        Kind::Ecs => containers::ecs(env, &mut tags),
        Kind::Kubernetes => Some(containers::kubernetes(env, &mut tags)),
        Kind::Local => {
            containers::local(env, &mut tags);
            None
        }
    };
    if let Some(origin) = kind.origin() {
        tags.all.push(Tag::new("origin", origin));
        tags.all.push(Tag::new("_dd.origin", origin));
    }
    let stop_grace = match kind {
        Kind::AppService => app_service::stop_grace(env).unwrap_or_else(|| kind.stop_grace()),
        _ => kind.stop_grace(),
    };
    Platform { kind, tags, stop_grace, source }
}

fn kind(env: Env<'_>) -> Kind {
    let has = |name| env(name).is_some();
    if has("K_SERVICE") {
        if cloud_run::is_function(env) { Kind::CloudRunFunction } else { Kind::CloudRun }
    } else if has("CLOUD_RUN_JOB") {
        Kind::CloudRunJob
    } else if has("CONTAINER_APP_NAME") || has("CONTAINER_APP_JOB_NAME") {
        Kind::ContainerApps
    } else if has("WEBSITE_STACK") {
        Kind::AppService
    } else if has("ECS_CONTAINER_METADATA_URI_V4") || has("ECS_CONTAINER_METADATA_URI") {
        Kind::Ecs
    } else if has("KUBERNETES_SERVICE_HOST") {
        Kind::Kubernetes
    } else {
        Kind::Local
    }
}

#[cfg(test)]
mod tests;
