//! Random bodies, and their encodings by an encoder that is not the product's.

use fastrand::Rng;
use rmpv::Value;

/// The wire forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    V04,
    V05,
    Json,
}

/// A body: chunks of spans.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) form: Form,
    pub(super) chunks: Vec<Vec<Span>>,
}

/// Bytes that should be a text.
pub(super) type Bytes = Vec<u8>;

#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    pub(super) service: Bytes,
    pub(super) name: Bytes,
    pub(super) resource: Bytes,
    pub(super) kind: Bytes,
    pub(super) trace_id: u64,
    pub(super) span_id: u64,
    pub(super) parent_id: u64,
    pub(super) start: i64,
    pub(super) duration: i64,
    pub(super) error: i32,
    pub(super) meta: Vec<(Bytes, Bytes)>,
    pub(super) metrics: Vec<(Bytes, f64)>,
    pub(super) meta_struct: Vec<(Bytes, Bytes)>,
    pub(super) links: Vec<Link>,
    pub(super) events: Vec<Event>,
}

#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) trace_id: u64,
    pub(super) trace_id_high: u64,
    pub(super) span_id: u64,
    pub(super) tracestate: Bytes,
    pub(super) flags: u32,
    pub(super) attributes: Vec<(Bytes, Bytes)>,
}

#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) time: u64,
    pub(super) name: Bytes,
    pub(super) attributes: Vec<(Bytes, EventValue)>,
}

#[derive(Clone, Debug)]
pub(super) enum EventValue {
    Text(Bytes),
    Bool(bool),
    Int(i64),
    Double(f64),
    List(Vec<EventValue>),
}

/// Texts that rules change, and some that they leave alone.
const TEXTS: [&str; 24] = [
    "",
    "shop",
    "Web Store",
    "web.request",
    "été__Straße--9",
    "日本 語",
    "ǅ İ ٣",
    "&&&_test-name-",
    "a..b",
    "a._b",
    "x.日本.y_",
    "__x__",
    "#hash",
    "9lives",
    "...",
    "!!!",
    "a:b/c.d-e",
    "GET /items/?",
    "process order 7",
    "UPPER.Case_Name",
    "tab\there",
    "emoji 🦀 end",
    "trailing_",
    "_leading",
];

/// Bytes that are no UTF-8, alone and between others.
const BROKEN: [&[u8]; 4] = [b"ok\xffbad", b"\xe2\x82", b"caf\xe9 au lait", b"\xed\xa0\x80\xf0\x9f"];

/// Values that some rule looks for, by their keys.
const META: [(&str, &[&str]); 26] = [
    ("env", &["prod", "Prod EU", "", "!!!"]),
    ("version", &["1.2.3", ""]),
    ("component", &["flask", "net/http"]),
    ("span.kind", &["server", "client", "producer", "consumer", "internal", "SERVER", "other"]),
    ("http.status_code", &["200", "404", "0200", "+200", "99", "600", "abc"]),
    ("http.response.status_code", &["503", "x"]),
    ("rpc.grpc.status_code", &["5", "NotFound"]),
    ("grpc.code", &["StatusCode.UNAVAILABLE", "nonsense"]),
    ("peer.service", &["Data Base", "cache", "!!!"]),
    ("_dd.base_service", &["shop", "Shop 2"]),
    ("out.host", &["db-1", "10.0.0.1:5432", "10.0.0.1,10.0.0.2", ""]),
    ("db.name", &["orders", "users"]),
    ("team", &["a", "b", ""]),
    ("_dd.svc_src", &["opt.x", "m"]),
    ("_dd.origin", &["synthetics-browser", "rum", "lambda"]),
    ("_dd.p.tid", &["6b04d59100000000", "+1f", "zz", ""]),
    ("_dd.p.dm", &["-4", "-0", "3", "x", "--1"]),
    ("error.message", &["the warehouse is closed"]),
    ("error.type", &["ValueError"]),
    ("_dd.hostname", &["node-1"]),
    ("_dd.git.commit.sha", &["0123abcd"]),
    ("_dd.apm_mode", &["edge"]),
    ("_dd.tags.process", &["a:b,c:d"]),
    ("_dd.span_links", &["[]"]),
    ("_dd.stack.json", &["{}"]),
    ("http.method", &["GET", "POST"]),
];

const METRICS: [(&str, &[f64]); 8] = [
    ("_sampling_priority_v1", &[2.0, 1.0, 0.0, -1.0, 1.9]),
    ("_dd.measured", &[1.0, 0.0]),
    ("_dd.top_level", &[1.0, 0.0]),
    ("_dd.partial_version", &[0.0, 3.0, -1.0]),
    ("_sample_rate", &[1.0]),
    ("process_id", &[1234.0]),
    ("_dd.agent_psr", &[1.0]),
    ("size", &[0.1, 1e300, -2.5, f64::INFINITY]),
];

fn choose<'a, T>(random: &mut Rng, from: &'a [T]) -> &'a T {
    &from[random.usize(..from.len())]
}

/// A time of bodies, now and then one that no clock shows.
fn time(random: &mut Rng, now_ns: u64) -> i64 {
    match random.u8(..20) {
        0 => 0,
        1 => random.i64(..),
        2 => 946_684_800_000_000_000,
        _ => i64::try_from(now_ns).unwrap() + random.i64(-45_000_000_000..25_000_000_000),
    }
}

impl Body {
    /// A body for the time `now_ns`.
    pub(super) fn random(random: &mut Rng, form: Form, now_ns: u64) -> Self {
        let chunks = (0..random.usize(0..6)).map(|_| {
            // Some are large enough for other ways of finding a parent.
            let spans = if random.u8(..10) == 0 { 30..40 } else { 0..7 };
            let (count, trace) = (random.usize(spans), random.u64(1..1 << 60));
            let span = |random: &mut Rng| Span::random(random, form, count as u64, trace, now_ns);
            (0..count).map(|_| span(random)).collect()
        });
        Self { form, chunks: chunks.collect() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        match self.form {
            Form::V04 => to_msgpack(&list(&self.chunks, |chunk| list(chunk, Span::v04))),
            Form::V05 => self.v05(),
            Form::Json => {
                let json = |chunk: &Vec<Span>| chunk.iter().map(Span::json).collect::<Vec<_>>();
                let chunks: Vec<_> = self.chunks.iter().map(json).collect();
                serde_json::to_vec(&chunks).unwrap()
            }
        }
    }

    fn v05(&self) -> Vec<u8> {
        let mut strings: Vec<Bytes> = vec![Bytes::new()];
        let mut index = |text: &Bytes| {
            let at = strings.iter().position(|own| own == text).unwrap_or_else(|| {
                strings.push(text.clone());
                strings.len() - 1
            });
            Value::from(at)
        };
        let mut chunks = Vec::new();
        for chunk in &self.chunks {
            let spans = chunk.iter().map(|span| span.v05(&mut index)).collect();
            chunks.push(Value::Array(spans));
        }
        to_msgpack(&Value::Array(vec![list(&strings, |own| text(own)), Value::Array(chunks)]))
    }
}

fn to_msgpack(value: &Value) -> Vec<u8> {
    let mut body = Vec::new();
    rmpv::encode::write_value(&mut body, value).unwrap();
    body
}

fn list<T>(items: &[T], encode: impl Fn(&T) -> Value) -> Value {
    Value::Array(items.iter().map(encode).collect())
}

/// A text, which may come as bytes.
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.len() % 5 != 3 => text.into(),
        _ => Value::Binary(bytes.to_vec()),
    }
}

fn map<K: AsRef<[u8]>>(pairs: Vec<(K, Value)>) -> Value {
    Value::Map(pairs.into_iter().map(|(key, value)| (text(key.as_ref()), value)).collect())
}

fn texts(pairs: &[(Bytes, Bytes)]) -> Value {
    map(pairs.iter().map(|(key, value)| (key, text(value))).collect())
}

/// A whole number in one of the widths that tracers use.
fn integer(number: i64) -> Value {
    if number >= 0 { number.cast_unsigned().into() } else { number.into() }
}

impl Span {
    fn random(random: &mut Rng, form: Form, count: u64, trace: u64, now_ns: u64) -> Self {
        let own_text = |random: &mut Rng, long: usize| random_text(random, form, long);
        let mut span = Self {
            service: own_text(random, 130),
            name: own_text(random, 130),
            resource: own_text(random, 5100),
            kind: choose(random, &["web", "custom", "", "worker"]).as_bytes().to_vec(),
            trace_id: trace,
            // Few ids, so that there are parents, and now and then two spans of one id.
            span_id: random.u64(1..=2 * count + 1),
            parent_id: random.u64(0..=2 * count + 1),
            start: time(random, now_ns),
            duration: match random.u8(..8) {
                0 => 0,
                1 => random.i64(-5..5),
                _ => random.i64(1..1 << 40) >> random.u8(..40),
            },
            error: *choose(random, &[0, 0, 0, 1, 2]),
            ..Self::default()
        };
        if random.u8(..60) == 0 {
            span.span_id = 0;
        }
        span.add_attributes(random, form);
        if form != Form::V05 && random.u8(..4) == 0 {
            span.links = (0..random.usize(1..3)).map(|_| Link::random(random, form)).collect();
            span.events = (0..random.usize(1..3)).map(|_| Event::random(random, form)).collect();
        }
        span
    }

    fn add_attributes(&mut self, random: &mut Rng, form: Form) {
        for (key, values) in META {
            if random.u8(..5) == 0 {
                let value = choose(random, values).as_bytes().to_vec();
                self.meta.push((key.into(), value));
            }
        }
        for (key, values) in METRICS {
            if random.u8(..4) == 0 && !(form == Form::Json && values.contains(&f64::INFINITY)) {
                self.metrics.push((key.into(), *choose(random, values)));
            }
        }
        for number in 0..random.usize(..4) {
            let long = if random.u8(..6) == 0 { 45 } else { 1 };
            let key = format!("{number}{}", ".key".repeat(long)).into_bytes();
            let long = if random.u8(..20) == 0 { 25_100 } else { 60 };
            self.meta.push((key.clone(), random_text(random, form, long)));
            // The same key once more: what comes last counts. JSON's reader sorts keys, so there they come once.
            if random.u8(..8) == 0 && form != Form::Json {
                self.meta.push((key, random_text(random, form, 60)));
            }
        }
        if form == Form::V04 && random.u8(..6) == 0 {
            let bytes = random_text(random, form, 60);
            self.meta_struct.push((b"appsec".to_vec(), bytes));
        }
        random.shuffle(&mut self.meta);
        random.shuffle(&mut self.metrics);
    }

    fn v04(&self) -> Value {
        let metrics = map(self.metrics.iter().map(|(key, value)| (key, (*value).into())).collect());
        let bytes = |(key, value): &(Bytes, Bytes)| (key.clone(), Value::Binary(value.clone()));
        let mut fields = vec![
            ("service", text(&self.service)),
            ("name", text(&self.name)),
            ("resource", text(&self.resource)),
            ("type", text(&self.kind)),
            ("trace_id", self.trace_id.into()),
            ("span_id", self.span_id.into()),
            ("parent_id", self.parent_id.into()),
            ("start", integer(self.start)),
            ("duration", integer(self.duration)),
            ("error", integer(self.error.into())),
            ("meta", texts(&self.meta)),
            ("metrics", metrics),
            ("what nobody knows", list(&[1_u8], |one| Value::from(*one))),
        ];
        if !self.meta_struct.is_empty() {
            fields.push(("meta_struct", map(self.meta_struct.iter().map(bytes).collect())));
        }
        if !self.links.is_empty() {
            fields.push(("span_links", list(&self.links, Link::v04)));
        }
        if !self.events.is_empty() {
            fields.push(("span_events", list(&self.events, Event::v04)));
        }
        map(fields)
    }

    fn v05(&self, index: &mut impl FnMut(&Bytes) -> Value) -> Value {
        let mut fields = vec![index(&self.service), index(&self.name), index(&self.resource)];
        fields.extend([self.trace_id, self.span_id, self.parent_id].map(Value::from));
        fields.extend([self.start, self.duration, self.error.into()].map(integer));
        let mut meta = Vec::new();
        for (key, value) in &self.meta {
            meta.push((index(key), index(value)));
        }
        let mut metrics = Vec::new();
        for (key, value) in &self.metrics {
            metrics.push((index(key), Value::from(*value)));
        }
        fields.extend([Value::Map(meta), Value::Map(metrics), index(&self.kind)]);
        Value::Array(fields)
    }

    fn json(&self) -> serde_json::Value {
        let own = |bytes: &Bytes| String::from_utf8(bytes.clone()).unwrap();
        let meta = self.meta.iter().map(|(key, value)| (own(key), own(value).into()));
        let metrics = self.metrics.iter().map(|(key, value)| (own(key), (*value).into()));
        serde_json::json!({
            "service": own(&self.service), "name": own(&self.name), "resource": own(&self.resource),
            "type": own(&self.kind), "trace_id": self.trace_id, "span_id": self.span_id,
            "parent_id": self.parent_id, "start": self.start, "duration": self.duration, "error": self.error,
            "meta": meta.collect::<serde_json::Map<_, _>>(), "metrics": metrics.collect::<serde_json::Map<_, _>>(),
            "span_links": self.links.iter().map(Link::json).collect::<Vec<_>>(),
            "span_events": self.events.iter().map(Event::json).collect::<Vec<_>>(),
        })
    }
}

/// A text, mostly one of few; now and then of up to about `long` bytes, or no UTF-8 where the form has room for it.
fn random_text(random: &mut Rng, form: Form, long: usize) -> Bytes {
    match random.u8(..12) {
        0 if form != Form::Json => choose(random, &BROKEN).to_vec(),
        1 => {
            let piece = choose(random, &["ab_", "é.", "x y ", "日"]);
            let count = random.usize(0..=long / piece.len() + 1);
            piece.repeat(count).into_bytes()
        }
        _ => choose(random, &TEXTS).as_bytes().to_vec(),
    }
}

impl Link {
    fn random(random: &mut Rng, form: Form) -> Self {
        let attributes =
            ["link.name", "other"].map(|key| (key.into(), random_text(random, form, 130)));
        Self {
            trace_id: random.u64(..),
            trace_id_high: *choose(random, &[0, 7, u64::MAX]),
            span_id: random.u64(..),
            tracestate: random_text(random, form, 60),
            flags: *choose(random, &[0, 1, 0x8000_0001]),
            attributes: attributes.into_iter().take(random.usize(..3)).collect(),
        }
    }

    fn v04(&self) -> Value {
        map(vec![
            ("trace_id", self.trace_id.into()),
            ("trace_id_high", self.trace_id_high.into()),
            ("span_id", self.span_id.into()),
            ("tracestate", text(&self.tracestate)),
            ("flags", self.flags.into()),
            ("attributes", texts(&self.attributes)),
        ])
    }

    fn json(&self) -> serde_json::Value {
        let own = |bytes: &Bytes| String::from_utf8(bytes.clone()).unwrap();
        let attributes = self.attributes.iter().map(|(key, value)| (own(key), own(value).into()));
        serde_json::json!({
            "trace_id": self.trace_id, "trace_id_high": self.trace_id_high, "span_id": self.span_id,
            "tracestate": own(&self.tracestate), "flags": self.flags,
            "attributes": attributes.collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl Event {
    fn random(random: &mut Rng, form: Form) -> Self {
        let count = random.usize(..4);
        let attributes = (0..count).map(|number| {
            (format!("a{number}").into_bytes(), EventValue::random(random, form, true))
        });
        let attributes = attributes.collect();
        Self { time: random.u64(..1 << 62), name: random_text(random, form, 60), attributes }
    }

    fn v04(&self) -> Value {
        map(vec![
            ("time_unix_nano", self.time.into()),
            ("name", text(&self.name)),
            (
                "attributes",
                map(self.attributes.iter().map(|(key, own)| (key, own.v04())).collect()),
            ),
        ])
    }

    fn json(&self) -> serde_json::Value {
        let own = |bytes: &Bytes| String::from_utf8(bytes.clone()).unwrap();
        let attributes = self.attributes.iter().map(|(key, value)| (own(key), value.json()));
        serde_json::json!({
            "time_unix_nano": self.time, "name": own(&self.name),
            "attributes": attributes.collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl EventValue {
    fn random(random: &mut Rng, form: Form, may_be_list: bool) -> Self {
        match random.u8(..5) {
            0 => Self::Bool(random.bool()),
            1 => Self::Int(random.i64(..)),
            2 => Self::Double(*choose(random, &[0.0, 1.5, -1e300])),
            3 if may_be_list => {
                let count = random.usize(..4);
                Self::List((0..count).map(|_| Self::random(random, form, false)).collect())
            }
            _ => Self::Text(random_text(random, form, 60)),
        }
    }

    fn v04(&self) -> Value {
        match self {
            Self::Text(own) => map(vec![("type", 0.into()), ("string_value", text(own))]),
            Self::Bool(flag) => map(vec![("type", 1.into()), ("bool_value", (*flag).into())]),
            Self::Int(int) => map(vec![("type", 2.into()), ("int_value", integer(*int))]),
            Self::Double(own) => map(vec![("type", 3.into()), ("double_value", (*own).into())]),
            Self::List(values) => {
                let values = map(vec![("values", list(values, Self::v04))]);
                map(vec![("type", 4.into()), ("array_value", values)])
            }
        }
    }

    fn json(&self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Self::Text(own) => {
                json!({ "type": 0, "string_value": String::from_utf8(own.clone()).unwrap() })
            }
            Self::Bool(flag) => json!({ "type": 1, "bool_value": flag }),
            Self::Int(int) => json!({ "type": 2, "int_value": int }),
            Self::Double(own) => json!({ "type": 3, "double_value": own }),
            Self::List(values) => {
                let values: Vec<_> = values.iter().map(Self::json).collect();
                json!({ "type": 4, "array_value": { "values": values } })
            }
        }
    }
}
