//! v0.3 and v0.4: an array of chunks, each an array of spans, each a map with string keys.

use super::msgpack::{Cursor, Seen};
use super::{Fallible, Form, push};
use crate::trace::keys::{Class, Keys};
use crate::trace::model::{Attribute, Body, Chunk, Event, Link, Piece, Slice, Span, Text, Value};

/// The fields of a span, in the order in which most tracers write them.
const FIELDS: [&[u8]; 15] = [
    b"service",
    b"name",
    b"resource",
    b"trace_id",
    b"span_id",
    b"parent_id",
    b"start",
    b"duration",
    b"error",
    b"meta",
    b"metrics",
    b"type",
    b"span_links",
    b"span_events",
    b"meta_struct",
];

/// Decodes a whole body.
pub(super) fn decode(bytes: &[u8], keys: &Keys, body: &mut Body) -> Fallible<()> {
    decode_as(Form::V04, bytes, keys, body)
}

/// Decodes a whole body that is said to have had another form, of which it is the transcription.
pub(super) fn decode_as(form: Form, bytes: &[u8], keys: &Keys, body: &mut Body) -> Fallible<()> {
    body.clear(form);
    let mut decoder = Decoder::new(bytes, keys);
    for _ in 0..decoder.cursor.array()? {
        let spans = decoder.spans(body)?;
        push(&mut body.chunks, "chunks", Chunk { spans, ..Chunk::default() })?;
    }
    Ok(())
}

/// Reads spans in the form of v0.4.
pub(super) struct Decoder<'a> {
    pub(super) cursor: Cursor<'a>,
    keys: &'a Keys,
    /// The field that stood at each position of an earlier span: tracers write all spans alike, so one comparison finds a field.
    order: Vec<(Seen, u8)>,
    /// The key that stood at each position among the attributes, for the same reason.
    guesses: Vec<(Seen, Piece, Class)>,
}

/// Positions that are guessed: more than tracers write.
const GUESSES_MAX: usize = 256;

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8], keys: &'a Keys) -> Self {
        Self { cursor: Cursor::new(bytes), keys, order: Vec::new(), guesses: Vec::new() }
    }

    /// An array of spans. A nil among them is none.
    pub(super) fn spans(&mut self, body: &mut Body) -> Fallible<Slice> {
        let first = body.spans.len();
        for _ in 0..self.cursor.array()? {
            if !self.cursor.nil()? {
                let span = self.span(body)?;
                push(&mut body.spans, "spans", span)?;
            }
        }
        Ok(Slice::new(first, body.spans.len()))
    }

    fn span(&mut self, body: &mut Body) -> Fallible<Span> {
        let mut span = Span::default();
        let first = body.attributes.len();
        for position in 0..self.cursor.map()? {
            let field = match self.order.get(position) {
                Some((seen, field)) if self.cursor.skip_if(seen) => *field,
                _ => self.field(position)?,
            };
            match field {
                0 => span.service = self.text()?,
                1 => span.name = self.text()?,
                2 => span.resource = self.text()?,
                3 => span.trace_id = self.cursor.id()?,
                4 => span.span_id = self.cursor.id()?,
                5 => span.parent_id = self.cursor.id()?,
                6 => span.start = self.cursor.nanoseconds()?,
                7 => span.duration = self.cursor.nanoseconds()?,
                8 => span.error = self.cursor.flag()?,
                9 => self.meta(body, first)?,
                10 => self.metrics(body, first)?,
                11 => span.kind = self.text()?,
                12 => span.links = self.links(body)?,
                13 => span.events = self.events(body)?,
                14 => self.meta_struct(body, first)?,
                _ => self.cursor.skip()?,
            }
        }
        span.attributes = Slice::new(first, body.attributes.len());
        Ok(span)
    }

    #[inline(always)]
    fn text(&mut self) -> Fallible<Text> {
        Ok(self.cursor.text()?.into())
    }

    /// Reads a field's name and gives its number in [`FIELDS`], or [`u8::MAX`].
    #[inline(never)]
    fn field(&mut self, position: usize) -> Fallible<u8> {
        let from = self.cursor.at();
        let text = self.cursor.text()?;
        let name = self.cursor.bytes_of(text);
        let found = FIELDS.iter().position(|field| *field == name);
        let found = found.and_then(|field| u8::try_from(field).ok()).unwrap_or(u8::MAX);
        remember(&mut self.order, position, (self.cursor.seen_since(from), found));
        Ok(found)
    }

    fn meta(&mut self, body: &mut Body, first: usize) -> Fallible<()> {
        if self.cursor.nil()? {
            return Ok(());
        }
        for _ in 0..self.cursor.map()? {
            let (key, class) = self.key(body.attributes.len() - first)?;
            let value = Value::Text(self.text()?);
            body.attributes.push(Attribute { key, class, value });
        }
        Ok(())
    }

    fn metrics(&mut self, body: &mut Body, first: usize) -> Fallible<()> {
        if self.cursor.nil()? {
            return Ok(());
        }
        for _ in 0..self.cursor.map()? {
            let (key, class) = self.key(body.attributes.len() - first)?;
            let value = Value::Number(self.cursor.number()?);
            body.attributes.push(Attribute { key, class, value });
        }
        Ok(())
    }

    fn meta_struct(&mut self, body: &mut Body, first: usize) -> Fallible<()> {
        for _ in 0..self.cursor.map()? {
            let (key, class) = self.key(body.attributes.len() - first)?;
            let value = Value::Bytes(self.cursor.bin()?.into());
            body.attributes.push(Attribute { key, class, value });
        }
        Ok(())
    }

    /// Reads a key. The guess is that it is the one that stood at the same position of an earlier span.
    #[inline(always)]
    fn key(&mut self, position: usize) -> Fallible<(Text, Class)> {
        let (key, class) = match self.guesses.get(position) {
            Some((seen, key, class)) if self.cursor.skip_if(seen) => (*key, *class),
            _ => self.other_key(position)?,
        };
        Ok((key.into(), class))
    }

    #[inline(never)]
    fn other_key(&mut self, position: usize) -> Fallible<(Piece, Class)> {
        let from = self.cursor.at();
        let key = self.cursor.text()?;
        let class = self.keys.class(self.cursor.bytes_of(key));
        remember(&mut self.guesses, position, (self.cursor.seen_since(from), key, class));
        Ok((key, class))
    }

    fn links(&mut self, body: &mut Body) -> Fallible<Slice> {
        let first = body.links.len();
        for _ in 0..self.cursor.array()? {
            if !self.cursor.nil()? {
                let link = self.link(body)?;
                body.links.push(link);
            }
        }
        Ok(Slice::new(first, body.links.len()))
    }

    fn link(&mut self, body: &mut Body) -> Fallible<Link> {
        let mut link = Link::default();
        for _ in 0..self.cursor.map()? {
            let name = self.cursor.text()?;
            match self.cursor.bytes_of(name) {
                b"trace_id" => link.trace_id = self.cursor.id()?,
                b"trace_id_high" => link.trace_id_high = self.cursor.id()?,
                b"span_id" => link.span_id = self.cursor.id()?,
                b"tracestate" => link.tracestate = self.text()?,
                b"flags" => link.flags = self.cursor.flags()?,
                b"attributes" => {
                    let first = body.entries.len();
                    let entries = if self.cursor.nil()? { 0 } else { self.cursor.map()? };
                    for _ in 0..entries {
                        let entry = (self.text()?, Value::Text(self.text()?));
                        body.entries.push(entry);
                    }
                    link.attributes = Slice::new(first, body.entries.len());
                }
                _ => self.cursor.skip()?,
            }
        }
        Ok(link)
    }

    fn events(&mut self, body: &mut Body) -> Fallible<Slice> {
        let first = body.events.len();
        for _ in 0..self.cursor.array()? {
            if !self.cursor.nil()? {
                let event = self.event(body)?;
                body.events.push(event);
            }
        }
        Ok(Slice::new(first, body.events.len()))
    }

    fn event(&mut self, body: &mut Body) -> Fallible<Event> {
        let mut event = Event::default();
        for _ in 0..self.cursor.map()? {
            let name = self.cursor.text()?;
            match self.cursor.bytes_of(name) {
                b"time_unix_nano" => event.time = self.cursor.event_time()?,
                b"name" => event.name = self.text()?,
                b"attributes" => {
                    let first = body.entries.len();
                    let entries = if self.cursor.nil()? { 0 } else { self.cursor.map()? };
                    for _ in 0..entries {
                        let key = self.text()?;
                        let value = self.event_value(body, true)?;
                        body.entries.push((key, value));
                    }
                    event.attributes = Slice::new(first, body.entries.len());
                }
                _ => self.cursor.skip()?,
            }
        }
        Ok(event)
    }

    /// A typed value: a map that says its type and has the value under that type's name. Arrays hold no arrays.
    fn event_value(&mut self, body: &mut Body, may_be_array: bool) -> Fallible<Value> {
        if self.cursor.nil()? {
            return Ok(Value::None);
        }
        let (mut kind, mut text, mut flag, mut int, mut double) = (0, Text::EMPTY, false, 0, 0.0);
        let mut array = Slice::default();
        for _ in 0..self.cursor.map()? {
            let name = self.cursor.text()?;
            match self.cursor.bytes_of(name) {
                b"type" => kind = self.cursor.i32()?,
                b"string_value" => text = self.text()?,
                b"bool_value" => flag = self.cursor.bool()?,
                b"int_value" => int = self.cursor.i64()?,
                b"double_value" => double = self.cursor.number()?,
                b"array_value" if may_be_array => array = self.event_array(body)?,
                _ => self.cursor.skip()?,
            }
        }
        Ok(match kind {
            0 => Value::Text(text),
            1 => Value::Bool(flag),
            2 => Value::Int(int),
            3 => Value::Number(double),
            4 if may_be_array => Value::Array(array),
            other => Value::Unknown(other),
        })
    }

    fn event_array(&mut self, body: &mut Body) -> Fallible<Slice> {
        let first = body.values.len();
        if self.cursor.nil()? {
            return Ok(Slice::new(first, first));
        }
        for _ in 0..self.cursor.map()? {
            let name = self.cursor.text()?;
            if self.cursor.bytes_of(name) != b"values" {
                self.cursor.skip()?;
                continue;
            }
            let values = if self.cursor.nil()? { 0 } else { self.cursor.array()? };
            for _ in 0..values {
                let value = self.event_value(body, false)?;
                body.values.push(value);
            }
        }
        Ok(Slice::new(first, body.values.len()))
    }
}

/// Puts a guess at its position; positions come one after the other.
fn remember<T>(guesses: &mut Vec<T>, position: usize, guess: T) {
    if let Some(slot) = guesses.get_mut(position) {
        *slot = guess;
    } else if position == guesses.len() && position < GUESSES_MAX {
        guesses.push(guess);
    }
}
