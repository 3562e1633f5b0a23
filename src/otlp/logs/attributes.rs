//! Attributes at the top level of an entry: keys in small letters, maps flattened with dots, lists as JSON text.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use crate::trace::decode::otlp::text::{self, Markup};
use crate::trace::decode::otlp::value::{Attribute, Value, elements};

/// Maps within maps that are flattened; what is deeper is text.
const DEPTH_MAX: usize = 10;

/// Keys that mean something else to the intake.
const TAKEN: [&str; 7] =
    ["ddsource", "ddtags", "hostname", "message", "service", "status", "timestamp"];

/// Writes members of an object, each key once: the first value counts.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// A hash of each key, with a seed of this process's own: that two have the same one is less likely than a broken machine.
    keys: HashSet<u64, RandomState>,
    hasher: RandomState,
    key: String,
}

/// Keys for which memory stays from one record to the next.
const KEPT_KEYS_MAX: usize = 1024;

impl Members {
    /// Begins an object.
    pub(super) fn clear(&mut self) {
        if self.keys.capacity() > 2 * KEPT_KEYS_MAX {
            self.keys = HashSet::default();
        }
        self.keys.clear();
    }

    /// Appends a member with a text.
    pub(super) fn text(&mut self, out: &mut String, key: &str, value: &str) {
        if self.begin(out, key) {
            text::quote(out, value, Markup::Kept);
        }
    }

    /// Appends the attribute, or the members of the map that it is.
    pub(super) fn attribute(&mut self, out: &mut String, attribute: &Attribute<'_>) {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        lower(&mut key, &attribute.key);
        self.value(out, &mut key, &attribute.value, 1);
        self.key = key;
    }

    fn value(&mut self, out: &mut String, key: &mut String, value: &Value<'_>, depth: usize) {
        if let (Value::Map(fields), ..DEPTH_MAX) = (value, depth) {
            let before = key.len();
            for inner in elements(fields.clone()).map(Attribute::of) {
                key.push('.');
                lower(key, &inner.key);
                self.value(out, key, &inner.value, depth + 1);
                key.truncate(before);
            }
            return;
        }
        let is_new = if TAKEN.contains(&key.as_str()) {
            self.begin(out, &format!("otel.{key}"))
        } else {
            self.begin(out, key)
        };
        match value {
            _ if !is_new => {}
            Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Value::Int(number) => out.push_str(&number.to_string()),
            Value::Double(number) if number.is_finite() => out.push_str(&text::double(*number)),
            _ => text::quote(out, &value.to_text(), Markup::Kept),
        }
    }

    /// Appends the key, unless it is there already.
    fn begin(&mut self, out: &mut String, key: &str) -> bool {
        let is_new = !key.is_empty() && self.keys.insert(self.hasher.hash_one(key));
        if is_new {
            out.push(',');
            text::quote(out, key, Markup::Kept);
            out.push(':');
        }
        is_new
    }
}

fn lower(out: &mut String, key: &str) {
    out.extend(key.chars().flat_map(char::to_lowercase));
}
