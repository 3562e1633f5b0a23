//! What rules look for in a span's tags, noted as each tag is taken in.

use super::Draft;
use crate::trace::chunk::{ReadyValue, SpanKind, Work};
use crate::trace::chunk_values::hex;
use crate::trace::keys::{Class, Meaning};
use crate::trace::strings::{Ref, Strings};
use crate::trace::table::Table;

impl Work {
    /// Appends a text as it is sent, and looks at it where some rule looks for it.
    pub(super) fn push_text(
        &mut self,
        class: Class,
        key: Ref,
        text: Ref,
        draft: &mut Draft,
        table: &mut Table,
    ) {
        self.attributes.push((key, ReadyValue::Text(text)));
        if class.is_none() {
            return;
        }
        if class.span_tag > 0 {
            draft.ready.span_tags |= 1 << (class.span_tag - 1);
        }
        if class.is_peer() {
            self.peers.push((key, text));
        }
        if class.is_primary() {
            self.primaries.push((key, text));
        }
        self.facts.marks.see(class.meaning);
        let notes = &mut draft.ready.notes;
        notes.marks.see(class.meaning);
        let value = table.strings.get(text);
        match class.meaning {
            Meaning::SpanKind => {
                notes.span_kind = text;
                draft.ready.span_kind = kind(value);
            }
            Meaning::TraceIdHigh => {
                if let Some(high) = hex(value) {
                    self.facts.trace_id = u128::from(high) << 64;
                }
            }
            Meaning::HttpStatus => {
                notes.http_status = text;
                draft.see_status(3, status(value));
            }
            Meaning::HttpResponseStatus => draft.see_status(1, status(value)),
            Meaning::GrpcStatus
            | Meaning::GrpcCode
            | Meaning::RpcGrpcStatusCode
            | Meaning::GrpcStatusCode
            | Meaning::RpcResponseStatusCode => {
                draft.see_grpc(grpc_weight(class.meaning, true), text);
            }
            Meaning::BaseService => notes.base_service = (key, text),
            Meaning::ServiceSource => notes.service_source = text,
            Meaning::ErrorMessage => notes.error_message = text,
            Meaning::ErrorType => notes.error_type = text,
            Meaning::HttpUrl
            | Meaning::TcpRemoteHost
            | Meaning::TcpRemotePort
            | Meaning::DnsAddress => notes.note_call(class.meaning, value),
            _ => {}
        }
    }

    /// The same of a number. On no list of tags that stats are grouped by is a number.
    pub(super) fn push_number(
        &mut self,
        class: Class,
        key: Ref,
        number: f64,
        draft: &mut Draft,
        table: &mut Table,
    ) {
        self.attributes.push((key, ReadyValue::Number(number)));
        if class.is_none() {
            return;
        }
        self.facts.marks.see(class.meaning);
        draft.ready.notes.marks.see(class.meaning);
        match class.meaning {
            Meaning::HttpStatus => draft.see_status(4, whole(number)),
            Meaning::HttpResponseStatus => draft.see_status(2, whole(number)),
            Meaning::GrpcStatus
            | Meaning::GrpcCode
            | Meaning::RpcGrpcStatusCode
            | Meaning::GrpcStatusCode
            | Meaning::RpcResponseStatusCode => {
                if let Some(code) = whole(number) {
                    let text = table.strings.intern(code.to_string().as_bytes());
                    draft.see_grpc(grpc_weight(class.meaning, false), text);
                }
            }
            // Of the chunk, and the root's counts first.
            Meaning::Priority => {}
            meaning => {
                self.note_number(meaning, ReadyValue::Number(number), &mut draft.ready, table);
            }
        }
    }

    /// Whether the span that is being taken in, whose attributes start at `from`, says that it is a gRPC call. Without that
    /// `rpc.response.status_code` is the status of something else.
    pub(in crate::trace::chunk) fn is_grpc(&self, from: usize, strings: &Strings) -> bool {
        let text = |key: &str| {
            let found = self.attributes[from..].iter().rev().find_map(|(own, value)| match value {
                ReadyValue::Text(text) if strings.get(*own) == key => Some(strings.get(*text)),
                _ => None,
            });
            found.filter(|text| !text.is_empty())
        };
        text("rpc.system.name").or_else(|| text("rpc.system")) == Some("grpc")
    }
}

impl Draft {
    fn see_status(&mut self, weight: u8, code: Option<i64>) {
        if let Some(code) = code
            && weight >= self.status.0
        {
            self.status = (weight, code);
        }
    }

    fn see_grpc(&mut self, weight: u16, text: Ref) {
        if text != 0 && weight >= self.grpc.0 {
            self.grpc = (weight, text);
        }
    }
}

/// The kind in any case. None is as good as internal; another word is none of them.
fn kind(text: &str) -> SpanKind {
    match text.to_ascii_lowercase().as_str() {
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        "internal" | "" => SpanKind::Internal,
        _ => SpanKind::Unspecified,
    }
}

/// How far before the end of the gRPC keys' order a key stands; its text goes before its number.
pub(super) fn grpc_weight(key: Meaning, is_text: bool) -> u16 {
    2 * u16::from(u8::MAX - key as u8) + u16::from(is_text)
}

/// A status that is a text.
fn status(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| whole(text.parse().ok()?))
}

/// A number that has no fraction.
#[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
fn whole(number: f64) -> Option<i64> {
    // 2^63 is the first double that does not fit.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (number.fract() == 0.0 && (-LIMIT..LIMIT).contains(&number)).then_some(number as i64)
}
