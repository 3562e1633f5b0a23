//! Attributes of a v1.0 body: flat lists of keys, types and values, which may be nested.

use super::Decoder;
use crate::limits::DECODE_DEPTH_MAX;
use crate::trace::decode::{Error, Fallible, numbered};
use crate::trace::model::{Piece, Slice, Value};

impl Decoder<'_> {
    /// The attributes of a span.
    pub(super) fn attributes(&mut self) -> Fallible<Slice> {
        let first = self.body.attributes.len();
        let (keys, source) = (self.keys, self.cursor.bytes());
        // What other forms have in attributes of these names is in fields here, and the attributes are like any other.
        let class_of = |key: Piece| keys.class(key.of(source)).of_plain_attribute();
        for _ in 0..self.groups(3)? {
            if let Some(pair) = self.cursor.two_indexes_around(1) {
                if numbered::put_pair(self.body, first, pair, class_of).is_none() {
                    return Err(self.no_such_string(pair.0.max(pair.1)));
                }
                continue;
            }
            let key = self.text()?;
            let value = self.value(0)?;
            numbered::put(self.body, first, key, value, class_of);
        }
        Ok(Slice::new(first, self.body.attributes.len()))
    }

    /// The attributes of anything else.
    pub(super) fn entries(&mut self) -> Fallible<Slice> {
        let entries = self.groups(3)?;
        self.entries_within(entries, 0)
    }

    fn entries_within(&mut self, entries: usize, depth: usize) -> Fallible<Slice> {
        let begin = self.entries.len();
        for _ in 0..entries {
            let key = self.text()?;
            let value = self.value(depth)?;
            self.entries.push((key, value));
        }
        let first = self.body.entries.len();
        self.body.entries.extend(self.entries.drain(begin..));
        Ok(Slice::new(first, self.body.entries.len()))
    }

    /// A type and a value of it. Both levels of a map, its own and that of its values, count as depth.
    #[inline]
    fn value(&mut self, depth: usize) -> Fallible<Value> {
        let at = self.cursor.at();
        match self.cursor.unsigned32()? {
            1 => Ok(Value::Text(self.text()?)),
            2 => Ok(Value::Bool(self.cursor.strict_bool()?)),
            3 => Ok(Value::Number(self.cursor.double()?)),
            4 => Ok(Value::Int(self.cursor.strict_i64()?)),
            5 => Ok(Value::Bytes(self.cursor.blob()?.into())),
            6 => self.array(depth),
            7 => self.map(depth),
            kind => Err(Box::new(Error::ValueType { kind, at })),
        }
    }

    #[inline(never)]
    fn array(&mut self, depth: usize) -> Fallible<Value> {
        let begin = self.values.len();
        for _ in 0..self.groups(2)? {
            let value = self.value(self.deeper(depth, 1)?)?;
            self.values.push(value);
        }
        let first = self.body.values.len();
        self.body.values.extend(self.values.drain(begin..));
        Ok(Value::Array(Slice::new(first, self.body.values.len())))
    }

    #[inline(never)]
    fn map(&mut self, depth: usize) -> Fallible<Value> {
        self.deeper(depth, 1)?;
        let entries = self.groups(3)?;
        if entries == 0 {
            return Ok(Value::Map(Slice::default()));
        }
        Ok(Value::Map(self.entries_within(entries, self.deeper(depth, 2)?)?))
    }

    fn deeper(&self, depth: usize, by: usize) -> Fallible<usize> {
        if depth + by > DECODE_DEPTH_MAX {
            return Err(Box::new(Error::TooDeep { at: self.cursor.at() }));
        }
        Ok(depth + by)
    }
}
