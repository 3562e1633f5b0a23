//! What a resource says of all its spans: the values of the payload, its tags on each span, and the tags of its container.

use std::borrow::Cow;

use super::known::{Key, Known};
use super::lists::repeated;
use super::tags::Tags;
use super::value::{Attribute, Value, elements};
use super::{Error, Fallible, host};
use crate::limits::OTLP_ATTRIBUTES_MAX;
use crate::trace::normalise;

/// The prefix of attributes that users make tags of the container.
const CONTAINER_TAG: &str = "datadog.container.tag.";

/// Attributes of OpenTelemetry that are tags of the container by Datadog's names.
const CONTAINER_TAGS: [(&str, &str); 25] = [
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
    ("container.image.tags", "image_tag"),
    ("container.name", "container_name"),
    ("container.runtime", "runtime"),
    ("k8s.cluster.name", "kube_cluster_name"),
    ("k8s.container.name", "kube_container_name"),
    ("k8s.cronjob.name", "kube_cronjob"),
    ("k8s.daemonset.name", "kube_daemon_set"),
    ("k8s.deployment.name", "kube_deployment"),
    ("k8s.job.name", "kube_job"),
    ("k8s.namespace.name", "kube_namespace"),
    ("k8s.node.name", "kube_node"),
    ("k8s.pod.name", "pod_name"),
    ("k8s.replicaset.name", "kube_replica_set"),
    ("k8s.statefulset.name", "kube_stateful_set"),
];

/// Whose word on a tag of the container counts: the later in this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Datadog,
    Custom,
    OpenTelemetry,
}

/// What a resource says.
#[derive(Debug)]
pub(super) struct Resource<'a> {
    /// Its attributes, without those that are tags of the container alone.
    pub(super) attributes: Vec<Attribute<'a>>,
    /// `telemetry.sdk.language`.
    pub(super) lang: String,
    /// `otlp-` and `telemetry.sdk.version`.
    pub(super) tracer_version: String,
    /// `deployment.environment.name` or its older form.
    pub(super) env: String,
    /// The host; nothing where the resource does not say, and an empty text where it says that there is none.
    pub(super) host: Option<String>,
    /// `container.id`.
    pub(super) container_id: String,
    /// `key:value` pairs between commas.
    pub(super) container_tags: String,
    /// `_dd.stats_computed`, where it is there.
    pub(super) computed_stats: Option<bool>,
}

impl<'a> Resource<'a> {
    /// Reads the content of a `Resource`.
    ///
    /// # Errors
    /// When it has more attributes than anything may have.
    pub(super) fn of(bytes: &'a [u8]) -> Fallible<Self> {
        let mut attributes = attributes(bytes, 1)?;
        let host = host::of(&attributes);
        let container_tags = take_container_tags(&mut attributes);
        let known = Known::of(&attributes);
        let value = |keys: &[Key]| {
            let texts = keys.iter().map(|&key| known.text(key));
            let found = texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
            normalise::tag_value(found).into_owned()
        };
        let any = |key| {
            normalise::tag_value(&known.value(key).map(Value::to_text).unwrap_or_default())
                .into_owned()
        };
        let computed = known.value(Key::StatsComputed).is_some();
        let is_yes = |text: String| !text.is_empty() && text != "false";
        Ok(Self {
            lang: any(Key::SdkLanguage),
            tracer_version: format!("otlp-{}", any(Key::SdkVersion)),
            env: value(&[Key::DeploymentEnvironmentName, Key::DeploymentEnvironment]),
            container_id: value(&[Key::ContainerId]),
            computed_stats: computed.then(|| is_yes(any(Key::StatsComputed))),
            host,
            container_tags,
            attributes,
        })
    }
}

/// Reads the attributes in the field of this number. Those without a key say nothing.
///
/// # Errors
/// When there are more than anything may have.
pub(super) fn attributes(bytes: &[u8], field: u32) -> Fallible<Vec<Attribute<'_>>> {
    let mut list = Vec::new();
    for attribute in repeated(bytes, field).map(Attribute::of) {
        if attribute.key.is_empty() {
            continue;
        }
        if list.len() >= OTLP_ATTRIBUTES_MAX {
            return Err(Error::TooManyAttributes);
        }
        list.push(attribute);
    }
    Ok(list)
}

/// Finds the tags of the container. What is only that leaves the attributes: it need not be on each span, too.
fn take_container_tags(attributes: &mut Vec<Attribute<'_>>) -> String {
    let mut tags: Tags<'_, (String, Rank)> = Tags::default();
    attributes.retain(|attribute| {
        let text = container_value(attribute);
        if text.is_empty() {
            return true;
        }
        let Some((key, rank)) = container_tag(&attribute.key) else { return true };
        if tags.get(&key).is_none_or(|(_, before)| rank > *before) {
            tags.set(key, (text.into_owned(), rank));
        }
        rank == Rank::OpenTelemetry
    });
    let pairs: Vec<String> =
        tags.entries().iter().map(|(key, (value, _))| format!("{key}:{value}")).collect();
    pairs.join(",")
}

/// The tag's key, and whose word it is.
fn container_tag(key: &str) -> Option<(String, Rank)> {
    if CONTAINER_TAGS.iter().any(|(_, own)| *own == key) {
        return Some((key.to_owned(), Rank::Datadog));
    }
    if let Some(own) = key.strip_prefix(CONTAINER_TAG) {
        return Some((own.to_owned(), Rank::Custom));
    }
    let (_, own) = CONTAINER_TAGS.iter().find(|(name, _)| *name == key)?;
    Some(((*own).to_owned(), Rank::OpenTelemetry))
}

/// The text of an attribute; of `container.image.tags`, a list, the first.
fn container_value<'a>(attribute: &Attribute<'a>) -> Cow<'a, str> {
    let value = match &attribute.value {
        Value::List(fields) if attribute.key == "container.image.tags" => {
            elements(fields.clone()).next().map(Value::of).unwrap_or_default()
        }
        value => value.clone(),
    };
    match value {
        Value::Text(text) => text,
        _ => Cow::Borrowed(""),
    }
}
