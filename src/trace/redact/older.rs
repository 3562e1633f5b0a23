//! What becomes of texts in the older form of payloads: only tags that are texts are hidden, and a rule for a number looks at the number's text
//! and leaves a number where it can (spec: trace-agent 3.8, observed with 7.85.2). Attributes of span events are looked for card numbers too.

use std::borrow::Cow;

use super::replace::{Rule, Rules, Target};
use super::scalar::{float, int};
use super::{Redactor, SpanType, double_text};
use crate::trace::keys::Class;
use crate::trace::model::{Attribute, Value};
use crate::trace::normalise;
use crate::trace::obfuscate::cards;

/// What a number tag becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// It stays among the numbers.
    Number(f64),
    /// It is a text from now on.
    Text(String),
}

/// The value of a span event's attribute, or an element of one that is an array.
#[derive(Clone, Debug, PartialEq)]
pub enum EventScalar<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// A value of a type that nobody knows, by the type's number.
    Other(i32),
}

/// What a rule makes of a value of a type that nobody knows.
const REPLACED: &str = "?";

impl EventScalar<'_> {
    /// The value as text.
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Self::Int(int) => Cow::Owned(int.to_string()),
            Self::Double(double) => Cow::Owned(double_text(*double)),
            Self::Other(_) => Cow::Borrowed(""),
        }
    }

    /// What a text is that a rule has made of another value.
    fn read(text: String) -> Self {
        if let Some(int) = int(&text) {
            return Self::Int(int);
        }
        if let Some(double) = float(&text) {
            return Self::Double(double);
        }
        match text.as_str() {
            "true" => Self::Bool(true),
            "false" => Self::Bool(false),
            _ => Self::Text(Cow::Owned(text)),
        }
    }
}

impl Redactor {
    /// Whether an attribute has to be looked at more closely. Nearly none has.
    #[inline]
    pub fn concerns_older(&self, kind: SpanType, attribute: &Attribute, source: &[u8]) -> bool {
        let class = attribute.class;
        match attribute.value {
            Value::Text(text) => {
                kind.hides(class.hidden)
                    || !class.is_exempt() && cards::may_be_card(text.of(source))
                    || !self.rules.is_empty()
            }
            Value::Number(_) => !self.rules.is_empty(),
            _ => false,
        }
    }

    /// A text tag through all steps: hidden, cut, replaced. Nothing where the tag goes.
    pub fn older_text<'a>(
        &'a mut self,
        kind: SpanType,
        class: Class,
        key: &str,
        value: &'a str,
        dbms: &str,
    ) -> Option<Cow<'a, str>> {
        let hidden = self.hider.tag(kind, class, value, dbms).of(value)?;
        self.rules.older_text(key, normalise::meta_value(key, hidden))
    }

    /// The value of a span event's attribute, or an element of one, through the same steps. Nothing where the attribute goes.
    pub fn older_event<'a>(&self, key: &str, value: EventScalar<'a>) -> Option<EventScalar<'a>> {
        self.rules.older_event(key, if self.is_card(key, &value) { hidden_card() } else { value })
    }

    fn is_card(&self, key: &str, value: &EventScalar<'_>) -> bool {
        !matches!(value, EventScalar::Bool(_) | EventScalar::Other(_))
            && self.hider.is_card(key, &value.text())
    }
}

fn hidden_card<'a>() -> EventScalar<'a> {
    EventScalar::Text(Cow::Borrowed(cards::HIDDEN))
}

impl Rules {
    /// What a text tag becomes; nothing where it is dropped.
    fn older_text<'a>(&self, key: &str, mut value: Cow<'a, str>) -> Option<Cow<'a, str>> {
        for rule in self.for_tag(key) {
            if let Some(new) = rule.pattern.as_ref()?.replaced(&value, &rule.template) {
                value = Cow::Owned(new);
            }
        }
        Some(value)
    }

    /// What a number tag becomes; nothing where it is dropped.
    #[must_use]
    pub fn older_number(&self, key: &str, number: f64) -> Option<Number> {
        let mut value = Number::Number(number);
        for rule in self.for_tag(key) {
            let text = match &value {
                Number::Number(number) => double_text(*number),
                Number::Text(text) => text.clone(),
            };
            let new = rule.pattern.as_ref()?.replaced(&text, &rule.template).unwrap_or(text);
            value = match value {
                Number::Number(_) => float(&new).map_or(Number::Text(new), Number::Number),
                Number::Text(_) => Number::Text(new),
            };
        }
        Some(value)
    }

    /// Whether what has this key is not sent at all, because a rule for it is broken.
    #[must_use]
    pub fn withholds(&self, key: &str) -> bool {
        self.for_tag(key).any(|rule| rule.pattern.is_none())
    }

    fn older_event<'a>(&self, key: &str, mut value: EventScalar<'a>) -> Option<EventScalar<'a>> {
        for rule in self.for_tag(key) {
            let text = value.text();
            let new = rule.pattern.as_ref()?.replaced(&text, &rule.template);
            value = match (value, new) {
                (EventScalar::Text(text), None) => EventScalar::Text(text),
                (EventScalar::Text(_), Some(new)) => EventScalar::Text(Cow::Owned(new)),
                (EventScalar::Other(_), _) => EventScalar::Text(Cow::Borrowed(REPLACED)),
                // A number of another type may come out, also where nothing was found.
                (other, new) => EventScalar::read(new.unwrap_or_else(|| other.text().into_owned())),
            };
        }
        Some(value)
    }

    fn for_tag<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Rule> + 'a {
        self.rules.iter().filter(move |rule| match &rule.target {
            Target::All => !key.starts_with('_'),
            Target::Resource => false,
            Target::Tag(name) => name == key,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{EventScalar, Number};
    use crate::trace::obfuscate;
    use crate::trace::redact::Redactor;
    use crate::trace::redact::replace::{Rules, Setting};

    fn rules(settings: &[[&str; 3]]) -> Rules {
        let settings: Vec<_> = settings
            .iter()
            .map(|[name, pattern, repl]| Setting {
                name: (*name).to_owned(),
                pattern: (*pattern).to_owned(),
                repl: (*repl).to_owned(),
            })
            .collect();
        Rules::compile(&settings, &mut Vec::new())
    }

    fn text(text: &str) -> EventScalar<'_> {
        EventScalar::Text(Cow::Borrowed(text))
    }

    #[test]
    fn numbers_stay_numbers_where_they_can() {
        let rules = rules(&[["num", "1", "2"], ["num", "^2$", "two"], ["*", "w", "W"]]);
        assert_eq!(rules.older_number("num", 11.0), Some(Number::Number(22.0)));
        assert_eq!(rules.older_number("num", 1.0), Some(Number::Text("tWo".to_owned())));
        assert_eq!(rules.older_number("other", 0.5), Some(Number::Number(0.5)));
        assert_eq!(rules.older_text("num", "1".into()), Some("tWo".into()));
        assert_eq!(rules.older_text("_w", "w".into()), Some("w".into()));
    }

    #[test]
    fn texts_stay_texts_and_other_values_of_events_are_read_anew() {
        let rules = rules(&[["*", "a", "1"], ["flag", "true", "false"], ["t", "t", "1e2"]]);
        assert_eq!(rules.older_event("x", text("a")), Some(text("1")));
        assert_eq!(rules.older_event("x", EventScalar::Double(5.0)), Some(EventScalar::Int(5)));
        assert_eq!(
            rules.older_event("x", EventScalar::Double(0.5)),
            Some(EventScalar::Double(0.5))
        );
        let flag = EventScalar::Bool(true);
        assert_eq!(rules.older_event("x", flag.clone()), Some(flag.clone()));
        assert_eq!(rules.older_event("flag", flag.clone()), Some(EventScalar::Bool(false)));
        assert_eq!(rules.older_event("t", flag), Some(text("1e2rue")));
        assert_eq!(rules.older_event("x", EventScalar::Other(9)), Some(text("?")));
        assert_eq!(rules.older_event("_x", EventScalar::Other(9)), Some(EventScalar::Other(9)));
    }

    #[test]
    fn what_a_broken_rule_names_is_not_sent() {
        let rules = rules(&[["secret", "(", ""]]);
        assert!(rules.withholds("secret") && !rules.withholds("other"));
        assert_eq!(rules.older_number("secret", 1.0), None);
        assert_eq!(rules.older_text("secret", "1".into()), None);
        assert_eq!(rules.older_event("secret", text("1")), None);
        assert_eq!(rules.older_event("other", text("1")), Some(text("1")));
    }

    #[test]
    fn card_numbers_in_events_are_hidden() {
        let redactor = Redactor::new(obfuscate::Settings::default(), Rules::default());
        let number = EventScalar::Int(4_111_111_111_111_111);
        assert_eq!(redactor.older_event("card", number.clone()), Some(text("?")));
        assert_eq!(redactor.older_event("card", text("4111 1111 1111 1111")), Some(text("?")));
        assert_eq!(redactor.older_event("_card", number.clone()), Some(number.clone()));
        assert_eq!(redactor.older_event("env", number.clone()), Some(number));
    }
}
