//! Cloud Run: services, functions and jobs. Variables: <https://cloud.google.com/run/docs/container-contract#env-vars>.

use super::google::Google;
use super::source::Source;
use super::{Env, Tags};

/// Variables that only functions have. `FUNCTION_TARGET` and the type of its signature are set for all languages but Go; those that begin
/// with `GOOGLE_` are for the build and are sometimes kept, and the last is set by the deployment of any function.
const OF_FUNCTIONS: [&str; 5] = [
    "FUNCTION_TARGET",
    "FUNCTION_SIGNATURE_TYPE",
    "GOOGLE_FUNCTION_TARGET",
    "GOOGLE_FUNCTION_SIGNATURE_TYPE",
    "LOG_EXECUTION_ID",
];

/// Whether a service is a function.
pub(super) fn is_function(env: Env<'_>) -> bool {
    OF_FUNCTIONS.iter().any(|name| env(name).is_some())
}

/// A service.
pub(super) fn service(env: Env<'_>, tags: &mut Tags) -> Source {
    names(env, tags, ["gcr.revision_name", "gcr.service_name", "gcr.configuration_name"]);
    let resource = env("K_SERVICE").map(|service| format!("services/{service}"));
    Source::Google(Google::new("gcr.", resource, env))
}

/// A function. Without a target its resource is that of the service.
pub(super) fn function(env: Env<'_>, tags: &mut Tags) -> Source {
    names(env, tags, ["gcrfx.revision_name", "gcrfx.service_name", "gcrfx.configuration_name"]);
    let target = env("FUNCTION_TARGET").or_else(|| env("GOOGLE_FUNCTION_TARGET"));
    let signature =
        env("FUNCTION_SIGNATURE_TYPE").or_else(|| env("GOOGLE_FUNCTION_SIGNATURE_TYPE"));
    tags.add(&["gcrfx.build_function_target"], target.clone());
    tags.add(&["gcrfx.function_signature_type"], signature);
    tags.function = env("K_SERVICE");
    let resource = env("K_SERVICE").map(|service| match target {
        Some(target) => format!("services/{service}/functions/{target}"),
        None => format!("services/{service}"),
    });
    Source::Google(Google::new("gcrfx.", resource, env))
}

/// A job's task.
pub(super) fn job(env: Env<'_>, tags: &mut Tags) -> Source {
    tags.add(&["job_name", "gcrj.job_name"], env("CLOUD_RUN_JOB"));
    tags.add(&["gcrj.execution_name"], env("CLOUD_RUN_EXECUTION"));
    tags.add(&["gcrj.task_index"], env("CLOUD_RUN_TASK_INDEX"));
    tags.add(&["gcrj.task_attempt"], env("CLOUD_RUN_TASK_ATTEMPT"));
    tags.add(&["gcrj.task_count"], env("CLOUD_RUN_TASK_COUNT"));
    let resource = env("CLOUD_RUN_JOB").map(|job| format!("jobs/{job}"));
    Source::Google(Google::new("gcrj.", resource, env))
}

fn names(env: Env<'_>, tags: &mut Tags, [revision, service, configuration]: [&str; 3]) {
    tags.add(&["revision_name", revision], env("K_REVISION"));
    tags.add(&["service_name", service], env("K_SERVICE"));
    tags.add(&["configuration_name", configuration], env("K_CONFIGURATION"));
}
