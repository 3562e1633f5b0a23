//! Attributes of a payload, taken out of their body, so that they can be compared with those of another and outlive both.

use crate::trace::encode;
use crate::trace::model::{Body, Slice, Text, Value};
use crate::trace::table::Table;

/// Attributes in the order of their keys, with the bytes that their places refer to.
#[derive(Debug, Default)]
pub struct OtherAttributes {
    source: Vec<u8>,
    body: Body,
    all: Slice,
}

impl PartialEq for OtherAttributes {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
            && self.all == other.all
            && self.body.entries == other.body.entries
            && self.body.values == other.body.values
    }
}

impl Clone for OtherAttributes {
    fn clone(&self) -> Self {
        let body = Body {
            entries: self.body.entries.clone(),
            values: self.body.values.clone(),
            ..Body::default()
        };
        Self { source: self.source.clone(), body, all: self.all }
    }
}

impl OtherAttributes {
    /// The payload's attributes of a body that `is_wanted`; nothing where there are none.
    pub(super) fn of(
        body: &Body,
        source: &[u8],
        is_wanted: impl Fn(&[u8], &Value) -> bool,
    ) -> Option<Self> {
        let entries = &body.entries[body.payload.attributes.range()];
        let mut wanted: Vec<&(Text, Value)> =
            entries.iter().filter(|(key, value)| is_wanted(key.of(source), value)).collect();
        if wanted.is_empty() {
            return None;
        }
        // Tracers write a map in any order. Of equal keys the last counts.
        wanted.sort_by_key(|(key, _)| key.of(source));
        let mut own = Self::default();
        let mut all = Vec::with_capacity(wanted.len());
        for (at, (key, value)) in wanted.iter().enumerate() {
            let is_last =
                wanted.get(at + 1).is_none_or(|(next, _)| next.of(source) != key.of(source));
            if is_last {
                let key = own.text(*key, source);
                all.push((key, own.value(*value, body, source)));
            }
        }
        own.all = own.entries(all);
        Some(own)
    }

    /// Appends them as entries of a map.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, tag: u8, table: &mut Table) {
        table.begin_body(0, &[]);
        encode::entries(out, tag, self.all, table, &self.body, &self.source);
    }

    /// Keys and values of those that are texts, as bytes that need not be UTF-8.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.body.entries[self.all.range()].iter().filter_map(|(key, value)| match value {
            Value::Text(text) => Some((key.of(&self.source), text.of(&self.source))),
            _ => None,
        })
    }

    fn text(&mut self, text: Text, source: &[u8]) -> Text {
        let place = Text::place(self.source.len(), text.len());
        self.source.extend_from_slice(text.of(source));
        place
    }

    fn entries(&mut self, entries: Vec<(Text, Value)>) -> Slice {
        let first = self.body.entries.len();
        self.body.entries.extend(entries);
        Slice::new(first, self.body.entries.len())
    }

    fn value(&mut self, value: Value, body: &Body, source: &[u8]) -> Value {
        match value {
            Value::Text(text) => Value::Text(self.text(text, source)),
            Value::Bytes(text) => Value::Bytes(self.text(text, source)),
            Value::Array(values) => {
                let copy = |index| self.value(body.values[index], body, source);
                let values: Vec<Value> = values.range().map(copy).collect();
                let first = self.body.values.len();
                self.body.values.extend(values);
                Value::Array(Slice::new(first, self.body.values.len()))
            }
            Value::Map(entries) => {
                let copy = |index: usize| {
                    let (key, value) = body.entries[index];
                    (self.text(key, source), self.value(value, body, source))
                };
                let entries: Vec<(Text, Value)> = entries.range().map(copy).collect();
                Value::Map(self.entries(entries))
            }
            plain => plain,
        }
    }
}
