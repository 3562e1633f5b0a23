//! What a body says of its payload, chunk by chunk: of several values of env, host and version the first one counts.

use super::Keys;
use crate::trace::chunk::Work;
use crate::trace::payload::Head;
use crate::trace::strings::{Ref, Strings};

/// The only mode that a span's tag `_dd.apm_mode` can name.
const MODE: &str = "edge";

/// The values of a payload, as far as they are known after some of its chunks.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    given: Head<'a>,
    env: String,
    hostname: String,
    app_version: String,
    apm_mode: String,
    git_commit_sha: String,
}

impl<'a> Facts<'a> {
    /// What the request, and the body's own fields where it has some, say. Chunks add what is empty.
    #[must_use]
    pub fn of(given: &Head<'a>) -> Self {
        Self {
            given: *given,
            env: given.env.to_owned(),
            hostname: given.hostname.to_owned(),
            app_version: given.app_version.to_owned(),
            apm_mode: given.apm_mode.to_owned(),
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
            env: &self.env,
            hostname: &self.hostname,
            app_version: &self.app_version,
            apm_mode: &self.apm_mode,
            ..self.given
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
