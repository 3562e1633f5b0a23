//! A decoded body: flat lists that refer to each other by ranges and to the bytes by places, so that one set of them serves every body.

use std::fmt;
use std::ops::Range;

use hashbrown::HashTable;

use crate::trace::decode::Form;
use crate::trace::keys::Class;

/// As many bytes as are copied at once where most strings are shorter.
pub type Window = [u8; 32];

/// A piece of a body's bytes. Unlike a [`Text`] it fits a register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    at: u32,
    len: u32,
}

impl Piece {
    /// The empty piece.
    pub const EMPTY: Self = Self { at: 0, len: 0 };

    /// `len` bytes from `at` on. A body of 4 GiB or more has no places; bodies are bounded far below.
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bodies are bounded by limits::BODY_BYTES_MAX"
    )]
    pub fn new(at: usize, len: usize) -> Self {
        Self { at: at as u32, len: len as u32 }
    }

    /// The bytes themselves, of those that it is a piece of.
    #[inline(always)]
    pub fn of(self, source: &[u8]) -> &[u8] {
        source.get(self.at as usize..self.at as usize + self.len as usize).unwrap_or_default()
    }

    /// As the string of this number in the body's table.
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a table has fewer strings than its body has bytes"
    )]
    pub fn numbered(self, number: usize) -> Text {
        Text { number: number as u32, piece: self }
    }
}

impl From<Piece> for Text {
    #[inline(always)]
    fn from(piece: Piece) -> Self {
        piece.numbered(0)
    }
}

/// The place of a string in the bytes of its body. What it holds need not be UTF-8.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Text {
    number: u32,
    piece: Piece,
}

/// In few letters: a body has very many of them.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}#{}", self.piece.at, self.piece.len, self.number)
    }
}

impl Text {
    /// The empty string.
    pub const EMPTY: Self = Self { number: 0, piece: Piece::EMPTY };

    /// The place of `len` bytes from `at` on, without a number.
    #[inline]
    pub fn place(at: usize, len: usize) -> Self {
        Piece::new(at, len).into()
    }

    /// Where it starts: 0 only where it stands nowhere in the body.
    #[inline(always)]
    pub fn at(self) -> u32 {
        self.piece.at
    }

    /// Its number in [`Body::strings`]. Where the body has no such table it means nothing.
    #[inline(always)]
    pub fn number(self) -> usize {
        self.number as usize
    }

    /// How many bytes it has.
    #[inline]
    pub fn len(self) -> usize {
        self.piece.len as usize
    }

    /// Whether there is nothing in it.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.piece.len == 0
    }

    /// The string itself, of the bytes that it is a place in.
    #[inline(always)]
    pub fn of(self, source: &[u8]) -> &[u8] {
        self.piece.of(source)
    }

    /// The bytes from the string's first on, whatever follows it, where there are enough.
    #[inline(always)]
    pub fn window(self, source: &[u8]) -> Option<&Window> {
        source.get(self.piece.at as usize..)?.first_chunk()
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

/// The spans of one trace in one body, and what the body says of them together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chunk {
    /// Of [`Body::spans`].
    pub spans: Slice,
    /// The sampling priority; none where the form has it on spans alone.
    pub priority: Option<i32>,
    /// Where the trace comes from, such as `synthetics`.
    pub origin: Text,
    /// Of [`Body::entries`].
    pub attributes: Slice,
    /// All 128 bits of the trace id, where the form has them here; of OTLP the upper 64 alone.
    pub trace_id: u128,
    /// How the sampling decision was made, 0 where nothing is said of it.
    pub sampling_mechanism: u32,
}

/// What a body says of all its chunks, in the forms that have fields for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Payload {
    /// The container that the tracer runs in.
    pub container_id: Text,
    /// The tracer's language.
    pub lang: Text,
    /// That language's version.
    pub lang_version: Text,
    /// The tracer's version.
    pub tracer_version: Text,
    /// The tracer's own id of its process.
    pub runtime_id: Text,
    /// `env`, as it came.
    pub env: Text,
    /// Host.
    pub hostname: Text,
    /// The app's version.
    pub app_version: Text,
    /// Of [`Body::entries`].
    pub attributes: Slice,
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
    /// `env`, `version` and `component`, in the form that has fields for them.
    pub fields: [Text; 3],
    /// The number of the kind in OpenTelemetry's list, in the form that has a field for it.
    pub span_kind: i32,
    /// Of [`Body::attributes`].
    pub attributes: Slice,
    /// Of [`Body::links`].
    pub links: Slice,
    /// Of [`Body::events`].
    pub events: Slice,
}

/// An attribute of a span. Where a key comes twice, the last one counts.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// The key.
    pub key: Text,
    /// What the key means to us.
    pub class: Class,
    /// The value.
    pub value: Value,
}

/// The value of an attribute, whatever it is an attribute of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Value {
    /// No value.
    #[default]
    None,
    /// A value of a type that nobody knows, of which only the type's number is kept.
    Unknown(i32),
    /// A string, such as those of `meta`.
    Text(Text),
    /// A double, such as those of `metrics`.
    Number(f64),
    /// Bytes, such as those of `meta_struct`.
    Bytes(Text),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Of [`Body::values`].
    Array(Slice),
    /// Of [`Body::entries`].
    Map(Slice),
}

/// A span link.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// The linked trace's id.
    pub trace_id: u64,
    /// Its upper 64 bits.
    pub trace_id_high: u64,
    /// The id as bytes, in the form that has it so. They are sent as they are, however many there are.
    pub trace_id_bytes: Text,
    /// The linked span's id.
    pub span_id: u64,
    /// W3C trace state.
    pub tracestate: Text,
    /// W3C trace flags; bit 31 says that they were set.
    pub flags: u32,
    /// Of [`Body::entries`].
    pub attributes: Slice,
}

/// A span event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// What happened.
    pub name: Text,
    /// Of [`Body::entries`].
    pub attributes: Slice,
}

/// A string of a body's own table.
#[derive(Clone, Copy, Debug)]
pub struct TableString {
    /// The string.
    pub piece: Piece,
    /// What it means as a key, once somebody has asked.
    pub class: Option<Class>,
    /// One more than the place in [`Body::attributes`] where it was the key of an attribute for the last time; 0 for never.
    pub used: u32,
}

/// Numbers of strings, to be found by a hash that the decoder chooses.
#[derive(Default)]
pub struct Numbers(pub HashTable<u32>);

/// In ascending order, whatever the hashes are.
impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers: Vec<u32> = self.0.iter().copied().collect();
        numbers.sort_unstable();
        f.debug_set().entries(numbers).finish()
    }
}

/// A decoded body.
#[derive(Debug, Default)]
pub struct Body {
    /// What form it had.
    pub form: Form,
    /// What it says of all chunks.
    pub payload: Payload,
    /// Its chunks.
    pub chunks: Vec<Chunk>,
    /// The spans of all chunks.
    pub spans: Vec<Span>,
    /// The attributes of all spans.
    pub attributes: Vec<Attribute>,
    /// The links of all spans.
    pub links: Vec<Link>,
    /// The events of all spans.
    pub events: Vec<Event>,
    /// The attributes of links, events, chunks and the payload, and the entries of maps.
    pub entries: Vec<(Text, Value)>,
    /// The elements of arrays.
    pub values: Vec<Value>,
    /// The string table, in the forms that have one. The first string is the empty one.
    pub strings: Vec<TableString>,
    /// The hash of each string of the table, where decoding needed it.
    pub hashes: Vec<u64>,
    /// The numbers of the table's strings, to be found by those hashes while the table grows.
    pub numbers: Numbers,
    /// The bytes that places refer to where they are not those of the request: a JSON body is read through a msgpack one.
    pub transcoded: Option<Vec<u8>>,
}

impl Body {
    /// Empties all lists and keeps their memory, up to a bound, for the next body.
    pub fn clear(&mut self, form: Form) {
        self.form = form;
        self.payload = Payload::default();
        clear(&mut self.chunks);
        clear(&mut self.spans);
        clear(&mut self.attributes);
        clear(&mut self.links);
        clear(&mut self.events);
        clear(&mut self.entries);
        clear(&mut self.values);
        clear(&mut self.strings);
        clear(&mut self.hashes);
        self.numbers.0.clear();
        self.numbers.0.shrink_to(KEPT_ELEMENTS_MAX, |_| 0);
        self.transcoded = None;
    }

    /// The string of a number, where the table has it.
    #[inline(always)]
    pub fn string(&self, number: usize) -> Option<Text> {
        Some(self.strings.get(number)?.piece.numbered(number))
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
