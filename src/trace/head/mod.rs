//! The payload-level values of a body, read before any of its strings is looked up: from its spans, and in newer forms from its own fields.

mod others;

use std::borrow::Cow;

pub use self::others::OtherAttributes;
use crate::trace::Tracer;
use crate::trace::decode::Form;
use crate::trace::keys::Meaning;
use crate::trace::model::{Attribute, Body, Text, Value};
use crate::trace::normalise;
use crate::trace::payload::Head;
use crate::trace::table::as_text;
use crate::trace::value_text::value_text;

const GIT_COMMIT_SHA: &[u8] = b"_dd.git.commit.sha";
const APM_MODE: &[u8] = b"_dd.apm_mode";
const PROCESS_TAGS: &[u8] = b"_dd.tags.process";
const OTLP_EXPORT: &[u8] = b"_dd.sdk.otlp_export";

/// What a body and its request say of the payload. Of several values of spans the last counts; in JSON and v0.7 the first of the last chunk
/// that has one. Process tags and the export of the tracer are those of the first span alone. What the body has a field for takes precedence.
#[derive(Clone, Debug, Default)]
pub struct BodyFacts<'a> {
    container_id: Cow<'a, str>,
    lang: Cow<'a, str>,
    lang_version: Cow<'a, str>,
    tracer_version: Cow<'a, str>,
    runtime_id: Cow<'a, str>,
    /// Normalised.
    env: Cow<'a, str>,
    hostname: Cow<'a, str>,
    app_version: Cow<'a, str>,
    git_commit_sha: Cow<'a, str>,
    apm_mode: Cow<'a, str>,
    process_tags: Cow<'a, str>,
    otlp_export: Cow<'a, str>,
    others: Option<OtherAttributes>,
}

impl<'a> BodyFacts<'a> {
    /// Reads them. For the older form of payloads (`is_older`) spans are asked later, chunk by chunk, but for the first one's tags of the process
    /// and of the export, which have to be texts.
    pub fn of(body: &Body, source: &'a [u8], tracer: &Tracer<'a>, is_older: bool) -> Self {
        let mut facts = if matches!(body.form, Form::V07 | Form::V10) {
            Self::of_payload(body, source)
        } else {
            Self::of_request(tracer)
        };
        if body.form != Form::V10 && !is_older {
            facts.take_spans(body, source);
        }
        if let Cow::Owned(normal) = normalise::tag_value(&facts.env) {
            facts.env = Cow::Owned(normal);
        }
        let of_payload = |key| of_payload(body, source, key);
        let of_first = |key| of_first_span(body, source, key, is_older);
        facts.process_tags = of_payload(PROCESS_TAGS)
            .or_else(|| of_first(Meaning::ProcessTags))
            .unwrap_or(Cow::Borrowed(tracer.process_tags));
        facts.otlp_export =
            of_payload(OTLP_EXPORT).or_else(|| of_first(Meaning::OtlpExport)).unwrap_or_default();
        facts.others = facts.other_attributes(body, source);
        facts
    }

    /// The values, to be compared with those of the payloads that are open.
    pub fn head(&self) -> Head<'_> {
        Head {
            container_id: &self.container_id,
            lang: &self.lang,
            lang_version: &self.lang_version,
            tracer_version: &self.tracer_version,
            runtime_id: &self.runtime_id,
            env: &self.env,
            hostname: &self.hostname,
            app_version: &self.app_version,
            git_commit_sha: &self.git_commit_sha,
            apm_mode: &self.apm_mode,
            process_tags: &self.process_tags,
            otlp_export: &self.otlp_export,
            container_tags: "",
            others: self.others.as_ref(),
        }
    }

    fn of_request(tracer: &Tracer<'a>) -> Self {
        Self {
            container_id: Cow::Borrowed(tracer.container_id),
            lang: Cow::Borrowed(tracer.lang),
            lang_version: Cow::Borrowed(tracer.lang_version),
            tracer_version: Cow::Borrowed(tracer.version),
            ..Self::default()
        }
    }

    fn of_payload(body: &Body, source: &'a [u8]) -> Self {
        let payload = &body.payload;
        let text = |text: Text| as_text(text.of(source));
        Self {
            container_id: text(payload.container_id),
            lang: text(payload.lang),
            lang_version: text(payload.lang_version),
            tracer_version: text(payload.tracer_version),
            runtime_id: text(payload.runtime_id),
            env: text(payload.env),
            hostname: text(payload.hostname),
            app_version: text(payload.app_version),
            git_commit_sha: of_payload(body, source, GIT_COMMIT_SHA).unwrap_or_default(),
            apm_mode: of_payload(body, source, APM_MODE).unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Takes what spans say, where the payload says nothing.
    fn take_spans(&mut self, body: &Body, source: &'a [u8]) {
        let mut facts = Self::default();
        for chunk in &body.chunks {
            // The fields that a chunk has named already, where the first counts.
            let mut named = Vec::new();
            let spans = body.spans[chunk.spans.range()].iter();
            let attributes = spans.flat_map(|span| &body.attributes[span.attributes.range()]);
            for attribute in attributes.filter(|attribute| attribute.class.is_of_payload()) {
                let meaning = attribute.class.meaning;
                let Some(field) = facts.field(meaning) else { continue };
                let Value::Text(text) = attribute.value else { continue };
                let bytes = text.of(source);
                if bytes.is_empty() || named.contains(&meaning) {
                    continue;
                }
                if body.form.is_rebuilt() {
                    named.push(meaning);
                }
                if field.as_bytes() != bytes {
                    *field = as_text(bytes);
                }
            }
        }
        for (own, of_spans) in [
            (&mut self.env, facts.env),
            (&mut self.hostname, facts.hostname),
            (&mut self.app_version, facts.app_version),
        ] {
            if own.is_empty() {
                *own = of_spans;
            }
        }
        // Of these the spans know better than the payload's tags.
        for (own, of_spans) in
            [(&mut self.git_commit_sha, facts.git_commit_sha), (&mut self.apm_mode, facts.apm_mode)]
        {
            if !of_spans.is_empty() {
                *own = of_spans;
            }
        }
    }

    /// The field that a key of this meaning is for.
    fn field(&mut self, meaning: Meaning) -> Option<&mut Cow<'a, str>> {
        match meaning {
            Meaning::Env => Some(&mut self.env),
            Meaning::Hostname => Some(&mut self.hostname),
            Meaning::Version => Some(&mut self.app_version),
            Meaning::GitCommitSha => Some(&mut self.git_commit_sha),
            Meaning::ApmMode => Some(&mut self.apm_mode),
            _ => None,
        }
    }

    /// The payload's attributes that have no place of their own among the values.
    fn other_attributes(&self, body: &Body, source: &[u8]) -> Option<OtherAttributes> {
        let is_other = |key: &[u8], value: &Value| {
            let own = match key {
                GIT_COMMIT_SHA => &self.git_commit_sha,
                APM_MODE => &self.apm_mode,
                PROCESS_TAGS => &self.process_tags,
                OTLP_EXPORT => &self.otlp_export,
                _ => return true,
            };
            own.is_empty()
                || !matches!(value, Value::Text(_)) && matches!(key, GIT_COMMIT_SHA | APM_MODE)
        };
        OtherAttributes::of(body, source, is_other)
    }
}

/// The text of an attribute of the payload.
fn of_payload<'a>(body: &Body, source: &'a [u8], key: &[u8]) -> Option<Cow<'a, str>> {
    let entries = &body.entries[body.payload.attributes.range()];
    let (_, value) = entries.iter().rev().find(|(own, _)| own.of(source) == key)?;
    Some(text_of(*value, body, source))
}

/// The text of an attribute of the first span that there is.
fn of_first_span<'a>(
    body: &Body,
    source: &'a [u8],
    meaning: Meaning,
    as_text_only: bool,
) -> Option<Cow<'a, str>> {
    let mut spans = body.chunks.iter().flat_map(|chunk| chunk.spans.range());
    let first = body.spans.get(spans.next()?)?;
    let attributes = &body.attributes[first.attributes.range()];
    let is_meant = |attribute: &&Attribute| {
        attribute.class.meaning == meaning
            && (!as_text_only || matches!(attribute.value, Value::Text(_)))
    };
    let found = attributes.iter().rfind(is_meant)?;
    Some(text_of(found.value, body, source))
}

fn text_of<'a>(value: Value, body: &Body, source: &'a [u8]) -> Cow<'a, str> {
    match value {
        Value::Text(text) => as_text(text.of(source)),
        other => Cow::Owned(value_text(other, body, source)),
    }
}
