//! Rules of the user's for messages (`DD_LOGS_CONFIG_PROCESSING_RULES`): which are left out, what is masked in them, what their source is called
//! (spec: metrics-logs 4.4). Each works on what the one before it has left.
//!
//! A rule that can't be used is reported by its name and left out, where the agent would refuse to start. Not so a mask: without it a secret
//! would be sent, so nothing is ([`Rules::withholds_all`]).

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::level;
use super::message::Message;
use crate::pattern::Pattern;

/// The setting that the rules come from.
const VARIABLE: &str = "DD_LOGS_CONFIG_PROCESSING_RULES";

/// The type of rules that hide something.
const MASK: &str = "mask_sequences";

/// A rule as it is set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Setting {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    pattern: String,
    replace_placeholder: String,
    matching: Vec<Remap>,
}

/// Gives messages with a value in an attribute of their JSON another source.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Remap {
    attribute: String,
    value: String,
    new_source: String,
}

#[derive(Debug)]
enum Rule {
    ExcludeAtMatch(Pattern),
    IncludeAtMatch(Pattern),
    MaskSequences(Pattern, String),
    ExcludeTruncated,
    RemapSource(Vec<Remap>),
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It is sent as it is now.
    Keep,
    /// It is left out, and counts as filtered.
    Drop,
}

/// All rules, in their order.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    multi_line: Option<Arc<Pattern>>,
    withholds_all: bool,
}

impl Rules {
    /// Reads the rules from their JSON list, `[{"type": …, "name": …, "pattern": …}, …]`; a sentence for each that can't be used. An empty text is
    /// an empty list.
    pub fn read(text: &str, problems: &mut Vec<String>) -> Self {
        let mut rules = Self::default();
        if text.trim().is_empty() {
            return rules;
        }
        let list: Vec<Value> = match serde_json::from_str(text) {
            Ok(list) => list,
            Err(error) => {
                problems.push(format!(
                    "{VARIABLE} is no JSON list of rules ({error}). No logs are sent, as what has to be masked is not known. Mend it."
                ));
                rules.withholds_all = true;
                return rules;
            }
        };
        for (at, value) in list.into_iter().enumerate() {
            let may_mask = may_mask(&value);
            let name = value.get("name").and_then(Value::as_str).map(|name| format!("{name:?}"));
            let name = name.unwrap_or(format!("number {}", at + 1));
            if let Err(reason) = rules.add(value) {
                let outcome = if may_mask {
                    "No logs are sent, as it may be there to hide a secret."
                } else {
                    "It is left out."
                };
                problems.push(format!(
                    "{VARIABLE}: rule {name} can't be used ({reason}). {outcome} Mend it."
                ));
                rules.withholds_all |= may_mask;
            }
        }
        rules
    }

    fn add(&mut self, value: Value) -> Result<(), String> {
        let setting: Setting = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if setting.name.is_empty() {
            return Err("it has no name".to_owned());
        }
        let rule = match setting.kind.as_str() {
            "exclude_at_match" => Rule::ExcludeAtMatch(pattern(&setting.pattern)?),
            "include_at_match" => Rule::IncludeAtMatch(pattern(&setting.pattern)?),
            MASK => Rule::MaskSequences(pattern(&setting.pattern)?, setting.replace_placeholder),
            "exclude_truncated" => Rule::ExcludeTruncated,
            "remap_source" => Rule::RemapSource(self.remaps(setting.matching)?),
            "multi_line" => {
                pattern(&setting.pattern)?;
                // The agent puts the sign in front of the text, whatever the text is.
                let pattern = pattern(&format!("^{}", setting.pattern))?;
                // The first of several counts.
                self.multi_line.get_or_insert(Arc::new(pattern));
                return Ok(());
            }
            "" => return Err("it has no type".to_owned()),
            other => return Err(format!("there is no type {other:?}")),
        };
        self.rules.push(rule);
        Ok(())
    }

    fn remaps(&self, matching: Vec<Remap>) -> Result<Vec<Remap>, String> {
        if self.rules.iter().any(|rule| matches!(rule, Rule::RemapSource(_))) {
            return Err("there is one of type remap_source before it".to_owned());
        }
        let is_whole = |remap: &Remap| {
            !remap.attribute.is_empty() && !remap.value.is_empty() && !remap.new_source.is_empty()
        };
        if matching.is_empty() || !matching.iter().all(is_whole) {
            return Err("matching needs entries of attribute, value and new_source".to_owned());
        }
        Ok(matching)
    }

    /// Whether a rule that has to hide something can't be used, so that no message may be sent at all.
    pub fn withholds_all(&self) -> bool {
        self.withholds_all
    }

    /// The pattern of lines that begin a message, where there is a rule for it.
    pub fn multi_line(&self) -> Option<&Arc<Pattern>> {
        self.multi_line.as_ref()
    }

    /// Applies the rules to a message.
    pub fn apply(&self, message: &mut Message<'_>) -> Verdict {
        if self.withholds_all {
            return Verdict::Drop;
        }
        for rule in &self.rules {
            let is_dropped = match rule {
                Rule::ExcludeAtMatch(pattern) => pattern.is_in(&text(message)),
                Rule::IncludeAtMatch(pattern) => !pattern.is_in(&text(message)),
                Rule::ExcludeTruncated => message.is_truncated,
                Rule::MaskSequences(pattern, placeholder) => {
                    let masked = pattern.replaced(&text(message), placeholder);
                    if let Some(masked) = masked {
                        message.text = Cow::Owned(masked.into_bytes());
                    }
                    // Nothing is left of it.
                    message.text.is_empty()
                }
                Rule::RemapSource(remaps) => {
                    remap(remaps, message);
                    false
                }
            };
            if is_dropped {
                return Verdict::Drop;
            }
        }
        Verdict::Keep
    }
}

/// Whether a rule that can't be used may have been meant as a mask: it says so, or has something to put in place of what it finds, or is
/// nothing that can be read.
fn may_mask(value: &Value) -> bool {
    let kind = value.get("type").and_then(Value::as_str);
    !value.is_object()
        || kind.is_none_or(|kind| kind.contains("mask"))
        || value.get("replace_placeholder").is_some_and(|text| text.as_str() != Some(""))
}

fn pattern(text: &str) -> Result<Pattern, String> {
    if text.is_empty() {
        return Err("it has no pattern".to_owned());
    }
    Pattern::new(text).map_err(|reason| format!("the pattern {text:?}: {reason}"))
}

/// The text as patterns see it. What is no UTF-8 stands as U+FFFD, which is what is sent in its place: no pattern ends at such a byte.
fn text<'a>(message: &'a Message<'_>) -> Cow<'a, str> {
    String::from_utf8_lossy(&message.text)
}

fn remap(remaps: &[Remap], message: &mut Message<'_>) {
    let is_meant = |remap: &&Remap| {
        level::attribute(&message.text, remap.attribute.as_bytes()) == Some(remap.value.as_bytes())
    };
    if let Some(remap) = remaps.iter().find(is_meant) {
        message.source = Some(Cow::Owned(remap.new_source.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{Line, Message, Stream};
    use super::{Rules, Verdict};

    fn message(text: &[u8]) -> Message<'_> {
        let stream = Stream::Stdout;
        Message::of_line(Line { text, stream, time_ms: 1, tags: "", is_cut: false }).unwrap()
    }

    fn rules(text: &str) -> Rules {
        let mut problems = Vec::new();
        let rules = Rules::read(text, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        rules
    }

    /// What becomes of a text; nothing where it is dropped.
    fn after(rules: &Rules, text: &str) -> Option<String> {
        let mut message = message(text.as_bytes());
        match rules.apply(&mut message) {
            Verdict::Keep => Some(String::from_utf8_lossy(&message.text).into_owned()),
            Verdict::Drop => None,
        }
    }

    #[test]
    fn rules_work_in_their_order() {
        let rules = rules(
            r#"[{"type": "exclude_at_match", "name": "health", "pattern": "GET /health"},
                {"type": "mask_sequences", "name": "mail", "pattern": "(\\w+)@(?P<at>\\w+)\\.com", "replace_placeholder": "${1}@[$at]$$"},
                {"type": "include_at_match", "name": "masked", "pattern": "\\[|keep"},
                {"type": "exclude_at_match", "name": "gone", "pattern": "^gone"}]"#,
        );
        assert_eq!(after(&rules, "GET /health a@b.com"), None);
        assert_eq!(
            after(&rules, "by a@b.com and c@d.com").as_deref(),
            Some("by a@[b]$ and c@[d]$")
        );
        assert_eq!(after(&rules, "other"), None);
        assert_eq!(after(&rules, "keep this").as_deref(), Some("keep this"));
        assert_eq!(after(&rules, "gone a@b.com"), None);
        assert!(!rules.withholds_all() && rules.multi_line().is_none());
    }

    #[test]
    fn a_mask_goes_on_behind_bytes_that_are_no_utf8() {
        let rules = rules(
            r#"[{"type": "mask_sequences", "name": "a", "pattern": "token=.*", "replace_placeholder": "token=?"}]"#,
        );
        let mut masked = message(b"a token=12\xff34");
        assert_eq!(rules.apply(&mut masked), Verdict::Keep);
        assert_eq!(&*masked.text, b"a token=?");
        let mut other = message(b"a \xff");
        assert_eq!(rules.apply(&mut other), Verdict::Keep);
        assert_eq!(&*other.text, b"a \xff", "what no rule finds stays as it is");
    }

    #[test]
    fn what_is_masked_away_whole_is_dropped() {
        let rules = rules(r#"[{"type": "mask_sequences", "name": "a", "pattern": ".+"}]"#);
        assert_eq!(after(&rules, "secret"), None);
    }

    #[test]
    fn truncated_messages_can_be_left_out() {
        let rules = rules(r#"[{"type": "exclude_truncated", "name": "a"}]"#);
        let mut whole = message(b"a");
        assert_eq!(rules.apply(&mut whole), Verdict::Keep);
        whole.is_truncated = true;
        assert_eq!(rules.apply(&mut whole), Verdict::Drop);
    }

    #[test]
    fn sources_follow_an_attribute() {
        let rules = rules(
            r#"[{"type": "remap_source", "name": "a", "matching": [
                {"attribute": "logger", "value": "nginx", "new_source": "nginx"},
                {"attribute": "logger", "value": "db", "new_source": "postgresql"}]}]"#,
        );
        for (text, expect) in [
            (r#"{"a":1,"logger":"db"}"#, Some("postgresql")),
            (r#"{"logger":"other"}"#, None),
            ("logger db", None),
        ] {
            let mut message = message(text.as_bytes());
            assert_eq!(rules.apply(&mut message), Verdict::Keep);
            assert_eq!(message.source.as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn the_beginning_of_messages_is_handed_on() {
        let rules = rules(r#"[{"type": "multi_line", "name": "a", "pattern": "\\d{4}-"}]"#);
        let pattern = rules.multi_line().unwrap();
        assert!(pattern.is_in("2026-11-25") && !pattern.is_in(" 2026-11-25"));
        assert_eq!(after(&rules, "x").as_deref(), Some("x"));
    }

    #[test]
    fn a_bad_rule_is_named_and_left_out() {
        let mut problems = Vec::new();
        let rules = Rules::read(
            r#"[{"type": "exclude_at_match", "name": "first", "pattern": "("},
                {"type": "exclude_at_match", "name": "second"},
                {"type": "exclude_at_match", "pattern": "a"},
                {"type": "exclude_at_look", "name": "fourth", "pattern": "a"},
                {"type": "remap_source", "name": "fifth", "matching": [{"attribute": "a"}]},
                {"type": "multi_line", "name": "sixth", "pattern": "["},
                {"type": "exclude_at_match", "name": "good", "pattern": "a"}]"#,
            &mut problems,
        );
        assert_eq!(problems.len(), 6);
        for (problem, expect) in problems.iter().zip([
            "\"first\" can't be used (the pattern \"(\": unclosed group",
            "\"second\" can't be used (it has no pattern)",
            "number 3 can't be used (it has no name)",
            "no type \"exclude_at_look\"",
            "matching needs",
            "\"sixth\"",
        ]) {
            assert!(problem.contains(expect) && !problem.contains('\n'), "{problem}");
        }
        assert!(!rules.withholds_all());
        assert_eq!(after(&rules, "a"), None);
        assert_eq!(after(&rules, "b").as_deref(), Some("b"));
    }

    #[test]
    fn without_a_mask_that_is_asked_for_nothing_is_sent() {
        for text in [
            r#"[{"type": "mask_sequences", "name": "card", "pattern": "("}]"#,
            r#"[{"type": "mask_sequence", "name": "card", "pattern": "\\d"}]"#,
            r#"[{"type": "replace", "name": "card", "pattern": "\\d", "replace_placeholder": "?"}]"#,
            r#"[{"type": "mask_sequences", "pattern": "\\d"}]"#,
            r#"[{"name": "card", "pattern": "\\d"}]"#,
            r#"["mask"]"#,
            r#"{"type": "mask_sequences"}"#,
            "[{",
        ] {
            let mut problems = Vec::new();
            let rules = Rules::read(text, &mut problems);
            assert!(rules.withholds_all(), "{text}");
            assert!(
                problems.len() == 1 && problems[0].contains("No logs are sent"),
                "{problems:?}"
            );
            assert_eq!(after(&rules, "x"), None, "{text}");
        }
        assert!(!Rules::read(" ", &mut Vec::new()).withholds_all());
    }
}
