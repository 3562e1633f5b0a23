//! What a resource or a library says, as tags (spec: metrics-logs 5.2; the names are those of the agent).

use super::tags::Tags;
use crate::trace::decode::otlp::value::{Attribute, Value, elements};
use crate::trace::decode::otlp::wire::Fields;

/// Attributes of OpenTelemetry, by key, and the tags that they are for Datadog.
const TAGS: [(&str, &str); 50] = [
    ("app.kubernetes.io/component", "kube_app_component"),
    ("app.kubernetes.io/instance", "kube_app_instance"),
    ("app.kubernetes.io/managed-by", "kube_app_managed_by"),
    ("app.kubernetes.io/name", "kube_app_name"),
    ("app.kubernetes.io/part-of", "kube_app_part_of"),
    ("app.kubernetes.io/version", "kube_app_version"),
    ("aws.ecs.cluster.arn", "ecs_cluster_name"),
    ("aws.ecs.container.arn", "ecs_container_name"),
    ("aws.ecs.task.arn", "task_arn"),
    ("aws.ecs.task.family", "task_family"),
    ("aws.ecs.task.revision", "task_version"),
    ("cloud.availability_zone", "zone"),
    ("cloud.provider", "cloud_provider"),
    ("cloud.region", "region"),
    ("container.id", "container_id"),
    ("container.image.name", "image_name"),
    ("container.image.tag", "image_tag"),
    ("container.name", "container_name"),
    ("container.runtime", "runtime"),
    ("deployment.environment", "env"),
    ("deployment.environment.name", "env"),
    ("k8s.cluster.name", "kube_cluster_name"),
    ("k8s.container.name", "kube_container_name"),
    ("k8s.cronjob.name", "kube_cronjob"),
    ("k8s.daemonset.name", "kube_daemon_set"),
    ("k8s.deployment.name", "kube_deployment"),
    ("k8s.job.name", "kube_job"),
    ("k8s.namespace.name", "kube_namespace"),
    ("k8s.pod.name", "pod_name"),
    ("k8s.replicaset.name", "kube_replica_set"),
    ("k8s.statefulset.name", "kube_stateful_set"),
    ("os.type", "os.type"),
    ("process.command", "process.command"),
    ("process.command_line", "process.command_line"),
    ("process.executable.name", "process.executable.name"),
    ("process.executable.path", "process.executable.path"),
    ("process.owner", "process.owner"),
    ("process.pid", "process.pid"),
    ("service.name", "service"),
    ("service.version", "version"),
    ("tags.datadoghq.com/env", "env"),
    ("tags.datadoghq.com/service", "service"),
    ("tags.datadoghq.com/version", "version"),
    // Keys that are Datadog's already.
    ("env", "env"),
    ("git.commit.sha", "git.commit.sha"),
    ("git.repository_url", "git.repository_url"),
    ("pod_name", "pod_name"),
    ("service", "service"),
    ("task_arn", "task_arn"),
    ("version", "version"),
];

/// What keys of containers and of Kubernetes begin with where they are Datadog's already.
const OWN_BEGINNINGS: [&str; 6] = ["kube_", "ecs_", "container_", "image_", "task_", "cloud_"];

/// What stands before the keys of a container's own tags.
const CONTAINER_TAG: &str = "datadog.container.tag.";

/// Adds the tags of a `Resource`: all of its attributes, or those that have a name of Datadog's.
pub(in crate::otlp) fn resource(tags: &mut Tags, bytes: &[u8], all: bool) {
    for attribute in elements(Fields::of(bytes)).map(Attribute::of) {
        if let Some(name) = name(&attribute.key) {
            named(tags, name, &attribute.value);
        }
        if all {
            tags.attribute(&attribute);
        }
    }
    // The container's own tags give way to what the resource says in so many words.
    for attribute in elements(Fields::of(bytes)).map(Attribute::of) {
        if let Some(name) = attribute.key.strip_prefix(CONTAINER_TAG)
            && !name.is_empty()
            && !tags.has(name)
        {
            named(tags, name, &attribute.value);
        }
    }
}

/// Text that is not empty, or a whole number, such as that of a process.
fn named(tags: &mut Tags, name: &str, value: &Value<'_>) {
    match value {
        Value::Text(text) if !text.is_empty() => tags.push(name, text),
        Value::Int(number) if name == "process.pid" => tags.push(name, number),
        _ => {}
    }
}

fn name(key: &str) -> Option<&str> {
    let own = TAGS.iter().find(|(other, _)| *other == key);
    own.map(|(_, name)| *name).or_else(|| {
        let is_own = !key.contains('.') && OWN_BEGINNINGS.iter().any(|own| key.starts_with(own));
        is_own.then_some(key)
    })
}

/// Adds the tags of an `InstrumentationScope`, or those of none.
pub(in crate::otlp) fn scope(tags: &mut Tags, bytes: &[u8]) {
    let (mut name, mut version) = (&b""[..], &b""[..]);
    for (number, field) in Fields::of(bytes) {
        match number {
            1 => name = field.bytes(),
            2 => version = field.bytes(),
            _ => {}
        }
    }
    tags.push("instrumentation_scope", String::from_utf8_lossy(name));
    tags.push("instrumentation_scope_version", String::from_utf8_lossy(version));
    for (number, field) in Fields::of(bytes) {
        if number == 3 {
            let attribute = Attribute::of(field.bytes());
            if matches!(attribute.value, Value::Text(_)) {
                tags.attribute(&attribute);
            }
        }
    }
}
