//! Attributes and their values, and the text that becomes of a value.

use std::borrow::Cow;

use super::text;
use super::wire::{Field, Fields};

/// An attribute's value. Lists and maps stay as they came: they are read only where they are written as JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value<'a> {
    /// None.
    #[default]
    Empty,
    /// Text.
    Text(Cow<'a, str>),
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A double.
    Double(f64),
    /// The fields of a list.
    List(Fields<'a>),
    /// The fields of a map.
    Map(Fields<'a>),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// An attribute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attribute<'a> {
    pub(crate) key: Cow<'a, str>,
    pub(crate) value: Value<'a>,
}

impl<'a> Attribute<'a> {
    /// Reads a `KeyValue`.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let mut attribute = Self { key: Cow::Borrowed(""), value: Value::Empty };
        for (number, field) in Fields::of(bytes) {
            match number {
                1 => attribute.key = text_of(field.bytes()),
                2 => attribute.value = Value::of(field.bytes()),
                _ => {}
            }
        }
        attribute
    }
}

/// Text as it is, or with U+FFFD for what is no UTF-8.
pub(crate) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

impl<'a> Value<'a> {
    /// Reads an `AnyValue`: of several values the last one counts.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let mut value = Self::Empty;
        for (number, field) in Fields::of(bytes) {
            value = match (number, field) {
                (1, field) => Self::Text(text_of(field.bytes())),
                (2, field) => Self::Bool(field.number() != 0),
                (3, field) => Self::Int(field.number().cast_signed()),
                (4, field) => Self::Double(f64::from_bits(field.number())),
                (5, field) => Self::List(Fields::of(field.bytes())),
                (6, field) => Self::Map(Fields::of(field.bytes())),
                (7, field) => Self::Bytes(field.bytes()),
                _ => value,
            };
        }
        value
    }

    /// The value as a tag's text: lists and maps as JSON, bytes in base64, nothing for none. A list or map with a number that JSON does not know
    /// has no text.
    pub(crate) fn to_text(&self) -> Cow<'a, str> {
        match self {
            Self::Empty => Cow::Borrowed(""),
            Self::Text(text) => text.clone(),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::Double(number) => Cow::Owned(text::double(*number)),
            Self::Bytes(bytes) => Cow::Owned(text::base64(bytes)),
            Self::List(_) | Self::Map(_) => {
                let mut json = String::new();
                Cow::Owned(if self.write_json(&mut json, text::Markup::Kept) {
                    json
                } else {
                    String::new()
                })
            }
        }
    }

    /// Appends the value as JSON. False, with a part of it written, where a number is none that JSON knows.
    pub(crate) fn write_json(&self, out: &mut String, markup: text::Markup) -> bool {
        match self {
            Self::Empty => out.push_str("null"),
            Self::Text(content) => text::quote(out, content, markup),
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Double(number) if !number.is_finite() => return false,
            Self::Double(number) => out.push_str(&text::double(*number)),
            Self::Bytes(bytes) => text::quote(out, &text::base64(bytes), markup),
            Self::List(fields) => return write_list(fields.clone(), out, markup),
            Self::Map(fields) => return write_map(fields.clone(), out, markup),
        }
        true
    }
}

fn write_list(fields: Fields<'_>, out: &mut String, markup: text::Markup) -> bool {
    out.push('[');
    for (index, value) in elements(fields).enumerate() {
        if index > 0 {
            out.push(',');
        }
        if !Value::of(value).write_json(out, markup) {
            return false;
        }
    }
    out.push(']');
    true
}

/// Keys in their order as bytes; of a key that comes twice the last value counts.
fn write_map(fields: Fields<'_>, out: &mut String, markup: text::Markup) -> bool {
    let mut pairs: Vec<Attribute<'_>> = elements(fields).map(Attribute::of).collect();
    pairs.reverse();
    pairs.sort_by(|one, other| one.key.cmp(&other.key));
    pairs.dedup_by(|later, first| later.key == first.key);
    out.push('{');
    for (index, pair) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        text::quote(out, &pair.key, markup);
        out.push(':');
        if !pair.value.write_json(out, markup) {
            return false;
        }
    }
    out.push('}');
    true
}

/// The content of the elements of a list or map.
pub(crate) fn elements<'a>(fields: Fields<'a>) -> impl Iterator<Item = &'a [u8]> {
    fields.filter(|(number, _)| *number == 1).map(|(_, field): (u32, Field<'a>)| field.bytes())
}
