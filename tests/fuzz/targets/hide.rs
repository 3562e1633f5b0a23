//! The obfuscators: any text gives a result, always the same, that says whether it differs, and is not much longer than the text.

use pillion::trace::obfuscate::json::Json;
use pillion::trace::obfuscate::settings;
use pillion::trace::obfuscate::sql::{Mode, Settings, Sql};
use pillion::trace::obfuscate::{Outcome, cards as card_numbers, hosts as host_lists};

use super::{chosen, text};

pub(super) const REDIS: &[&str] = &[
    "SET user:1 secret EX 60\nGET user:1",
    "HMSET h a 1 b 2 c 3",
    "AUTH user password\nZADD z NX 1 a 2 b",
    "BITFIELD b SET u8 0 255 INCRBY i5 100 1 GET u4 0",
    "CONFIG SET maxmemory \"1\\\"0\"\nEVAL \"return 1\" 2 k1 k2 a1",
    "client list\nGEOADD g 1.5 2.5 m ...",
];
pub(super) const MEMCACHED: &[&str] = &["set k 0 60 5\r\nvalue\r\n", " get k ", "add a\nb\r\nc"];
pub(super) const JSON: &[&str] = &[
    r#"{"query":{"match":{"title":"x","n":[1,2.5e3,null,true,{"k":"kept"}]}},"q":"SELECT * FROM t WHERE a = 1"}"#,
    r#"{"index":"a"}
{"find":{"$gt":-1}} [1] "s""#,
    r#"{"é\u00e9\ud83d\ude00":"\"\\","k":{"a":[[]]}"#,
];
pub(super) const URLS: &[&str] = &[
    "https://user:pass@shop.example:8080/a/12/b%20c?q=1&p=2#f",
    "http://[::1%25eth0]:80/x//../y?%zz",
    "/only/path/1?x=1",
    "mailto:a@b.c",
    "http://shop.example/REDACTED/ä%41!",
];
pub(super) const CARDS: &[&str] =
    &["4111111111111111", "4111-1111 1111-1111", " 378282246310005-", "1e15", "-5105105105105100"];
pub(super) const HOSTS: &[&str] = &[
    "10.1.2.3:5432,db-1,10.1.2.4:5432",
    "ip-10-1-2-3.internal,[fd00::1]:80,::1",
    "http://10_0_0_1:80/x,https:///127.0.0.1,dnspoll://fe80::1%eth0",
];

const DATABASES: [&str; 8] =
    ["", "postgresql", "mysql", "mssql", "sqlserver", "oracle", "snowflake", "sqlite"];

/// Bytes that a result may have beyond its text.
const MORE_BYTES_MAX: usize = 256;

pub(super) fn sql_legacy(data: &[u8]) {
    sql(Mode::Legacy, data);
}

pub(super) fn sql_obfuscate_only(data: &[u8]) {
    sql(Mode::ObfuscateOnly, data);
}

pub(super) fn sql_normalise_only(data: &[u8]) {
    sql(Mode::NormaliseOnly, data);
}

pub(super) fn sql_both(data: &[u8]) {
    sql(Mode::ObfuscateAndNormalise, data);
}

fn sql(mode: Mode, data: &[u8]) {
    let ([low, high, database], query) = chosen(data);
    let bits = u16::from_le_bytes([low, high]);
    let has = |bit: u32| bits >> bit & 1 == 1;
    let settings = Settings {
        mode,
        table_names: has(0),
        replace_digits: has(1),
        keep_sql_alias: has(2),
        dollar_quoted_func: has(3),
        keep_null: has(4),
        keep_boolean: has(5),
        keep_positional_parameter: has(6),
        keep_trailing_semicolon: has(7),
        keep_identifier_quotation: has(8),
        replace_bind_parameter: has(9),
        remove_space_between_parentheses: has(10),
        keep_json_path: has(11),
    };
    let (query, database) = (text(query), DATABASES[usize::from(database) % DATABASES.len()]);
    let mut plain = Sql::new(settings.clone());
    let first = sql_result(&mut plain, &query, database);
    assert!(first.is_some() || mode == Mode::Legacy, "only the older rules can fail");
    assert_eq!(sql_result(&mut plain, &query, database), first);
    let mut cached = Sql::with_cache(settings, 1_000_000);
    for _ in 0..2 {
        assert_eq!(sql_result(&mut cached, &query, database), first);
    }
}

/// The result and the names of tables.
fn sql_result(sql: &mut Sql, query: &str, database: &str) -> Option<(String, String)> {
    let mut out = "what was there before".to_owned();
    let outcome = sql.obfuscate(query, database, &mut out);
    let result = match outcome {
        Ok(outcome) => checked(query, outcome, out),
        Err(_) => {
            assert_eq!(out, "", "nothing of what can't be read may leave");
            return None;
        }
    };
    Some((result, sql.tables().to_owned()))
}

pub(super) fn redis(data: &[u8]) {
    use pillion::trace::obfuscate::redis;
    let text = text(data);
    result(&text, redis::quantise);
    for remove_all in [false, true] {
        stays(&text, |text, out| redis::obfuscate_command(text, remove_all, out));
    }
}

pub(super) fn memcached(data: &[u8]) {
    use pillion::trace::obfuscate::memcached;
    let text = text(data);
    let none = result(&text, |text, out| memcached::obfuscate(text, false, out));
    assert_eq!(none, "");
    stays(&text, |text, out| memcached::obfuscate(text, true, out));
}

pub(super) fn json(data: &[u8]) {
    let text = text(data);
    let keys = |key: &str| vec![key.to_owned()];
    let mut all = Json::new(&settings::Json::default());
    let mut hide = |text: &str, out: &mut String| all.obfuscate(text, &mut |_, _| None, out);
    let made = result(&text, &mut hide);
    // Dots stand for what can't be read, and can't be read the next time either: they get dots of their own, as with the agent.
    if !made.ends_with("...") {
        assert_eq!(result(&made, hide), made);
    }
    let some =
        settings::Json { keep_values: keys("k"), obfuscate_sql_values: keys("q"), enabled: true };
    let (mut some, mut sql) = (Json::new(&some), Sql::new(Settings::default()));
    // A hidden query may be read as another one the next time, where it taught how backslashes are meant: see the tests of SQL.
    let mut out = String::new();
    some.obfuscate(&text, &mut |query, out| sql.obfuscate(query, "", out).ok(), &mut out);
}

pub(super) fn url(data: &[u8]) {
    use pillion::trace::obfuscate::url;
    let text = text(data);
    for (remove_query_string, remove_paths_with_digits) in
        [(false, false), (true, false), (false, true), (true, true)]
    {
        let settings = settings::Url { remove_query_string, remove_paths_with_digits };
        let hide = |text: &str, out: &mut String| url::obfuscate(text, &settings, out);
        // With the agent, too, the `?` of a hidden segment (or of what it takes for one) is where the query string starts the next time, a zone
        // whose name had to be escaped is none, and a path of `//` behind no host is an empty host.
        let is_read_anew = ["REDACTED", "%25", "@//"].iter().any(|piece| text.contains(piece));
        if remove_paths_with_digits || is_read_anew {
            result(&text, hide);
        } else {
            stays(&text, hide);
        }
    }
}

pub(super) fn cards(data: &[u8]) {
    let is_card = card_numbers::is_card(data, false);
    assert!(!is_card || card_numbers::may_be_card(data));
    assert!(is_card || !card_numbers::is_card(data, true), "a check digit never makes a card");
    let digits = text(data);
    if let Ok(number) = digits.parse::<i64>() {
        assert_eq!(
            card_numbers::int_is_card(number, false),
            card_numbers::is_card(number.to_string().as_bytes(), false)
        );
    }
    if let Ok(number) = digits.parse::<f64>() {
        assert!(number.abs() >= 1e11 || !card_numbers::float_is_card(number, false));
    }
}

pub(super) fn hosts(data: &[u8]) {
    let text = text(data);
    let once = host_lists::quantise(&text);
    assert!(once.len() <= text.len() * 20 + MORE_BYTES_MAX);
    assert!(once.contains("blocked-ip-address") || once.len() <= text.len());
    assert_eq!(host_lists::quantise(&once), once);
}

/// The result of an obfuscator, twice.
fn result(text: &str, mut write: impl FnMut(&str, &mut String) -> Outcome) -> String {
    let mut once = || {
        let mut out = "what was there before".to_owned();
        let outcome = write(text, &mut out);
        checked(text, outcome, out)
    };
    let first = once();
    assert_eq!(once(), first);
    first
}

/// The same, of one that leaves its own results alone.
fn stays(text: &str, mut write: impl FnMut(&str, &mut String) -> Outcome) {
    let made = result(text, &mut write);
    assert_eq!(result(&made, write), made);
}

fn checked(text: &str, outcome: Outcome, out: String) -> String {
    match outcome {
        Outcome::Unchanged => text.to_owned(),
        Outcome::Changed => {
            assert_ne!(out, text, "said to be changed");
            assert!(out.len() <= text.len() * 4 + MORE_BYTES_MAX, "{} bytes", out.len());
            out
        }
    }
}
