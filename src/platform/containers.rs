//! Platforms where the agent knows containers: ECS, Kubernetes, and none at all.

use super::ecs::Ecs;
use super::source::Source;
use super::{Env, Tags};

/// A task of ECS. Version 4 of its metadata is there on Fargate from 1.4.0 and on agents from 1.39.0; the older has the same for us.
pub(super) fn ecs(env: Env<'_>, tags: &mut Tags) -> Option<Source> {
    tags.of_container = true;
    let address =
        env("ECS_CONTAINER_METADATA_URI_V4").or_else(|| env("ECS_CONTAINER_METADATA_URI"));
    address.map(|address| Source::Ecs(Ecs::new(&address)))
}

/// A pod: its name is its host's unless the downward API says another.
pub(super) fn kubernetes(env: Env<'_>, tags: &mut Tags) -> Source {
    tags.of_container = true;
    tags.add(&["pod_name"], env("POD_NAME").or_else(|| env("HOSTNAME")));
    let namespace = env("POD_NAMESPACE");
    tags.add(&["kube_namespace"], namespace.clone());
    Source::Kubernetes { lacks_namespace: namespace.is_none() }
}

/// Nothing that is recognised.
pub(super) fn local(env: Env<'_>, tags: &mut Tags) {
    tags.not_on_spans = true;
    tags.add(&["local"], Some("true".to_owned()));
    tags.add(&["instance"], env("HOSTNAME"));
}
