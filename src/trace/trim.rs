//! Takes spans, attributes and strings out of a chunk again, after the samplers have decided what of it is sent.

use std::ops::Range;

use crate::trace::chunk::{ReadyValue, Work};
use crate::trace::model::{Slice, Value};
use crate::trace::strings::{Mark, Ref, Strings};
use crate::trace::table::Table;

impl Work {
    /// The value of a span's attribute as a number, where it is one or the text of one. Of several the last counts.
    pub fn number(&self, span: usize, key: &str, strings: &Strings) -> Option<f64> {
        match self.attribute(span, key, strings, false)? {
            ReadyValue::Number(number) => Some(number),
            #[expect(clippy::cast_precision_loss, reason = "a number for a sampler")]
            ReadyValue::Int(int) => Some(int as f64),
            ReadyValue::Text(text) => strings.get(text).parse().ok(),
            ReadyValue::Other(Value::Bool(flag)) => Some(f64::from(u8::from(flag))),
            ReadyValue::Other(_) => None,
        }
    }

    /// Whether a span's attribute is the text `text`.
    pub fn has_text(&self, span: usize, key: &str, text: &str, strings: &Strings) -> bool {
        matches!(self.attribute(span, key, strings, true),
            Some(ReadyValue::Text(own)) if strings.bytes(own) == text.as_bytes())
    }

    /// Whether a span has an attribute, in the older form as a text.
    pub fn has_attribute(&self, span: usize, key: &str, strings: &Strings) -> bool {
        self.attribute(span, key, strings, true).is_some()
    }

    fn attribute(
        &self,
        span: usize,
        key: &str,
        strings: &Strings,
        is_text: bool,
    ) -> Option<ReadyValue> {
        let own = &self.attributes[self.spans[span].attributes.range()];
        let is_meant = |value: &ReadyValue| !self.is_older || is_in_map(value, is_text);
        let found = own
            .iter()
            .rfind(|(own, value)| strings.bytes(*own) == key.as_bytes() && is_meant(value));
        found.map(|(_, value)| *value)
    }

    /// The text of a span's attribute. Of several the last counts.
    pub fn text_by_name<'a>(
        &self,
        span: usize,
        key: &str,
        strings: &'a Strings,
    ) -> Option<&'a str> {
        match self.attribute(span, key, strings, true)? {
            ReadyValue::Text(text) => Some(strings.get(text)),
            _ => None,
        }
    }

    /// The text of a span's attribute whose key has this number. Of several the last counts.
    pub fn text(&self, span: usize, key: Ref) -> Option<Ref> {
        let own = &self.attributes[self.spans[span].attributes.range()];
        own.iter().rev().find_map(|(own, value)| match value {
            ReadyValue::Text(text) if *own == key => Some(*text),
            _ => None,
        })
    }

    /// Takes an attribute out of a span, however often it is there. In the older form it is one of the numbers.
    pub fn remove_attribute(&mut self, span: usize, key: &str, strings: &Strings) {
        let Range { start, end } = self.spans[span].attributes.range();
        let mut left = start;
        for at in start..end {
            let (own, value) = self.attributes[at];
            if strings.bytes(own) != key.as_bytes() || self.is_older && !is_in_map(&value, false) {
                self.attributes.swap(left, at);
                left += 1;
            }
        }
        self.spans[span].attributes = Slice::new(start, left);
    }

    /// Leaves only the spans with these indexes, which rise. [`Work::root`] is the number of spans then, unless the root is among them.
    pub fn retain_spans(&mut self, kept: &[usize]) {
        for (to, &from) in kept.iter().enumerate() {
            self.spans.swap(to, from);
        }
        self.spans.truncate(kept.len());
        self.root = kept.iter().position(|&index| index == self.root).unwrap_or(kept.len());
    }

    /// Every number of a string that is sent with the spans, but for those that enter the table when they are encoded.
    fn each_string(&mut self, mut visit: impl FnMut(&mut Ref)) {
        visit(&mut self.facts.origin);
        if let Some(maker) = &mut self.facts.decision_maker {
            visit(maker);
        }
        for span in &mut self.spans {
            for string in [
                &mut span.service,
                &mut span.name,
                &mut span.resource,
                &mut span.kind,
                &mut span.env,
                &mut span.version,
                &mut span.component,
            ] {
                visit(string);
            }
            for (key, value) in &mut self.attributes[span.attributes.range()] {
                visit(key);
                if let ReadyValue::Text(text) = value {
                    visit(text);
                }
            }
        }
    }
}

/// Whether a value is in the map of texts, or in that of numbers.
fn is_in_map(value: &ReadyValue, is_text: bool) -> bool {
    match value {
        ReadyValue::Text(_) => is_text,
        ReadyValue::Number(_) | ReadyValue::Int(_) => !is_text,
        ReadyValue::Other(_) => false,
    }
}

/// A string that moves to another number.
#[derive(Clone, Copy, Debug)]
struct Moved {
    from: Ref,
    to: Ref,
    /// Where its copy ends; it starts where the one before it ends.
    end: usize,
}

/// Frees the table from the strings of spans that were taken out. Its lists are used again for the next chunk.
#[derive(Debug, Default)]
pub struct Trim {
    moved: Vec<Moved>,
    copies: Vec<u8>,
}

impl Trim {
    /// Takes back all strings that came after `mark`, then lets those in again that `work` still has.
    pub fn strings(&mut self, work: &mut Work, table: &mut Table, mark: Mark) {
        self.moved.clear();
        self.copies.clear();
        work.each_string(|string| {
            if mark.is_before(*string) {
                self.moved.push(Moved { from: *string, to: 0, end: 0 });
            }
        });
        self.moved.sort_unstable_by_key(|moved| moved.from);
        self.moved.dedup_by_key(|moved| moved.from);
        for moved in &mut self.moved {
            self.copies.extend_from_slice(table.strings.bytes(moved.from));
            moved.end = self.copies.len();
        }
        table.take_back(mark);
        let mut start = 0;
        for moved in &mut self.moved {
            moved.to = table.strings.intern(&self.copies[start..moved.end]);
            start = moved.end;
        }
        work.each_string(|string| {
            if let Ok(at) = self.moved.binary_search_by_key(string, |moved| moved.from) {
                *string = self.moved[at].to;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::chunk::Ready;

    /// Spans with one attribute `key` each, whose value is as given.
    fn chunk(table: &mut Table, values: &[&str]) -> Work {
        let mut work = Work::default();
        for (at, value) in values.iter().enumerate() {
            let [service, key, text] =
                ["web", "key", *value].map(|text| table.strings.intern(text.as_bytes()));
            work.attributes.push((key, ReadyValue::Text(text)));
            work.spans.push(Ready {
                service,
                attributes: Slice::new(at, at + 1),
                ..Ready::default()
            });
        }
        work
    }

    #[test]
    fn strings_of_spans_that_left_leave_the_table_and_the_others_are_found_again() {
        let mut table = Table::default();
        table.strings.intern(b"key");
        let mark = table.strings.mark();
        let mut work = chunk(&mut table, &["one", "two", "three"]);
        work.root = 2;
        work.retain_spans(&[0, 2]);
        Trim::default().strings(&mut work, &mut table, mark);
        assert_eq!(work.root, 1);
        assert_eq!(table.strings.encoded(), b"\n\x00\n\x03key\n\x03web\n\x03one\n\x05three");
        for (span, value) in ["one", "three"].into_iter().enumerate() {
            assert_eq!(table.strings.get(work.spans[span].service), "web");
            assert!(work.has_text(span, "key", value, &table.strings));
        }
    }

    #[test]
    fn an_attribute_that_is_there_twice_counts_once_and_goes_whole() {
        let mut table = Table::default();
        let mut work = chunk(&mut table, &["1", "2"]);
        let key = work.attributes[0].0;
        let other = table.strings.intern(b"other");
        work.attributes.insert(0, (other, ReadyValue::Number(5.0)));
        work.attributes.insert(0, (key, ReadyValue::Number(3.0)));
        work.spans[0].attributes = Slice::new(0, 3);
        work.spans[1].attributes = Slice::new(3, 4);
        assert_eq!(work.number(0, "key", &table.strings), Some(1.0));
        work.remove_attribute(0, "key", &table.strings);
        assert_eq!(work.number(0, "key", &table.strings), None);
        assert_eq!(work.number(0, "other", &table.strings), Some(5.0));
        assert_eq!(work.number(1, "key", &table.strings), Some(2.0));
    }

    #[test]
    fn a_root_that_left_is_none_of_the_spans() {
        let mut work = chunk(&mut Table::default(), &["1", "2", "3"]);
        work.retain_spans(&[1]);
        assert_eq!((work.root, work.spans.len()), (1, 1));
    }
}
