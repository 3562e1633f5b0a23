//! Filters: traces that are dropped whole because of what their root says (spec: trace-agent 3.8). They look at spans as they came, before
//! anything of them is hidden, cut or counted.

use std::borrow::Cow;

use crate::pattern::Pattern;
use crate::trace::chunk::{self, SpanKind};
use crate::trace::decode::Form;
use crate::trace::keys::Meaning;
use crate::trace::model::{Attribute, Body, Chunk, Span, Value};
use crate::trace::normalise;
use crate::trace::table::as_text;
use crate::trace::value_text::value_text;

/// The filters as they are set. A tag rule is `key`, which asks that the tag is there, or `key:value`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `DD_APM_IGNORE_RESOURCES`: patterns of resources.
    pub ignore_resources: Vec<String>,
    /// `DD_APM_FILTER_TAGS_REJECT`: any of these drops the trace.
    pub reject: Vec<String>,
    /// `DD_APM_FILTER_TAGS_REQUIRE`: all of these must hold.
    pub require: Vec<String>,
    /// `DD_APM_FILTER_TAGS_REGEX_REJECT`: the same with a pattern for a value.
    pub reject_regex: Vec<String>,
    /// `DD_APM_FILTER_TAGS_REGEX_REQUIRE`.
    pub require_regex: Vec<String>,
}

/// A rule on one tag.
#[derive(Debug)]
struct TagRule {
    key: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Present,
    Is(String),
    Matches(Pattern),
}

impl TagRule {
    fn holds(&self, value: Option<&str>) -> bool {
        match (&self.test, value) {
            (_, None) => false,
            (Test::Present, Some(_)) => true,
            (Test::Is(expect), Some(value)) => expect == value,
            (Test::Matches(pattern), Some(value)) => pattern.is_in(value),
        }
    }
}

/// The filters, compiled.
#[derive(Debug, Default)]
pub struct Filters {
    ignore_resources: Vec<Pattern>,
    reject: Vec<TagRule>,
    require: Vec<TagRule>,
    component_to_name: bool,
    older: bool,
}

impl Filters {
    /// Compiles filters; a sentence for each that can't be used, which is then left out.
    pub fn compile(
        settings: &Settings,
        component_to_name: bool,
        problems: &mut Vec<String>,
    ) -> Self {
        let mut compile = |variable: &str, text: &str| {
            let compiled = Pattern::new(text).map_err(|reason| {
                problems.push(format!(
                    "{variable}: the pattern {text:?} can't be used ({reason}) and filters nothing. Mend it."
                ));
            });
            compiled.ok()
        };
        let ignore = settings.ignore_resources.iter();
        let ignore_resources =
            ignore.filter_map(|text| compile("DD_APM_IGNORE_RESOURCES", text)).collect();
        let mut rules = |exact: &[String], regex: &[String], variable: &str| {
            let mut rules: Vec<TagRule> = exact.iter().map(|text| exact_rule(text)).collect();
            for text in regex {
                let (key, pattern) = split(text);
                // The exact rule of a key wins over its pattern.
                if rules.iter().any(|rule| rule.key == key) {
                    continue;
                }
                let test = match pattern {
                    None => Some(Test::Present),
                    Some(pattern) => compile(variable, pattern).map(Test::Matches),
                };
                rules.extend(test.map(|test| TagRule { key: key.to_owned(), test }));
            }
            rules
        };
        let reject =
            rules(&settings.reject, &settings.reject_regex, "DD_APM_FILTER_TAGS_REGEX_REJECT");
        let require =
            rules(&settings.require, &settings.require_regex, "DD_APM_FILTER_TAGS_REGEX_REQUIRE");
        Self { ignore_resources, reject, require, component_to_name, older: false }
    }

    /// The same, by the rules for the older form of payloads where `older` says so.
    #[must_use]
    pub fn in_form(mut self, older: bool) -> Self {
        self.older = older;
        self
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ignore_resources.is_empty() && self.reject.is_empty() && self.require.is_empty()
    }

    /// Whether a resource is one to ignore.
    #[must_use]
    pub fn ignores(&self, resource: &str) -> bool {
        self.ignore_resources.iter().any(|pattern| pattern.is_in(resource))
    }

    /// Whether a chunk is to be dropped.
    #[must_use]
    pub fn drops(&self, chunk: &Chunk, body: &Body, source: &[u8]) -> bool {
        let spans = &body.spans[chunk.spans.range()];
        let older = self.older && body.form != Form::V10;
        let root = chunk::find_root(spans.len(), |index| {
            let Span { span_id, parent_id, .. } = spans[index];
            let parent_id = if older {
                chunk::older::parent_id(&spans[index])
            } else if parent_id == span_id {
                0
            } else {
                parent_id
            };
            (span_id, parent_id)
        });
        let Some(span) = spans.get(root) else { return false };
        let root = Root { span, body, source, older };
        if !self.ignore_resources.is_empty() && self.ignores(&root.resource(self.component_to_name))
        {
            return true;
        }
        let holds = |rule: &TagRule| rule.holds(root.tag(&rule.key).as_deref());
        self.reject.iter().any(holds) || !self.require.iter().all(holds)
    }
}

/// A rule's key and, behind the first colon, its value. The agent trims both.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((key, value)) => (key.trim(), Some(value.trim()).filter(|value| !value.is_empty())),
        None => (text.trim(), None),
    }
}

fn exact_rule(text: &str) -> TagRule {
    let (key, value) = split(text);
    let test = value.map_or(Test::Present, |value| Test::Is(value.to_owned()));
    TagRule { key: key.to_owned(), test }
}

/// The root of a chunk as it came, its values normalised where rules look at them.
struct Root<'a> {
    span: &'a Span,
    body: &'a Body,
    source: &'a [u8],
    /// Only texts are tags, and no field stands for one.
    older: bool,
}

impl Root<'_> {
    fn resource(&self, component_to_name: bool) -> Cow<'_, str> {
        if !self.span.resource.is_empty() {
            return as_text(self.span.resource.of(self.source));
        }
        let component = self.field(Meaning::Component);
        let component = component.filter(|text| component_to_name && !text.is_empty());
        let name = component.unwrap_or_else(|| as_text(self.span.name.of(self.source)));
        Cow::Owned(normalise::name(&name).into_owned())
    }

    fn attributes(&self) -> &[Attribute] {
        &self.body.attributes[self.span.attributes.range()]
    }

    fn text_of(&self, is_meant: impl Fn(&Attribute) -> bool) -> Option<Cow<'_, str>> {
        let is_tag =
            |attribute: &Attribute| !self.older || matches!(attribute.value, Value::Text(_));
        let mut attributes = self.attributes().iter();
        let attribute = attributes.rfind(|attribute| is_tag(attribute) && is_meant(attribute))?;
        Some(match attribute.value {
            Value::Text(text) => as_text(text.of(self.source)),
            other => Cow::Owned(value_text(other, self.body, self.source)),
        })
    }

    /// The value that a rule on `key` looks at.
    fn tag(&self, key: &str) -> Option<Cow<'_, str>> {
        let found = self.text_of(|attribute| attribute.key.of(self.source) == key.as_bytes());
        match key {
            "env" if self.older => {
                found.map(|env| Cow::Owned(normalise::tag_value(&env).into_owned()))
            }
            "version" | "component" | "span.kind" if self.older => found,
            // These are fields of a span: they are there even where they are empty.
            "env" => {
                let env = self.field(Meaning::Env).unwrap_or_default();
                Some(Cow::Owned(normalise::tag_value(&env).into_owned()))
            }
            "version" => Some(self.field(Meaning::Version).unwrap_or_default()),
            "component" => Some(self.field(Meaning::Component).unwrap_or_default()),
            "span.kind" => Some(Cow::Borrowed(self.kind(found.as_deref()).name())),
            "peer.service" | "_dd.base_service" => {
                found.map(|text| Cow::Owned(normalise::peer_service(&text).into_owned()))
            }
            "http.status_code" => found.filter(|text| normalise::is_valid_status_code(text)),
            _ => found,
        }
    }

    /// One of the span's own fields, which most forms have as an attribute.
    fn field(&self, meaning: Meaning) -> Option<Cow<'_, str>> {
        if self.body.form != Form::V10 {
            return self.text_of(|attribute| attribute.class.meaning == meaning);
        }
        let [env, version, component] = self.span.fields;
        let text = match meaning {
            Meaning::Env => env,
            Meaning::Version => version,
            _ => component,
        };
        Some(as_text(text.of(self.source)))
    }

    fn kind(&self, named: Option<&str>) -> SpanKind {
        match named {
            _ if self.body.form == Form::V10 => SpanKind::of_number(self.span.span_kind),
            Some(name) => SpanKind::parse(name.as_bytes()),
            None if self.body.form == Form::V05 => SpanKind::Unspecified,
            None => SpanKind::Internal,
        }
    }
}
