//! The payload-level values of a body, read from its spans before any of its strings is looked up.

use std::borrow::Cow;

use crate::trace::keys::Meaning;
use crate::trace::model::{Body, Value};
use crate::trace::normalise;
use crate::trace::table::as_text;

/// What a body's spans say of its payload. Of several values the last counts, and in JSON the first. Process tags and the export of the
/// tracer are those of the first span alone.
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
        for attribute in &body.attributes {
            if attribute.class.meaning == Meaning::None {
                continue;
            }
            let Value::Text(text) = attribute.value else { continue };
            let field = match attribute.class.meaning {
                Meaning::Env => &mut facts.env,
                Meaning::Hostname => &mut facts.hostname,
                Meaning::Version => &mut facts.app_version,
                Meaning::GitCommitSha => &mut facts.git_commit_sha,
                Meaning::ApmMode => &mut facts.apm_mode,
                _ => continue,
            };
            let bytes = text.of(source);
            let is_later = body.form.is_json() && !field.is_empty();
            if field.as_bytes() != bytes && !bytes.is_empty() && !is_later {
                *field = as_text(bytes);
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
