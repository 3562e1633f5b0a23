//! What becomes of a metric's name and tags before it is aggregated, in the agent's order (spec: metrics-logs 1.6): tags that are meant for
//! the agent are taken out, then mapper, namespace, blocklist. The tags of the settings and the platform are added by the aggregator, once.

use super::Settings;
use super::mapper::Mapper;
use crate::metrics::Blocked;

/// What the settings make of names.
#[derive(Debug)]
pub(super) struct Names {
    mapper: Option<Mapper>,
    /// With its dot. Empty: none.
    namespace: String,
    without_namespace: Vec<String>,
    blocked: Blocked,
    /// The name with its namespace.
    joined: String,
}

/// What became of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named<'a> {
    /// The metric is not wanted.
    Blocked,
    /// It is called so, and has these tags beside its own.
    As(&'a str, &'a [String]),
}

impl Names {
    /// What is wrong in the settings is one line each, for people.
    pub(super) fn new(settings: &Settings) -> (Self, Vec<String>) {
        let (mapper, problems) = Mapper::new(&settings.mapper_profiles, settings.mapper_cached_max);
        let mut namespace = settings.namespace.clone();
        if !namespace.is_empty() && !namespace.ends_with('.') {
            namespace.push('.');
        }
        let names = Self {
            mapper,
            namespace,
            without_namespace: settings.without_namespace.clone(),
            blocked: Blocked::new(&settings.blocked, settings.is_blocked_by_prefix),
            joined: String::new(),
        };
        (names, problems)
    }

    /// What a metric that came as `name` is called.
    pub(super) fn name<'a>(&'a mut self, name: &'a str) -> Named<'a> {
        let Self { mapper, namespace, without_namespace, blocked, joined } = self;
        let (mut name, mut tags) = (name, &[][..]);
        if let Some(mapped) = mapper.as_mut().and_then(|mapper| mapper.map(name)) {
            (name, tags) = (&mapped.name, &mapped.tags);
        }
        let is_without = || without_namespace.iter().any(|prefix| name.starts_with(prefix));
        if !namespace.is_empty() && !is_without() {
            joined.clear();
            joined.push_str(namespace);
            joined.push_str(name);
            name = joined;
        }
        if blocked.has(name) { Named::Blocked } else { Named::As(name, tags) }
    }
}

/// Takes out tags that are meant for the agent, and returns the host that one of them names, or nothing. The name of the JMX check is written
/// as Datadog's JMXFetch does.
pub(super) fn take_internal<'a>(tags: &mut Vec<&'a str>) -> &'a str {
    const INTERNAL: [&str; 3] =
        ["dd.internal.entity_id:", "dd.internal.card:", "dd.internal.jmx_check_name:"];
    let mut named = "";
    tags.retain(|tag| match tag.as_bytes() {
        [b'h', ..] => match tag.strip_prefix("host:") {
            Some(host) => {
                named = host;
                false
            }
            None => true,
        },
        [b'd', b'd', ..] => !INTERNAL.iter().any(|prefix| tag.starts_with(prefix)),
        _ => true,
    });
    named
}

#[cfg(test)]
mod tests {
    use super::{Named, Names, take_internal};
    use crate::dogstatsd::Settings;

    fn names(settings: Settings) -> Names {
        let (names, problems) = Names::new(&settings);
        assert!(problems.is_empty(), "{problems:?}");
        names
    }

    #[test]
    fn a_namespace_goes_before_names_that_have_none_by_custom() {
        let mut names = names(Settings { namespace: "shop".to_owned(), ..Settings::default() });
        assert_eq!(names.name("orders"), Named::As("shop.orders", &[]));
        assert_eq!(names.name("jvm.heap"), Named::As("jvm.heap", &[]));
        assert_eq!(names.name("datadog.tracer.x"), Named::As("datadog.tracer.x", &[]));
        assert_eq!(names.name("datadog.other"), Named::As("shop.datadog.other", &[]));
    }

    #[test]
    fn mapper_then_namespace_then_blocklist() {
        let json = r#"[{"name": "p", "prefix": "*", "mappings": [{"match": "a.*", "name": "b", "tags": {"x": "$1"}}]}]"#;
        let mut names = names(Settings {
            mapper_profiles: serde_json::from_str(json).unwrap(),
            namespace: "n.".to_owned(),
            blocked: vec!["n.c".to_owned(), "d".to_owned()],
            ..Settings::default()
        });
        assert_eq!(names.name("a.1"), Named::As("n.b", &["x:1".to_owned()]));
        assert_eq!(names.name("c"), Named::Blocked);
        assert_eq!(names.name("d"), Named::As("n.d", &[]));
    }

    #[test]
    fn tags_for_the_agent_are_taken_out() {
        let mut tags = vec![
            "a:1",
            "host:box",
            "dd.internal.entity_id:pod",
            "hosts:2",
            "dd.internal.card:low",
            "dd.internal.jmx_check_name:j",
            "dd.internal.resource:x:y",
            "jmx_check_name:mine",
            "host",
        ];
        assert_eq!(take_internal(&mut tags), "box");
        assert_eq!(
            tags,
            ["a:1", "hosts:2", "dd.internal.resource:x:y", "jmx_check_name:mine", "host"]
        );
        assert_eq!(take_internal(&mut tags), "");
    }
}
