//! v0.5: a table of strings, then chunks of spans that are arrays of exactly 12 elements and name strings by their index.

use super::msgpack::Cursor;
use super::{Error, Fallible, Form};
use crate::trace::keys::{Class, Keys};
use crate::trace::model::{Attribute, Body, Chunk, Slice, Span, Text, Value};

/// Elements of a span.
const ELEMENTS: usize = 12;

/// Whether the body is a table of strings followed by chunks: the first element of its first array is a string.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes);
    let is_pair = cursor.array() == Ok(2);
    let strings = cursor.array().unwrap_or(0);
    is_pair
        && strings > 0
        && matches!(bytes.get(cursor.at()), Some(0xa0..=0xbf | 0xd9..=0xdb | 0xc4..=0xc6))
}

/// Whether the body is an array of arrays of maps: a v0.4 body that was sent to the path of v0.5.
fn looks_like_v04(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes);
    let has_chunks = cursor.array().is_ok_and(|chunks| chunks > 0);
    let has_spans = cursor.array().is_ok_and(|spans| spans > 0);
    has_chunks && has_spans && matches!(bytes.get(cursor.at()), Some(0x80..=0x8f | 0xde | 0xdf))
}

/// Decodes a whole body.
pub(super) fn decode(bytes: &[u8], keys: &Keys, body: &mut Body) -> Fallible<()> {
    if looks_like_v04(bytes) {
        return super::v04::decode(bytes, keys, body);
    }
    body.clear(Form::V05);
    let mut cursor = Cursor::new(bytes);
    // The agent does not check how many elements the outer array has: it reads two.
    cursor.array()?;
    let strings = cursor.array()?;
    let mut classes = Vec::with_capacity(strings);
    for _ in 0..strings {
        let text = cursor.text()?;
        classes.push(keys.class(cursor.bytes_of(text)));
        body.strings.push(text);
    }
    let mut decoder = Decoder { cursor, classes };
    for _ in 0..decoder.cursor.array()? {
        let first = body.spans.len();
        for _ in 0..decoder.cursor.array()? {
            if !decoder.cursor.nil()? {
                let span = decoder.span(body)?;
                body.spans.push(span);
            }
        }
        body.chunks.push(Chunk { spans: Slice::new(first, body.spans.len()) });
    }
    Ok(())
}

struct Decoder<'a> {
    cursor: Cursor<'a>,
    /// The class of each string, as a key.
    classes: Vec<Class>,
}

impl Decoder<'_> {
    fn span(&mut self, body: &mut Body) -> Fallible<Span> {
        let at = self.cursor.at();
        let items = self.cursor.array()?;
        if items != ELEMENTS {
            return Err(Box::new(Error::SpanElements { items, at }));
        }
        let mut span = Span {
            service: self.string(body)?.0,
            name: self.string(body)?.0,
            resource: self.string(body)?.0,
            trace_id: self.cursor.id()?,
            span_id: self.cursor.id()?,
            parent_id: self.cursor.id()?,
            start: self.cursor.nanoseconds()?,
            duration: self.cursor.nanoseconds()?,
            error: self.cursor.i32()?,
            ..Span::default()
        };
        let first = body.attributes.len();
        let entries = if self.cursor.nil()? { 0 } else { self.cursor.map()? };
        for _ in 0..entries {
            let (key, class) = self.string(body)?;
            let value = Value::Text(self.string(body)?.0);
            body.attributes.push(Attribute { key, class, value });
        }
        let entries = if self.cursor.nil()? { 0 } else { self.cursor.map()? };
        for _ in 0..entries {
            let (key, class) = self.string(body)?;
            let value = Value::Number(self.cursor.number()?);
            body.attributes.push(Attribute { key, class, value });
        }
        span.attributes = Slice::new(first, body.attributes.len());
        span.kind = self.string(body)?.0;
        Ok(span)
    }

    #[inline]
    fn string(&mut self, body: &Body) -> Fallible<(Text, Class)> {
        let index = self.cursor.index(body.strings.len())?;
        Ok((body.strings[index], self.classes[index]))
    }
}
