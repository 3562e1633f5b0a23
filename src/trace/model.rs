//! A decoded body: flat lists that refer to each other by ranges and to the bytes by places, so that one set of them serves every body.

use std::ops::Range;

use crate::trace::decode::Form;
use crate::trace::keys::Class;

/// As many bytes as are copied at once where most strings are shorter.
pub type Window = [u8; 32];

/// The place of a string in the bytes of its body. What it holds need not be UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text {
    at: u32,
    len: u32,
}

impl Text {
    /// The empty string.
    pub const EMPTY: Self = Self { at: 0, len: 0 };

    /// The place of `len` bytes from `at` on. A body of 4 GiB or more has no places; bodies are bounded far below.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bodies are bounded by limits::BODY_BYTES_MAX"
    )]
    pub fn place(at: usize, len: usize) -> Self {
        Self { at: at as u32, len: len as u32 }
    }

    /// Where it starts.
    #[inline]
    pub fn at(self) -> u32 {
        self.at
    }

    /// How many bytes it has.
    #[inline]
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there is nothing in it.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The string itself, of the bytes that it is a place in.
    #[inline(always)]
    pub fn of(self, source: &[u8]) -> &[u8] {
        source.get(self.at as usize..self.at as usize + self.len as usize).unwrap_or_default()
    }

    /// The bytes from the string's first on, whatever follows it, where there are enough.
    #[inline(always)]
    pub fn window(self, source: &[u8]) -> Option<&Window> {
        source.get(self.at as usize..)?.first_chunk()
    }
}

/// A range of one of a [`Body`]'s lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    from: u32,
    to: u32,
}

impl Slice {
    /// The elements from `from` to the end of a list that has `to` of them.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a list has fewer elements than its body has bytes"
    )]
    pub fn new(from: usize, to: usize) -> Self {
        Self { from: from as u32, to: to as u32 }
    }

    /// As a range of indexes.
    #[inline]
    pub fn range(self) -> Range<usize> {
        self.from as usize..self.to as usize
    }
}

/// The spans of one trace in one body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chunk {
    /// Of [`Body::spans`].
    pub spans: Slice,
}

/// One span, as it came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// Service.
    pub service: Text,
    /// Operation name.
    pub name: Text,
    /// Resource.
    pub resource: Text,
    /// Span type.
    pub kind: Text,
    /// The low 64 bits of the trace id.
    pub trace_id: u64,
    /// The span's own id.
    pub span_id: u64,
    /// The parent's id; 0 for a root.
    pub parent_id: u64,
    /// Nanoseconds since 1970.
    pub start: i64,
    /// Nanoseconds.
    pub duration: i64,
    /// `error` as it came; 0 for none.
    pub error: i32,
    /// Of [`Body::attributes`].
    pub attributes: Slice,
    /// Of [`Body::links`].
    pub links: Slice,
    /// Of [`Body::events`].
    pub events: Slice,
}

/// An entry of `meta`, `metrics` or `meta_struct`. Where a key comes twice, the last one counts.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// The key.
    pub key: Text,
    /// What the key means to us.
    pub class: Class,
    /// The value.
    pub value: Value,
}

/// The value of an [`Attribute`].
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// From `meta`.
    Text(Text),
    /// From `metrics`.
    Number(f64),
    /// From `meta_struct`.
    Bytes(Text),
}

/// A span link.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// The linked trace's id.
    pub trace_id: u64,
    /// Its upper 64 bits.
    pub trace_id_high: u64,
    /// The linked span's id.
    pub span_id: u64,
    /// W3C trace state.
    pub tracestate: Text,
    /// W3C trace flags; bit 31 says that they were set.
    pub flags: u32,
    /// Of [`Body::pairs`].
    pub attributes: Slice,
}

/// A span event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// What happened.
    pub name: Text,
    /// Of [`Body::event_attributes`].
    pub attributes: Slice,
}

/// The value of an event's attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum EventValue {
    /// No value.
    #[default]
    None,
    /// A value of a type that nobody knows, of which only the type is kept.
    Other(i32),
    /// A string.
    Text(Text),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// Of [`Body::array_values`].
    Array(Slice),
}

/// A decoded body.
#[derive(Debug, Default)]
pub struct Body {
    /// What form it had.
    pub form: Form,
    /// Its chunks.
    pub chunks: Vec<Chunk>,
    /// The spans of all chunks.
    pub spans: Vec<Span>,
    /// The attributes of all spans.
    pub attributes: Vec<Attribute>,
    /// The links of all spans.
    pub links: Vec<Link>,
    /// The attributes of all links.
    pub pairs: Vec<(Text, Text)>,
    /// The events of all spans.
    pub events: Vec<Event>,
    /// The attributes of all events.
    pub event_attributes: Vec<(Text, EventValue)>,
    /// The elements of all arrays in event attributes.
    pub array_values: Vec<EventValue>,
    /// The string table of a v0.5 body.
    pub strings: Vec<Text>,
    /// The bytes that places refer to where they are not those of the request: a JSON body is read through a msgpack one.
    pub transcoded: Option<Vec<u8>>,
}

impl Body {
    /// Empties all lists and keeps their memory, up to a bound, for the next body.
    pub fn clear(&mut self, form: Form) {
        self.form = form;
        clear(&mut self.chunks);
        clear(&mut self.spans);
        clear(&mut self.attributes);
        clear(&mut self.links);
        clear(&mut self.pairs);
        clear(&mut self.events);
        clear(&mut self.event_attributes);
        clear(&mut self.array_values);
        clear(&mut self.strings);
        self.transcoded = None;
    }

    /// The bytes that places refer to, `request` being the body as it came.
    pub fn source<'a>(&'a self, request: &'a [u8]) -> &'a [u8] {
        self.transcoded.as_deref().unwrap_or(request)
    }
}

/// Elements that a list keeps room for from one body to the next; a rare larger body gives its memory back.
const KEPT_ELEMENTS_MAX: usize = 1 << 16;

fn clear<T>(list: &mut Vec<T>) {
    list.clear();
    list.shrink_to(KEPT_ELEMENTS_MAX);
}
