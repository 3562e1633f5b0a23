//! The messages of OTLP, as far as they are read: names and numbers of their fields. The same tables check protobuf and read JSON.
//! Source: `opentelemetry-proto` 1.x, which adds fields and never changes them.

mod logs;
mod metrics;

pub(crate) use self::logs::EXPORT_LOGS_REQUEST;
pub(crate) use self::metrics::EXPORT_METRICS_REQUEST;

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its name, for people.
    pub(crate) name: &'static str,
    fields: &'static [FieldSpec],
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct FieldSpec {
    /// Its name in JSON: lowerCamelCase. Its name in protobuf, with underscores, is accepted too.
    pub(crate) name: &'static str,
    /// Its number on the wire.
    pub(crate) number: u32,
    /// What it holds.
    pub(crate) kind: Kind,
    /// Whether there may be several: a list in JSON.
    pub(crate) is_list: bool,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// UTF-8.
    Text,
    /// Bytes: base64 in JSON.
    Bytes,
    /// An id of so many bytes, or none: hexadecimal in JSON.
    Id(usize),
    /// A whole number as a varint.
    Int,
    /// A whole number that is not negative, in eight bytes: nanoseconds since 1970, or how many.
    Time,
    /// A whole number with its sign, in eight bytes.
    Long,
    /// A whole number with its sign as a varint that is short for small ones: zigzag.
    Signed,
    /// A whole number that is not negative, in four bytes.
    Word,
    /// A double, in eight bytes.
    Double,
    /// A boolean.
    Bool,
    /// A name or its number; the names stand in the order of their numbers.
    Enum(&'static [&'static str]),
    /// Another message.
    Message(&'static Message),
}

impl Message {
    /// The field of this number, where it is known.
    pub(crate) fn field(&self, number: u32) -> Option<&'static FieldSpec> {
        self.fields.iter().find(|field| field.number == number)
    }

    /// The field of this name in JSON, where it is known.
    pub(crate) fn named(&self, name: &str) -> Option<&'static FieldSpec> {
        self.fields.iter().find(|field| is_same_name(field.name, name))
    }
}

/// Whether `name` is `camel`, or the same words with underscores between them.
fn is_same_name(camel: &str, name: &str) -> bool {
    let mut letters = name.bytes();
    camel.bytes().all(|expect| match letters.next() {
        Some(b'_') => {
            letters.next().is_some_and(|next| next.to_ascii_uppercase() == expect && next != expect)
        }
        found => found == Some(expect),
    }) && letters.next().is_none()
}

const fn one(name: &'static str, number: u32, kind: Kind) -> FieldSpec {
    FieldSpec { name, number, kind, is_list: false }
}

const fn list(name: &'static str, number: u32, message: &'static Message) -> FieldSpec {
    FieldSpec { name, number, kind: Kind::Message(message), is_list: true }
}

/// Several numbers: packed into one field, or a field each.
const fn numbers(name: &'static str, number: u32, kind: Kind) -> FieldSpec {
    FieldSpec { name, number, kind, is_list: true }
}

/// The body of a traces request.
pub(crate) static EXPORT_TRACE_REQUEST: Message = Message {
    name: "ExportTraceServiceRequest",
    fields: &[list("resourceSpans", 1, &RESOURCE_SPANS)],
};

/// Spans of one resource.
pub(crate) static RESOURCE_SPANS: Message = Message {
    name: "ResourceSpans",
    fields: &[one("resource", 1, Kind::Message(&RESOURCE)), list("scopeSpans", 2, &SCOPE_SPANS)],
};

/// What sends: a service, a process, a container.
pub(crate) static RESOURCE: Message =
    Message { name: "Resource", fields: &[list("attributes", 1, &KEY_VALUE)] };

/// Spans of one instrumentation library.
pub(crate) static SCOPE_SPANS: Message = Message {
    name: "ScopeSpans",
    fields: &[one("scope", 1, Kind::Message(&SCOPE)), list("spans", 2, &SPAN)],
};

/// An instrumentation library.
pub(crate) static SCOPE: Message = Message {
    name: "InstrumentationScope",
    fields: &[
        one("name", 1, Kind::Text),
        one("version", 2, Kind::Text),
        list("attributes", 3, &KEY_VALUE),
    ],
};

/// A span.
pub(crate) static SPAN: Message = Message {
    name: "Span",
    fields: &[
        one("traceId", 1, Kind::Id(16)),
        one("spanId", 2, Kind::Id(8)),
        one("traceState", 3, Kind::Text),
        one("parentSpanId", 4, Kind::Id(8)),
        one("name", 5, Kind::Text),
        one("kind", 6, Kind::Enum(&SPAN_KINDS)),
        one("startTimeUnixNano", 7, Kind::Time),
        one("endTimeUnixNano", 8, Kind::Time),
        list("attributes", 9, &KEY_VALUE),
        list("events", 11, &EVENT),
        list("links", 13, &LINK),
        one("status", 15, Kind::Message(&STATUS)),
    ],
};

const SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

/// Something that happened within a span.
pub(crate) static EVENT: Message = Message {
    name: "Span.Event",
    fields: &[
        one("timeUnixNano", 1, Kind::Time),
        one("name", 2, Kind::Text),
        list("attributes", 3, &KEY_VALUE),
        one("droppedAttributesCount", 4, Kind::Int),
    ],
};

/// A link to another span.
pub(crate) static LINK: Message = Message {
    name: "Span.Link",
    fields: &[
        one("traceId", 1, Kind::Id(16)),
        one("spanId", 2, Kind::Id(8)),
        one("traceState", 3, Kind::Text),
        list("attributes", 4, &KEY_VALUE),
        one("droppedAttributesCount", 5, Kind::Int),
    ],
};

/// How a span ended.
pub(crate) static STATUS: Message = Message {
    name: "Status",
    fields: &[
        one("message", 2, Kind::Text),
        one("code", 3, Kind::Enum(&["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"])),
    ],
};

/// An attribute.
pub(crate) static KEY_VALUE: Message = Message {
    name: "KeyValue",
    fields: &[one("key", 1, Kind::Text), one("value", 2, Kind::Message(&ANY_VALUE))],
};

/// An attribute's value: one of these.
pub(crate) static ANY_VALUE: Message = Message {
    name: "AnyValue",
    fields: &[
        one("stringValue", 1, Kind::Text),
        one("boolValue", 2, Kind::Bool),
        one("intValue", 3, Kind::Int),
        one("doubleValue", 4, Kind::Double),
        one("arrayValue", 5, Kind::Message(&ARRAY_VALUE)),
        one("kvlistValue", 6, Kind::Message(&KEY_VALUE_LIST)),
        one("bytesValue", 7, Kind::Bytes),
    ],
};

static ARRAY_VALUE: Message =
    Message { name: "ArrayValue", fields: &[list("values", 1, &ANY_VALUE)] };

static KEY_VALUE_LIST: Message =
    Message { name: "KeyValueList", fields: &[list("values", 1, &KEY_VALUE)] };

#[cfg(test)]
mod tests {
    use super::{SPAN, is_same_name};

    #[test]
    fn names_may_be_written_in_both_ways() {
        assert!(is_same_name("startTimeUnixNano", "startTimeUnixNano"));
        assert!(is_same_name("startTimeUnixNano", "start_time_unix_nano"));
        for other in [
            "starttimeunixnano",
            "start_Time_unix_nano",
            "start_time_unix",
            "start_time_unix_nano_",
            "_start",
            "",
        ] {
            assert!(!is_same_name("startTimeUnixNano", other), "{other}");
        }
        assert_eq!(SPAN.named("parent_span_id").unwrap().number, 4);
        assert!(SPAN.named("flags").is_none());
    }
}
