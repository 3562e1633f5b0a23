//! v0.7: a map of the payload's values and of chunks, which are maps of their values and of v0.4 spans.

use super::v04::Decoder;
use super::{Fallible, Form, push};
use crate::trace::keys::Keys;
use crate::trace::model::{Body, Chunk, Slice, Value};

/// Decodes a whole body.
pub(super) fn decode(bytes: &[u8], keys: &Keys, body: &mut Body) -> Fallible<()> {
    body.clear(Form::V07);
    let mut decoder = Decoder::new(bytes, keys);
    for _ in 0..decoder.cursor.map()? {
        let name = decoder.cursor.text()?;
        match decoder.cursor.bytes_of(name) {
            b"container_id" => body.payload.container_id = decoder.cursor.string()?.into(),
            b"language_name" => body.payload.lang = decoder.cursor.string()?.into(),
            b"language_version" => body.payload.lang_version = decoder.cursor.string()?.into(),
            b"tracer_version" => body.payload.tracer_version = decoder.cursor.string()?.into(),
            b"runtime_id" => body.payload.runtime_id = decoder.cursor.string()?.into(),
            b"env" => body.payload.env = decoder.cursor.string()?.into(),
            b"hostname" => body.payload.hostname = decoder.cursor.string()?.into(),
            b"app_version" => body.payload.app_version = decoder.cursor.string()?.into(),
            b"tags" => body.payload.attributes = tags(&mut decoder, body)?,
            b"chunks" => chunks(&mut decoder, body)?,
            _ => decoder.cursor.skip()?,
        }
    }
    Ok(())
}

fn chunks(decoder: &mut Decoder<'_>, body: &mut Body) -> Fallible<()> {
    // Where the key comes twice, the last list counts.
    body.chunks.clear();
    for _ in 0..decoder.cursor.array()? {
        if !decoder.cursor.nil()? {
            let chunk = chunk(decoder, body)?;
            push(&mut body.chunks, "chunks", chunk)?;
        }
    }
    Ok(())
}

fn chunk(decoder: &mut Decoder<'_>, body: &mut Body) -> Fallible<Chunk> {
    // The agent takes a chunk that names no priority for one of priority 0.
    let mut chunk = Chunk { priority: Some(0), ..Chunk::default() };
    for _ in 0..decoder.cursor.map()? {
        let name = decoder.cursor.text()?;
        match decoder.cursor.bytes_of(name) {
            b"priority" => chunk.priority = Some(decoder.cursor.strict_i32()?),
            b"origin" => chunk.origin = decoder.cursor.string()?.into(),
            b"spans" => chunk.spans = decoder.spans(body)?,
            b"tags" => chunk.attributes = tags(decoder, body)?,
            // The agent decides anew whether the trace is dropped.
            b"dropped_trace" => drop(decoder.cursor.strict_bool()?),
            _ => decoder.cursor.skip()?,
        }
    }
    Ok(chunk)
}

fn tags(decoder: &mut Decoder<'_>, body: &mut Body) -> Fallible<Slice> {
    let first = body.entries.len();
    for _ in 0..decoder.cursor.map()? {
        let key = decoder.cursor.string()?.into();
        let value = Value::Text(decoder.cursor.string()?.into());
        body.entries.push((key, value));
    }
    Ok(Slice::new(first, body.entries.len()))
}
