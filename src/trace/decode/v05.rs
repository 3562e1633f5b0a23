//! v0.5: a table of strings, then chunks of spans that are arrays of exactly 12 elements and name strings by their index.

use super::msgpack::Cursor;
use super::{Error, Fallible, Form, numbered, push};
use crate::trace::keys::Keys;
use crate::trace::model::{Body, Chunk, Piece, Slice, Span, Text, Value};

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
    // The empty string has the number 0 in every table, so an index is one less than the number of its string.
    numbered::add(body, Piece::EMPTY);
    for _ in 0..cursor.array()? {
        let text = cursor.text()?;
        numbered::add(body, text);
    }
    let mut decoder = Decoder { cursor, keys };
    for _ in 0..decoder.cursor.array()? {
        let first = body.spans.len();
        for _ in 0..decoder.cursor.array()? {
            if !decoder.cursor.nil()? {
                let span = decoder.span(body)?;
                push(&mut body.spans, "spans", span)?;
            }
        }
        let spans = Slice::new(first, body.spans.len());
        push(&mut body.chunks, "chunks", Chunk { spans, ..Chunk::default() })?;
    }
    Ok(())
}

struct Decoder<'a> {
    cursor: Cursor<'a>,
    keys: &'a Keys,
}

impl Decoder<'_> {
    fn span(&mut self, body: &mut Body) -> Fallible<Span> {
        let at = self.cursor.at();
        let items = self.cursor.array()?;
        if items != ELEMENTS {
            return Err(Box::new(Error::SpanElements { items, at }));
        }
        let mut span = Span {
            service: self.string(body)?,
            name: self.string(body)?,
            resource: self.string(body)?,
            trace_id: self.cursor.id()?,
            span_id: self.cursor.id()?,
            parent_id: self.cursor.id()?,
            start: self.cursor.nanoseconds()?,
            duration: self.cursor.nanoseconds()?,
            error: self.cursor.i32()?,
            ..Span::default()
        };
        let first = body.attributes.len();
        self.meta(body, first)?;
        self.metrics(body, first)?;
        span.attributes = Slice::new(first, body.attributes.len());
        span.kind = self.string(body)?;
        Ok(span)
    }

    #[inline(never)]
    fn meta(&mut self, body: &mut Body, first: usize) -> Fallible<()> {
        if self.cursor.nil()? {
            return Ok(());
        }
        for _ in 0..self.cursor.map()? {
            if let Some((key, value)) = self.cursor.two_indexes() {
                let (keys, source) = (self.keys, self.cursor.bytes());
                let class_of = |key: Piece| keys.class(key.of(source));
                if numbered::put_pair(body, first, (key + 1, value + 1), class_of).is_none() {
                    return Err(no_such_string(body, key.max(value)));
                }
                continue;
            }
            let key = self.string(body)?;
            let value = Value::Text(self.string(body)?);
            self.put(body, first, key, value);
        }
        Ok(())
    }

    #[inline(never)]
    fn metrics(&mut self, body: &mut Body, first: usize) -> Fallible<()> {
        if self.cursor.nil()? {
            return Ok(());
        }
        for _ in 0..self.cursor.map()? {
            let key = self.string(body)?;
            let value = Value::Number(self.cursor.number()?);
            self.put(body, first, key, value);
        }
        Ok(())
    }

    #[inline(always)]
    fn put(&self, body: &mut Body, first: usize, key: Text, value: Value) {
        let (keys, source) = (self.keys, self.cursor.bytes());
        numbered::put(body, first, key, value, |key| keys.class(key.of(source)));
    }

    #[inline(always)]
    fn string(&mut self, body: &Body) -> Fallible<Text> {
        match self.cursor.short_index() {
            Some(index) => string_at(body, index),
            None => string_at(body, self.cursor.other_index(body.strings.len() - 1)?),
        }
    }
}

/// The string of an index.
#[inline(always)]
fn string_at(body: &Body, index: usize) -> Fallible<Text> {
    match body.string(index + 1) {
        Some(text) => Ok(text),
        None => Err(no_such_string(body, index)),
    }
}

#[cold]
fn no_such_string(body: &Body, index: usize) -> Box<Error> {
    Box::new(Error::Index { index: index as u64, strings: body.strings.len() - 1 })
}
