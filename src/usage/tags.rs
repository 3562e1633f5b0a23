//! The tags of these metrics: what the platform calls the app, and what the user says of it. They are fewer than those of the app's metrics.

use crate::platform::{Kind, is_high_cardinality};

use super::Settings;

/// Tags of starts, ends, CPU and memory.
pub(super) fn base(settings: &Settings) -> Vec<String> {
    let platform = of_platform(settings);
    let is_free = |tag: &&String| {
        let key = tag.split(':').next();
        !platform.iter().any(|other| other.split(':').next() == key)
    };
    settings.own.iter().filter(is_free).cloned().chain(platform.iter().cloned()).collect()
}

/// Tags of the gauge of instances: the user's are not among them, but which instance it is.
pub(super) fn instance(settings: &Settings) -> Vec<String> {
    let mut tags = of_platform(settings);
    tags.extend(value(settings, "instance", id(settings.kind)));
    tags
}

fn of_platform(settings: &Settings) -> Vec<String> {
    let mut tags: Vec<String> = match keys(settings.kind) {
        Some(keys) => keys.iter().filter_map(|(key, from)| value(settings, key, from)).collect(),
        None => {
            let all = settings.platform.logs().iter();
            let few = all.filter(|tag| !is_high_cardinality(&tag.key));
            few.map(|tag| format!("{}:{}", tag.key, tag.value)).collect()
        }
    };
    tags.push(format!("sidecar:{}", settings.is_sidecar));
    tags
}

/// A tag with the value of the platform's tag `from`.
fn value(settings: &Settings, key: &str, from: &str) -> Option<String> {
    settings.platform.get(from).map(|value| format!("{key}:{value}"))
}

/// The tags of a platform, and which of its tags has each one's value (spec: serverless-init 5.2). Of Container Apps and jobs `datadog-init` is not
/// known: they have what corresponds. Nothing: all that have few values.
fn keys(kind: Kind) -> Option<&'static [(&'static str, &'static str)]> {
    Some(match kind {
        Kind::CloudRun | Kind::CloudRunFunction => &[
            ("location", "location"),
            ("origin", "origin"),
            ("project_id", "project_id"),
            ("revision_name", "revision_name"),
            ("service_name", "service_name"),
        ],
        Kind::CloudRunJob => &[
            ("job_name", "job_name"),
            ("location", "location"),
            ("origin", "origin"),
            ("project_id", "project_id"),
        ],
        Kind::ContainerApps => &[
            ("name", "app_name"),
            ("origin", "origin"),
            ("region", "region"),
            ("resource_group", "resource_group"),
            ("revision", "revision"),
            ("subscription_id", "subscription_id"),
        ],
        Kind::AppService => &[
            ("name", "app_name"),
            ("origin", "origin"),
            ("region", "region"),
            ("resource_group", "aas.resource.group"),
            ("subscription_id", "aas.subscription.id"),
        ],
        Kind::Local => &[("local", "local")],
        Kind::Ecs | Kind::Kubernetes => return None,
    })
}

/// Which of the platform's tags says which instance it is.
fn id(kind: Kind) -> &'static str {
    match kind {
        Kind::ContainerApps => "replica_name",
        Kind::AppService => "aas.environment.instance_name",
        Kind::Local => "instance",
        _ => "container_id",
    }
}
