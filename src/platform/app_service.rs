//! Azure App Service on Linux. Variables: <https://learn.microsoft.com/azure/app-service/reference-app-settings>.

use std::time::Duration;

use super::{Env, Tags};

/// The most that the platform lets an app have for its stop.
const STOP_SECONDS_MAX: u64 = 120;

/// A site.
pub(super) fn tags(env: Env<'_>, tags: &mut Tags) {
    let site = env("WEBSITE_SITE_NAME");
    let group = env("WEBSITE_RESOURCE_GROUP");
    let subscription = subscription(env);
    let functions = env("FUNCTIONS_WORKER_RUNTIME");
    let resource = subscription.as_ref().zip(group.as_ref()).zip(site.as_ref());
    let resource = resource.map(|((subscription, group), site)| {
        format!("/subscriptions/{subscription}/resourcegroups/{group}/providers/microsoft.web/sites/{site}")
    });
    let kind = if functions.is_some() { "functionapp" } else { "app" };
    tags.add(&["app_name"], site.clone());
    tags.add(&["region"], env("REGION_NAME"));
    tags.add(&["aas.environment.instance_id"], env("WEBSITE_INSTANCE_ID"));
    tags.add(&["aas.environment.instance_name"], env("COMPUTERNAME"));
    tags.add(&["aas.environment.os"], Some("linux".to_owned()));
    if functions.is_some() {
        tags.add(&["aas.environment.function_runtime"], env("FUNCTIONS_EXTENSION_VERSION"));
    }
    let runtime = functions.or_else(|| runtime(env).map(str::to_owned));
    tags.add(&["aas.environment.runtime"], runtime);
    tags.add(&["aas.resource.group"], group);
    tags.add(&["aas.resource.id"], resource);
    tags.add(&["aas.site.kind"], Some(kind.to_owned()));
    tags.add(&["aas.site.name"], site);
    // "app" for functions too, as the agent has it.
    tags.add(&["aas.site.type"], Some("app".to_owned()));
    tags.add(&["aas.subscription.id"], subscription);
}

/// `WEBSITES_CONTAINER_STOP_TIME_LIMIT`, in seconds; nothing where it is no number.
pub(super) fn stop_grace(env: Env<'_>) -> Option<Duration> {
    let seconds: u64 = env("WEBSITES_CONTAINER_STOP_TIME_LIMIT")?.trim().parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds.min(STOP_SECONDS_MAX)))
}

/// The text before the `+` of the owner.
fn subscription(env: Env<'_>) -> Option<String> {
    let owner = env("WEBSITE_OWNER_NAME")?;
    owner.split_once('+').map(|(id, _)| id.to_owned()).filter(|id| !id.is_empty())
}

/// The words that the agent has for the stacks.
fn runtime(env: Env<'_>) -> Option<&'static str> {
    match env("WEBSITE_STACK")?.to_ascii_uppercase().as_str() {
        "DOCKER" | "SITECONTAINERS" => Some("Container"),
        "NODE" => Some("Node.js"),
        "PYTHON" => Some("Python"),
        "JAVA" | "TOMCAT" => Some("Java"),
        "DOTNETCORE" => Some(".NET"),
        "PHP" => Some("PHP"),
        _ => env("DOCKER_SERVER_VERSION").map(|_| "Container"),
    }
}
