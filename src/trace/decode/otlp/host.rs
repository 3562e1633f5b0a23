//! The host that a resource runs on, as Datadog names hosts: by the cloud's id for it where there is one (spec: trace-agent 9.2).

use super::value::{Attribute, Value};

/// Names that every machine has for itself.
const NO_HOSTS: [&str; 6] = [
    "0.0.0.0",
    "127.0.0.1",
    "ip6-localhost",
    "localhost",
    "localhost.localdomain",
    "localhost6.localdomain6",
];

/// The host. Nothing where the resource does not say which; an empty text where it runs on a platform that has none.
pub(super) fn of(attributes: &[Attribute<'_>]) -> Option<String> {
    let resource = Attributes(attributes);
    if resource.is_azure_app() || resource.is_container_app() || resource.is_fargate_task() {
        return Some(String::new());
    }
    if resource.is_one_of("cloud.platform", ["gcp_cloud_functions", "gcp_cloud_run"]) {
        return resource.is_cloud_run_instance().then(String::new);
    }
    resource.named().filter(|host| !NO_HOSTS.contains(&host.as_str()))
}

#[derive(Clone, Copy)]
struct Attributes<'a>(&'a [Attribute<'a>]);

impl<'a> Attributes<'a> {
    fn value(self, key: &str) -> Option<&'a Value<'a>> {
        self.0.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
    }

    /// The text of an attribute that is there, empty where it is of another kind.
    fn text(self, key: &str) -> Option<&'a str> {
        self.value(key).map(|value| match value {
            Value::Text(text) => text.as_ref(),
            _ => "",
        })
    }

    fn has(self, key: &str) -> bool {
        self.text(key).is_some_and(|text| !text.is_empty())
    }

    fn is_one_of<const N: usize>(self, key: &str, words: [&str; N]) -> bool {
        self.text(key).is_some_and(|text| words.contains(&text))
    }

    /// An app or a function of Azure's, named so that it can be told from others.
    fn is_azure_app(self) -> bool {
        let platforms =
            ["azure.app_service", "azure_app_service", "azure.functions", "azure_functions"];
        self.is_one_of("cloud.platform", platforms)
            && self.has("service.name")
            && self.has("cloud.account.id")
            && self.has("azure.resource_group.name")
    }

    fn is_container_app(self) -> bool {
        self.is_one_of("cloud.platform", ["azure.container_apps", "azure_container_apps"])
    }

    fn is_fargate(self) -> bool {
        self.is_one_of("aws.ecs.launchtype", ["fargate"])
    }

    fn is_fargate_task(self) -> bool {
        self.is_fargate() && self.value("aws.ecs.task.arn").is_some()
    }

    /// A service on Cloud Run that names itself; jobs don't count.
    fn is_cloud_run_instance(self) -> bool {
        let is_job = ["gcp.cloud_run.job.execution", "gcp.cloud_run.job.task_index"]
            .iter()
            .any(|key| self.value(key).is_some());
        let names = ["cloud.account.id", "cloud.region", "faas.name", "faas.instance"];
        !is_job && names.iter().all(|key| self.has(key))
    }

    fn named(self) -> Option<String> {
        if let Some(host) = self.value("host") {
            return Some(host.to_text().into_owned());
        }
        if let Some(host) = self.text("datadog.host.name") {
            return Some(host.to_owned());
        }
        if self.is_fargate() {
            return None;
        }
        let own = |key| self.text(key).map(str::to_owned);
        match self.text("cloud.provider") {
            Some("aws") => own("host.id"),
            Some("gcp") => self.google_instance(),
            Some("azure") => own("host.id").or_else(|| own("host.name")),
            _ => self.node().or_else(|| own("host.id")).or_else(|| own("host.name")),
        }
    }

    /// A machine's short name, and its project.
    fn google_instance(self) -> Option<String> {
        let name = self.text("host.name")?;
        let project = self.text("cloud.account.id")?;
        let short = if name.matches('.').count() >= 3 { name.split('.').next()? } else { name };
        Some(format!("{short}.{project}"))
    }

    /// A node of Kubernetes, with its cluster where that is known.
    fn node(self) -> Option<String> {
        let node = self.text("k8s.node.name")?;
        Some(match self.text("k8s.cluster.name") {
            Some(cluster) => format!("{node}-{cluster}"),
            None => node.to_owned(),
        })
    }
}
