//! Reading protobuf: a message is an iterator over its fields, which borrow from it.
//!
//! A body is checked once, whole, against the [`schema`](super::schema); what reads it afterwards meets nothing malformed and takes fields as they
//! come.

use super::schema::{Kind, Message};
use super::{Error, Fallible};
use crate::limits::DECODE_DEPTH_MAX;

/// The value of a field, by its form on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Field<'a> {
    /// A varint: integers, booleans, enums.
    Varint(u64),
    /// Eight bytes: times, doubles.
    Fixed64(u64),
    /// Text, bytes, messages.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32(u32),
}

impl<'a> Field<'a> {
    /// The content of a field of bytes; nothing of another.
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// The number of a field that holds one; 0 of another.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => number,
            Self::Fixed32(number) => u64::from(number),
            Self::Bytes(_) => 0,
        }
    }

    /// The double of a field that holds one; 0 of another.
    pub(crate) fn double(self) -> f64 {
        match self {
            Self::Fixed64(bits) => f64::from_bits(bits),
            _ => 0.0,
        }
    }

    /// The number of a varint with zigzag; 0 of another.
    pub(crate) fn signed(self) -> i64 {
        match self {
            Self::Varint(bits) => (bits >> 1).cast_signed() ^ -(bits & 1).cast_signed(),
            _ => 0,
        }
    }

    /// The numbers of eight bytes that a field holds: several where they are packed.
    pub(crate) fn longs(self) -> impl Iterator<Item = u64> + 'a {
        let (one, packed) = match self {
            Self::Fixed64(number) => (Some(number), &[][..]),
            Self::Bytes(packed) => (None, packed.as_chunks::<8>().0),
            _ => (None, &[][..]),
        };
        one.into_iter().chain(packed.iter().map(|bytes| u64::from_le_bytes(*bytes)))
    }

    /// The varints that a field holds: several where they are packed.
    pub(crate) fn varints(self) -> impl Iterator<Item = u64> + 'a {
        let (one, packed) = match self {
            Self::Varint(number) => (Some(number), &[][..]),
            Self::Bytes(packed) => (None, packed),
            _ => (None, &[][..]),
        };
        let mut packed = Fields::of(packed);
        one.into_iter().chain(std::iter::from_fn(move || packed.varint().ok()))
    }
}

/// The fields of a message, from the first to the last or to the first that is malformed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next field with its number; nothing at the end.
    fn read(&mut self) -> Result<Option<(u32, Field<'a>)>, &'static str> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).unwrap_or(0);
        if number == 0 {
            return Err("a field number that does not exist");
        }
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| TRUNCATED)?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err("a field of a form that does not exist"),
        };
        Ok(Some((number, field)))
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(TRUNCATED)?;
            self.at += 1;
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number of more than ten bytes")
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let end = self.at.checked_add(length).ok_or(TRUNCATED)?;
        let taken = self.bytes.get(self.at..end).ok_or(TRUNCATED)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        self.take(N)?.try_into().map_err(|_| TRUNCATED)
    }
}

const TRUNCATED: &str = "it ends early";

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.read().ok().flatten()
    }
}

/// Checks that `bytes` are a message of this kind: whole, every known field in its own form, ids of their length, nothing nested too deep.
/// Fields that the schema does not know may be anything.
///
/// # Errors
/// Where they are not, with the place of the field, counted in bytes from the start of the body.
pub(crate) fn check(bytes: &[u8], message: &'static Message) -> Fallible<()> {
    check_at(bytes, 0, message, 0)
}

fn check_at(bytes: &[u8], from: usize, message: &'static Message, depth: usize) -> Fallible<()> {
    let malformed =
        |at: usize, what| Error::Malformed { message: message.name, at: from + at, what };
    if depth >= DECODE_DEPTH_MAX {
        return Err(malformed(0, "it is nested too deep"));
    }
    let mut fields = Fields::of(bytes);
    loop {
        let at = fields.at;
        let Some((number, field)) = fields.read().map_err(|what| malformed(at, what))? else {
            return Ok(());
        };
        let Some(known) = message.field(number) else { continue };
        match (known.kind, field) {
            (kind, Field::Bytes(packed)) if known.is_list && is_number(kind) => {
                check_packed(kind, packed).map_err(|what| malformed(at, what))?;
            }
            (Kind::Message(inner), Field::Bytes(content)) => {
                check_at(content, from + fields.at - content.len(), inner, depth + 1)?;
            }
            (Kind::Id(length), Field::Bytes(id)) if id.is_empty() || id.len() == length => {}
            (Kind::Id(_), Field::Bytes(_)) => {
                return Err(malformed(at, "an id has another length"));
            }
            (Kind::Text | Kind::Bytes, Field::Bytes(_))
            | (Kind::Int | Kind::Signed | Kind::Bool | Kind::Enum(_), Field::Varint(_))
            | (Kind::Time | Kind::Long | Kind::Double, Field::Fixed64(_))
            | (Kind::Word, Field::Fixed32(_)) => {}
            _ => return Err(malformed(at, "a known field has the form of another")),
        }
    }
}

/// Whether fields of this kind can be packed.
fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Int | Kind::Signed | Kind::Time | Kind::Long | Kind::Double)
}

fn check_packed(kind: Kind, packed: &[u8]) -> Result<(), &'static str> {
    if !matches!(kind, Kind::Int | Kind::Signed) {
        return if packed.len().is_multiple_of(8) { Ok(()) } else { Err(TRUNCATED) };
    }
    let mut fields = Fields::of(packed);
    while fields.at < packed.len() {
        fields.varint()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::schema::{self, EXPORT_TRACE_REQUEST};
    use super::{Error, Field, Fields, check};

    fn at(bytes: &[u8]) -> Option<(usize, &'static str)> {
        match check(bytes, &EXPORT_TRACE_REQUEST) {
            Ok(()) => None,
            Err(Error::Malformed { at, what, .. }) => Some((at, what)),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn fields_are_read_in_every_form() {
        let bytes = [
            &[0x08, 0x96, 0x01][..],
            &[0x11, 1, 0, 0, 0, 0, 0, 0, 0],
            &[0x1a, 2, b'h', b'i'],
            &[0x25, 7, 0, 0, 0],
        ]
        .concat();
        let fields: Vec<_> = Fields::of(&bytes).collect();
        assert_eq!(
            fields,
            [
                (1, Field::Varint(150)),
                (2, Field::Fixed64(1)),
                (3, Field::Bytes(b"hi")),
                (4, Field::Fixed32(7))
            ]
        );
    }

    #[test]
    fn what_is_malformed_is_found_with_its_place() {
        assert_eq!(at(&[]), None);
        // Resource spans without content, and a field that nobody knows.
        assert_eq!(at(&[0x0a, 0, 0x78, 1]), None);
        assert_eq!(at(&[0x0a]), Some((0, "it ends early")));
        assert_eq!(at(&[0x0a, 5, 1]), Some((0, "it ends early")));
        assert_eq!(
            at(&[0x0a, 0, 0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
                .unwrap()
                .0,
            2
        );
        assert_eq!(at(&[0x0b]), Some((0, "a field of a form that does not exist")));
        assert_eq!(at(&[0x00]), Some((0, "a field number that does not exist")));
        assert_eq!(at(&[0x08, 0]), Some((0, "a known field has the form of another")));
        // A span whose trace id has three bytes.
        let span = [0x0a, 3, 1, 2, 3];
        let nested = [&[0x0a, 9, 0x12, 7, 0x12, 5][..], &span].concat();
        assert_eq!(at(&nested), Some((6, "an id has another length")));
    }

    #[test]
    fn nesting_is_bounded() {
        // An attribute's value: a list of a list of a list…
        let mut value = vec![0x0a, 0];
        for _ in 0..200 {
            for tag in [0x0a, 0x2a] {
                let mut outer = vec![tag];
                crate::wire::varint(&mut outer, value.len() as u64);
                outer.extend_from_slice(&value);
                value = outer;
            }
        }
        let deep = check(&value, &schema::ANY_VALUE);
        assert!(
            matches!(deep, Err(Error::Malformed { what: "it is nested too deep", .. })),
            "{deep:?}"
        );
    }
}
