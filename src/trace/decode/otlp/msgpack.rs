//! Spans as the msgpack of v0.4, which the decoder of tracers' bodies reads. Lengths are always written in four bytes: nothing of it leaves the
//! process.

use super::span::Converted;

/// The head of a list of so many elements.
pub(super) fn list(out: &mut Vec<u8>, elements: usize) {
    head(out, 0xdd, elements);
}

fn map(out: &mut Vec<u8>, entries: usize) {
    head(out, 0xdf, entries);
}

fn text(out: &mut Vec<u8>, text: &str) {
    head(out, 0xdb, text.len());
    out.extend_from_slice(text.as_bytes());
}

#[expect(clippy::cast_possible_truncation, reason = "bounded by limits::OTLP_SPANS_BYTES_MAX")]
fn head(out: &mut Vec<u8>, marker: u8, length: usize) {
    out.push(marker);
    out.extend_from_slice(&(length as u32).to_be_bytes());
}

fn eight_bytes(out: &mut Vec<u8>, marker: u8, bytes: [u8; 8]) {
    out.push(marker);
    out.extend_from_slice(&bytes);
}

/// A span.
#[expect(clippy::cast_possible_truncation, reason = "the low half of the trace id is meant")]
pub(super) fn span(out: &mut Vec<u8>, span: &Converted<'_>) {
    map(out, 12);
    for (name, value) in [
        ("service", &span.service),
        ("name", &span.name),
        ("resource", &span.resource),
        ("type", &span.span_type),
    ] {
        text(out, name);
        text(out, value);
    }
    for (name, value) in [
        ("trace_id", span.trace_id as u64),
        ("span_id", span.span_id),
        ("parent_id", span.parent_id),
        ("error", u64::from(span.error)),
    ] {
        text(out, name);
        eight_bytes(out, 0xcf, value.to_be_bytes());
    }
    for (name, value) in [("start", span.start), ("duration", span.duration)] {
        text(out, name);
        eight_bytes(out, 0xd3, value.to_be_bytes());
    }
    text(out, "meta");
    map(out, span.texts.entries().len());
    for (key, value) in span.texts.entries() {
        text(out, key);
        text(out, value);
    }
    text(out, "metrics");
    map(out, span.numbers.entries().len());
    for (key, value) in span.numbers.entries() {
        text(out, key);
        eight_bytes(out, 0xcb, value.to_bits().to_be_bytes());
    }
}
