//! The agent's protocol for programs that know secrets: names in on standard input, values out on standard output, both as JSON, in one call
//! (spec: metrics-logs 7.5).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::ApiKey;

/// The program and its bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What to run, a path or a name to look for in `PATH` (`DD_SECRET_BACKEND_COMMAND`). Empty: there is none.
    pub command: String,
    /// Its arguments, without its name.
    pub arguments: Vec<String>,
    /// The longest that getting keys may take, from files and from the program together.
    pub timeout: Duration,
    /// Bytes of its output.
    pub output_bytes_max: usize,
}

/// Characters of the program's own words that are shown.
const SHOWN_CHARS_MAX: usize = 160;

/// A text that is not understood, of which nothing is shown: it may have the value in it.
const RUBBISH: &str =
    "its output is no JSON object with {\"value\": …, \"error\": …} for each handle";

/// What the program is asked, for these names.
pub fn question<'a>(handles: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let handles: Vec<&str> = handles.collect();
    json!({"version": "1.0", "secrets": handles}).to_string().into_bytes()
}

/// What of the program's answer is about these names: for each its key, or why there is none. No error has a value in it.
///
/// # Errors
/// Why nothing of the answer can be used.
pub fn answer<'a>(
    output: &[u8],
    handles: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, Result<ApiKey, String>>, String> {
    if output.iter().all(u8::is_ascii_whitespace) {
        return Err("it wrote nothing and ended".to_owned());
    }
    // What the parser says of a text may quote it.
    let Ok(Value::Object(all)) = serde_json::from_slice::<Value>(output) else {
        return Err(RUBBISH.to_owned());
    };
    let values: Vec<&str> =
        all.values().filter_map(value).filter(|text| !text.is_empty()).collect();
    let one = |handle: &str| (handle.to_owned(), key(all.get(handle), &values));
    Ok(handles.map(one).collect())
}

fn value(entry: &Value) -> Option<&str> {
    entry.get("value")?.as_str().map(str::trim)
}

/// The key of an entry. `values` are those of all entries.
fn key(entry: Option<&Value>, values: &[&str]) -> Result<ApiKey, String> {
    let entry = entry.ok_or("it is not in the backend's output")?;
    if !entry.is_object() {
        return Err(RUBBISH.to_owned());
    }
    match entry.get("error") {
        None | Some(Value::Null) => {}
        Some(Value::String(error)) if error.trim().is_empty() => {}
        Some(Value::String(error)) => {
            return Err(format!("the backend says {:?}", shown(error, values)));
        }
        Some(_) => return Err("the backend says that there is an error".to_owned()),
    }
    match value(entry) {
        None | Some("") => Err("the backend has no value for it".to_owned()),
        Some(text) => ApiKey::resolved(text).ok_or_else(|| {
            "its value has white space or other characters that no key has".to_owned()
        }),
    }
}

/// The program's own words, in bounds and without any value.
fn shown(error: &str, values: &[&str]) -> String {
    let mut text = error.trim().to_owned();
    for value in values {
        text = text.replace(value, "***");
    }
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => {
            text.truncate(end);
            text + "…"
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{RUBBISH, answer, question};

    /// What `output` says of the name `h`.
    fn said(output: &str) -> Result<String, String> {
        let mut all = answer(output.as_bytes(), ["h"].into_iter())?;
        all.remove("h").unwrap().map(|key| key.expose().to_owned())
    }

    #[test]
    fn all_names_are_asked_for_at_once() {
        let asked: Value = serde_json::from_slice(&question(["a", "b\"c"].into_iter())).unwrap();
        assert_eq!(asked, json!({"version": "1.0", "secrets": ["a", "b\"c"]}));
    }

    #[test]
    fn a_value_is_taken_without_white_space_around_it() {
        for output in [
            r#"{"h": {"value": "k3y", "error": null}}"#,
            r#" {"h": {"value": " k3y\n"}, "other": {"value": "x"}} "#,
            r#"{"h": {"value": "k3y", "error": "", "more": [1]}}"#,
        ] {
            assert_eq!(said(output), Ok("k3y".to_owned()), "{output}");
        }
    }

    #[test]
    fn what_can_not_be_used_is_said_without_values() {
        for (output, expect) in [
            ("", "it wrote nothing and ended"),
            (" \n", "it wrote nothing and ended"),
            ("s3cr3t", RUBBISH),
            ("[\"s3cr3t\"]", RUBBISH),
            (r#"{"h": "s3cr3t"}"#, RUBBISH),
            (r#"{"h": {"value": "s3cr3t"}"#, RUBBISH),
            ("{}", "it is not in the backend's output"),
            (r#"{"h": {}}"#, "the backend has no value for it"),
            (r#"{"h": {"value": ""}}"#, "the backend has no value for it"),
            (r#"{"h": {"value": 7}}"#, "the backend has no value for it"),
            (
                r#"{"h": {"value": "s3cr3t s3cr3t"}}"#,
                "its value has white space or other characters that no key has",
            ),
            (
                r#"{"h": {"value": "ENC[x]"}}"#,
                "its value has white space or other characters that no key has",
            ),
            (
                r#"{"h": {"value": "s3cr3t", "error": 1}}"#,
                "the backend says that there is an error",
            ),
            (
                r#"{"h": {"value": "s3cr3t", "error": "no\u001b access to s3cr3t\n"}}"#,
                "the backend says \"no\\u{1b} access to ***\"",
            ),
        ] {
            assert_eq!(said(output), Err(expect.to_owned()), "{output}");
        }
        let long = format!(r#"{{"h": {{"error": "{}"}}}}"#, "é".repeat(5000));
        assert!(said(&long).unwrap_err().chars().count() < 200);
    }

    proptest! {
        #[test]
        fn any_output_is_taken_or_refused(output in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(all) = answer(&output, ["h"].into_iter()) {
                prop_assert_eq!(all.len(), 1);
            }
        }

        #[test]
        fn no_error_has_the_value_in_it(value in "[a-z0-9]{6,32}", error in ".{0,40}") {
            let output = json!({"h": {"value": value, "error": format!("x{error}{value}{error}")}});
            let wrong = said(&output.to_string()).unwrap_err();
            prop_assert!(!wrong.contains(&value), "{}", wrong);
        }
    }
}
