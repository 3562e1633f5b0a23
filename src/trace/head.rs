//! The payload-level values of a body, read from its spans before any of its strings is looked up.

use std::borrow::Cow;

use crate::trace::keys::Meaning;
use crate::trace::model::{Attribute, Body, Value};
use crate::trace::normalise;
use crate::trace::same::same;
use crate::trace::table::as_text;

/// What a body's spans say of its payload. Of several values the last counts; in JSON the first of the last chunk that has one. Process
/// tags and the export of the tracer are those of the first span alone.
#[derive(Clone, Debug, Default)]
pub struct BodyFacts<'a> {
    /// `env`, normalised.
    pub env: Cow<'a, str>,
    /// `_dd.hostname`.
    pub hostname: Cow<'a, str>,
    /// `version`.
    pub app_version: Cow<'a, str>,
    /// `_dd.git.commit.sha`.
    pub git_commit_sha: Cow<'a, str>,
    /// `_dd.apm_mode`.
    pub apm_mode: Cow<'a, str>,
    /// `_dd.tags.process`.
    pub process_tags: Cow<'a, str>,
    /// `_dd.sdk.otlp_export`.
    pub otlp_export: Cow<'a, str>,
}

impl<'a> BodyFacts<'a> {
    /// Reads them.
    pub fn of(body: &Body, source: &'a [u8]) -> Self {
        let mut facts = Self::default();
        for chunk in &body.chunks {
            // The fields that a JSON chunk has named already.
            let mut named = Vec::new();
            for span in &body.spans[chunk.spans.range()] {
                for attribute in &body.attributes[span.attributes.range()] {
                    if is_of_payload(attribute.class.meaning) {
                        facts.take(attribute, source, body.form.is_json().then_some(&mut named));
                    }
                }
            }
        }
        if let Cow::Owned(normal) = normalise::tag_value(&facts.env) {
            facts.env = Cow::Owned(normal);
        }
        let of_first = |meaning| of_first_span(body, source, meaning).unwrap_or_default();
        facts.process_tags = of_first(Meaning::ProcessTags);
        facts.otlp_export = of_first(Meaning::OtlpExport);
        facts
    }

    /// Takes in what an attribute says. `named` are the fields that keep what they have.
    fn take(&mut self, attribute: &Attribute, source: &'a [u8], named: Option<&mut Vec<Meaning>>) {
        let (meaning, Value::Text(text)) = (attribute.class.meaning, attribute.value) else {
            return;
        };
        let bytes = text.of(source);
        if bytes.is_empty() {
            return;
        }
        if let Some(named) = named {
            if named.contains(&meaning) {
                return;
            }
            named.push(meaning);
        }
        // Nearly always all spans say the same.
        if let Some(field) = self.field(meaning)
            && !same(field.as_bytes(), bytes)
        {
            *field = as_text(bytes);
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
}

/// Whether payloads have a field for keys of this meaning: one look at a bit for most attributes.
fn is_of_payload(meaning: Meaning) -> bool {
    matches!(
        meaning,
        Meaning::Env
            | Meaning::Hostname
            | Meaning::Version
            | Meaning::GitCommitSha
            | Meaning::ApmMode
    )
}

fn of_first_span<'a>(body: &Body, source: &'a [u8], meaning: Meaning) -> Option<Cow<'a, str>> {
    let first = body.spans.first()?;
    let mut attributes = body.attributes[first.attributes.range()].iter();
    let found = attributes.find(|attribute| attribute.class.meaning == meaning)?;
    match found.value {
        Value::Text(text) => Some(as_text(text.of(source))),
        _ => None,
    }
}
