//! What is hidden is nowhere in what is sent: not in a span, not in the string table, not in the stats, whichever way the tracer wrote it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use pillion::config::{self, Env, Mode};
use pillion::ledger::Ledger;
use pillion::pipeline::{OpenBuckets, Pipeline, TraceRequest};
use pillion::relay::Payload;
use pillion::trace::Tracer;
use pillion::trace::decode::ApiVersion;
use rmpv::Value;

const NOW_NS: u64 = 1_750_000_000_000_000_000;

/// Settings under which everything below is hidden.
const SETTINGS: [&[(&str, &str)]; 4] = [
    &[],
    &[("DD_APM_SQL_OBFUSCATION_MODE", "obfuscate_only")],
    &[
        ("DD_APM_SQL_OBFUSCATION_MODE", "obfuscate_and_normalize"),
        ("DD_APM_OBFUSCATION_HTTP_REMOVE_QUERY_STRING", "true"),
        ("DD_APM_OBFUSCATION_REDIS_REMOVE_ALL_ARGS", "true"),
        ("DD_APM_OBFUSCATION_MEMCACHED_KEEP_COMMAND", "true"),
    ],
    &[
        ("DD_APM_OBFUSCATION_CACHE_ENABLED", "false"),
        ("DD_APM_REPLACE_TAGS", r#"[{"name":"*","pattern":"nothing","repl":"has this"}]"#),
    ],
];

/// Queries, commands and documents, `§` being what nobody may see.
const QUERIES: [&str; 6] = [
    "SELECT a FROM t WHERE b = '§' AND c IN (1, §) LIMIT 5",
    "INSERT INTO t (a, b) VALUES ('x§y', §), ('it''s §', §.5)",
    "UPDATE t SET a = -§, b = 0x§ WHERE c BETWEEN '§' AND §",
    "SELECT $t$§$t$, E'\\'§', N'§'",
    "WITH w AS (SELECT '§') DELETE FROM w WHERE a LIKE '%§%'",
    "SELECT a FROM t WHERE b = \n'§\n§' -- end",
];
const REDIS: [&str; 4] = ["SET k §", "HMSET h f § g §\nGET k", "AUTH §", "ZADD z 1 § 2 §"];
const JSON: [&str; 3] = [
    r#"{"find":"c","filter":{"a":"§","b":[§,{"c":"x §"}]}}"#,
    r#"[{"a":-§},"§"] {"b":§.5}"#,
    r#"{"a":{"$in":["§",null,true,§]}}"#,
];
const CARDS: [&str; 3] = ["4§", " 4§ ", "4-§"];

/// Type, resource and the tag with what is hidden.
fn of_kind(random: &mut fastrand::Rng) -> (&'static str, String, &'static str, String) {
    let choice = random.u8(..10);
    let mut one = |from: &[&str]| from[random.usize(..from.len())].to_owned();
    let query = one(&QUERIES);
    match choice {
        0 => ("sql", query, "sql.query", one(&QUERIES)),
        1 => ("cassandra", query.clone(), "db.statement", query),
        2 => ("sql", query, "db.query.text", one(&QUERIES)),
        3 => ("redis", one(&REDIS), "redis.raw_command", one(&REDIS)),
        4 => ("valkey", one(&REDIS), "valkey.raw_command", one(&REDIS)),
        5 => {
            ("memcached", "get".to_owned(), "memcached.command", "set k 0 60 5\r\n§\r\n".to_owned())
        }
        6 => ("mongodb", "find".to_owned(), "mongodb.query", one(&JSON)),
        7 => ("elasticsearch", "GET".to_owned(), "elasticsearch.body", one(&JSON)),
        8 => ("web", "GET /".to_owned(), "http.url", "https://me:p§@shop.example/a".to_owned()),
        _ => ("custom", "pay".to_owned(), "card.number", one(&CARDS)),
    }
}

/// A span with the secret wherever it can be.
fn span(random: &mut fastrand::Rng, number: u64, secret: &str) -> Value {
    let (kind, resource, key, text) = of_kind(random);
    let hidden = |text: String| Value::from(text.replace('§', secret));
    let map = |pairs: Vec<(&str, Value)>| {
        Value::Map(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    };
    let meta = map(vec![
        ("span.kind", "client".into()),
        ("plain", "stays".into()),
        (key, hidden(text)),
        ("db.type", ["postgresql", "mysql", "sqlite"][random.usize(..3)].into()),
    ]);
    map(vec![
        ("service", "shop".into()),
        ("name", "op".into()),
        ("type", kind.into()),
        ("resource", hidden(resource)),
        ("span_id", number.into()),
        ("start", NOW_NS.into()),
        ("duration", 5.into()),
        ("meta", meta),
        ("metrics", map(vec![("_sampling_priority_v1", 2.0.into())])),
    ])
}

#[test]
fn a_secret_is_nowhere_in_what_is_sent() {
    let mut random = fastrand::Rng::with_seed(5);
    for round in 0..200 {
        let mut variables = vec![("DD_API_KEY", "x")];
        variables.extend(SETTINGS[round % SETTINGS.len()]);
        let settings = config::read(&Env::of(&variables), Mode::Wrapper).0.pipeline;
        let sent: Rc<RefCell<Vec<Payload>>> = Rc::default();
        let outlet = Rc::clone(&sent);
        let outlet = move |payload| {
            outlet.borrow_mut().push(payload);
            Vec::new()
        };
        let ledger = Arc::new(Ledger::default());
        let mut pipeline = Pipeline::new(settings, ledger, Box::new(outlet), None, NOW_NS);
        // With a 4 before it, it is a card's number.
        let secret = format!("{}", 98_765_000_000_000_u64 + random.u64(..1_000_000_000));
        let spans = (1..20).map(|number| span(&mut random, number, &secret)).collect();
        let mut body = Vec::new();
        rmpv::encode::write_value(&mut body, &Value::Array(vec![Value::Array(spans)])).unwrap();
        let request = TraceRequest {
            version: ApiVersion::V04,
            content_type: Some("application/msgpack"),
            tracer: Tracer::default(),
            body: &body,
        };
        pipeline.traces(&request, NOW_NS).unwrap();
        pipeline.flush(NOW_NS, OpenBuckets::Flush);
        let sent = sent.take();
        assert_eq!(sent.len(), 2, "traces and stats");
        for payload in &sent {
            let has = |text: &str| payload.body.windows(text.len()).any(|at| at == text.as_bytes());
            assert!(has("shop"), "it says something");
            assert!(
                !has(&secret[..8]),
                "round {round}: {}",
                String::from_utf8_lossy(&payload.body)
            );
        }
    }
}
