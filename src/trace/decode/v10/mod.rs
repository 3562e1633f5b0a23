//! v1.0: a map of the payload's values and of chunks, with numbers for the names of fields. A string is written where it comes first and
//! gets the next number; from then on the number stands for it.
//!
//! What is not known is skipped, but the strings in it get their numbers all the same (spec: trace-agent 2.5).

mod span;
mod strings;
mod value;

use super::msgpack::Cursor;
use super::{Error, Fallible, Form, push};
use crate::trace::keys::Keys;
use crate::trace::model::{Body, Chunk, Slice, Text, Value};
use crate::trace::strings::TextHasher;

/// Decodes a whole body.
pub(super) fn decode(bytes: &[u8], keys: &Keys, body: &mut Body) -> Fallible<()> {
    body.clear(Form::V10);
    let mut decoder = Decoder::new(bytes, keys, body);
    for _ in 0..decoder.cursor.map()? {
        match decoder.cursor.unsigned32()? {
            1 => decoder.strings()?,
            2 => decoder.body.payload.container_id = decoder.text()?,
            3 => decoder.body.payload.lang = decoder.text()?,
            4 => decoder.body.payload.lang_version = decoder.text()?,
            5 => decoder.body.payload.tracer_version = decoder.text()?,
            6 => decoder.body.payload.runtime_id = decoder.text()?,
            7 => decoder.body.payload.env = decoder.text()?,
            8 => decoder.body.payload.hostname = decoder.text()?,
            9 => decoder.body.payload.app_version = decoder.text()?,
            10 => decoder.body.payload.attributes = decoder.entries()?,
            11 => decoder.chunks()?,
            _ => decoder.skip()?,
        }
    }
    Ok(())
}

struct Decoder<'a> {
    cursor: Cursor<'a>,
    keys: &'a Keys,
    body: &'a mut Body,
    hasher: TextHasher,
    /// Elements of arrays that are not complete yet, the innermost last.
    values: Vec<Value>,
    /// The same for maps.
    entries: Vec<(Text, Value)>,
}

impl<'a> Decoder<'a> {
    fn new(bytes: &'a [u8], keys: &'a Keys, body: &'a mut Body) -> Self {
        let mut decoder = Self {
            cursor: Cursor::new(bytes),
            keys,
            body,
            hasher: TextHasher::default(),
            values: Vec::new(),
            entries: Vec::new(),
        };
        decoder.begin();
        decoder
    }

    fn chunks(&mut self) -> Fallible<()> {
        // Where the field comes twice, the last list counts.
        self.body.chunks.clear();
        for _ in 0..self.cursor.array()? {
            let chunk = self.chunk()?;
            push(&mut self.body.chunks, "chunks", chunk)?;
        }
        Ok(())
    }

    fn chunk(&mut self) -> Fallible<Chunk> {
        let mut chunk = Chunk::default();
        for _ in 0..self.cursor.map()? {
            match self.cursor.unsigned32()? {
                1 => chunk.priority = Some(self.cursor.strict_i32()?),
                2 => chunk.origin = self.text()?,
                3 => chunk.attributes = self.entries()?,
                4 => chunk.spans = self.spans()?,
                // The agent decides anew whether the trace is dropped.
                5 => drop(self.cursor.strict_bool()?),
                6 => chunk.trace_id = self.trace_id()?,
                7 => chunk.sampling_mechanism = self.cursor.unsigned32()?,
                _ => self.skip()?,
            }
        }
        Ok(chunk)
    }

    /// A trace id. Of a shorter one the upper bytes are zero, of a longer one the last 16 count.
    fn trace_id(&mut self) -> Fallible<u128> {
        let text = self.cursor.blob()?;
        let bytes = self.cursor.bytes_of(text).iter();
        Ok(bytes.fold(0, |id, byte| id << 8 | u128::from(*byte)))
    }

    fn spans(&mut self) -> Fallible<Slice> {
        let first = self.body.spans.len();
        for _ in 0..self.cursor.array()? {
            let span = self.span()?;
            push(&mut self.body.spans, "spans", span)?;
        }
        Ok(Slice::new(first, self.body.spans.len()))
    }

    /// The number of elements of an array that is a flat list of groups of `each`.
    fn groups(&mut self, each: usize) -> Fallible<usize> {
        let at = self.cursor.at();
        let items = self.cursor.array()?;
        if items % each != 0 {
            return Err(Box::new(Error::Incomplete { items, each, at }));
        }
        Ok(items / each)
    }
}
