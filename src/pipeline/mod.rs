//! Drives `trace`: owns the batch, the stats and the samplers, takes one body at a time and hands payloads that are ready to the relay.
//!
//! A body is taken in one piece on the thread that received it, before it is answered: that takes a third of a millisecond per thousand
//! spans, less than handing it to another thread and waking that would cost a small body, and there is no queue in between that could be
//! full. What is slow (compression, the network) is behind the relay's door.

mod install;
mod job;
mod look;
mod otlp;
mod own;
mod place;
mod platform;
mod sampled;
mod stats;
mod traces;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::ledger::{Counts, Ledger};
use crate::relay::{Kind, Part, Payload};
use crate::trace::decode::{self, ApiVersion};
use crate::trace::filter::{self, Filters};
use crate::trace::keys::Keys;
use crate::trace::model::Body;
use crate::trace::payload::{Agent, Batch, Encoded};
use crate::trace::redact::Redactor;
use crate::trace::redact::replace::{self, Rules};
use crate::trace::sample::{self, Reply, Samplers};
use crate::trace::stats::{ClientStats, Concentrator, Flushed};
use crate::trace::{Tracer, chunk, normalise, obfuscate, older};
use crate::{version, view};

pub use install::Install;
pub use otlp::OtlpRequest;
pub use own::{OwnSpan, new_id};

/// What the pipeline does to traces.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The agent's env (`DD_ENV`, `DD_APM_ENV`), value-normalised, `none` where unset. It is the env of spans that name none.
    pub env: String,
    /// The host of payloads: `DD_HOSTNAME`, empty where it is unset or `none` (spec: serverless-init 4).
    pub hostname: String,
    /// `DD_APM_MODE`, empty where it is unset: a tag of every payload.
    pub apm_mode: String,
    /// How tracing was installed, where an installer has said so.
    pub install: Option<Install>,
    /// Attributes of every span that lacks them: what the platform says, `DD_EXTRA_TAGS`, `DD_TAGS`. The first
    /// [`crate::trace::keys::SPAN_TAGS_MAX`] count.
    pub span_tags: Vec<(String, String)>,
    /// The origin of chunks whose tracer names none: the platform's. Empty for none.
    pub origin: String,
    /// `_dd.tags.container` of payloads whose tracer names none; empty for none.
    pub container_tags: String,
    /// `_dd.tags.function` of all payloads; empty for none.
    pub function_tags: String,
    /// Spans of the app's calls to us are left out, as `datadog-init` does and the agent does not (spec: serverless-init 4).
    pub discards_own_calls: bool,
    /// Which traces are sent.
    pub sampling: sample::Settings,
    /// `DD_APM_COMPUTE_STATS_BY_SPAN_KIND`.
    pub stats_by_span_kind: bool,
    /// `DD_APM_PEER_TAGS_AGGREGATION`.
    pub peer_tags_aggregation: bool,
    /// `DD_APM_PEER_TAGS`: further peer tags beside the agent's own list.
    pub peer_tags: Vec<String>,
    /// `DD_APM_SPAN_DERIVED_PRIMARY_TAGS`: span tags that stats are grouped by, too.
    pub primary_tags: Vec<String>,
    /// How often stats of tracers are looked at that are complete (`DD_APM_CLIENT_STATS_FLUSH_INTERVAL`).
    pub client_stats_interval: Duration,
    /// Agent-side stats are off (`DD_SERVERLESS_INIT_DISABLE_TRACE_STATS`).
    pub stats_disabled: bool,
    /// `DD_APM_FEATURES` has `component2name`: the operation name is the `component` tag.
    pub component_to_name: bool,
    /// `DD_APM_FEATURES` has `big_resource`: resources of 15,000 bytes instead of 5,000.
    pub big_resource: bool,
    /// `DD_APM_OBFUSCATION_*`: what is hidden.
    pub obfuscation: obfuscate::Settings,
    /// Traces that are dropped (`DD_APM_IGNORE_RESOURCES`, `DD_APM_FILTER_TAGS_*`).
    pub filters: filter::Settings,
    /// `DD_APM_REPLACE_TAGS`.
    pub replace: Vec<replace::Setting>,
    /// Payloads have the older form, `tracerPayloads` (`DD_APM_FEATURES` has `disable-convert-traces`, or they go to a worker of Observability
    /// Pipelines or Vector).
    pub older: bool,
    /// They go to such a worker, which reads no other form: tracers are not offered v1.0, whose bodies leave in the default form always.
    pub to_worker: bool,
    /// `DD_APM_FEATURES` as it is set.
    pub features: Vec<String>,
    /// How long a batch that is not full waits.
    pub flush_interval: Duration,
    /// Whether anything is sent: there is an API key. Without one nothing is sampled out, every rate is 1 and `client_drop_p0s` is false.
    pub sending: bool,
}

impl Settings {
    /// The replace rules as they are set, and the one that a setting of its own stands for.
    pub fn replace_rules(&self) -> Vec<replace::Setting> {
        let mut rules = self.replace.clone();
        if self.obfuscation.remove_stack_traces {
            rules.push(replace::Setting {
                name: "error.stack".to_owned(),
                pattern: "(?s).*".to_owned(),
                repl: "?".to_owned(),
            });
        }
        rules
    }

    /// Bytes of a resource.
    fn resource_bytes_max(&self) -> usize {
        if self.big_resource {
            normalise::BIG_RESOURCE_BYTES_MAX
        } else {
            normalise::RESOURCE_BYTES_MAX
        }
    }
}

/// Takes a payload away and gives an empty buffer for the next one.
pub type Outlet = Box<dyn FnMut(Payload) -> Vec<u8>>;

/// Is shown every chunk, before any sampler has a say.
pub type Tap = Box<dyn FnMut(Vec<view::Span>)>;

/// A traces request as it came.
#[derive(Clone, Copy, Debug)]
pub struct TraceRequest<'a> {
    /// From the path.
    pub version: ApiVersion,
    /// The Content-Type header.
    pub content_type: Option<&'a str>,
    /// What other headers say.
    pub tracer: Tracer<'a>,
    /// The body.
    pub body: &'a [u8],
}

/// Why a body is refused; its text is the answer's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: u16,
    text: String,
}

impl Error {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        self.status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// Whether open stats buckets leave with a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenBuckets {
    /// They stay until their time is up.
    Keep,
    /// They leave too: this is the end.
    Flush,
}

/// The pipeline. One thread owns it.
pub struct Pipeline {
    settings: Settings,
    ledger: Arc<Ledger>,
    outlet: Outlet,
    tap: Option<Tap>,
    keys: Keys,
    rules: chunk::Rules,
    filters: Filters,
    redactor: Redactor,
    body: Body,
    work: chunk::Work,
    batch: Batch,
    /// The batch of the older form. Only where it is asked for has it anything.
    older: older::Batch,
    /// When the oldest chunk of the batch came, in nanoseconds since 1970; nothing while it is empty.
    batch_since_ns: Option<u64>,
    /// Tags are still to come: see [`Pipeline::hold`].
    is_holding: bool,
    buffer: Vec<u8>,
    languages: BTreeSet<String>,
    samplers: Samplers,
    sampled: sampled::Sampled,
    installed: install::Installed,
    /// Numbers of a body's chunks, used again for the next body.
    left: Vec<usize>,
    concentrator: Concentrator,
    client_stats: ClientStats,
    /// When they are looked at next, in nanoseconds since 1970.
    client_stats_due_ns: u64,
    grouping: stats::Grouping,
    /// What is to be done once something is taken.
    stirred: Option<Box<dyn FnOnce()>>,
    /// The task that the first trace belongs to, where the app is one.
    task: Option<job::Task>,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Languages that are reported at the most; a tracer names one of a dozen.
const LANGUAGES_MAX: usize = 32;

impl Pipeline {
    /// A pipeline that hands its payloads to `outlet` and, where there is one, shows every trace to `tap`.
    pub fn new(
        settings: Settings,
        ledger: Arc<Ledger>,
        outlet: Outlet,
        tap: Option<Tap>,
        now_ns: u64,
    ) -> Self {
        let keys = platform::keys(&settings);
        let rules = chunk::Rules {
            component_to_name: settings.component_to_name,
            resource_bytes_max: settings.resource_bytes_max(),
            discards_own_calls: settings.discards_own_calls,
            older: settings.older,
            field_tags: keys.field_tags(),
        };
        let mut problems = Vec::new();
        let filters =
            Filters::compile(&settings.filters, settings.component_to_name, &mut problems);
        let filters = filters.in_form(settings.older);
        let replace_rules = Rules::compile(&settings.replace_rules(), &mut problems);
        for problem in &problems {
            tracing::error!("{problem}");
        }
        Self {
            keys,
            rules,
            filters,
            redactor: Redactor::new(settings.obfuscation.clone(), replace_rules),
            body: Body::default(),
            work: chunk::Work::default(),
            batch: Batch::default(),
            older: older::Batch::default(),
            batch_since_ns: None,
            is_holding: false,
            buffer: Vec::new(),
            languages: BTreeSet::new(),
            samplers: Samplers::new(&settings.sampling, &settings.env, !settings.sending, now_ns),
            sampled: sampled::Sampled::default(),
            installed: install::Installed::default(),
            left: Vec::new(),
            concentrator: stats::concentrator(&settings, now_ns),
            client_stats: stats::client_stats(&settings, now_ns),
            client_stats_due_ns: now_ns,
            grouping: stats::Grouping::new(&settings),
            stirred: None,
            task: None,
            settings,
            ledger,
            outlet,
            tap,
        }
    }

    /// The settings that it works by.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Version and JSON body of the rates that tracers are told.
    pub fn reply(&mut self) -> &Reply {
        self.samplers.reply()
    }

    /// Takes a traces body in, whole or not at all.
    ///
    /// # Errors
    /// When the body is malformed, with the status of the answer. Nothing of it is left behind then.
    pub fn traces(&mut self, request: &TraceRequest<'_>, now_ns: u64) -> Result<(), Error> {
        self.stir();
        let mut body = std::mem::take(&mut self.body);
        let decoded = decode::decode(
            request.version,
            request.content_type,
            request.body,
            &self.keys,
            &mut body,
        );
        let result = match decoded {
            Ok(()) => {
                self.name_language(request.tracer.lang);
                self.take_body(&body, request, now_ns);
                self.send_full_stats(now_ns);
                Ok(())
            }
            Err(error) => Err(self.refuse(error.status(), error.to_string())),
        };
        self.body = body;
        result
    }

    /// Takes a body of stats that the tracer computed itself.
    ///
    /// # Errors
    /// When the body is malformed. Nothing of it is left behind then.
    pub fn client_stats(
        &mut self,
        tracer: &Tracer<'_>,
        body: &[u8],
        now_ns: u64,
    ) -> Result<(), Error> {
        self.stir();
        let mut flushed = Vec::new();
        let sink = &mut |stats| flushed.push(stats);
        let changes = (&self.filters, &mut self.redactor);
        if let Err(error) = self.client_stats.add(tracer, body, changes, now_ns, sink) {
            return Err(self.refuse(400, error.to_string()));
        }
        self.name_language(tracer.lang);
        self.send_flushed(flushed);
        Ok(())
    }

    fn refuse(&self, status: u16, text: String) -> Error {
        self.ledger.bodies_refused.fetch_add(1, Ordering::Relaxed);
        Error { status, text }
    }

    fn name_language(&mut self, lang: &str) {
        if !lang.is_empty()
            && !self.languages.contains(lang)
            && self.languages.len() < LANGUAGES_MAX
        {
            self.languages.insert(lang.to_owned());
        }
    }

    /// Whether nothing is held, so that [`Pipeline::tick`] has nothing to do until something is taken.
    pub fn is_idle(&self) -> bool {
        self.batch_since_ns.is_none()
            && self.concentrator.bytes() == 0
            && self.client_stats.bytes() == 0
    }

    /// Has `stirred` called, once, when the next thing is taken.
    pub fn when_stirred(&mut self, stirred: Box<dyn FnOnce()>) {
        self.stirred = Some(stirred);
    }

    /// Something is about to be taken.
    fn stir(&mut self) {
        if let Some(stirred) = self.stirred.take() {
            stirred();
        }
    }

    /// Hands over what is due. To be called about once a second, unless nothing is held.
    pub fn tick(&mut self, now_ns: u64) {
        let waited = self.batch_since_ns.map(|since| now_ns.saturating_sub(since));
        let is_due = |ns: u64| u128::from(ns) >= self.settings.flush_interval.as_nanos();
        if !self.is_holding && waited.is_some_and(is_due) {
            self.send_batch();
        }
        self.send_stats(now_ns, OpenBuckets::Keep);
    }

    /// Hands over the batch and, where `buckets` says so, the stats that are still being counted.
    pub fn flush(&mut self, now_ns: u64, buckets: OpenBuckets) {
        self.send_batch();
        self.send_stats(now_ns, buckets);
    }

    /// Hands the batches to the relay, a payload of each form.
    fn send_batch(&mut self) {
        self.batch_since_ns = None;
        if !self.batch.is_empty() {
            let mut body = std::mem::take(&mut self.buffer);
            body.clear();
            let parts = self.batch.encode(&agent(&self.settings), &mut body);
            self.send_traces(body, parts);
        }
        if !self.older.is_empty() {
            let mut body = std::mem::take(&mut self.buffer);
            body.clear();
            let parts = self.older.encode(&agent(&self.settings), &mut body);
            self.send_traces(body, parts);
        }
    }

    fn send_traces(&mut self, body: Vec<u8>, tracer_payloads: Vec<Encoded>) {
        let mut counts = Counts::default();
        let mut parts = Vec::with_capacity(tracer_payloads.len());
        for part in tracer_payloads {
            counts.add(part.counts);
            parts.push(Part { bytes: part.bytes, counts: part.counts });
        }
        self.send(Payload { kind: Kind::Traces, body, counts, languages: String::new(), parts });
    }

    fn send_stats(&mut self, now_ns: u64, buckets: OpenBuckets) {
        let force = buckets == OpenBuckets::Flush;
        let mut flushed = Vec::new();
        self.concentrator.flush(now_ns, force, &mut |stats| flushed.push(stats));
        let interval = u64::try_from(self.settings.client_stats_interval.as_nanos()).unwrap_or(0);
        let next = now_ns.saturating_add(interval);
        // A clock that was set back does not hold them up.
        let waits = now_ns < self.client_stats_due_ns && self.client_stats_due_ns <= next;
        if force || !waits {
            self.client_stats_due_ns = next;
            self.client_stats.flush(now_ns, force, &mut |stats| flushed.push(stats));
        }
        self.send_flushed(flushed);
    }

    /// Open buckets leave early when they take more memory than they may: the intake adds up what belongs together.
    fn send_full_stats(&mut self, now_ns: u64) {
        if self.concentrator.is_full() {
            let mut flushed = Vec::new();
            self.concentrator.flush(now_ns, true, &mut |stats| flushed.push(stats));
            self.send_flushed(flushed);
        }
    }

    fn send_flushed(&mut self, flushed: Vec<Flushed>) {
        for Flushed { body, groups } in flushed {
            let counts = Counts { stats_groups: groups, ..Counts::default() };
            self.ledger.received(counts);
            self.send(Payload {
                kind: Kind::Stats,
                body,
                counts,
                languages: String::new(),
                parts: Vec::new(),
            });
        }
    }

    fn send(&mut self, mut payload: Payload) {
        for lang in &self.languages {
            if !payload.languages.is_empty() {
                payload.languages.push('|');
            }
            payload.languages.push_str(lang);
        }
        let is_batch = payload.kind == Kind::Traces;
        let buffer = (self.outlet)(payload);
        if is_batch {
            self.buffer = buffer;
        }
    }
}

/// What the agent says of itself in each payload.
fn agent(settings: &Settings) -> Agent<'_> {
    Agent {
        hostname: &settings.hostname,
        env: &settings.env,
        version: version::AGENT,
        target_tps: settings.sampling.target_tps,
        errors_tps: settings.sampling.errors_tps,
        rare_sampler: settings.sampling.rare.is_some(),
        container_tags: &settings.container_tags,
        function_tags: &settings.function_tags,
        apm_mode: &settings.apm_mode,
    }
}
