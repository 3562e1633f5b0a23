//! One record as an entry.

use super::attributes::Members;
use super::severity;
use crate::trace::decode::otlp::text::{self, Markup};
use crate::trace::decode::otlp::value::{Attribute, Value, text_of};
use crate::trace::decode::otlp::wire::Fields;

/// A record, read once; its attributes stay as they came.
#[derive(Debug, Default)]
pub(super) struct Record<'a> {
    time_ns: u64,
    observed_ns: u64,
    severity_number: u64,
    severity_text: &'a [u8],
    body: Value<'a>,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    attributes: Vec<Attribute<'a>>,
}

/// What attributes say that has a place of its own.
#[derive(Debug, Default)]
struct Known {
    message: Option<String>,
    status: String,
    tags: String,
    trace_id: Vec<u8>,
    span_id: Vec<u8>,
    pub(super) host: String,
    service: String,
}

impl<'a> Record<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let mut record = Self::default();
        for (number, field) in Fields::of(bytes) {
            match number {
                1 => record.time_ns = field.number(),
                2 => record.severity_number = field.number(),
                3 => record.severity_text = field.bytes(),
                5 => record.body = Value::of(field.bytes()),
                6 => record.attributes.push(Attribute::of(field.bytes())),
                9 => record.trace_id = field.bytes(),
                10 => record.span_id = field.bytes(),
                11 => record.observed_ns = field.number(),
                _ => {}
            }
        }
        record
    }

    /// When it was made, or seen; milliseconds since 1970.
    fn time_ms(&self, now_ms: u64) -> u64 {
        match (self.time_ns, self.observed_ns) {
            (0, 0) => now_ms,
            (0, time_ns) | (time_ns, _) => time_ns / 1_000_000,
        }
    }
}

/// What a resource says of all its records.
#[derive(Debug, Default)]
pub(super) struct Source<'a> {
    /// Its host and service, where it says them, else those of the settings.
    pub(super) host: &'a str,
    pub(super) service: &'a str,
    pub(super) default_host: &'a str,
    pub(super) default_service: &'a str,
    /// Tags joined by commas.
    pub(super) tags: &'a str,
    /// Attributes of the resource and of the library.
    pub(super) attributes: [&'a [Attribute<'a>]; 2],
}

/// Writes the entry of a record that came at `now_ms`.
pub(super) fn write(
    out: &mut String,
    members: &mut Members,
    record: &Record<'_>,
    source: &Source<'_>,
    now_ms: u64,
) {
    let known = Known::of(&record.attributes);
    let message = known.message.clone().unwrap_or_else(|| record.body.to_text().into_owned());
    let severity_text = text_of(record.severity_text);
    let status = severity::status(&known.status, &severity_text, record.severity_number);
    out.push_str("{\"message\":");
    text::quote(out, &message, Markup::Kept);
    out.push_str(",\"status\":");
    text::quote(out, status, Markup::Kept);
    out.push_str(",\"timestamp\":");
    out.push_str(&record.time_ms(now_ms).to_string());
    let first = |texts: [&str; 3]| {
        texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default().to_owned()
    };
    members.clear();
    let host = first([source.host, &known.host, source.default_host]);
    let service = first([source.service, &known.service, source.default_service]);
    let tags = match (source.tags, known.tags.as_str()) {
        (tags, "") | ("", tags) => tags.to_owned(),
        (tags, own) => format!("{tags},{own}"),
    };
    for (key, value) in [
        ("hostname", host.as_str()),
        ("service", &service),
        ("ddsource", "otlp_log_ingestion"),
        ("ddtags", &tags),
    ] {
        members.text(out, key, value);
    }
    ids(out, members, record, &known);
    times(out, members, record, &severity_text);
    let own = record.attributes.iter().filter(|attribute| !is_known(&attribute.key));
    for attribute in own.chain(source.attributes.into_iter().flatten()) {
        members.attribute(out, attribute);
    }
    out.push('}');
}

/// The ids of trace and span, in OpenTelemetry's form and in Datadog's: a decimal number of the last eight bytes.
fn ids(out: &mut String, members: &mut Members, record: &Record<'_>, known: &Known) {
    for (name, of_record, of_attribute) in [
        ("trace_id", record.trace_id, &known.trace_id),
        ("span_id", record.span_id, &known.span_id),
    ] {
        let is_set = |id: &&[u8]| id.iter().any(|byte| *byte != 0);
        let found = [of_record, of_attribute.as_slice()].into_iter().find(is_set);
        let Some((id, low)) = found.and_then(|id| Some((id, id.last_chunk::<8>()?))) else {
            continue;
        };
        let mut digits = String::with_capacity(32);
        text::hexadecimal(&mut digits, id);
        members.text(out, &format!("otel.{name}"), &digits);
        members.text(out, &format!("dd.{name}"), &u64::from_be_bytes(*low).to_string());
    }
}

/// The severity and the time as they came.
fn times(out: &mut String, members: &mut Members, record: &Record<'_>, severity_text: &str) {
    if !severity_text.is_empty() {
        members.text(out, "otel.severity_text", severity_text);
    }
    if record.severity_number != 0 {
        members.text(out, "otel.severity_number", &record.severity_number.to_string());
    }
    if record.time_ns != 0 {
        members.text(out, "otel.timestamp", &record.time_ns.to_string());
        members.text(out, "@timestamp", &date(record.time_ns / 1_000_000));
    }
}

/// What an attribute with this key is; nothing of one that has no place of its own.
fn meaning(key: &str) -> Option<Meaning> {
    const KEYS: [(&str, Meaning); 16] = [
        ("msg", Meaning::Message),
        ("message", Meaning::Message),
        ("log", Meaning::Message),
        ("status", Meaning::Status),
        ("severity", Meaning::Status),
        ("level", Meaning::Status),
        ("syslog.severity", Meaning::Status),
        ("traceid", Meaning::TraceId),
        ("trace_id", Meaning::TraceId),
        ("contextmap.traceid", Meaning::TraceId),
        ("oteltraceid", Meaning::TraceId),
        ("spanid", Meaning::SpanId),
        ("span_id", Meaning::SpanId),
        ("contextmap.spanid", Meaning::SpanId),
        ("otelspanid", Meaning::SpanId),
        ("ddtags", Meaning::Tags),
    ];
    KEYS.iter().find(|(own, _)| key.eq_ignore_ascii_case(own)).map(|(_, meaning)| *meaning)
}

#[derive(Clone, Copy, Debug)]
enum Meaning {
    Message,
    Status,
    TraceId,
    SpanId,
    Tags,
}

fn is_known(key: &str) -> bool {
    meaning(key).is_some()
}

impl Known {
    fn of(attributes: &[Attribute<'_>]) -> Self {
        let mut known = Self::default();
        for attribute in attributes {
            let text = || attribute.value.to_text().into_owned();
            match meaning(&attribute.key) {
                Some(Meaning::Message) => known.message = Some(text()),
                Some(Meaning::Status) => known.status = text(),
                Some(Meaning::TraceId) => known.trace_id = id(&text(), 16),
                Some(Meaning::SpanId) => known.span_id = id(&text(), 8),
                Some(Meaning::Tags) => known.tags = text(),
                None if attribute.key == "host.name" => known.host = text(),
                None if attribute.key == "service.name" => known.service = text(),
                None => {}
            }
        }
        known
    }
}

/// The bytes of an id in hexadecimal; none where it is no such id.
fn id(text: &str, bytes: usize) -> Vec<u8> {
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Option<Vec<u8>> = text.as_bytes().iter().map(digit).collect();
    match digits {
        Some(digits) if digits.len() == 2 * bytes => {
            digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect()
        }
        _ => Vec::new(),
    }
}

/// A time in milliseconds since 1970 as a date (RFC 3339), in UTC.
fn date(time_ms: u64) -> String {
    let (days, ms) = (time_ms / 86_400_000, time_ms % 86_400_000);
    // Years that begin in March, so that the leap day is the last one; days are counted from the year 0.
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + later;
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!(
        "{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        ms % 1000
    )
}

#[cfg(test)]
mod tests {
    use super::{date, id};

    #[test]
    fn times_are_dates() {
        for (time_ms, expect) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_700_000_000_999, "2023-11-14T22:13:20.999Z"),
            (4_102_444_799_000, "2099-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(date(time_ms), expect);
        }
    }

    #[test]
    fn ids_have_their_length() {
        assert_eq!(id("00fF", 2), [0, 255]);
        for wrong in ["00f", "00ff00", "00fg", ""] {
            assert!(id(wrong, 2).is_empty(), "{wrong}");
        }
    }
}
