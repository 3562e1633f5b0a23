//! Tags under construction: those of a resource, behind them those of a library, behind them those of a point.

use std::fmt::{Display, Write};

use crate::trace::decode::otlp::text;
use crate::trace::decode::otlp::value::{Attribute, Value};

/// All of them in one text, so that a point takes no memory for each of its own.
#[derive(Debug, Default)]
pub(in crate::otlp) struct Tags {
    text: String,
    ends: Vec<usize>,
}

impl Tags {
    /// How many there are.
    pub(in crate::otlp) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Takes all but the first ones back.
    pub(in crate::otlp) fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Adds `key:value`; for an empty value `key:n/a`, as the agent does.
    pub(in crate::otlp) fn push(&mut self, key: &str, value: impl Display) {
        self.text.push_str(key);
        self.text.push(':');
        let before = self.text.len();
        // Writing to a text does not fail.
        write!(self.text, "{value}").ok();
        if self.text.len() == before {
            self.text.push_str("n/a");
        }
        self.ends.push(self.text.len());
    }

    /// Adds an attribute. Lists, maps and bytes are no tags.
    pub(in crate::otlp) fn attribute(&mut self, attribute: &Attribute<'_>) {
        let key = &attribute.key;
        match &attribute.value {
            _ if key.is_empty() => {}
            Value::Text(text) => self.push(key, text),
            Value::Bool(flag) => self.push(key, flag),
            Value::Int(number) => self.push(key, number),
            Value::Double(number) => self.push(key, text::double(*number)),
            Value::Empty | Value::List(_) | Value::Map(_) | Value::Bytes(_) => {}
        }
    }

    /// Whether there is one with this key.
    pub(in crate::otlp) fn has(&self, key: &str) -> bool {
        self.iter().any(|tag| tag.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
    }

    pub(in crate::otlp) fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.text.get(start..*end).unwrap_or_default())
    }
}
