//! Mapper profiles: names that hold values become a name and tags (spec: metrics-logs 1.8), such as `job.load.duration` to
//! `job.duration` with `name:load`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use foldhash::fast::RandomState;
use serde::Deserialize;

use crate::pattern::Pattern;

/// A profile, as users write it in `DD_DOGSTATSD_MAPPER_PROFILES`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Profile {
    /// What it is called in messages to people.
    pub name: String,
    /// What the names begin with that it is for; `*` for all. The first profile that is for a name is the only one that is tried.
    pub prefix: String,
    /// What is tried, in this order; the first that matches counts.
    pub mappings: Vec<Mapping>,
}

/// What becomes of the names that match.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Mapping {
    /// What a whole name has to match.
    #[serde(rename = "match")]
    pub pattern: String,
    /// What that is.
    #[serde(rename = "match_type", default)]
    pub kind: MatchType,
    /// The new name; `$1` stands for what the first `*` or group matched.
    pub name: String,
    /// Tags to add, in which the same stands.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// What the pattern of a mapping is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum MatchType {
    /// `*` stands for anything without a dot.
    #[default]
    Wildcard,
    /// A regular expression.
    Regex,
}

/// Names longer than this, bytes, are mapped anew each time: so the cache is bounded in bytes, too.
const CACHED_NAME_BYTES_MAX: usize = 512;

/// What a name became.
#[derive(Debug)]
pub(super) struct Mapped {
    pub(super) name: String,
    pub(super) tags: Vec<String>,
}

/// All profiles, and what was found for the names of late.
pub(super) struct Mapper {
    profiles: Vec<Compiled>,
    /// What was asked for since the last turn, hits and misses, and what was before it. With the half of all that may be kept in the
    /// first, the second is forgotten: what is asked for again and again is never.
    recent: HashMap<Box<str>, Option<Mapped>, RandomState>,
    older: HashMap<Box<str>, Option<Mapped>, RandomState>,
    recent_max: usize,
    /// The last result that is not kept.
    uncached: Option<Mapped>,
}

struct Compiled {
    /// Empty for all names.
    prefix: String,
    rules: Vec<Rule>,
}

struct Rule {
    pattern: Pattern,
    name: String,
    tags: Vec<(String, String)>,
}

impl Mapper {
    /// A mapper that keeps what it finds for so many names; nothing where there are no profiles. A mapping that can't be used is left out, and
    /// a line for people says why.
    pub(super) fn new(profiles: &[Profile], cached_max: usize) -> (Option<Self>, Vec<String>) {
        let mut problems = Vec::new();
        let profiles: Vec<Compiled> =
            profiles.iter().map(|profile| Compiled::of(profile, &mut problems)).collect();
        if profiles.is_empty() {
            return (None, problems);
        }
        let mapper = Self {
            profiles,
            recent: HashMap::default(),
            older: HashMap::default(),
            recent_max: (cached_max / 2).max(1),
            uncached: None,
        };
        (Some(mapper), problems)
    }

    /// What becomes of a metric's name; nothing where it stays.
    pub(super) fn map(&mut self, name: &str) -> Option<&Mapped> {
        if name.len() > CACHED_NAME_BYTES_MAX {
            self.uncached = find(&self.profiles, name);
            return self.uncached.as_ref();
        }
        if !self.recent.contains_key(name) {
            let found = self.older.remove(name).unwrap_or_else(|| find(&self.profiles, name));
            if self.recent.len() >= self.recent_max {
                self.older = std::mem::take(&mut self.recent);
            }
            self.recent.insert(name.into(), found);
        }
        self.recent.get(name)?.as_ref()
    }
}

fn find(profiles: &[Compiled], name: &str) -> Option<Mapped> {
    let profile = profiles.iter().find(|profile| name.starts_with(&profile.prefix))?;
    profile.rules.iter().find_map(|rule| rule.map(name))
}

impl Compiled {
    fn of(profile: &Profile, problems: &mut Vec<String>) -> Self {
        let mut rules = Vec::new();
        for mapping in &profile.mappings {
            match Rule::of(mapping) {
                Ok(rule) => rules.push(rule),
                Err(why) => problems.push(format!(
                    "a mapping of the profile {:?} in DD_DOGSTATSD_MAPPER_PROFILES is left out: {:?} {why}",
                    profile.name, mapping.pattern
                )),
            }
        }
        let prefix = if profile.prefix == "*" { String::new() } else { profile.prefix.clone() };
        Self { prefix, rules }
    }
}

impl Rule {
    fn of(mapping: &Mapping) -> Result<Self, String> {
        let pattern = match mapping.kind {
            MatchType::Wildcard => wildcard(&mapping.pattern)?,
            MatchType::Regex => format!("^(?:{})$", mapping.pattern),
        };
        let pattern = Pattern::new(&pattern).map_err(|why| format!("is no pattern: {why}"))?;
        if mapping.name.is_empty() {
            return Err("has no new name".to_owned());
        }
        let tags = mapping.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(Self { pattern, name: mapping.name.clone(), tags })
    }

    /// The pattern is anchored at both ends, so what replaces the match is all there is.
    fn map(&self, name: &str) -> Option<Mapped> {
        let new = self.pattern.replaced(name, &self.name)?;
        let value = |template| self.pattern.replaced(name, template).unwrap_or_default();
        let tags = self.tags.iter().map(|(key, template)| format!("{key}:{}", value(template)));
        Some(Mapped { name: new, tags: tags.collect() })
    }
}

/// The regular expression of a wildcard.
fn wildcard(text: &str) -> Result<String, String> {
    let is_known = |c: char| c.is_ascii_alphanumeric() || "-_*.".contains(c);
    if text.is_empty() || !text.chars().all(is_known) {
        return Err("may have letters, digits, -, _, . and * alone, or match_type has to be regex"
            .to_owned());
    }
    if text.contains("**") {
        return Err("has ** in it, and one * is enough".to_owned());
    }
    Ok(format!("^{}$", text.replace('.', "\\.").replace('*', "([^.]*)")))
}

impl fmt::Debug for Mapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapper").field("profiles", &self.profiles.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Mapper, Profile};

    fn mapper(json: &str, cached_max: usize) -> (Mapper, Vec<String>) {
        let profiles: Vec<Profile> = serde_json::from_str(json).unwrap();
        let (mapper, problems) = Mapper::new(&profiles, cached_max);
        (mapper.unwrap(), problems)
    }

    const PROFILES: &str = r#"[
        {"name": "airflow", "prefix": "airflow.", "mappings": [
            {"match": "airflow.job.*_*.end", "name": "airflow.job.end", "tags": {"b": "$2", "a": "x-${1}"}},
            {"match": "airflow.job.*", "name": "airflow.$1"},
            {"match": "airflow\\.dag\\.(\\w+)\\.(.*)", "match_type": "regex", "name": "dag.$1", "tags": {"rest": "$2"}}
        ]},
        {"name": "airflow again", "prefix": "airflow.x", "mappings": [{"match": "airflow.xyz", "name": "never"}]},
        {"name": "rest", "prefix": "*", "mappings": [{"match": "a*", "name": "b"}]}
    ]"#;

    #[test]
    fn names_become_names_and_tags() {
        let (mut mapper, problems) = mapper(PROFILES, 1000);
        assert!(problems.is_empty(), "{problems:?}");
        for (name, expect) in [
            ("airflow.job.load_all.end", Some(("airflow.job.end", vec!["a:x-load", "b:all"]))),
            ("airflow.job.load", Some(("airflow.load", vec![]))),
            ("airflow.job.load.x", None),
            ("xairflow.job.load", None),
            ("airflow.dag.one.two.three", Some(("dag.one", vec!["rest:two.three"]))),
            ("airflow.xyz", None),
            ("abc", Some(("b", vec![]))),
            ("abc.d", None),
        ] {
            for _ in 0..2 {
                let found = mapper.map(name);
                let found = found.map(|found| {
                    (found.name.as_str(), found.tags.iter().map(String::as_str).collect::<Vec<_>>())
                });
                assert_eq!(found, expect, "{name}");
            }
        }
    }

    #[test]
    fn a_mapping_that_can_not_be_used_is_left_out_and_named() {
        let json = r#"[{"name": "p", "prefix": "*", "mappings": [
            {"match": "a.**", "name": "b"},
            {"match": "a b", "name": "b"},
            {"match": "(", "match_type": "regex", "name": "b"},
            {"match": "a.*", "name": ""},
            {"match": "a.*", "name": "good"}
        ]}]"#;
        let (mut mapper, problems) = mapper(json, 1000);
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems.iter().all(|line| line.contains("\"p\"") && !line.contains('\n')));
        assert_eq!(mapper.map("a.c").unwrap().name, "good");
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_asked_for_stays() {
        let (mut mapper, _) = mapper(PROFILES, 10);
        for number in 0..1000 {
            mapper.map(&format!("name{number}"));
            mapper.map("abc");
            assert!(mapper.recent.len() <= 5 && mapper.older.len() <= 5);
            assert!(mapper.recent.contains_key("abc"));
        }
        assert_eq!(mapper.map(&"a".repeat(9000)).unwrap().name, "b");
        assert!(mapper.recent.keys().chain(mapper.older.keys()).all(|name| name.len() < 9000));
    }

    #[test]
    fn without_profiles_there_is_no_mapper() {
        assert!(Mapper::new(&[], 1000).0.is_none());
    }
}
