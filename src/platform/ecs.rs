//! What ECS says of a task and of its container: the task metadata endpoint, version 4, with the names of tags that the agent has for it.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-response.html>

use std::time::Duration;

use serde::Deserialize;

use super::Tag;
use super::metadata::{self, Address};
use super::source::Answer;

/// Bytes of an answer; a task with its containers has some kilobytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// The time for each of the two answers; the endpoint is on the same machine.
const TIME: Duration = Duration::from_millis(300);

/// Where to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ecs {
    address: Option<Address>,
}

/// As much of a container as tags need.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Container {
    docker_id: String,
    docker_name: String,
    name: String,
    image: String,
}

/// As much of a task as tags need.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Task {
    cluster: String,
    #[serde(rename = "TaskARN")]
    arn: String,
    family: String,
    revision: String,
    availability_zone: String,
    service_name: String,
    launch_type: String,
}

impl Ecs {
    /// Of the variable's value.
    pub(super) fn new(url: &str) -> Self {
        Self { address: Address::of_url(url) }
    }

    /// Asks for the container and its task at once.
    pub(super) async fn ask(&self) -> Answer {
        let Some(address) = &self.address else { return Answer::default() };
        let own = address.clone();
        let container = tokio::task::spawn_local(async move {
            metadata::get(&own, "", &[], ANSWER_BYTES_MAX, TIME).await
        });
        let task = metadata::get(address, "/task", &[], ANSWER_BYTES_MAX, TIME).await;
        let container = container.await.unwrap_or_else(|_| Err("its task has failed".to_owned()));
        let mut answer = Answer { is_whole: true, ..Answer::default() };
        match read::<Task>(task) {
            Ok(task) => of_task(&task, &mut answer.tags),
            Err(error) => (answer.is_whole, answer.failure) = (false, Some(error)),
        }
        match read::<Container>(container) {
            Ok(container) => of_container(&container, &mut answer.tags),
            Err(error) => (answer.is_whole, answer.failure) = (false, Some(error)),
        }
        answer
    }
}

fn read<'a, T: for<'b> Deserialize<'b> + 'a>(answer: Result<Vec<u8>, String>) -> Result<T, String> {
    serde_json::from_slice(&answer?).map_err(|error| format!("its answer can't be read ({error})"))
}

fn of_task(task: &Task, tags: &mut Vec<Tag>) {
    // `arn:aws:ecs:<region>:<account>:task/<cluster>/<id>`; the cluster may be an ARN, too.
    let mut arn = task.arn.split(':').skip(3);
    let (region, account) = (arn.next().unwrap_or_default(), arn.next().unwrap_or_default());
    let cluster = task.cluster.rsplit('/').next().unwrap_or_default();
    let launch_type = task.launch_type.to_ascii_lowercase();
    for (key, value) in [
        ("task_arn", task.arn.as_str()),
        ("task_family", &task.family),
        ("task_version", &task.revision),
        ("ecs_cluster_name", cluster),
        ("cluster_name", cluster),
        ("ecs_service", &task.service_name),
        ("ecs_launch_type", &launch_type),
        ("region", region),
        ("aws_account", account),
        ("availability_zone", &task.availability_zone),
        ("availability-zone", &task.availability_zone),
    ] {
        put(tags, key, value);
    }
}

fn of_container(container: &Container, tags: &mut Vec<Tag>) {
    let Container { docker_id, docker_name, name, image } = container;
    let (image_name, image_tag) = image_parts(image);
    let short = image_name.rsplit('/').next().unwrap_or_default();
    for (key, value) in [
        ("container_id", docker_id.as_str()),
        ("container_name", docker_name),
        ("ecs_container_name", name),
        ("docker_image", image),
        ("image_name", image_name),
        ("short_image", short),
        ("image_tag", image_tag),
    ] {
        put(tags, key, value);
    }
}

/// An image's name and its tag, without a digest: `registry:5000/team/app:1@sha256:…`.
fn image_parts(image: &str) -> (&str, &str) {
    let image = image.split('@').next().unwrap_or_default();
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, ""),
    }
}

/// Adds a tag, where it has a value that can stand in a list of tags.
fn put(tags: &mut Vec<Tag>, key: &str, value: &str) {
    if !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && c != ',') {
        tags.push(Tag::new(key, value));
    }
}

/// For the fuzz target and properties: the tags of two answers.
#[doc(hidden)]
pub fn of_answers(task: &[u8], container: &[u8]) -> Vec<Tag> {
    let mut tags = Vec::new();
    if let Ok(task) = read::<Task>(Ok(task.to_vec())) {
        of_task(&task, &mut tags);
    }
    if let Ok(container) = read::<Container>(Ok(container.to_vec())) {
        of_container(&container, &mut tags);
    }
    tags
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{image_parts, of_answers};

    #[test]
    fn an_image_has_a_name_and_maybe_a_tag() {
        let check = |image: &str, expect: (&str, &str)| assert_eq!(image_parts(image), expect);
        check(
            "111122223333.dkr.ecr.us-west-2.amazonaws.com/curltest:latest",
            ("111122223333.dkr.ecr.us-west-2.amazonaws.com/curltest", "latest"),
        );
        check("registry:5000/team/app@sha256:abc", ("registry:5000/team/app", ""));
        check("app", ("app", ""));
        check("", ("", ""));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_a_panic(task in any::<Vec<u8>>(), arn in ".{0,60}", image in ".{0,60}") {
            prop_assert!(of_answers(&task, &task).is_empty() || !task.is_empty());
            let task = serde_json::json!({"TaskARN": arn, "Cluster": image}).to_string();
            let container = serde_json::json!({"Image": image, "DockerId": arn}).to_string();
            for tag in of_answers(task.as_bytes(), container.as_bytes()) {
                prop_assert!(!tag.value.is_empty() && !tag.value.contains(','));
            }
        }
    }
}
