//! Replace rules (`DD_APM_REPLACE_TAGS`): what a user's patterns find in tags and resources is replaced (spec: trace-agent 3.8).

use std::borrow::Cow;

use super::scalar::Scalar;
use crate::pattern::Pattern;

/// A rule as it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// A tag, `resource.name`, or `*` for the resource and all tags that do not start with `_`.
    pub name: String,
    /// What is looked for.
    pub pattern: String,
    /// What takes its place; `$1` and `${name}` are groups of the pattern.
    pub repl: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    All,
    Resource,
    Tag(String),
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) target: Target,
    /// Nothing where it did not compile: then what the rule names is not sent at all.
    pub(super) pattern: Option<Pattern>,
    pub(super) template: String,
}

/// All rules, in their order.
#[derive(Debug, Default)]
pub struct Rules {
    pub(super) rules: Vec<Rule>,
}

/// What stands in the place of a resource that a broken rule was to mend.
const WITHHELD: &str = "?";

/// Tags whose rules change a span's own field of that name and not the attribute (observed with 7.85.2).
const FIELDS: [&str; 4] = ["env", "version", "component", "span.kind"];

impl Rules {
    /// Compiles rules; a sentence for each that can't be.
    pub fn compile(settings: &[Setting], problems: &mut Vec<String>) -> Self {
        let rules = settings.iter().map(|setting| {
            let pattern = Pattern::new(&setting.pattern).map_err(|reason| {
                problems.push(format!(
                    "DD_APM_REPLACE_TAGS: the pattern {:?} for {:?} can't be used ({reason}); what it names is not sent. Mend the pattern.",
                    setting.pattern, setting.name
                ));
            });
            let target = match setting.name.as_str() {
                "*" => Target::All,
                "resource.name" => Target::Resource,
                name => Target::Tag(name.to_owned()),
            };
            Rule { target, pattern: pattern.ok(), template: setting.repl.clone() }
        });
        Self { rules: rules.collect() }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What a resource becomes, if it changes.
    #[must_use]
    pub fn resource(&self, resource: &str) -> Option<String> {
        let mut changed = None;
        for rule in self.rules.iter().filter(|rule| !matches!(rule.target, Target::Tag(_))) {
            let Some(pattern) = &rule.pattern else {
                changed = Some(WITHHELD.to_owned());
                continue;
            };
            let now = changed.as_deref().unwrap_or(resource);
            changed = pattern.replaced(now, &rule.template).or(changed);
        }
        changed
    }

    /// What a span's attribute becomes; nothing where it is dropped.
    #[must_use]
    pub fn attribute<'a>(&self, key: &str, value: Scalar<'a>) -> Option<Scalar<'a>> {
        if self.rules.is_empty() {
            return Some(value);
        }
        if FIELDS.contains(&key) {
            let all = self.rules.iter().filter(|rule| rule.target == Target::All);
            return all.into_iter().all(|rule| rule.pattern.is_some()).then_some(value);
        }
        self.of_event(key, value)
    }

    /// What the attribute of a span event becomes; nothing where it is dropped.
    #[must_use]
    pub fn of_event<'a>(&self, key: &str, mut value: Scalar<'a>) -> Option<Scalar<'a>> {
        for rule in &self.rules {
            let is_named = match &rule.target {
                Target::All if !key.starts_with('_') => false,
                Target::Tag(name) if name == key => true,
                _ => continue,
            };
            let text = value.text();
            match rule.pattern.as_ref()?.replaced(&text, &rule.template) {
                Some(changed) if is_named || *changed != *text => {
                    value = Scalar::read(Cow::Owned(changed));
                }
                // A rule for this very tag reads its value anew, whether its pattern is found or not.
                _ if is_named => value = Scalar::read(Cow::Owned(text.into_owned())),
                _ => {}
            }
        }
        Some(value)
    }

    /// What one of a span's own fields becomes, if it changes: by the rules for it, and by those for all that change the attribute of that
    /// name, `attribute` being its text where there is one.
    #[must_use]
    pub fn field(&self, key: &str, field: &str, attribute: Option<&str>) -> Option<String> {
        let mut changed: Option<String> = None;
        for rule in &self.rules {
            let Some(pattern) = &rule.pattern else {
                let is_meant = match &rule.target {
                    Target::All => true,
                    Target::Tag(name) => name == key,
                    Target::Resource => false,
                };
                changed = if is_meant { Some(String::new()) } else { changed };
                continue;
            };
            let new = match &rule.target {
                Target::All => {
                    let replaced =
                        attribute.map(|text| (text, pattern.replaced(text, &rule.template)));
                    replaced.and_then(|(text, new)| new.filter(|new| new != text))
                }
                Target::Tag(name) if name == key => {
                    let now = changed.as_deref().unwrap_or(field);
                    pattern.replaced(now, &rule.template)
                }
                _ => None,
            };
            changed = new.or(changed);
        }
        changed
    }

    /// What a status code becomes in stats that the tracer computed.
    #[must_use]
    pub fn status_code(&self, mut code: u32) -> u32 {
        for rule in &self.rules {
            let is_meant = match &rule.target {
                Target::All => true,
                Target::Tag(name) => name == "http.status_code",
                Target::Resource => false,
            };
            let text = code.to_string();
            let replaced = rule.pattern.as_ref().filter(|_| is_meant);
            let replaced = replaced.and_then(|pattern| pattern.replaced(&text, &rule.template));
            code = replaced.and_then(|text| text.parse().ok()).unwrap_or(code);
        }
        code
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{Rules, Scalar, Setting};

    fn rules(settings: &[[&str; 3]]) -> Rules {
        let settings: Vec<_> = settings
            .iter()
            .map(|[name, pattern, repl]| Setting {
                name: (*name).into(),
                pattern: (*pattern).into(),
                repl: (*repl).into(),
            })
            .collect();
        Rules::compile(&settings, &mut Vec::new())
    }

    fn text(text: &str) -> Scalar<'_> {
        Scalar::Text(Cow::Borrowed(text))
    }

    #[test]
    fn rules_apply_in_order_to_what_they_name() {
        let rules = rules(&[
            ["a", "x", "y"],
            ["*", "y", "z"],
            ["resource.name", r"\d+", "N"],
            ["num", "1", "2"],
            ["env", "prod", "p"],
        ]);
        assert_eq!(rules.attribute("a", text("x")), Some(text("z")));
        assert_eq!(rules.attribute("b", text("x")), Some(text("x")));
        assert_eq!(rules.attribute("_y", text("y")), Some(text("y")));
        assert_eq!(rules.attribute("num", Scalar::Double(11.0)), Some(Scalar::Int(22)));
        assert_eq!(rules.attribute("num", Scalar::Double(5.0)), Some(Scalar::Int(5)));
        assert_eq!(rules.attribute("other", Scalar::Double(5.0)), Some(Scalar::Double(5.0)));
        assert_eq!(rules.resource("GET /7/y").as_deref(), Some("GET /N/z"));
        assert_eq!(rules.resource("GET /"), None);
        assert_eq!(rules.attribute("env", text("prod")), Some(text("prod")));
        assert_eq!(rules.field("env", "prod", Some("prod")).as_deref(), Some("p"));
        assert_eq!(rules.field("version", "1", Some("1y")).as_deref(), Some("1z"));
        assert_eq!(rules.field("version", "1", None), None);
    }

    #[test]
    fn what_a_broken_rule_names_is_not_sent() {
        let mut problems = Vec::new();
        let broken =
            |name: &str| Setting { name: name.into(), pattern: "(".into(), repl: String::new() };
        let rules = Rules::compile(&[broken("card"), broken("resource.name")], &mut problems);
        assert_eq!(rules.attribute("card", text("4111")), None);
        assert_eq!(rules.attribute("other", text("1")), Some(text("1")));
        assert_eq!(rules.resource("GET /").as_deref(), Some("?"));
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("\"card\"") && problems[0].contains("unclosed group"));
        let rules = Rules::compile(&[broken("*")], &mut problems);
        assert_eq!(rules.attribute("other", text("1")), None);
        assert_eq!(rules.attribute("component", text("1")), None);
        assert_eq!(rules.field("component", "1", Some("1")).as_deref(), Some(""));
        assert_eq!(rules.attribute("_dd.p.dm", text("-1")), Some(text("-1")));
    }

    #[test]
    fn status_codes_of_stats_follow_their_rules() {
        let rules = rules(&[
            ["http.status_code", "404", "200"],
            ["peer.service", "2", "9"],
            ["*", "^5..", "x"],
        ]);
        assert_eq!(rules.status_code(404), 200);
        assert_eq!(rules.status_code(503), 503);
    }
}
