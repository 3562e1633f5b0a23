//! The platform's tags, and which of them go where.

/// A tag: its key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The key.
    pub key: String,
    /// The value, never empty.
    pub value: String,
}

impl Tag {
    /// A tag.
    pub(super) fn new(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), value: value.to_owned() }
    }
}

/// What the platform says of everything that is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    pub(super) all: Vec<Tag>,
    /// They describe the container that tracers name, and go into the payload's `_dd.tags.container` as the agent has it, not onto each span.
    pub(super) of_container: bool,
    /// They help nobody on a span: see [`Tags::spans`].
    pub(super) not_on_spans: bool,
    /// `functionname` of profiles.
    pub(super) function: Option<String>,
}

/// Tags with so many values that each would make a metric of its own (spec: serverless-init 4), and those of a single container.
const HIGH_CARDINALITY: &[&str] = &[
    "aca.replica.name",
    "container_id",
    "container_name",
    "gcr.container_id",
    "gcrfx.container_id",
    "gcrj.container_id",
    "gcrj.execution_name",
    "gcrj.task_attempt",
    "gcrj.task_count",
    "gcrj.task_index",
    "pod_name",
    "replica_name",
    "task_arn",
];

/// Tags of a profile beside those with the prefixes `aca.` and `aas.` (spec: serverless-init 4).
const OF_PROFILES: &[&str] =
    &["_dd.origin", "resource_group", "resource_id", "subscription_id", "replica_name"];

/// Whether a tag of this key stays off metrics.
pub fn is_high_cardinality(key: &str) -> bool {
    HIGH_CARDINALITY.contains(&key)
}

impl Tags {
    /// Attributes for every span that lacks them. Those of ECS and Kubernetes describe a container, so they are in [`Tags::container`]. That
    /// nothing was recognised is said with logs and metrics alone.
    pub fn spans(&self) -> Vec<(String, String)> {
        if self.of_container || self.not_on_spans {
            return Vec::new();
        }
        self.all.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
    }

    /// The payload's `_dd.tags.container`, `key:value` between commas; empty where spans have the tags.
    pub fn container(&self) -> String {
        if !self.of_container {
            return String::new();
        }
        let tags: Vec<_> =
            self.all.iter().map(|Tag { key, value }| format!("{key}:{value}")).collect();
        tags.join(",")
    }

    /// All tags: those of a log.
    pub fn logs(&self) -> &[Tag] {
        &self.all
    }

    /// The tags of a metric: those with few values.
    pub fn metrics(&self) -> impl Iterator<Item = &Tag> {
        self.all.iter().filter(|tag| !is_high_cardinality(&tag.key))
    }

    /// The tags of a profile.
    pub fn profiles(&self) -> Vec<(String, String)> {
        let is_of_profiles = |tag: &&Tag| {
            let key = tag.key.as_str();
            key.starts_with("aca.") || key.starts_with("aas.") || OF_PROFILES.contains(&key)
        };
        let tags = self.all.iter().filter(is_of_profiles);
        let mut tags: Vec<_> = tags.map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        if let Some(function) = &self.function {
            tags.push(("functionname".to_owned(), function.clone()));
        }
        tags
    }

    /// The value of a tag.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.all.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
    }

    /// Adds what was learnt later: of a key that is there already the new value counts.
    pub fn learn(&mut self, found: Vec<Tag>) {
        for tag in found {
            match self.all.iter_mut().find(|own| own.key == tag.key) {
                Some(own) => own.value = tag.value,
                None => self.all.push(tag),
            }
        }
    }

    /// Adds a tag of these keys, where there is a value.
    pub(super) fn add(&mut self, keys: &[&str], value: Option<String>) {
        if let Some(value) = value {
            self.all.extend(keys.iter().map(|key| Tag::new(key, &value)));
        }
    }
}
