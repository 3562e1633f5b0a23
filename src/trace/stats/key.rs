//! What stats are counted under: the payload (where the tracer runs) and the group (what the span does).

use std::borrow::Cow;

use super::peer_tags::BASE_SERVICE;
use super::table::{Draft, Key};
use crate::trace::obfuscate::hosts;

/// The texts of a payload key, by place.
pub(super) mod payload {
    pub(in crate::trace::stats) const ENV: usize = 0;
    pub(in crate::trace::stats) const HOSTNAME: usize = 1;
    pub(in crate::trace::stats) const VERSION: usize = 2;
    pub(in crate::trace::stats) const CONTAINER_ID: usize = 3;
    pub(in crate::trace::stats) const GIT_COMMIT_SHA: usize = 4;
    pub(in crate::trace::stats) const IMAGE_TAG: usize = 5;
    pub(in crate::trace::stats) const LANG: usize = 6;
    pub(in crate::trace::stats) const PROCESS_TAGS: usize = 7;
    pub(in crate::trace::stats) const SERVICE: usize = 8;
    pub(in crate::trace::stats) const COUNT: usize = 9;
}

/// The texts of a group key, by place. The tags are lists in ascending order (see [`read_tags`]).
pub(super) mod group {
    pub(in crate::trace::stats) const SERVICE: usize = 0;
    pub(in crate::trace::stats) const NAME: usize = 1;
    pub(in crate::trace::stats) const RESOURCE: usize = 2;
    pub(in crate::trace::stats) const KIND: usize = 3;
    pub(in crate::trace::stats) const SPAN_KIND: usize = 4;
    pub(in crate::trace::stats) const GRPC_STATUS: usize = 5;
    pub(in crate::trace::stats) const SERVICE_SOURCE: usize = 6;
    pub(in crate::trace::stats) const HTTP_METHOD: usize = 7;
    pub(in crate::trace::stats) const HTTP_ENDPOINT: usize = 8;
    pub(in crate::trace::stats) const PEER_TAGS: usize = 9;
    pub(in crate::trace::stats) const METRIC_TAGS: usize = 10;
    pub(in crate::trace::stats) const COUNT: usize = 11;
}

/// Between the tags of a list. Where it is in a tag itself, [`ESCAPE`] and [`ESCAPED_SEPARATOR`] stand for it.
const TAG_SEPARATOR: char = '\0';

/// Begins what stands for a character of a tag that has a meaning in a list. It stands for itself together with itself.
const ESCAPE: char = '\u{1}';

const ESCAPED_SEPARATOR: char = '0';

/// Bytes of a metric tag's value, beyond which [`BLOCKED`] stands for it.
const METRIC_TAG_BYTES_MAX: usize = 200;
const BLOCKED: &str = "agent_blocked_value";

pub(super) type PayloadDraft = Draft<{ payload::COUNT }>;
pub(super) type GroupDraft = Draft<{ group::COUNT }>;
pub(super) type StoredPayload = Key<{ payload::COUNT }>;
pub(super) type StoredGroup = Key<{ group::COUNT }>;

/// Where the counted spans come from. Empty texts are fine but for `env`, which is the agent's where the payload has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadKey<'a> {
    /// The payload's env, normalised, or the agent's.
    pub env: &'a str,
    /// The payload's host.
    pub hostname: &'a str,
    /// The app's version.
    pub version: &'a str,
    /// The container, where it is known.
    pub container_id: &'a str,
    /// The commit that the app was built from.
    pub git_commit_sha: &'a str,
    /// The tag of the container's image.
    pub image_tag: &'a str,
    /// The tracer's language.
    pub lang: &'a str,
    /// `key:value` pairs that tell the process, joined by commas.
    pub process_tags: &'a str,
    /// The app's own service: the span's tag `_dd.base_service`, or empty.
    pub base_service: &'a str,
}

impl PayloadKey<'_> {
    pub(super) fn write(&self, draft: &mut PayloadDraft) {
        draft.clear();
        for text in [
            self.env,
            self.hostname,
            self.version,
            self.container_id,
            self.git_commit_sha,
            self.image_tag,
            self.lang,
            self.process_tags,
            self.base_service,
        ] {
            draft.push(text);
        }
    }
}

/// What the counted spans have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupKey<'a> {
    /// The normalised service.
    pub service: &'a str,
    /// The normalised operation name.
    pub name: &'a str,
    /// The resource, as it is sent.
    pub resource: &'a str,
    /// The span's type.
    pub kind: &'a str,
    /// `internal`, `server`, `client`, `producer` or `consumer`; `unknown` where a v0.5 body gives none. In the older form of payloads it is the
    /// tag as it came.
    pub span_kind: &'a str,
    /// The HTTP status, 0 where there is none.
    pub status_code: u32,
    /// The chunk's origin starts with `synthetics`.
    pub synthetics: bool,
    /// The span's parent id is 0.
    pub is_trace_root: bool,
    /// The gRPC status as [`super::grpc_status_code`] resolves it.
    pub grpc_status: &'a str,
    /// The tag `_dd.svc_src`.
    pub service_source: &'a str,
    /// The span's tags whose keys are in [`super::peer_tag_keys`], with their raw values, in any order. Which of them count depends on the
    /// span's kind and is decided here; IP addresses are replaced here.
    pub peer_tags: &'a [(&'a str, &'a str)],
    /// Further tags that the user wants stats by (`DD_APM_SPAN_DERIVED_PRIMARY_TAGS`).
    pub metric_tags: &'a [(&'a str, &'a str)],
}

impl GroupKey<'_> {
    pub(super) fn write(&self, draft: &mut GroupDraft) {
        draft.clear();
        let texts = [
            self.service,
            self.name,
            self.resource,
            self.kind,
            self.span_kind,
            self.grpc_status,
            self.service_source,
            "",
            "",
        ];
        for text in texts {
            draft.push(text);
        }
        let peer_tags = self
            .peer_tags
            .iter()
            .filter(|(key, value)| !value.is_empty() && counts(self.span_kind, key));
        draft.write(|all| {
            write_tags(all, peer_tags.map(|&(key, value)| join(key, &hosts::quantise(value))))
        });
        let metric_tags = self.metric_tags.iter().filter(|(_, value)| !value.is_empty());
        draft.write(|all| {
            write_tags(
                all,
                metric_tags.map(|&(key, value)| {
                    if value.len() > METRIC_TAG_BYTES_MAX {
                        join(key, BLOCKED)
                    } else {
                        join(key, value)
                    }
                }),
            );
        });
        draft.numbers =
            [self.status_code, 0, flags(self.synthetics, if self.is_trace_root { 1 } else { 2 })];
    }
}

/// Whether a span of this kind is counted by this peer tag: one that calls out by all of them, an internal one only by the service that
/// it was renamed from.
fn counts(span_kind: &str, key: &str) -> bool {
    let is = |kind: &str| span_kind.eq_ignore_ascii_case(kind);
    if is("client") || is("producer") || is("consumer") {
        true
    } else {
        (span_kind.is_empty() || is("internal")) && key == BASE_SERVICE
    }
}

fn join(key: &str, value: &str) -> String {
    [key, ":", value].concat()
}

/// Appends tags to a list in ascending order.
pub(super) fn write_tags<T: AsRef<str> + Ord>(all: &mut String, tags: impl Iterator<Item = T>) {
    let mut tags: Vec<T> = tags.collect();
    tags.sort_unstable();
    for (at, tag) in tags.iter().enumerate() {
        if at > 0 {
            all.push(TAG_SEPARATOR);
        }
        write_tag(all, tag.as_ref());
    }
}

fn write_tag(all: &mut String, tag: &str) {
    if !tag.contains([TAG_SEPARATOR, ESCAPE]) {
        return all.push_str(tag);
    }
    for c in tag.chars() {
        match c {
            TAG_SEPARATOR => all.extend([ESCAPE, ESCAPED_SEPARATOR]),
            ESCAPE => all.extend([ESCAPE; 2]),
            c => all.push(c),
        }
    }
}

/// The tags of a list.
pub(super) fn read_tags(list: &str) -> Vec<Cow<'_, str>> {
    if list.is_empty() { Vec::new() } else { list.split(TAG_SEPARATOR).map(read_tag).collect() }
}

fn read_tag(written: &str) -> Cow<'_, str> {
    if !written.contains(ESCAPE) {
        return Cow::Borrowed(written);
    }
    let mut chars = written.chars();
    let next = || {
        chars.next().map(|c| match c {
            ESCAPE if chars.next() == Some(ESCAPED_SEPARATOR) => TAG_SEPARATOR,
            c => c,
        })
    };
    Cow::Owned(std::iter::from_fn(next).collect())
}

/// The flags of a group as one number. `trace_root` is 0 where it is not known, 1 for yes and 2 for no.
pub(super) fn flags(synthetics: bool, trace_root: u32) -> u32 {
    u32::from(synthetics) | trace_root.min(2) << 1
}

/// What [`flags`] made one number of.
pub(super) fn unpack_flags(flags: u32) -> (bool, u32) {
    (flags & 1 == 1, flags >> 1)
}
