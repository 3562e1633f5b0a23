//! Tags that become known when chunks are encoded already: they are put onto the spans of an open payload that lack them. This happens once or
//! twice in the life of a process, soon after its start.

use std::ops::Range;

use crate::trace::encode::{ATTRIBUTE, ENTRY_BYTES_MAX, text_entry};
use crate::trace::strings::Ref;
use crate::wire;

/// The field of an attribute's key.
const KEY: u64 = 0x08;

/// The same in the older form, and that of the spans' texts.
const OLDER_KEY: u64 = 0x0a;
const META: u8 = 0x52;

/// The fields of a payload's chunks and of a chunk's spans.
#[derive(Clone, Copy)]
struct Tags {
    chunk: u8,
    span: u8,
}

const INDEXED: Tags = Tags { chunk: 0x5a, span: 0x22 };
const OLDER: Tags = Tags { chunk: 0x32, span: 0x1a };

/// The same chunks with `tags` on each span that has no attribute of that key. Nothing where `chunks` is not what `encode` writes.
#[must_use]
pub fn add(chunks: &[u8], tags: &[(Ref, Ref)]) -> Option<Vec<u8>> {
    add_to_chunks(chunks, INDEXED, |span, out| add_to_span(span, tags, out))
}

/// The same in the older form.
#[must_use]
pub fn add_older(chunks: &[u8], tags: &[(String, String)]) -> Option<Vec<u8>> {
    add_to_chunks(chunks, OLDER, |span, out| add_to_older_span(span, tags, out))
}

fn add_to_chunks(
    chunks: &[u8],
    tags: Tags,
    add_to_span: impl Fn(&[u8], &mut Vec<u8>) -> Option<()>,
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(chunks.len() * 2);
    let mut rest = Fields { bytes: chunks, at: 0 };
    while let Some(field) = rest.next()? {
        if field.tag == u64::from(tags.chunk) {
            let chunk = wire::open(&mut out, tags.chunk);
            add_to_chunk(field.content, tags.span, &add_to_span, &mut out)?;
            wire::close(&mut out, chunk);
        } else {
            out.extend_from_slice(chunks.get(field.whole)?);
        }
    }
    Some(out)
}

fn add_to_chunk(
    chunk: &[u8],
    tag: u8,
    add_to_span: &impl Fn(&[u8], &mut Vec<u8>) -> Option<()>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let mut rest = Fields { bytes: chunk, at: 0 };
    while let Some(field) = rest.next()? {
        if field.tag == u64::from(tag) {
            let span = wire::open(out, tag);
            add_to_span(field.content, out)?;
            wire::close(out, span);
        } else {
            out.extend_from_slice(chunk.get(field.whole)?);
        }
    }
    Some(())
}

fn add_to_span(span: &[u8], tags: &[(Ref, Ref)], out: &mut Vec<u8>) -> Option<()> {
    let mut has = vec![false; tags.len()];
    let mut rest = Fields { bytes: span, at: 0 };
    while let Some(field) = rest.next()? {
        if field.tag != u64::from(ATTRIBUTE) {
            continue;
        }
        let mut entry = Fields { bytes: field.content, at: 0 };
        // Of a map entry a key of 0 is not written, and no tag has it: it is the empty string.
        let key = match entry.next()? {
            Some(Field { tag: KEY, number, .. }) => number,
            _ => continue,
        };
        for (has, (own, _)) in has.iter_mut().zip(tags) {
            *has |= u64::from(*own) == key;
        }
    }
    out.extend_from_slice(span);
    let lacking = tags.iter().zip(has).filter(|(_, has)| !has).map(|(tag, _)| *tag);
    let mut room = wire::Room::open(out, tags.len() * ENTRY_BYTES_MAX);
    for (key, value) in lacking {
        room.put_all(text_entry(ATTRIBUTE, key, value));
    }
    room.close();
    Some(())
}

fn add_to_older_span(span: &[u8], tags: &[(String, String)], out: &mut Vec<u8>) -> Option<()> {
    let mut has = vec![false; tags.len()];
    let mut rest = Fields { bytes: span, at: 0 };
    while let Some(field) = rest.next()? {
        if field.tag != u64::from(META) {
            continue;
        }
        let mut entry = Fields { bytes: field.content, at: 0 };
        if let Some(Field { tag: OLDER_KEY, content, .. }) = entry.next()? {
            for (has, (own, _)) in has.iter_mut().zip(tags) {
                *has |= own.as_bytes() == content;
            }
        }
    }
    out.extend_from_slice(span);
    for ((key, value), _) in tags.iter().zip(has).filter(|(_, has)| !has) {
        let entry = wire::open(out, META);
        wire::bytes(out, 0x0a, key.as_bytes());
        wire::bytes(out, 0x12, value.as_bytes());
        wire::close(out, entry);
    }
    Some(())
}

/// The fields of a message.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// One field: its tag, where it stands, and what is in it.
struct Field<'a> {
    tag: u64,
    whole: Range<usize>,
    /// Of a varint.
    number: u64,
    /// Of a field with a length.
    content: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The next field, nothing at the end; an outer nothing where the bytes are no message.
    fn next(&mut self) -> Option<Option<Field<'a>>> {
        if self.at == self.bytes.len() {
            return Some(None);
        }
        let from = self.at;
        let tag = self.varint()?;
        let (mut number, mut content): (u64, &[u8]) = (0, &[]);
        match tag & 7 {
            0 => number = self.varint()?,
            1 => content = self.take(8)?,
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                content = self.take(len)?;
            }
            5 => content = self.take(4)?,
            _ => return None,
        }
        Some(Some(Field { tag, whole: from..self.at, number, content }))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use libdd_trace_protobuf::pb::idx::{
        AnyValue, Span, TraceChunk, TracerPayload, any_value::Value,
    };
    use proptest::prelude::*;
    use prost::Message;

    use super::add;

    fn text(number: u32) -> AnyValue {
        AnyValue { value: Some(Value::StringValueRef(number)) }
    }

    fn span(keys: &[u32]) -> Span {
        Span {
            service_ref: 9,
            span_id: 77,
            start: 1 << 60,
            attributes: keys.iter().map(|key| (*key, text(key + 1000))).collect(),
            env_ref: 300,
            ..Span::default()
        }
    }

    /// The chunks of a payload as bytes, and back.
    fn encoded(chunks: Vec<TraceChunk>) -> Vec<u8> {
        TracerPayload { chunks, ..TracerPayload::default() }.encode_to_vec()
    }

    fn decoded(bytes: &[u8]) -> Vec<TraceChunk> {
        TracerPayload::decode(bytes).unwrap().chunks
    }

    #[test]
    fn spans_get_what_they_lack_and_keep_what_they_have() {
        let chunk = TraceChunk {
            priority: -1,
            origin_ref: 4,
            trace_id: vec![7; 16],
            spans: vec![span(&[5]), span(&[]), span(&(0..40).collect::<Vec<_>>())],
            attributes: HashMap::from([(1, text(2))]),
            ..TraceChunk::default()
        };
        let bytes = encoded(vec![chunk.clone(), TraceChunk::default(), chunk.clone()]);
        let after = decoded(&add(&bytes, &[(5, 6), (200, 70_000)]).unwrap());
        let mut expect = chunk;
        for span in &mut expect.spans {
            span.attributes.entry(5).or_insert_with(|| text(6));
            span.attributes.insert(200, text(70_000));
        }
        assert_eq!(after, [expect.clone(), TraceChunk::default(), expect]);
    }

    #[test]
    fn spans_of_the_older_form_get_what_they_lack_too() {
        use libdd_trace_protobuf::pb;
        let text = |text: &str| text.to_owned();
        let span = |keys: &[&str]| pb::Span {
            span_id: 77,
            meta: keys.iter().map(|key| (text(key), text("own"))).collect(),
            metrics: HashMap::from([(text("team"), 1.0)]),
            ..pb::Span::default()
        };
        let mut chunk = pb::TraceChunk {
            priority: -1,
            spans: vec![span(&["team", "a"]), span(&[]), span(&["b"])],
            tags: HashMap::from([(text("team"), text("chunk"))]),
            ..pb::TraceChunk::default()
        };
        let encoded =
            |chunks| pb::TracerPayload { chunks, ..pb::TracerPayload::default() }.encode_to_vec();
        let bytes = encoded(vec![chunk.clone(), pb::TraceChunk::default()]);
        let tags = [(text("team"), text("cart")), (text("b"), text("late"))];
        let after = super::add_older(&bytes, &tags).unwrap();
        for span in &mut chunk.spans {
            for (key, value) in &tags {
                span.meta.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        let after = pb::TracerPayload::decode(after.as_slice()).unwrap().chunks;
        assert_eq!(after, [chunk, pb::TraceChunk::default()]);
    }

    proptest! {
        #[test]
        fn any_keys_and_tags_are_merged(
            spans in prop::collection::vec(prop::collection::vec(1_u32..300, 0..12), 0..6),
            tags in prop::collection::hash_map(1_u32..300, 0_u32..100_000, 0..12),
        ) {
            let chunk = TraceChunk { spans: spans.iter().map(|keys| span(keys)).collect(), ..TraceChunk::default() };
            let tags: Vec<_> = tags.into_iter().collect();
            let after = decoded(&add(&encoded(vec![chunk.clone()]), &tags).unwrap());
            let mut expect = chunk;
            for span in &mut expect.spans {
                for (key, value) in &tags {
                    span.attributes.entry(*key).or_insert_with(|| text(*value));
                }
            }
            prop_assert_eq!(after, vec![expect]);
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in any::<Vec<u8>>()) {
            let _result = add(&bytes, &[(1, 2)]);
        }
    }
}
