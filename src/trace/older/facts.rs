//! What a body says of its payload, chunk by chunk: of several values of env, host and version the first one counts.

use std::borrow::Cow;

use super::Keys;
use crate::trace::Tracer;
use crate::trace::chunk::Work;
use crate::trace::keys::Meaning;
use crate::trace::model::{Body, Value};
use crate::trace::payload::Head;
use crate::trace::strings::{Ref, Strings};
use crate::trace::table::as_text;

/// The only mode that a span's tag `_dd.apm_mode` can name.
const MODE: &str = "edge";

/// The values of a payload, as far as they are known after some of its chunks.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    tracer: &'a Tracer<'a>,
    process_tags: Cow<'a, str>,
    otlp_export: Cow<'a, str>,
    env: String,
    hostname: String,
    app_version: String,
    apm_mode: String,
    git_commit_sha: String,
}

impl<'a> Facts<'a> {
    /// What the request and the body's first span say. The tags of the process are the span's, else the request's.
    #[must_use]
    pub fn of(body: &Body, source: &'a [u8], tracer: &'a Tracer<'a>) -> Self {
        let of_first = |meaning| of_first_span(body, source, meaning);
        Self {
            tracer,
            process_tags: of_first(Meaning::ProcessTags)
                .unwrap_or(Cow::Borrowed(tracer.process_tags)),
            otlp_export: of_first(Meaning::OtlpExport).unwrap_or_default(),
            env: String::new(),
            hostname: String::new(),
            app_version: String::new(),
            apm_mode: String::new(),
            git_commit_sha: String::new(),
        }
    }

    /// Takes in what a chunk says, after its tags were replaced and before it is sampled. The root is asked first, then the others in their
    /// order; host and mode are the root's alone. The commit is that of the chunk.
    pub(super) fn see(&mut self, work: &Work, keys: &Keys, strings: &Strings) {
        let of_root = |key| work.text(work.root, key).map(|text| strings.get(text));
        if self.hostname.is_empty() {
            of_root(keys.hostname).unwrap_or_default().clone_into(&mut self.hostname);
        }
        if self.env.is_empty() {
            first(work, keys.env, strings).clone_into(&mut self.env);
        }
        if self.app_version.is_empty() {
            first(work, keys.version, strings).clone_into(&mut self.app_version);
        }
        if self.apm_mode.is_empty() {
            let mode = of_root(keys.apm_mode).filter(|mode| mode.eq_ignore_ascii_case(MODE));
            mode.unwrap_or_default().clone_into(&mut self.apm_mode);
        }
        first(work, keys.git_commit_sha, strings).clone_into(&mut self.git_commit_sha);
    }

    /// The values as stats and samplers have them now, with the commit of the last chunk.
    #[must_use]
    pub fn head(&self) -> Head<'_> {
        Head { git_commit_sha: &self.git_commit_sha, ..self.payload() }
    }

    /// The values as the payload has them.
    #[must_use]
    pub fn payload(&self) -> Head<'_> {
        Head {
            container_id: self.tracer.container_id,
            lang: self.tracer.lang,
            lang_version: self.tracer.lang_version,
            tracer_version: self.tracer.version,
            env: &self.env,
            hostname: &self.hostname,
            app_version: &self.app_version,
            git_commit_sha: "",
            apm_mode: &self.apm_mode,
            process_tags: &self.process_tags,
            otlp_export: &self.otlp_export,
        }
    }
}

/// The value of a key in a chunk: the root's where it has one, though it be empty, else that of the first span that has one.
fn first<'a>(work: &Work, key: Ref, strings: &'a Strings) -> &'a str {
    let of_others = || {
        // Nearly always no span has it, which one pass over all attributes tells.
        if !work.attributes.iter().any(|(own, _)| *own == key) {
            return None;
        }
        let root_id = work.spans[work.root].span_id;
        let others = (0..work.spans.len()).filter(|&span| work.spans[span].span_id != root_id);
        others.into_iter().find_map(|span| work.text(span, key))
    };
    work.text(work.root, key).or_else(of_others).map_or("", |text| strings.get(text))
}

fn of_first_span<'a>(body: &Body, source: &'a [u8], meaning: Meaning) -> Option<Cow<'a, str>> {
    let first = body.spans.first()?;
    let attributes = body.attributes[first.attributes.range()].iter();
    let texts = attributes.filter(|attribute| attribute.class.meaning == meaning);
    let texts = texts.filter_map(|attribute| match attribute.value {
        Value::Text(text) => Some(as_text(text.of(source))),
        Value::Number(_) | Value::Bytes(_) => None,
    });
    texts.last()
}
