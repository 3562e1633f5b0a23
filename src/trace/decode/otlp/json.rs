//! JSON bodies, read by the schema and written as protobuf, which all the rest works on: few clients send them, and the protobuf form is never
//! larger. The mapping is OTLP's own: ids in hexadecimal, bytes in base64, enums by name or number, whole numbers as numbers or as text.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::schema::{FieldSpec, Kind, Message};
use super::{Error, Fallible};
use crate::wire;

/// Writes the JSON text `bytes`, which is a message of this kind, as protobuf. What follows it is ignored.
///
/// # Errors
/// When it is no JSON, or a known field has a value that does not fit it. Fields that are not known may have any.
pub(crate) fn transcode(bytes: &[u8], message: &'static Message) -> Fallible<Vec<u8>> {
    let text = String::from_utf8_lossy(bytes);
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut reader = serde_json::Deserializer::from_str(&text);
    let object = Content { message, out: &mut out };
    object.deserialize(&mut reader).map_err(|error| Error::Json(error.to_string()))?;
    Ok(out)
}

/// The content of a message, an object.
struct Content<'a> {
    message: &'static Message,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Content<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Content<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the fields of {}", self.message.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Self { message, out } = self;
        while let Some(field) = object.next_key_seed(Name(message))? {
            match field {
                Some(field) => {
                    object.next_value_seed(Filled { field, in_list: false, out: &mut *out })?
                }
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A field's name, looked up without a copy of it.
struct Name(&'static Message);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static FieldSpec>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static FieldSpec>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.named(name))
    }
}

/// A field with its value, or one of its values.
struct Filled<'a> {
    field: &'static FieldSpec,
    in_list: bool,
    out: &'a mut Vec<u8>,
}

const VARINT: u32 = 0;
const EIGHT_BYTES: u32 = 1;
const LENGTH: u32 = 2;
const FOUR_BYTES: u32 = 5;

impl Filled<'_> {
    fn tag(&mut self, form: u32) {
        wire::varint(self.out, u64::from(self.field.number << 3 | form));
    }

    fn varint(&mut self, value: u64) {
        self.tag(VARINT);
        wire::varint(self.out, value);
    }

    fn eight_bytes(&mut self, value: u64) {
        self.tag(EIGHT_BYTES);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    fn four_bytes(&mut self, value: u32) {
        self.tag(FOUR_BYTES);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A whole number with its sign: small ones are short, with the sign in the lowest bit.
    fn signed(&mut self, value: i64) {
        self.varint((value << 1 ^ value >> 63).cast_unsigned());
    }

    fn bytes(&mut self, content: &[u8]) {
        self.tag(LENGTH);
        wire::varint(self.out, content.len() as u64);
        self.out.extend_from_slice(content);
    }

    fn unfit<E: serde::de::Error>(&self, what: &str) -> E {
        E::custom(format_args!("{}: {what}", self.field.name))
    }
}

impl<'de> DeserializeSeed<'de> for Filled<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Filled<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value that fits {}", self.field.name)
    }

    /// Null: as if the field were not there. In a list it is a value without content.
    fn visit_unit<E: serde::de::Error>(mut self) -> Result<(), E> {
        if self.in_list && matches!(self.field.kind, Kind::Message(_)) {
            self.bytes(&[]);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let Self { field, in_list, out } = self;
        if !field.is_list || in_list {
            return Err(A::Error::custom(format_args!("{}: a list", field.name)));
        }
        while values.next_element_seed(Filled { field, in_list: true, out: &mut *out })?.is_some() {
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, object: A) -> Result<(), A::Error> {
        match self.field.kind {
            Kind::Message(message) if self.in_list || !self.field.is_list => {
                self.tag(LENGTH);
                let length = wire::open_length(self.out);
                Content { message, out: &mut *self.out }.visit_map(object)?;
                wire::close(self.out, length);
                Ok(())
            }
            Kind::Time | Kind::Long => {
                let time = halves(object)?;
                self.eight_bytes(time);
                Ok(())
            }
            _ => Err(self.unfit("an object")),
        }
    }

    fn visit_bool<E: serde::de::Error>(mut self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool => self.varint(u64::from(value)),
            _ => return Err(self.unfit("a boolean")),
        }
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(mut self, value: u64) -> Result<(), E> {
        match self.field.kind {
            Kind::Time => self.eight_bytes(value),
            #[expect(clippy::cast_precision_loss, reason = "the field is a double")]
            Kind::Double => self.eight_bytes((value as f64).to_bits()),
            Kind::Int | Kind::Enum(_) if i64::try_from(value).is_ok() => self.varint(value),
            Kind::Long if i64::try_from(value).is_ok() => self.eight_bytes(value),
            Kind::Signed if i32::try_from(value).is_ok() => self.signed(value.cast_signed()),
            Kind::Word if u32::try_from(value).is_ok() => {
                self.four_bytes(u32::try_from(value).unwrap_or_default());
            }
            _ => return Err(self.unfit("a number that does not fit")),
        }
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(mut self, value: i64) -> Result<(), E> {
        match self.field.kind {
            Kind::Int | Kind::Enum(_) => self.varint(value.cast_unsigned()),
            Kind::Long => self.eight_bytes(value.cast_unsigned()),
            Kind::Signed if i32::try_from(value).is_ok() => self.signed(value),
            Kind::Time | Kind::Word if value >= 0 => return self.visit_u64(value.cast_unsigned()),
            #[expect(clippy::cast_precision_loss, reason = "the field is a double")]
            Kind::Double => self.eight_bytes((value as f64).to_bits()),
            _ => return Err(self.unfit("a number that does not fit")),
        }
        Ok(())
    }

    /// A number with a fraction or an exponent. JavaScript writes whole ones above 10^21 in this way too.
    fn visit_f64<E: serde::de::Error>(mut self, value: f64) -> Result<(), E> {
        let is_whole = value.fract() == 0.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "the value is whole and within the bounds"
        )]
        match self.field.kind {
            Kind::Double => self.eight_bytes(value.to_bits()),
            Kind::Int | Kind::Enum(_) if is_whole && value.abs() < i64::MAX as f64 => {
                self.varint((value as i64).cast_unsigned());
            }
            Kind::Long | Kind::Signed | Kind::Word if is_whole && value.abs() < i64::MAX as f64 => {
                return self.visit_i64(value as i64);
            }
            Kind::Time if is_whole && (0.0..u64::MAX as f64).contains(&value) => {
                self.eight_bytes(value as u64);
            }
            _ => return Err(self.unfit("a number that does not fit")),
        }
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<(), E> {
        let content = match self.field.kind {
            Kind::Text => {
                self.bytes(text.as_bytes());
                return Ok(());
            }
            Kind::Bytes => base64(text),
            Kind::Id(length) => hexadecimal(text).filter(|id| id.is_empty() || id.len() == length),
            Kind::Enum(names) => {
                let number = names.iter().position(|name| *name == text);
                let number = number.ok_or_else(|| self.unfit("an unknown name"))?;
                return self.visit_u64(number as u64);
            }
            Kind::Int | Kind::Long | Kind::Signed | Kind::Word => {
                let number = text.parse().map_err(|_| self.unfit::<E>("no whole number"))?;
                return self.visit_i64(number);
            }
            Kind::Time => {
                let time = text.parse().map_err(|_| self.unfit::<E>("no time"))?;
                return self.visit_u64(time);
            }
            Kind::Double => {
                let number = double(text).ok_or_else(|| self.unfit::<E>("no number"))?;
                return self.visit_f64(number);
            }
            Kind::Bool | Kind::Message(_) => None,
        };
        let content = content.ok_or_else(|| self.unfit("a text that does not fit"))?;
        self.bytes(&content);
        Ok(())
    }
}

/// A time in two halves of 32 bits, `{"low":…,"high":…}`, as encoders without whole numbers of 64 bits write it.
fn halves<'de, A: MapAccess<'de>>(mut object: A) -> Result<u64, A::Error> {
    let (mut low, mut high) = (0_i64, 0_i64);
    while let Some(name) = object.next_key::<String>()? {
        match name.as_str() {
            "low" => low = object.next_value()?,
            "high" => high = object.next_value()?,
            _ => drop(object.next_value::<IgnoredAny>()?),
        }
    }
    // Either half may have been written as a signed number.
    let half = |value: i64| value.cast_unsigned() & 0xffff_ffff;
    Ok(half(high) << 32 | half(low))
}

/// A double as text: a number, or one of the words for what JSON has no number for.
fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ if text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) => text.parse().ok(),
        _ => None,
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let digits: Option<Vec<u32>> = text.as_bytes().iter().map(digit).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8))
            .collect(),
    )
}

/// Both alphabets, with and without `=` at the end.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    // One letter alone has no byte's worth of bits.
    (held < 6).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::schema::{EXPORT_TRACE_REQUEST, KEY_VALUE, SPAN};
    use super::super::wire::{Field, Fields, check};
    use super::{Error, base64, hexadecimal, transcode};

    fn span(json: &str) -> Vec<(u32, String)> {
        let bytes = transcode(json.as_bytes(), &SPAN).unwrap();
        check(&bytes, &SPAN).unwrap();
        Fields::of(&bytes).map(|(number, field)| (number, format!("{field:?}"))).collect()
    }

    fn refusal(json: &str) -> String {
        match transcode(json.as_bytes(), &EXPORT_TRACE_REQUEST) {
            Err(Error::Json(text)) => text,
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn a_field_may_be_written_in_several_ways() {
        let expect = [(7, "Fixed64(17)".to_owned()), (6, "Varint(3)".to_owned())];
        for json in [
            r#"{"startTimeUnixNano":"17","kind":3}"#,
            r#"{"start_time_unix_nano":17,"kind":"SPAN_KIND_CLIENT"}"#,
            r#"{"startTimeUnixNano":{"low":17,"high":0},"kind":3.0}"#,
            r#"{"startTimeUnixNano":1.7e1,"kind":"SPAN_KIND_CLIENT","name":null,"flags":[{"x":1}]} and more"#,
        ] {
            assert_eq!(span(json), expect, "{json}");
        }
        let high = span(r#"{"endTimeUnixNano":{"high":418000000,"low":-1}}"#);
        assert_eq!(high, [(8, format!("Fixed64({})", 418_000_000_u64 << 32 | 0xffff_ffff))]);
    }

    #[test]
    fn values_of_every_kind() {
        for (json, number, expect) in [
            (r#"{"stringValue":"ü"}"#, 1, Field::Bytes("ü".as_bytes())),
            (r#"{"boolValue":true}"#, 2, Field::Varint(1)),
            (r#"{"intValue":"-5"}"#, 3, Field::Varint(-5_i64 as u64)),
            (r#"{"int_value":9007199254740993}"#, 3, Field::Varint(9_007_199_254_740_993)),
            (r#"{"doubleValue":5}"#, 4, Field::Fixed64(5_f64.to_bits())),
            (r#"{"doubleValue":"-Infinity"}"#, 4, Field::Fixed64(f64::NEG_INFINITY.to_bits())),
            (r#"{"bytesValue":"/-8="}"#, 7, Field::Bytes(&[0xff, 0xef])),
            (r#"{"arrayValue":{"values":[null,{}]}}"#, 5, Field::Bytes(&[0x0a, 0, 0x0a, 0])),
            (
                r#"{"kvlistValue":{"values":[{"key":"k"}]}}"#,
                6,
                Field::Bytes(&[0x0a, 3, 0x0a, 1, b'k']),
            ),
        ] {
            let bytes = transcode(format!(r#"{{"value":{json}}}"#).as_bytes(), &KEY_VALUE).unwrap();
            let Some((2, Field::Bytes(value))) = Fields::of(&bytes).next() else {
                panic!("{json}")
            };
            assert_eq!(Fields::of(value).next(), Some((number, expect)), "{json}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_fields_name() {
        let of_span = |field: &str| {
            refusal(&format!(
                r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{field}}}]}}]}}]}}"#
            ))
        };
        for (field, name) in [
            (r#""traceId":"00""#, "traceId"),
            (r#""traceId":"zz""#, "traceId"),
            (r#""traceId":5"#, "traceId"),
            (r#""name":5"#, "name"),
            (r#""name":["a"]"#, "name"),
            (r#""kind":"CLIENT""#, "kind"),
            (r#""startTimeUnixNano":-1"#, "startTimeUnixNano"),
            (r#""startTimeUnixNano":"soon""#, "startTimeUnixNano"),
            (r#""status":[]"#, "status"),
            (r#""attributes":{"key":"k"}"#, "attributes"),
            (r#""attributes":[[]]"#, "attributes"),
            (r#""attributes":[{"key":"k","value":{"boolValue":1}}]"#, "boolValue"),
            (r#""attributes":[{"key":"k","value":{"intValue":18446744073709551615}}]"#, "intValue"),
            (r#""attributes":[{"key":"k","value":{"doubleValue":"inf"}}]"#, "doubleValue"),
        ] {
            let text = of_span(field);
            assert!(text.contains(name), "{field}: {text}");
        }
        for json in ["", "[]", "5", "{", r#"{"resourceSpans":"#, "{\"resourceSpans\":[{]}"] {
            refusal(json);
        }
    }

    #[test]
    fn deep_nesting_is_refused_within_a_small_stack() {
        let deep = format!(
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"k","value":{}"#,
            r#"{"arrayValue":{"values":["#.repeat(100_000)
        );
        let thread = std::thread::Builder::new().stack_size(512 * 1024);
        let text = thread.spawn(move || refusal(&deep)).unwrap().join().unwrap();
        assert!(text.contains("recursion limit"), "{text}");
    }

    #[test]
    fn bytes_in_text() {
        assert_eq!(hexadecimal("00fF").as_deref(), Some(&[0, 255][..]));
        assert_eq!((hexadecimal("0"), hexadecimal("0g")), (None, None));
        assert_eq!(base64("aGk=").as_deref(), Some(&b"hi"[..]));
        assert_eq!(base64("aGk").as_deref(), Some(&b"hi"[..]));
        assert_eq!((base64("a"), base64("a*==")), (None, None));
    }
}
