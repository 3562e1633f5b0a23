//! What Google's metadata server says of an instance: <https://cloud.google.com/run/docs/container-contract#metadata-server>.

use std::time::Duration;

use tokio::task::JoinSet;

use super::metadata::{self, Address};
use super::source::Answer;
use super::{Env, Tag};

/// The server's address, which needs no name to be looked up. (Google's own libraries use it so.)
const HOST: &str = "169.254.169.254";

/// As the server asks for, so that no request is made by mistake; it says the same of its answers.
const FLAVOUR: (&str, &str) = ("metadata-flavor", "Google");

/// Bytes of an answer that are read; these have some tens.
const ANSWER_BYTES_MAX: usize = 1024;

/// The time for each value, as `datadog-init` has it; the server is on the same machine.
pub(super) const TIME: Duration = Duration::from_millis(300);

const VALUES: [(Value, &str); 3] = [
    (Value::Instance, "/computeMetadata/v1/instance/id"),
    (Value::Region, "/computeMetadata/v1/instance/region"),
    (Value::Project, "/computeMetadata/v1/project/project-id"),
];

#[derive(Clone, Copy)]
enum Value {
    Instance,
    Region,
    Project,
}

/// Where to ask, and what the tags are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Google {
    address: Option<Address>,
    /// `gcr.` and the like.
    prefix: &'static str,
    /// The resource's own part of its name, such as `services/shop`.
    resource: Option<String>,
}

impl Google {
    /// `GCE_METADATA_HOST` names another server, as in Google's own libraries.
    pub(super) fn new(prefix: &'static str, resource: Option<String>, env: Env<'_>) -> Self {
        let host = env("GCE_METADATA_HOST").unwrap_or_else(|| HOST.to_owned());
        Self { address: Address::of_url(&format!("http://{host}")), prefix, resource }
    }

    /// Asks for the three values at once. What does not come in time, or with another status than 200, is left out, and with it what it
    /// would be a part of: no tag says `unknown`.
    pub(super) async fn ask(&self) -> Answer {
        let Some(address) = &self.address else { return Answer::default() };
        let mut requests = JoinSet::new();
        for (value, path) in VALUES {
            let address = address.clone();
            requests.spawn_local(async move {
                let text = metadata::get(&address, path, &[FLAVOUR], ANSWER_BYTES_MAX, TIME).await;
                (value, text.map(|bytes| normal(value, &bytes)))
            });
        }
        let mut found = [None, None, None];
        let mut failure = None;
        while let Some(ended) = requests.join_next().await {
            match ended {
                Ok((value, Ok(text))) => found[value as usize] = text,
                Ok((_, Err(error))) => failure = Some(error),
                Err(_) => {}
            }
        }
        let is_whole = found.iter().all(Option::is_some);
        let tags = self.tags(found);
        Answer { tags, is_whole, failure }
    }

    fn tags(&self, [instance, region, project]: [Option<String>; 3]) -> Vec<Tag> {
        let prefix = self.prefix;
        let mut tags = Vec::new();
        let resource = project.as_ref().zip(region.as_ref()).zip(self.resource.as_ref());
        if let Some(((project, region), resource)) = resource {
            let name = format!("projects/{project}/locations/{region}/{resource}");
            tags.push(Tag::new(&format!("{prefix}resource_name"), &name));
        }
        for (key, value) in
            [("container_id", instance), ("location", region), ("project_id", project)]
        {
            if let Some(value) = value {
                tags.push(Tag::new(key, &value));
                tags.push(Tag::new(&format!("{prefix}{key}"), &value));
            }
        }
        tags
    }
}

/// A value as it is sent: in lower case, of a region (`projects/1/regions/europe-west1`) the last part.
fn normal(value: Value, bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let text = match value {
        Value::Region => text.rsplit('/').next()?,
        Value::Instance | Value::Project => text,
    };
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    is_plain.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{Value, normal};

    #[test]
    fn values_are_in_lower_case_and_of_a_region_the_last_part_counts() {
        let check = |value, text: &str, expect: Option<&str>| {
            assert_eq!(normal(value, text.as_bytes()).as_deref(), expect, "{text:?}");
        };
        check(Value::Region, "projects/8/regions/Europe-West1\n", Some("europe-west1"));
        check(Value::Region, "projects/8/regions/", None);
        check(Value::Instance, "00BF4BF02D", Some("00bf4bf02d"));
        check(Value::Project, "", None);
        check(Value::Project, "<html>not it</html> at all", None);
    }
}
