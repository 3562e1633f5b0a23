//! Request bodies to spans. A body is decoded whole or refused whole; what comes out borrows its strings from the body by their place.
//!
//! The decoders are liberal where tracers are known to differ (any width of number, bin for str, nil, times as floats) and bounded
//! everywhere: what a length claims is checked against the bytes that are there before anything is allocated for it.

mod error;
mod json;
mod msgpack;
mod numbered;
pub mod otlp;
mod strict;
mod v04;
mod v05;
mod v07;
mod v10;

pub use self::error::Error;

use crate::limits::BODY_SPANS_MAX;
use crate::trace::keys::Keys;
use crate::trace::model::Body;

/// What reading a value gives. The error is behind a pointer, so that a result fits two registers.
type Fallible<T> = Result<T, Box<Error>>;

/// The version in the path of a trace request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiVersion {
    /// `/v0.1/traces` and `/spans`: a flat list of spans, JSON only.
    V01,
    /// `/v0.2/traces`: JSON only.
    V02,
    /// `/v0.3/traces`.
    V03,
    /// `/v0.4/traces`.
    V04,
    /// `/v0.5/traces`: a string table first, msgpack only.
    V05,
    /// `/v0.7/traces`: a payload with its own values around the chunks, msgpack only.
    V07,
    /// `/v1.0/traces`: a payload whose strings are written where they come first, msgpack only. One tracer sends v0.4 arrays there.
    V10,
}

/// The form a body has, which the agent marks on each span that it converts (`_dd.convertedv1`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A flat JSON list of spans.
    V01Json,
    /// JSON arrays of arrays of spans.
    V04Json,
    /// msgpack arrays of arrays of maps.
    #[default]
    V04,
    /// msgpack with a string table.
    V05,
    /// OTLP, through v0.4.
    Otlp,
    /// msgpack with values of the payload and of chunks around v0.4 spans.
    V07,
    /// msgpack with a string table that grows while it is read, and with numbers for names of fields.
    V10,
}

impl Form {
    /// Whether the agent first reads it into its older structures and then converts those: it is JSON or v0.7. Some rules differ then.
    pub fn is_rebuilt(self) -> bool {
        matches!(self, Self::V01Json | Self::V04Json | Self::V07)
    }

    /// The marker that the agent puts on each span that it converts (of v0.5, on the body's first span alone; of OTLP, on none).
    pub fn marker(self) -> Option<&'static str> {
        match self {
            Self::V01Json => Some("v01-json"),
            Self::V04Json => Some("v04-json"),
            Self::V04 => Some("v04"),
            Self::V05 => Some("v05"),
            Self::V07 => Some("v07-pb"),
            Self::V10 | Self::Otlp => None,
        }
    }
}

/// What the Content-Type says, in the agent's reading of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    Json,
    Msgpack,
    Other,
}

/// Decodes `bytes`, which came for `version` with the header `content_type`, into `body`. Whether it is v0.4 or v0.5 is decided by the
/// body itself, because tracers send v0.4 bodies to other paths.
///
/// # Errors
/// When the body is malformed in a way that the agent refuses too. `body` is then of no use.
pub fn decode(
    version: ApiVersion,
    content_type: Option<&str>,
    bytes: &[u8],
    keys: &Keys,
    body: &mut Body,
) -> Fallible<()> {
    let media = media(content_type);
    match (version, media) {
        (ApiVersion::V01 | ApiVersion::V02, Media::Msgpack) => {
            Err(Box::new(Error::UnsupportedMedia))
        }
        (ApiVersion::V01, _) => json::decode(bytes, Form::V01Json, keys, body),
        (ApiVersion::V02, _) => json::decode(bytes, Form::V04Json, keys, body),
        (ApiVersion::V05, _) => v05::decode(bytes, keys, body),
        (ApiVersion::V07, _) => v07::decode(bytes, keys, body),
        (ApiVersion::V10, _) if is_array(bytes) => v04_or_v05(bytes, keys, body),
        (ApiVersion::V10, _) => v10::decode(bytes, keys, body),
        (ApiVersion::V03 | ApiVersion::V04, Media::Msgpack) => v04_or_v05(bytes, keys, body),
        // A msgpack array can't be the start of a JSON text, so the header need not be right.
        (ApiVersion::V03 | ApiVersion::V04, _) if is_array(bytes) => v04_or_v05(bytes, keys, body),
        (ApiVersion::V03 | ApiVersion::V04, Media::Json) => {
            json::decode(bytes, Form::V04Json, keys, body)
        }
        (ApiVersion::V03 | ApiVersion::V04, Media::Other) => {
            json::decode(bytes, Form::V04Json, keys, body).map_err(|_| Box::new(Error::Truncated))
        }
    }
}

/// Puts a span or a chunk at the end of its list unless there are too many: one that is a byte in the body takes a hundred here.
#[inline(always)]
fn push<T>(list: &mut Vec<T>, what: &'static str, item: T) -> Fallible<()> {
    if list.len() >= BODY_SPANS_MAX {
        return Err(too_large(what, BODY_SPANS_MAX));
    }
    list.push(item);
    Ok(())
}

#[cold]
fn too_large(what: &'static str, max: usize) -> Box<Error> {
    Box::new(Error::TooLarge { what, max })
}

/// A v0.5 body in the place of a v0.4 one is told by its second element: there `[[strings…], [traces…]]` has a string first.
fn v04_or_v05(bytes: &[u8], keys: &Keys, body: &mut Body) -> Fallible<()> {
    if v05::looks_like(bytes) {
        v05::decode(bytes, keys, body)
    } else {
        v04::decode(bytes, keys, body)
    }
}

/// Whether the first byte is that of a msgpack array.
fn is_array(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x90..=0x9f | 0xdc | 0xdd))
}

/// A missing header or one that can't be parsed counts as JSON, as in the agent.
fn media(content_type: Option<&str>) -> Media {
    let Some(text) = content_type else { return Media::Json };
    let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/msgpack" => Media::Msgpack,
        "" | "application/json" | "text/json" => Media::Json,
        other if !is_media_type(other) => Media::Json,
        _ => Media::Other,
    }
}

fn is_media_type(text: &str) -> bool {
    let is_token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    text.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub))
        || is_token(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BODY_ITEMS_MAX;

    /// An array of msgpack that says it has `items`.
    fn array(items: usize) -> [u8; 5] {
        let [a, b, c, d] = u32::try_from(items).unwrap().to_be_bytes();
        [0xdd, a, b, c, d]
    }

    fn refusal(bytes: &[u8]) -> Error {
        let mut body = Body::default();
        *decode(ApiVersion::V04, None, bytes, &Keys::new([], [], []), &mut body).unwrap_err()
    }

    #[test]
    fn a_small_body_of_very_many_spans_is_refused() {
        let spans = [&[0x91][..], &array(BODY_SPANS_MAX + 1), &vec![0x80; BODY_SPANS_MAX + 1]];
        let refusal = refusal(&spans.concat());
        assert_eq!(refusal, Error::TooLarge { what: "spans", max: BODY_SPANS_MAX });
        assert_eq!(refusal.status(), 413);
    }

    #[test]
    fn a_small_json_body_of_very_many_spans_is_refused() {
        let list = |item: &str, count: usize| format!("[[{}]]", vec![item; count].join(","));
        let read = |text: &str| {
            let (mut body, keys) = (Body::default(), Keys::new([], [], []));
            let json = Some("application/json");
            decode(ApiVersion::V04, json, text.as_bytes(), &keys, &mut body)?;
            Ok::<usize, Box<Error>>(body.spans.len())
        };
        let what = "lists and maps";
        for item in ["{}", "null", "{\"span_links\":[{}]}"] {
            let refusal = read(&list(item, BODY_SPANS_MAX)).unwrap_err();
            assert_eq!(*refusal, Error::TooLarge { what, max: BODY_SPANS_MAX }, "{item}");
            assert_eq!(refusal.status(), 413);
        }
        // What is in a text is only that.
        let text = format!("{{\"name\":\"n\\\"{}\"}}", "[{n".repeat(BODY_SPANS_MAX));
        assert_eq!(read(&list(&text, 1)).unwrap(), 1);
    }

    #[test]
    fn a_small_body_of_very_many_chunks_is_refused() {
        let chunks = [&array(BODY_SPANS_MAX + 1)[..], &vec![0x90; BODY_SPANS_MAX + 1]];
        assert_eq!(
            refusal(&chunks.concat()),
            Error::TooLarge { what: "chunks", max: BODY_SPANS_MAX }
        );
    }

    #[test]
    fn a_small_body_of_very_many_items_is_refused() {
        let items = [array(BODY_ITEMS_MAX), array(BODY_ITEMS_MAX)].concat();
        let body = [items, vec![0x90; BODY_ITEMS_MAX]].concat();
        let max = BODY_ITEMS_MAX;
        assert_eq!(refusal(&body), Error::TooLarge { what: "items in arrays and maps", max });
    }
}
