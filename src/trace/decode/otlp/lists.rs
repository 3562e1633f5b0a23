//! A span's events and links as the JSON that stands in the tags `events` and `_dd.span_links`.

use super::text::{self, Markup};
use super::value::{Attribute, text_of};
use super::wire::{Field, Fields};
use crate::trace::normalise::META_VALUE_BYTES_MAX;

/// No more is written than a tag may hold: it is cut there anyway.
const BYTES_MAX: usize = META_VALUE_BYTES_MAX + 4;

/// The name of an event that is an error.
const EXCEPTION: &[u8] = b"exception";

/// Events or links of a span, gathered into JSON one by one.
#[derive(Debug, Default)]
pub(super) struct List {
    json: String,
}

impl List {
    pub(super) fn clear(&mut self) {
        self.json.clear();
    }

    /// The list, or nothing where nothing was added.
    pub(super) fn finish(&mut self) -> Option<String> {
        if self.json.is_empty() {
            return None;
        }
        self.json.push(']');
        Some(std::mem::take(&mut self.json))
    }

    fn begin(&mut self) -> bool {
        if self.json.len() >= BYTES_MAX {
            return false;
        }
        self.json.push(if self.json.is_empty() { '[' } else { ',' });
        self.json.push('{');
        true
    }

    /// Adds an event. Whether it is an exception.
    pub(super) fn event(&mut self, bytes: &[u8]) -> bool {
        let (mut time, mut name, mut dropped) = (0, &b""[..], 0);
        for (number, field) in Fields::of(bytes) {
            match number {
                1 => time = field.number(),
                2 => name = field.bytes(),
                4 => dropped = field.number(),
                _ => {}
            }
        }
        if self.begin() {
            let start = self.json.len();
            if time != 0 {
                self.member(start, "time_unix_nano");
                self.json.push_str(&time.to_string());
            }
            if !name.is_empty() {
                self.member(start, "name");
                text::quote(&mut self.json, &text_of(name), Markup::Escaped);
            }
            let mut attributes = attributes(bytes, 3).peekable();
            if attributes.peek().is_some() {
                self.member(start, "attributes");
                self.event_attributes(attributes);
            }
            self.dropped(start, dropped);
            self.json.push('}');
        }
        name == EXCEPTION
    }

    fn event_attributes<'a>(&mut self, attributes: impl Iterator<Item = Attribute<'a>>) {
        for (index, attribute) in attributes.enumerate() {
            if self.json.len() >= BYTES_MAX {
                return;
            }
            self.json.push(if index == 0 { '{' } else { ',' });
            text::quote(&mut self.json, &attribute.key, Markup::Escaped);
            self.json.push(':');
            let before = self.json.len();
            if !attribute.value.write_json(&mut self.json, Markup::Escaped) {
                // A number that JSON does not know.
                self.json.truncate(before);
                self.json.push_str("\"redacted\"");
            }
        }
        self.json.push('}');
    }

    /// Adds a link. Its texts stand there as they are, as the agent writes them.
    pub(super) fn link(&mut self, bytes: &[u8]) {
        if !self.begin() {
            return;
        }
        let start = self.json.len();
        let (mut trace_id, mut span_id, mut state, mut dropped) =
            (&[0; 16][..], &[0; 8][..], &b""[..], 0);
        for (number, field) in Fields::of(bytes) {
            match number {
                1 if !field.bytes().is_empty() => trace_id = field.bytes(),
                2 if !field.bytes().is_empty() => span_id = field.bytes(),
                3 => state = field.bytes(),
                5 => dropped = field.number(),
                _ => {}
            }
        }
        for (name, id) in [("trace_id", trace_id), ("span_id", span_id)] {
            self.member(start, name);
            self.json.push('"');
            text::hexadecimal(&mut self.json, id);
            self.json.push('"');
        }
        if !state.is_empty() {
            self.member(start, "tracestate");
            self.raw(&text_of(state));
        }
        let mut attributes = attributes(bytes, 4).peekable();
        if attributes.peek().is_some() {
            self.member(start, "attributes");
            for (index, attribute) in attributes.enumerate() {
                if self.json.len() >= BYTES_MAX {
                    break;
                }
                self.json.push(if index == 0 { '{' } else { ',' });
                self.raw(&attribute.key);
                self.json.push(':');
                self.raw(&attribute.value.to_text());
            }
            self.json.push('}');
        }
        self.dropped(start, dropped);
        self.json.push('}');
    }

    fn raw(&mut self, text: &str) {
        self.json.push('"');
        self.json.push_str(text);
        self.json.push('"');
    }

    /// The name of the next member of the object that began at `start`.
    fn member(&mut self, start: usize, name: &str) {
        if self.json.len() > start {
            self.json.push(',');
        }
        self.raw(name);
        self.json.push(':');
    }

    fn dropped(&mut self, start: usize, count: u64) {
        // The field has 32 bits; what is above them was never meant.
        if count & 0xffff_ffff != 0 {
            self.member(start, "dropped_attributes_count");
            self.json.push_str(&(count & 0xffff_ffff).to_string());
        }
    }
}

/// The attributes in the field of this number.
pub(super) fn attributes(bytes: &[u8], field: u32) -> impl Iterator<Item = Attribute<'_>> {
    repeated(bytes, field).map(Attribute::of)
}

/// The content of each field of this number.
pub(super) fn repeated(bytes: &[u8], field: u32) -> impl Iterator<Item = &[u8]> {
    Fields::of(bytes)
        .filter(move |(number, _)| *number == field)
        .map(|(_, content): (u32, Field<'_>)| content.bytes())
}
