//! Feeds the concentrator: which spans count, and by which key.

use super::Settings;
use crate::trace::chunk::{Ready, SpanKind, Work};
use crate::trace::keys::SPAN_TAGS_MAX;
use crate::trace::payload::{Head, Payload};
use crate::trace::stats::{
    Agent, ClientStats, Concentrator, GroupKey, Hit, PayloadKey, grpc_status_code, peer_tag_keys,
};
use crate::trace::strings::{Ref, Strings};

/// The peer tags that stats are grouped by.
pub(super) fn peer_tags(settings: &Settings) -> Vec<String> {
    if settings.peer_tags_aggregation { peer_tag_keys(&settings.peer_tags) } else { Vec::new() }
}

/// The concentrator for these settings.
pub(super) fn concentrator(settings: &Settings, now_ns: u64) -> Concentrator {
    // What is not a whole number of hits is rounded at random; the seed need not be a secret.
    Concentrator::new(agent(settings), now_ns, now_ns)
}

/// The aggregator of stats that tracers compute themselves.
pub(super) fn client_stats(settings: &Settings, now_ns: u64) -> ClientStats {
    ClientStats::new(agent(settings), settings.resource_bytes_max(), now_ns)
}

fn agent(settings: &Settings) -> Agent {
    Agent { env: settings.env.clone(), hostname: settings.hostname.clone() }
}

/// A tag that the user gives all spans, with its number among those: the bit of [`Ready::span_tags`] that a span has which names it itself.
type UserTag = (usize, String, String);

/// Those of the user's tags that stats are grouped by. They are written on spans when these are encoded, after they were counted; for the agent they
/// are there before (spec: trace-agent 3.7).
#[derive(Debug, Default)]
struct UserTags {
    peers: Vec<UserTag>,
    primaries: Vec<UserTag>,
    /// The bits of all.
    mask: u64,
}

/// What groups are found by, beside the spans.
#[derive(Debug, Default)]
pub(super) struct Grouping {
    user_tags: UserTags,
    /// A span's group in numbers, used again for the next one.
    words: Vec<u32>,
}

impl Grouping {
    /// For these settings.
    pub(super) fn new(settings: &Settings) -> Self {
        Self { user_tags: UserTags::of(settings, &peer_tags(settings)), words: Vec::new() }
    }
}

impl UserTags {
    /// Nearly always none.
    fn of(settings: &Settings, peer_tags: &[String]) -> Self {
        let named = |keys: &[String]| {
            let tags = settings.span_tags.iter().take(SPAN_TAGS_MAX).enumerate();
            let tags = tags.filter(|(_, (key, _))| keys.contains(key));
            tags.map(|(bit, (key, value))| (bit, key.clone(), value.clone())).collect()
        };
        let (peers, primaries): (Vec<UserTag>, Vec<UserTag>) =
            (named(peer_tags), named(&settings.primary_tags));
        let mask = peers.iter().chain(&primaries).fold(0, |mask, (bit, ..)| mask | 1 << bit);
        Self { peers, primaries, mask }
    }

    /// Which of them a span names itself, as a part of its group's words.
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    fn words(&self, span: &Ready) -> [u32; 2] {
        let own = span.span_tags & self.mask;
        [own as u32, (own >> 32) as u32]
    }
}

/// Those of `tags` that the span lacks.
fn lacking<'a>(tags: &'a [UserTag], span: &Ready) -> impl Iterator<Item = (&'a str, &'a str)> {
    let own = span.span_tags;
    let lacking = tags.iter().filter(move |(bit, ..)| own & 1 << bit == 0);
    lacking.map(|(_, key, value)| (key.as_str(), value.as_str()))
}

/// Counts the spans of a chunk that stats are made of.
pub(super) fn count(
    settings: &Settings,
    concentrator: &mut Concentrator,
    grouping: &mut Grouping,
    work: &Work,
    payload: &mut Payload,
    head: &Head<'_>,
    now_ns: u64,
) {
    let Grouping { user_tags, words } = grouping;
    let root = &work.spans[work.root];
    let rate = root.notes.sample_rate.filter(|rate| *rate > 0.0 && *rate <= 1.0);
    let weight = rate.map_or(1.0, |rate| 1.0 / rate);
    let strings = &payload.table.strings;
    let synthetics = strings.get(work.facts.origin).starts_with("synthetics");
    for span in &work.spans {
        if !counts(span, settings.stats_by_span_kind) {
            continue;
        }
        let bucket = concentrator.bucket(span.start.wrapping_add(span.duration), now_ns);
        let (peers, base) = peers(span, work, settings.peer_tags_aggregation);
        key_words(words, span, work, bucket, synthetics, peers, base);
        if work.is_older {
            words.extend_from_slice(&[span.notes.span_kind, payload.head_number]);
        }
        if user_tags.mask != 0 {
            words.extend_from_slice(&user_tags.words(span));
        }
        let group = payload.groups.find(words, || {
            let text = |(key, value): &(Ref, Ref)| (strings.get(*key), strings.get(*value));
            let of_user = lacking(&user_tags.peers, span);
            let peers: Vec<_> = peers.iter().chain(&base).map(text).chain(of_user).collect();
            let primaries = work.primaries[span.primaries.range()].iter().map(text);
            let primaries: Vec<_> = primaries.chain(lacking(&user_tags.primaries, span)).collect();
            let grpc = grpc_status_code(strings.get(span.notes.grpc_status));
            let key = GroupKey {
                grpc_status: &grpc,
                peer_tags: &peers,
                metric_tags: &primaries,
                ..group_key(span, work, strings, synthetics)
            };
            let base_service = strings.get(root.notes.base_service.1);
            concentrator.group(bucket, &payload_key(settings, head, base_service), &key)
        });
        concentrator.add(
            group,
            Hit {
                duration_ns: span.duration,
                weight,
                error: span.error != 0,
                top_level: span.notes.is_top_level,
            },
        );
    }
}

/// Key and value of a tag, as numbers of the table.
type Tag = (Ref, Ref);

/// Whether stats are made of a span: it enters its service, is measured, or has a kind that says so; and it is finished.
fn counts(span: &Ready, by_kind: bool) -> bool {
    let kind = matches!(
        span.span_kind,
        SpanKind::Server | SpanKind::Client | SpanKind::Producer | SpanKind::Consumer
    );
    (span.notes.is_top_level || span.notes.is_measured || by_kind && kind) && !span.notes.is_partial
}

/// The peer tags that a span is grouped by: all where it calls somebody, the base service alone where it is internal.
fn peers<'a>(span: &Ready, work: &'a Work, by_peer: bool) -> (&'a [Tag], Option<Tag>) {
    match span.span_kind {
        _ if !by_peer => (&[], None),
        SpanKind::Client | SpanKind::Producer | SpanKind::Consumer => {
            (&work.peers[span.peers.range()], None)
        }
        SpanKind::Internal if span.notes.base_service.0 != 0 => {
            (&[], Some(span.notes.base_service))
        }
        _ => (&[], None),
    }
}

/// The span's group in numbers: equal numbers are the same group as long as the table lives.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a bucket's start in seconds fits, beyond 2106 it wraps the same for all"
)]
fn key_words(
    words: &mut Vec<u32>,
    span: &Ready,
    work: &Work,
    bucket: u64,
    synthetics: bool,
    peers: &[(Ref, Ref)],
    base: Option<(Ref, Ref)>,
) {
    let kind = match span.span_kind {
        // No kind either way.
        SpanKind::Unspecified | SpanKind::Other(_) => 0,
        kind => kind.number().cast_unsigned(),
    };
    let flags = kind | u32::from(span.parent_id == 0) << 8 | u32::from(synthetics) << 9;
    let notes = &span.notes;
    words.clear();
    words.extend_from_slice(&[
        (bucket / 1_000_000_000) as u32,
        span.service,
        span.name,
        span.resource,
        span.kind,
        flags,
        notes.status_code,
        notes.grpc_status,
        notes.service_source,
        work.spans[work.root].notes.base_service.1,
        peers.len() as u32,
    ]);
    for (key, value) in peers.iter().chain(&base).chain(&work.primaries[span.primaries.range()]) {
        words.extend_from_slice(&[*key, *value]);
    }
}

fn group_key<'a>(
    span: &Ready,
    work: &Work,
    strings: &'a Strings,
    synthetics: bool,
) -> GroupKey<'a> {
    GroupKey {
        service: strings.get(span.service),
        name: strings.get(span.name),
        resource: strings.get(span.resource),
        kind: strings.get(span.kind),
        span_kind: if work.is_older {
            strings.get(span.notes.span_kind)
        } else {
            span.span_kind.name()
        },
        status_code: span.notes.status_code,
        synthetics,
        is_trace_root: span.parent_id == 0,
        service_source: strings.get(span.notes.service_source),
        ..GroupKey::default()
    }
}

fn payload_key<'a>(
    settings: &'a Settings,
    head: &Head<'a>,
    base_service: &'a str,
) -> PayloadKey<'a> {
    PayloadKey {
        env: if head.env.is_empty() { &settings.env } else { head.env },
        hostname: head.hostname,
        version: head.app_version,
        git_commit_sha: head.git_commit_sha,
        lang: head.lang,
        process_tags: head.process_tags,
        base_service,
        // The agent leaves out a container whose tags it can't resolve, and there is nobody to ask here.
        ..PayloadKey::default()
    }
}
