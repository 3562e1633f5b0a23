//! What becomes of JSON, by example and at random.

use proptest::prelude::*;
use serde_json::Value;

use super::{Json, Outcome, settings};

/// `text` without its values; SQL is put in brackets, and what starts with `bad` can't be parsed.
fn obfuscate(keep: &[&str], sql: &[&str], text: &str) -> String {
    let owned = |list: &[&str]| list.iter().map(|&key| key.to_owned()).collect();
    let mut json = Json::new(&settings::Json {
        enabled: true,
        keep_values: owned(keep),
        obfuscate_sql_values: owned(sql),
    });
    // What an earlier text left behind must not be seen.
    let mut out = String::new();
    json.obfuscate("{\"a\":[{\"q\":\"x\",\"k", &mut in_brackets, &mut out);
    match json.obfuscate(text, &mut in_brackets, &mut out) {
        Outcome::Changed => assert_ne!(out, text),
        Outcome::Unchanged => out = text.to_owned(),
    }
    out
}

fn in_brackets(query: &str, out: &mut String) -> Option<Outcome> {
    out.clear();
    match query {
        "same" => Some(Outcome::Unchanged),
        _ if query.starts_with("bad") => None,
        _ => {
            out.extend(["<", query, ">"]);
            Some(Outcome::Changed)
        }
    }
}

fn check_each(keep: &[&str], sql: &[&str], cases: &[(&str, &str)]) {
    for (text, expect) in cases {
        assert_eq!(obfuscate(keep, sql, text), *expect, "{text:?}");
    }
}

#[test]
fn structure_and_keys_stay_and_values_go() {
    check_each(
        &[],
        &[],
        &[
            (
                r#"{"find": "users", "filter": {"age": {"$gt": 5}, "in": [1, "a", null]}}"#,
                r#"{"find":"?","filter":{"age":{"$gt":"?"},"in":["?","?","?"]}}"#,
            ),
            (r#"[true, [[-1.5e3]], {}, []]"#, r#"["?",[["?"]],{},[]]"#),
            (r#""text""#, r#""?""#),
            (r#"{"?":"?"}"#, r#"{"?":"?"}"#),
            (r#"{"a\"b\u00e9é": "x\\"}"#, r#"{"a\"b\u00e9é":"?"}"#),
            ("", ""),
        ],
    );
}

#[test]
fn documents_may_follow_each_other() {
    check_each(
        &[],
        &[],
        &[
            ("{\"index\": {}}\n{\"a\": 1}\n", "{\"index\":{}}\n{\"a\":\"?\"}\n"),
            ("[1][2] [3]", "[\"?\"][\"?\"] [\"?\"]"),
            (" \n[1]\t ", "[\"?\"]\t "),
            // Numbers and words in a row have one value's place, as the agent has it.
            ("1 2 true", "\"?\"  "),
            ("1{\"a\":2}", "\"?\"{\"a\":\"?\"}"),
            ("[] 5 6 [7]", "[] \"?\"  [\"?\"]"),
            // After an object the agent takes what stands alone for a key.
            ("{} 5", "{} 5"),
            ("[{}] 5", "[{}] \"?\""),
        ],
    );
}

#[test]
fn what_is_no_json_ends_the_output() {
    check_each(
        &[],
        &[],
        &[
            ("nut", "\"?\"..."),
            ("hello", "..."),
            (" ", "..."),
            ("{\"a\":\"secret", "{\"a\":\"?\"..."),
            ("{\"a\":1,}", "{\"a\":\"?\",..."),
            ("{\"a\":1]", "{\"a\":\"?\"..."),
            ("[1}", "[\"?\"..."),
            ("{\"key", "{\"key..."),
            ("{\"ke\ny\":1}", "{\"ke..."),
            ("{\"a\":\"\\x\"}", "{\"a\":\"?\"..."),
            ("{\"a\":01}", "{\"a\":\"?\"..."),
            ("{\"a\" 1}", "{\"a\"..."),
            ("{a:1}", "{..."),
            ("{\"a\":tru", "{\"a\":\"?\"..."),
            ("[1,", "[\"?\",..."),
            ("{} x", "{} ..."),
            ("5, 6", "\"?\"..."),
            ("}", "..."),
            ("{\"a\":+1}", "{\"a\":..."),
        ],
    );
}

#[test]
fn values_of_some_keys_are_kept_whole() {
    check_each(
        &["k", "é", "\\\"q"],
        &[],
        &[
            (r#"{"k": 1, "b": 2}"#, r#"{"k":1,"b":"?"}"#),
            (
                r#"{"k": {"a": [1, {"b": "x y"}]}, "b": 2}"#,
                r#"{"k":{"a":[1,{"b":"x y"}]},"b":"?"}"#,
            ),
            (r#"[{"a": {"k": [1]}}, {"b": 2}, 3]"#, r#"[{"a":{"k":[1]}},{"b":"?"},"?"]"#),
            (r#"{"k": {"k": 1}, "b": 2}"#, r#"{"k":{"k":1},"b":"?"}"#),
            (r#"{"é": "ü", "K": 1}"#, r#"{"é":"ü","K":"?"}"#),
            // Keys are compared as they are written.
            (r#"{"\u006b": 1, "\"q": 2}"#, r#"{"\u006b":"?","\"q":2}"#),
            (r#"{"k": 1}{"b": 2}"#, r#"{"k":1}{"b":"?"}"#),
            (r#"{"k": "x"#, r#"{"k":"x..."#),
            (r#"{"k": [1}"#, r#"{"k":[1..."#),
        ],
    );
}

#[test]
fn values_of_some_keys_are_sql() {
    check_each(
        &["k"],
        &["q"],
        &[
            (r#"{"q": "select 1", "b": 2}"#, r#"{"q":"<select 1>","b":"?"}"#),
            (r#"{"q": "a\n\"b\"\u00e9"}"#, "{\"q\":\"<a\n\"b\"é>\"}"),
            (r#"{"q": "same"}"#, r#"{"q":"same"}"#),
            // Escapes that the agent's language has not: the literal is taken for the query.
            (r#"{"q": "a\/b"}"#, r#"{"q":"<"a\/b">"}"#),
            (r#"{"q": 12}"#, r#"{"q":"<12>"}"#),
            (
                r#"{"q": "bad"}"#,
                r#"{"q":"Datadog-agent failed to obfuscate SQL string. Enable agent debug logs for more info."}"#,
            ),
            // Only a value itself is SQL, not what is in it.
            (
                r#"{"q": ["select 1"], "b": {"q": {"x": "y"}}}"#,
                r#"{"q":["?"],"b":{"q":{"x":"?"}}}"#,
            ),
            (
                r#"{"k": {"q": "select 1", "c": 2}, "b": 3}"#,
                r#"{"k":{"q":"<select 1>","c":2},"b":"?"}"#,
            ),
            (r#"{"q": "select 1"#, r#"{"q":..."#),
            (r#"{"q": "select 1" "#, r#"{"q":..."#),
        ],
    );
}

#[test]
fn nesting_has_no_limit() {
    let deep = 200_000;
    let text = "[".repeat(deep) + "1" + &"]".repeat(deep);
    assert_eq!(obfuscate(&[], &[], &text), "[".repeat(deep) + "\"?\"" + &"]".repeat(deep));
    let open = "{\"a\":".repeat(deep);
    assert_eq!(obfuscate(&[], &[], &open), format!("{open}..."));
}

/// JSON whose leaves all hold the word `leaf`, or are numbers that do.
fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[ -~é]{0,4}".prop_map(|text| Value::from(format!("leaf{text}"))),
        (777_000_000_u64..778_000_000).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-e\\\\\"é]{0,3}", inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_leaf_survives_unless_it_is_kept(value in documents(), is_pretty in any::<bool>()) {
        let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let hidden = obfuscate(&[], &[], &text.unwrap());
        prop_assert!(!hidden.contains("leaf") && !hidden.contains("777"), "{hidden}");
        let read: Value = serde_json::from_str(&hidden).unwrap();
        prop_assert_eq!(shape(&read), shape(&value));
        prop_assert_eq!(obfuscate(&[], &[], &hidden), hidden);
        let kept = obfuscate(&["a", "b", "c", "d", "e"], &[], &serde_json::json!({ "a": value }).to_string());
        prop_assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), serde_json::json!({ "a": value }));
    }

    #[test]
    fn a_text_that_is_cut_off_ends_with_dots(value in documents(), cut in any::<prop::sample::Index>()) {
        let text = serde_json::json!([value]).to_string();
        let cut = text.floor_char_boundary(cut.index(text.len()));
        let (start, _) = text.split_at(cut);
        let hidden = obfuscate(&[], &[], start);
        prop_assert!(hidden.ends_with("...") || start.is_empty(), "{hidden}");
        prop_assert!(!hidden.contains("leaf") && !hidden.contains("777"), "{hidden}");
    }

    #[test]
    fn any_text_has_an_end(text in "([\\[\\]{}:,\"\\\\ \n]|k|q|1|true|nul|é|-|\\.|\\PC){0,40}") {
        obfuscate(&[], &[], &text);
        obfuscate(&["k"], &["q"], &text);
    }
}

/// A value with all its leaves alike.
fn shape(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(pairs) => {
            pairs.iter().map(|(key, value)| (key.clone(), shape(value))).collect()
        }
        _ => Value::Null,
    }
}
