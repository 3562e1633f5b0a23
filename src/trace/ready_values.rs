//! Attributes of a span as pairs of numbers: the part that is done for each of them, in loops that are small enough to stay in registers.

use crate::trace::chunk::ReadyValue;
use crate::trace::model::{Attribute, Value};
use crate::trace::strings::Ref;
use crate::trace::table::Table;

/// Where the attributes of a span come from and go to.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    /// The span's attributes.
    pub(super) of_span: &'a [Attribute],
    /// The place of the first of them among all of the body.
    pub(super) first: usize,
    /// The body.
    pub(super) source: &'a [u8],
    /// Keys and values in numbers of the table.
    pub(super) ready: &'a mut Vec<(Ref, ReadyValue)>,
    /// Which of those a rule looks for, and which of the span's attributes they were.
    pub(super) noted: &'a mut Vec<(usize, usize)>,
}

impl Attributes<'_> {
    /// Takes them all.
    pub(super) fn take(&mut self, table: &mut Table) {
        self.noted.clear();
        if table.has_numbers() {
            self.take_numbered(table);
        } else {
            self.take_placed(table);
        }
    }

    #[inline(never)]
    fn take_numbered(&mut self, table: &mut Table) {
        for (position, attribute) in self.of_span.iter().enumerate() {
            if !attribute.class.is_none() {
                self.noted.push((self.ready.len(), position));
            }
            let pair = match attribute.value {
                Value::Text(text) => match table.known_pair(attribute.key, text) {
                    Some((key, text)) => (key, ReadyValue::Text(text)),
                    None => self.text(position, attribute, table),
                },
                Value::Number(number) => {
                    (table.intern(attribute.key, self.source), ReadyValue::Number(number))
                }
                _ => self.other(position, attribute, table),
            };
            self.ready.push(pair);
        }
    }

    #[inline(never)]
    fn take_placed(&mut self, table: &mut Table) {
        for (position, attribute) in self.of_span.iter().enumerate() {
            if !attribute.class.is_none() {
                if attribute.class.is_long() && self.is_replaced(position) {
                    continue;
                }
                self.noted.push((self.ready.len(), position));
            }
            let pair = match attribute.value {
                Value::Text(text) => {
                    match table.seen_pair(position, attribute.key, text, self.source) {
                        Some((key, text)) => (key, ReadyValue::Text(text)),
                        None => self.text(position, attribute, table),
                    }
                }
                Value::Number(number) => {
                    (table.key(position, attribute.key, self.source), ReadyValue::Number(number))
                }
                _ => self.other(position, attribute, table),
            };
            self.ready.push(pair);
        }
    }

    /// A text attribute that needs more than a look.
    #[inline(never)]
    fn text(&self, position: usize, attribute: &Attribute, table: &mut Table) -> (Ref, ReadyValue) {
        let Value::Text(text) = attribute.value else { return (0, ReadyValue::Text(0)) };
        let (key, value) = if attribute.class.is_long() {
            table.long_attribute(attribute.key, text, self.source)
        } else {
            table.text_attribute(position, attribute.key, text, self.source)
        };
        (key, ReadyValue::Text(value))
    }

    #[inline(never)]
    fn other(
        &self,
        position: usize,
        attribute: &Attribute,
        table: &mut Table,
    ) -> (Ref, ReadyValue) {
        let key = table.key(position, attribute.key, self.source);
        match attribute.value {
            Value::Int(int) => (key, ReadyValue::Int(int)),
            _ => (key, ReadyValue::Other(self.first + position)),
        }
    }

    /// Of two attributes with one key the later counts, and whoever reads the payload sees to that; but not where the first one's key is cut.
    fn is_replaced(&self, position: usize) -> bool {
        let mut rest = self.of_span.iter().skip(position);
        let Some(attribute) = rest.next() else { return false };
        let key = attribute.key.of(self.source);
        rest.any(|later| later.key.of(self.source) == key)
    }
}
