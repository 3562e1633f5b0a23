//! One span of OpenTelemetry as one of Datadog's: its fields, and its attributes with those of its resource and its library as tags
//! (spec: trace-agent 9.3; 7.85.2 as observed).

use std::borrow::Cow;

use super::Rules;
use super::known::{Both, Key, Known};
use super::lists::List;
use super::names::{Kind, Named};
use super::reason::reason;
use super::resource::{Resource, attributes};
use super::tags::Tags;
use super::value::{Attribute, Value, text_of};
use super::wire::Fields;
use super::{Fallible, text, tracestate};

/// What the spans of one resource share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) known: Known<'a>,
    /// The resource's attributes as tags: each key once.
    pub(super) tags: Vec<(Cow<'a, str>, String)>,
}

impl<'a> Shared<'a> {
    pub(super) fn of(resource: &'a Resource<'a>) -> Self {
        let mut tags = Tags::default();
        for attribute in &resource.attributes {
            let Some(key) = tag_key(&attribute.key) else { continue };
            let value = attribute.value.to_text();
            let is_of_use = key != ANALYTICS || analytics_rate(&value).is_some();
            if is_of_use && tags.get(&key).is_none_or(String::is_empty) {
                tags.set(key, value.into_owned());
            }
        }
        Self { known: Known::of(&resource.attributes), tags: tags.entries().to_vec() }
    }
}

/// What the spans of one instrumentation library share.
#[derive(Debug, Default)]
pub(super) struct Scope<'a> {
    name: Cow<'a, str>,
    version: Cow<'a, str>,
    /// Its attributes as tags: each key once.
    tags: Vec<(Cow<'a, str>, String)>,
}

impl<'a> Scope<'a> {
    /// Reads the content of an `InstrumentationScope`.
    ///
    /// # Errors
    /// When it has more attributes than anything may have.
    pub(super) fn of(bytes: &'a [u8]) -> Fallible<Self> {
        let mut scope = Self::default();
        for (number, field) in Fields::of(bytes) {
            match number {
                1 => scope.name = text_of(field.bytes()),
                2 => scope.version = text_of(field.bytes()),
                _ => {}
            }
        }
        let mut tags = Tags::default();
        for attribute in attributes(bytes, 3)? {
            tags.set(attribute.key, attribute.value.to_text().into_owned());
        }
        scope.tags = tags.entries().to_vec();
        Ok(scope)
    }
}

/// A Datadog span, ready to be written. Its memory serves one span after the other.
#[derive(Debug, Default)]
pub(super) struct Converted<'a> {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) resource: String,
    pub(super) span_type: String,
    pub(super) trace_id: u128,
    pub(super) span_id: u64,
    pub(super) parent_id: u64,
    /// Nanoseconds since 1970, 0 for a time that is none.
    pub(super) start: i64,
    /// Nanoseconds.
    pub(super) duration: i64,
    pub(super) error: bool,
    pub(super) texts: Tags<'a, Cow<'a, str>>,
    pub(super) numbers: Tags<'a, f64>,
    events: List,
    links: List,
}

/// The fields of a span that are read once and used at several places.
#[derive(Debug, Default)]
struct Raw<'a> {
    trace_state: Cow<'a, str>,
    name: Cow<'a, str>,
    kind: u64,
    start: u64,
    end: u64,
    status: u64,
    status_message: Cow<'a, str>,
    has_exception: bool,
}

const STATUS_OK: u64 = 1;
const STATUS_ERROR: u64 = 2;

/// Where the status of an HTTP request or answer stands.
const HTTP_STATUS: [Key; 2] = [Key::HttpStatusCode, Key::HttpResponseStatusCode];

const GRPC_STATUS: [Key; 4] =
    [Key::RpcGrpcStatusCodeOld, Key::GrpcCode, Key::RpcGrpcStatusCode, Key::GrpcStatusCode];

const ENVIRONMENT: [Key; 2] = [Key::DeploymentEnvironmentName, Key::DeploymentEnvironment];

impl<'a> Converted<'a> {
    /// Reads the content of a `Span` and converts it.
    ///
    /// # Errors
    /// When it has more attributes than anything may have.
    pub(super) fn take(
        &mut self,
        bytes: &'a [u8],
        shared: &'a Shared<'a>,
        scope: &'a Scope<'a>,
        rules: &Rules,
    ) -> Fallible<()> {
        self.texts.clear();
        self.numbers.clear();
        let raw = self.read(bytes);
        let own = attributes(bytes, 9)?;
        let known = Known::of(&own);
        let both = Both { span: &known, resource: &shared.known };
        let kind = Kind::of(raw.kind);
        let named = Named { kind, name: &raw.name, scope: &scope.name, attributes: both };
        self.service = named.service().into_owned();
        self.name = named.operation(rules);
        self.resource = named.resource(rules);
        self.span_type = named.span_type().into_owned();
        self.error = raw.status == STATUS_ERROR;
        (self.start, self.duration) = times(raw.start, raw.end);

        self.texts.set("span.kind", kind.tag().into());
        self.codes(both);
        self.levels(both, kind, rules);
        self.sample_rate(&known, &raw);
        self.own_attributes(&own);
        self.facts(&raw, both);
        self.scope_names(scope, rules);
        self.status(&raw);
        if !self.texts.has("env") {
            self.set_if_any("env", both.tag_value(&ENVIRONMENT));
        }
        for (key, value) in &shared.tags {
            if self.texts.get(key).is_none_or(|before| before.is_empty()) {
                self.text(Cow::Borrowed(key), Cow::Borrowed(value));
            }
        }
        for (key, value) in &scope.tags {
            self.texts.set(key.as_ref(), value.as_str().into());
        }
        if !self.texts.has("db.name") {
            self.set_if_any("db.name", both.text(&[Key::DbNamespace]).to_owned());
        }
        Ok(())
    }

    /// Reads the fields; ids go where they belong at once.
    fn read(&mut self, bytes: &'a [u8]) -> Raw<'a> {
        let mut raw = Raw::default();
        (self.trace_id, self.span_id, self.parent_id) = (0, 0, 0);
        self.events.clear();
        self.links.clear();
        for (number, field) in Fields::of(bytes) {
            match number {
                1 => self.trace_id = trace_id(field.bytes()),
                2 => self.span_id = span_id(field.bytes()),
                3 => raw.trace_state = text_of(field.bytes()),
                4 => self.parent_id = span_id(field.bytes()),
                5 => raw.name = text_of(field.bytes()),
                6 => raw.kind = field.number(),
                7 => raw.start = field.number(),
                8 => raw.end = field.number(),
                11 => raw.has_exception |= self.events.event(field.bytes()),
                13 => self.links.link(field.bytes()),
                15 => {
                    for (number, field) in Fields::of(field.bytes()) {
                        match number {
                            2 => raw.status_message = text_of(field.bytes()),
                            3 => raw.status = field.number(),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        raw
    }

    /// The status codes of HTTP and gRPC under the names that stats look for.
    fn codes(&mut self, both: Both<'_>) {
        if let Some(code) = both.whole(&HTTP_STATUS).filter(|code| *code >= 0) {
            #[expect(clippy::cast_precision_loss, reason = "a tag in numbers is a double")]
            self.numbers.set("http.status_code", code as f64);
        }
        let of_answer = || {
            let system = match both.text(&[Key::RpcSystemName]) {
                "" => both.text(&[Key::RpcSystem]),
                newer => newer,
            };
            both.code(&[Key::RpcResponseStatusCode]).filter(|_| system == "grpc")
        };
        if let Some(code) = both.code(&GRPC_STATUS).or_else(of_answer) {
            self.texts.set("rpc.grpc.status_code", code.into());
        }
    }

    /// Which spans are counted in stats, where the user wants that decided by their kind.
    fn levels(&mut self, both: Both<'_>, kind: Kind, rules: &Rules) {
        let by_kind = rules.top_level_by_kind;
        if by_kind && (self.parent_id == 0 || matches!(kind, Kind::Server | Kind::Consumer)) {
            self.numbers.set("_top_level", 1.0);
        }
        if both.int(Key::Measured) == Some(1)
            || by_kind && matches!(kind, Kind::Client | Kind::Producer)
        {
            self.numbers.set("_dd.measured", 1.0);
        }
    }

    /// The share of traces that the SDK's sampler kept: stats count those that it dropped, too.
    fn sample_rate(&mut self, known: &Known<'_>, raw: &Raw<'a>) {
        let named = known.value(Key::SampleRate).and_then(as_number);
        if let Some(rate) = named {
            self.numbers.set("_sample_rate", rate);
        }
        if !raw.trace_state.is_empty() {
            self.texts.set("w3c.tracestate", raw.trace_state.clone());
            if let Some(rate) =
                tracestate::probability(&raw.trace_state).filter(|_| named.is_none())
            {
                self.numbers.set("_sample_rate", rate);
            }
        }
    }

    fn own_attributes(&mut self, own: &[Attribute<'a>]) {
        for Attribute { key, value } in own {
            let Some(key) = tag_key(key) else { continue };
            if let Some(number) = as_number(value) {
                let key =
                    if key == "sampling.priority" { "_sampling_priority_v1".into() } else { key };
                if !self.numbers.has(&key) {
                    self.numbers.set(key, number);
                }
            } else if self.texts.get(&key).is_none_or(|before| before.is_empty()) {
                self.text(key, value.to_text());
            }
        }
    }

    /// Sets a text tag, of which one is a number in truth.
    fn text(&mut self, key: Cow<'a, str>, value: Cow<'a, str>) {
        if key != ANALYTICS {
            self.texts.set(key, value);
        } else if let Some(rate) = analytics_rate(&value)
            && !self.numbers.has(ANALYTICS_RATE)
        {
            self.numbers.set(ANALYTICS_RATE, rate);
        }
    }

    fn set_if_any(&mut self, key: &'static str, value: String) {
        if !value.is_empty() {
            self.texts.set(key, value.into());
        }
    }

    fn facts(&mut self, raw: &Raw<'a>, both: Both<'_>) {
        let mut digits = String::with_capacity(32);
        text::hexadecimal(&mut digits, &self.trace_id.to_be_bytes());
        self.texts.set("otel.trace_id", digits.into());
        if !self.texts.has("version") {
            self.set_if_any("version", both.tag_value(&[Key::ServiceVersion]));
        }
        if let Some(events) = self.events.finish() {
            self.texts.set("events", events.into());
        }
        if raw.has_exception {
            self.texts.set("_dd.span_events.has_exception", "true".into());
        }
        if let Some(links) = self.links.finish() {
            self.texts.set("_dd.span_links", links.into());
        }
    }

    fn scope_names(&mut self, scope: &'a Scope<'a>, rules: &Rules) {
        let names = [
            ("otel.scope.name", "otel.library.name", &scope.name),
            ("otel.scope.version", "otel.library.version", &scope.version),
        ];
        for (newer, older, value) in names.into_iter().filter(|(_, _, value)| !value.is_empty()) {
            if !rules.older_scope_names_only {
                self.texts.set(newer, value.as_ref().into());
            }
            self.texts.set(older, value.as_ref().into());
        }
    }

    fn status(&mut self, raw: &Raw<'a>) {
        let word = match raw.status {
            0 => "Unset",
            STATUS_OK => "Ok",
            STATUS_ERROR => "Error",
            _ => "",
        };
        self.texts.set("otel.status_code", word.into());
        if !raw.status_message.is_empty() {
            self.texts.set("otel.status_description", raw.status_message.clone());
        }
        if !self.error || self.texts.has("error.msg") {
            return;
        }
        if !raw.status_message.is_empty() {
            self.texts.set("error.msg", raw.status_message.clone());
            return;
        }
        let codes = ["http.status_code", "http.response.status_code"];
        let code = codes.iter().find_map(|key| self.texts.get(key).filter(|code| !code.is_empty()));
        if let Some(code) = code {
            let message = match code.parse().map_or("", reason) {
                "" => code.clone().into_owned(),
                reason => format!("{code} {reason}"),
            };
            self.texts.set("error.msg", message.into());
        }
    }
}

/// The attribute that makes a span an event to be analysed, and the tag in numbers that becomes of it.
const ANALYTICS: &str = "analytics.event";
const ANALYTICS_RATE: &str = "_dd1.sr.eausr";

/// The words that Go's `ParseBool` takes.
fn analytics_rate(word: &str) -> Option<f64> {
    match word {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(1.0),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(0.0),
        _ => None,
    }
}

fn as_number(value: &Value<'_>) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "a tag in numbers is a double")]
        Value::Int(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        _ => None,
    }
}

fn trace_id(bytes: &[u8]) -> u128 {
    bytes.try_into().map_or(0, u128::from_be_bytes)
}

fn span_id(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

/// Start and duration. A time beyond the 63 bits that Datadog has for it is none, a span that ends before it starts lasts no time.
fn times(start: u64, end: u64) -> (i64, i64) {
    let duration = end.cast_signed().wrapping_sub(start.cast_signed());
    let fits = start.cast_signed().checked_add(duration).is_some();
    let duration = if fits { duration.max(0) } else { 0 };
    (start.cast_signed().max(0), duration)
}

/// The tag that becomes of an attribute of this key; nothing where it is used up by a field of the span.
fn tag_key<'a>(key: &Cow<'a, str>) -> Option<Cow<'a, str>> {
    let renamed = match key.as_ref() {
        "client.address" => "http.client_ip",
        "http.request.body.size" => "http.request.content_length",
        "http.request.header.referrer" => "http.referrer",
        "http.request.method" => "http.method",
        "http.response.body.size" => "http.response.content_length",
        "http.response.status_code" => "http.status_code",
        "network.protocol.version" => "http.version",
        "server.address" => "http.server_name",
        "url.full" => "http.url",
        "user_agent.original" => "http.useragent",
        "service.name" | "operation.name" | "resource.name" | "span.type" => return None,
        other => {
            return Some(match other.strip_prefix("http.request.header.") {
                Some(name) => Cow::Owned(format!("http.request.headers.{name}")),
                None => key.clone(),
            });
        }
    };
    Some(Cow::Borrowed(renamed))
}
