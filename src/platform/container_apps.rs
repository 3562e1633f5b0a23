//! Azure Container Apps. Variables: <https://learn.microsoft.com/azure/container-apps/environment-variables>.

use super::{Env, Tags};

/// An app, or a job, which has no DNS suffix and so tells no region.
pub(super) fn tags(env: Env<'_>, tags: &mut Tags) {
    let app = env("CONTAINER_APP_NAME");
    let resource_type = if app.is_some() { "containerapps" } else { "jobs" };
    let name = app.or_else(|| env("CONTAINER_APP_JOB_NAME"));
    tags.add(&["app_name", "aca.app.name"], name.clone());
    tags.add(&["region", "aca.app.region"], region(env));
    tags.add(&["revision", "aca.app.revision"], env("CONTAINER_APP_REVISION"));
    tags.add(&["replica_name", "aca.replica.name"], env("CONTAINER_APP_REPLICA_NAME"));
    let (subscription, group) = (env("DD_AZURE_SUBSCRIPTION_ID"), env("DD_AZURE_RESOURCE_GROUP"));
    let resource = subscription.as_ref().zip(group.as_ref()).zip(name.as_ref());
    let resource = resource.map(|((subscription, group), name)| {
        let name = name.to_lowercase();
        format!("/subscriptions/{subscription}/resourcegroups/{group}/providers/microsoft.app/{resource_type}/{name}")
    });
    tags.add(&["subscription_id", "aca.subscription.id"], subscription);
    tags.add(&["resource_group", "aca.resource.group"], group);
    tags.add(&["resource_id", "aca.resource.id"], resource);
}

/// The third label from the end of the environment's suffix, such as `blue-sky-1.westeurope.azurecontainerapps.io`.
fn region(env: Env<'_>) -> Option<String> {
    let suffix = env("CONTAINER_APP_ENV_DNS_SUFFIX")?;
    suffix.rsplit('.').nth(2).filter(|label| !label.is_empty()).map(str::to_owned)
}
