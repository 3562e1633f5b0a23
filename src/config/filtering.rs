//! The settings of what is dropped and of what is replaced: their variables, and how they are read. Patterns are compiled later, after the app
//! has started.

use serde_json::Value;

use super::keys::Key;
use super::parse::{self, Wrong};
use super::read::Reader;
use crate::trace::filter;
use crate::trace::redact::replace;

/// All of them in the order of the README.
pub const KEYS: &[&Key] =
    &[&IGNORE_RESOURCES, &REJECT, &REQUIRE, &REJECT_REGEX, &REQUIRE_REGEX, &REPLACE];

/// Resources to ignore.
pub const IGNORE_RESOURCES: Key = Key {
    names: &["DD_APM_IGNORE_RESOURCES", "DD_IGNORE_RESOURCE"],
    yaml: &["apm_config.ignore_resources"],
    default: "",
    meaning: "Patterns between commas; a trace whose root's resource has one of them in it is dropped: `^GET /health$,\"(GET\\|POST) /a,b\"`. \
              Patterns have Go's syntax, here and below.",
};
/// Tags that drop a trace.
pub const REJECT: Key = Key {
    names: &["DD_APM_FILTER_TAGS_REJECT"],
    yaml: &["apm_config.filter_tags.reject"],
    default: "",
    meaning: "`key` or `key:value` tags between spaces, or a JSON array; a trace whose root has any of them is dropped.",
};
/// Tags without which a trace is dropped.
pub const REQUIRE: Key = Key {
    names: &["DD_APM_FILTER_TAGS_REQUIRE"],
    yaml: &["apm_config.filter_tags.require"],
    default: "",
    meaning: "The same for tags that the root must have, all of them.",
};
/// The same with patterns.
pub const REJECT_REGEX: Key = Key {
    names: &["DD_APM_FILTER_TAGS_REGEX_REJECT"],
    yaml: &["apm_config.filter_tags_regex.reject"],
    default: "",
    meaning: "`key:pattern`; a trace whose root has a value with such a pattern in it is dropped.",
};
/// The same with patterns.
pub const REQUIRE_REGEX: Key = Key {
    names: &["DD_APM_FILTER_TAGS_REGEX_REQUIRE"],
    yaml: &["apm_config.filter_tags_regex.require"],
    default: "",
    meaning: "`key:pattern`; a trace whose root lacks such a value is dropped.",
};
/// Replace rules.
pub const REPLACE: Key = Key {
    names: &["DD_APM_REPLACE_TAGS"],
    yaml: &["apm_config.replace_tags"],
    default: "",
    meaning: "Rules that take out what must not leave, as JSON: `[{\"name\": \"http.url\", \"pattern\": \"token=[^&]*\", \"repl\": \"token=?\"}]`. \
              `name` is a tag, `resource.name`, or `*` for all. What a rule with a wrong pattern names is not sent at all.",
};

impl Reader<'_> {
    /// Which traces are dropped.
    pub(super) fn filters(&mut self) -> filter::Settings {
        filter::Settings {
            ignore_resources: self.texts(&IGNORE_RESOURCES, record),
            reject: self.take(&REJECT, Vec::new(), words),
            require: self.take(&REQUIRE, Vec::new(), words),
            reject_regex: self.take(&REJECT_REGEX, Vec::new(), words),
            require_regex: self.take(&REQUIRE_REGEX, Vec::new(), words),
        }
    }

    /// What is replaced.
    pub(super) fn replace(&mut self) -> Vec<replace::Setting> {
        self.take(&REPLACE, Vec::new(), rules)
    }
}

/// One record of comma-separated values: a value in quotes may hold commas and doubled quotes, spaces before a value do not count, and a quote
/// elsewhere is a character like any other.
fn record(text: &str) -> Result<Vec<String>, Wrong> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let mut value = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                // A quote that is never closed reaches to the end.
                let (before, after) = rest.split_once('"').unwrap_or((rest, ""));
                value.push_str(before);
                rest = after;
                if rest.is_empty() || rest.starts_with(',') {
                    break;
                }
                value.push('"');
                rest = rest.strip_prefix('"').unwrap_or(rest);
            }
        }
        let end = rest.find(',').unwrap_or(rest.len());
        let (before, after) = rest.split_at(end);
        value.push_str(before);
        values.push(value);
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Ok(values),
        }
    }
}

/// Words between single spaces, or a JSON array.
fn words(text: &str) -> Result<Vec<String>, Wrong> {
    if text.starts_with('[') {
        return parse::list(text);
    }
    Ok(text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

fn rules(text: &str) -> Result<Vec<replace::Setting>, Wrong> {
    let document: Value =
        serde_json::from_str(text).map_err(|error| format!("is not JSON ({error})"))?;
    let Value::Array(rules) = document else { return Err("is not a JSON array".to_owned()) };
    rules.iter().enumerate().map(|(index, rule)| one_rule(index + 1, rule)).collect()
}

fn one_rule(number: usize, rule: &Value) -> Result<replace::Setting, Wrong> {
    let part = |name: &str| match rule.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        None | Some(Value::Null) if name == "repl" => Ok(String::new()),
        _ => Err(format!("has no text {name:?} in rule {number}")),
    };
    let rule =
        replace::Setting { name: part("name")?, pattern: part("pattern")?, repl: part("repl")? };
    if rule.name.is_empty() || rule.pattern.is_empty() {
        return Err(format!("has an empty name or pattern in rule {number}"));
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::super::{Env, Mode, read};
    use super::{filter, record, replace};

    #[test]
    fn records_are_read_as_the_agent_does() {
        for (text, expect) in [
            ("a,b", &["a", "b"][..]),
            ("(GET|POST) /health,\"/a,b\",^PING$", &["(GET|POST) /health", "/a,b", "^PING$"]),
            ("\"a\",\"b\"", &["a", "b"]),
            ("  a, \"b \"\"c\"\"\"", &["a", "b \"c\""]),
            ("a \"b\" c", &["a \"b\" c"]),
            ("\"a\" b,c", &["a\" b,c"]),
            ("\"a,b", &["a,b"]),
        ] {
            assert_eq!(record(text).unwrap(), expect, "{text}");
        }
    }

    #[test]
    fn filters_and_rules_come_from_their_variables() {
        let (settings, problems) = read(
            &Env::of(&[
                ("DD_APM_IGNORE_RESOURCES", "\"a\",\"b\""),
                ("DD_APM_FILTER_TAGS_REJECT", "[\"skip\", \"drop:yes please\"]"),
                ("DD_APM_FILTER_TAGS_REQUIRE", "team:a  other"),
                ("DD_APM_FILTER_TAGS_REGEX_REJECT", "drop:^y drop2:x"),
                ("DD_APM_FILTER_TAGS_REGEX_REQUIRE", "team:^[ab]"),
                ("DD_APM_REPLACE_TAGS", r#"[{"name":"a","pattern":"b"}]"#),
            ]),
            Mode::Wrapper,
        );
        assert!(problems.is_empty(), "{problems:?}");
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            settings.pipeline.filters,
            filter::Settings {
                ignore_resources: texts(&["a", "b"]),
                reject: texts(&["skip", "drop:yes please"]),
                require: texts(&["team:a", "other"]),
                reject_regex: texts(&["drop:^y", "drop2:x"]),
                require_regex: texts(&["team:^[ab]"]),
            }
        );
        let rule = replace::Setting { name: "a".into(), pattern: "b".into(), repl: String::new() };
        assert_eq!(settings.pipeline.replace, [rule]);
    }

    #[test]
    fn rules_that_are_none_are_named() {
        for (text, expect) in [
            ("{", "is not JSON"),
            ("{}", "is not a JSON array"),
            (r#"[{"name":"a"}]"#, "has no text \"pattern\" in rule 1"),
            (r#"[{"name":"a","pattern":"b"},{"name":"","pattern":"b"}]"#, "in rule 2"),
        ] {
            let (settings, problems) =
                read(&Env::of(&[("DD_APM_REPLACE_TAGS", text)]), Mode::Wrapper);
            assert!(settings.pipeline.replace.is_empty());
            assert!(problems[0].to_string().contains(expect), "{}", problems[0]);
        }
    }
}
