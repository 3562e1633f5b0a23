//! What the forms with a string table share: attributes whose keys are strings of the table.

use crate::trace::keys::Class;
use crate::trace::model::{Attribute, Body, Piece, TableString, Text, Value};

/// Puts a string at the end of the body's table.
#[inline]
pub(super) fn add(body: &mut Body, piece: Piece) -> Text {
    let number = body.strings.len();
    body.strings.push(TableString { piece, class: None, used: 0 });
    piece.numbered(number)
}

/// Puts an attribute into the span whose attributes start at `first`. Where the span has the key already, the new value takes the place of the
/// old one, as in the agent's maps.
#[inline(always)]
pub(super) fn put(
    body: &mut Body,
    first: usize,
    key: Text,
    value: Value,
    class_of: impl FnOnce(Piece) -> Class,
) {
    if let Some(string) = body.strings.get_mut(key.number()) {
        put_under((string, key.number()), &mut body.attributes, first, value, class_of);
    }
}

/// The same for a text attribute by the numbers of its strings. Nothing where the table has not both.
#[inline(always)]
pub(super) fn put_pair(
    body: &mut Body,
    first: usize,
    (key, value): (usize, usize),
    class_of: impl FnOnce(Piece) -> Class,
) -> Option<()> {
    let value = Value::Text(body.strings.get(value)?.piece.numbered(value));
    let string = body.strings.get_mut(key)?;
    put_under((string, key), &mut body.attributes, first, value, class_of);
    Some(())
}

#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a body has fewer attributes than it has bytes"
)]
fn put_under(
    (key, number): (&mut TableString, usize),
    attributes: &mut Vec<Attribute>,
    first: usize,
    value: Value,
    class_of: impl FnOnce(Piece) -> Class,
) {
    let place = key.used as usize;
    if place > first {
        replace(attributes, place - 1, value);
        return;
    }
    key.used = attributes.len() as u32 + 1;
    let class = match key.class {
        Some(class) => class,
        None => *key.class.insert(class_of(key.piece)),
    };
    attributes.push(Attribute { key: key.piece.numbered(number), class, value });
}

#[cold]
#[inline(never)]
fn replace(attributes: &mut [Attribute], place: usize, value: Value) {
    if let Some(attribute) = attributes.get_mut(place) {
        attribute.value = value;
    }
}
