//! What the forms with a string table share: attributes whose keys are strings of the table.

use crate::trace::keys::Class;
use crate::trace::model::{Attribute, Body, TableString, Text, Value};

/// Puts a string at the end of the body's table.
#[inline]
pub(super) fn add(body: &mut Body, text: Text) -> Text {
    let text = text.numbered(body.strings.len());
    body.strings.push(TableString { text, class: None, used: 0 });
    text
}

/// Puts an attribute into the span whose attributes start at `first`. Where the span has the key already, the new value takes the place of the
/// old one, as in the agent's maps.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a body has fewer attributes than it has bytes"
)]
pub(super) fn put(
    body: &mut Body,
    first: usize,
    key: Text,
    value: Value,
    class_of: impl FnOnce() -> Class,
) {
    let Some(string) = body.strings.get_mut(key.number()) else { return };
    let place = string.used as usize;
    if place > first
        && let Some(attribute) = body.attributes.get_mut(place - 1)
    {
        attribute.value = value;
        return;
    }
    string.used = body.attributes.len() as u32 + 1;
    let class = *string.class.get_or_insert_with(class_of);
    body.attributes.push(Attribute { key, class, value });
}
