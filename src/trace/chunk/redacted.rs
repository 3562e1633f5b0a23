//! Spans whose texts are hidden or replaced: their changed texts enter the string table, those they had do not.

use std::borrow::Cow;

use super::{Context, Ready, ReadyValue, SpanKind, Work};
use crate::trace::keys::Meaning;
use crate::trace::model::{Attribute, Span, Value};
use crate::trace::normalise;
use crate::trace::redact::{Redactor, Scalar, SpanType};
use crate::trace::strings::Ref;
use crate::trace::table::{Table, as_text};
use crate::trace::value_text::value_text;

/// The tag that names the database, which some modes of SQL read.
const DATABASE: &[u8] = b"db.type";

/// The tag for the tables of a query, where a feature asks for them.
const TABLES: &[u8] = b"sql.tables";

impl Work {
    /// Takes the attribute at `position` of a span, which the redactor wants to see.
    #[inline(never)]
    pub(super) fn take_redacted(
        &mut self,
        position: usize,
        index: usize,
        ready: &mut Ready,
        table: &mut Table,
        context: &Context<'_>,
        redactor: &mut Redactor,
    ) {
        let span = &context.body.spans[index];
        let source = context.source;
        let attribute = &context.body.attributes[span.attributes.range()][position];
        let class = attribute.class;
        let is_cut = class.is_long() && matches!(attribute.value, Value::Text(_));
        let key = if is_cut {
            table.long_key(attribute.key, source)
        } else {
            table.key(position, attribute.key, source)
        };
        let name = table.strings.get(key);
        let kind = SpanType::of(span.kind.of(source));
        let database = database(redactor, kind, span, context);
        let changed = match attribute.value {
            Value::Text(text) => {
                let text = as_text(text.of(source));
                let Some(text) = normal(class.meaning, &text) else { return };
                let changed = redactor.text(kind, class, name, &text, &database);
                changed.map(|scalar| ready_value(table, &scalar))
            }
            Value::Number(number) => redactor
                .number(kind, class, name, number, &database)
                .map(|scalar| ready_value(table, &scalar)),
            other => {
                let text = value_text(other, context.body, source);
                match redactor.bytes(kind, class, name, &text, &database) {
                    Some(Scalar::Text(same)) if same == text => Some(match other {
                        Value::Int(int) => ReadyValue::Int(int),
                        other => ReadyValue::Other(other),
                    }),
                    changed => changed.map(|scalar| ready_value(table, &scalar)),
                }
            }
        };
        // The span's own field has the text as it came, whatever becomes of the attribute.
        let is_field = class.meaning.has_field();
        if let Value::Text(text) = attribute.value
            && is_field
        {
            let raw = table.intern(text, source);
            self.note_text(class.meaning, raw, ready, table, context);
        }
        let Some(value) = changed else { return };
        if is_field {
            if !context.body.form.is_rebuilt() {
                self.list(class, (key, value), ready, table, context);
                self.attributes.push((key, value));
            }
            return;
        }
        self.attributes.push((key, value));
        if !self.note_last(class, ready, table, context) {
            self.attributes.pop();
        }
    }

    /// The resource as it is sent: hidden, cut, replaced. An empty one is the name.
    #[inline(always)]
    pub(super) fn resource(
        &mut self,
        span: &Span,
        ready: &Ready,
        table: &mut Table,
        context: &Context<'_>,
        redactor: &mut Redactor,
    ) -> Ref {
        let (source, bytes_max) = (context.source, context.rules.resource_bytes_max);
        let kind = SpanType::of(span.kind.of(source));
        let rules_apply = !redactor.rules.is_empty();
        if !kind.hides_resource() && !rules_apply {
            return match table.resource(span.resource, source, bytes_max) {
                0 => ready.name,
                resource => resource,
            };
        }
        let resource = if span.resource.is_empty() {
            Cow::Owned(table.strings.get(ready.name).to_owned())
        } else {
            as_text(span.resource.of(source))
        };
        let database = database(redactor, kind, span, context);
        let resource = redactor.whole_resource(kind, &resource, &database, bytes_max);
        table.strings.intern(resource.as_bytes())
    }

    /// Adds `sql.tables` where the user wants the tables of queries named and the resource just hidden names some.
    #[inline(always)]
    pub(super) fn add_tables(&mut self, kind: SpanType, table: &mut Table, redactor: &Redactor) {
        let tables = redactor.tables();
        if kind == SpanType::Sql && !tables.is_empty() {
            let key = table.strings.intern(TABLES);
            let value = table.strings.intern(tables.as_bytes());
            self.attributes.push((key, ReadyValue::Text(value)));
        }
    }

    /// Applies replace rules to the fields of a span that attributes have given it.
    pub(super) fn replace_fields(
        &self,
        span: &Span,
        ready: &mut Ready,
        table: &mut Table,
        context: &Context<'_>,
        redactor: &Redactor,
    ) {
        let attributes = &context.body.attributes[span.attributes.range()];
        let texts = |meaning: Meaning| {
            let found = attributes.iter().rfind(|attribute| attribute.class.meaning == meaning)?;
            match found.value {
                Value::Text(text) => Some(as_text(text.of(context.source))),
                _ => None,
            }
        };
        for (key, meaning) in [
            ("env", Meaning::Env),
            ("version", Meaning::Version),
            ("component", Meaning::Component),
        ] {
            let field = match meaning {
                Meaning::Env => &mut ready.env,
                Meaning::Version => &mut ready.version,
                _ => &mut ready.component,
            };
            let text = table.strings.get(*field);
            if let Some(new) = redactor.rules.field(key, text, texts(meaning).as_deref()) {
                *field = table.strings.intern(new.as_bytes());
            }
        }
        let named = texts(Meaning::SpanKind);
        let kind = redactor.rules.field("span.kind", ready.span_kind.name(), named.as_deref());
        // A word that names no kind changes nothing.
        let kind = kind.map(|kind| (SpanKind::parse(kind.as_bytes()), kind));
        if let Some((kind, _)) = kind.filter(|(kind, text)| kind.name() == text) {
            ready.span_kind = kind;
        }
    }
}

/// A text in its normal form, where rules want one; nothing where the attribute is dropped for having none.
fn normal(meaning: Meaning, text: &str) -> Option<Cow<'_, str>> {
    match meaning {
        Meaning::PeerService | Meaning::BaseService => Some(normalise::peer_service(text)),
        Meaning::HttpStatus if !normalise::is_valid_status_code(text) => None,
        _ => Some(Cow::Borrowed(text)),
    }
}

fn ready_value(table: &mut Table, scalar: &Scalar<'_>) -> ReadyValue {
    match scalar {
        Scalar::Text(text) => ReadyValue::Text(table.strings.intern(text.as_bytes())),
        Scalar::Int(int) => ReadyValue::Int(*int),
        Scalar::Double(double) => ReadyValue::Number(*double),
    }
}

/// The value of `db.type`, where it matters.
pub(super) fn database<'a>(
    redactor: &Redactor,
    kind: SpanType,
    span: &Span,
    context: &Context<'a>,
) -> Cow<'a, str> {
    if kind != SpanType::Sql || !redactor.reads_dialects() {
        return Cow::Borrowed("");
    }
    // In the older form numbers and bytes are other maps.
    let is_it = |attribute: &&Attribute| {
        attribute.key.of(context.source) == DATABASE
            && (!context.is_older() || matches!(attribute.value, Value::Text(_)))
    };
    let found = context.body.attributes[span.attributes.range()].iter().rfind(is_it);
    match found.map(|attribute| attribute.value) {
        Some(Value::Text(text)) => as_text(text.of(context.source)),
        _ => Cow::Borrowed(""),
    }
}
