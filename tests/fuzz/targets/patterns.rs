//! What users set as patterns: those of Go rewritten for the crate that is here, replace rules and filters.

use pillion::pattern::Pattern;
use pillion::trace::decode::{ApiVersion, decode};
use pillion::trace::filter::{self, Filters};
use pillion::trace::keys::Keys;
use pillion::trace::model::Body;
use pillion::trace::redact::Scalar;
use pillion::trace::redact::replace::{Rules, Setting};

use super::text;

/// A pattern and a text, a line each.
pub(super) const PATTERNS: &[&str] = &[
    "(?i)token=[^&]*\nhttp://a/?Token=x&b=1",
    "\\d+|[[:alpha:]_]+?$\n12 abc_",
    "[^\\D5\\pL\\x{e9}-\\xff&&~~--]{2,3}\n45é",
    "(?P<id>\\w+)\\b\\B\\Qa.b\\E(?:x|)\nid a.b",
    "(?s).*\na\nb",
    "[]a\\]-z]{,3}a{1000}*\n]",
];

/// The name, pattern and template of a rule, then the value, a line each.
pub(super) const RULES: &[&str] = &[
    "http.url\ntoken=([^&]*)\ntoken=${1}?\nhttp://a/?token=x",
    "*\n\\d\n$0$0\n12.5",
    "env\n^p(rod)?$\n$1\nprod",
    "resource.name\n(\n?\nGET /",
    "_hidden\n1\n2\n1e999",
];

/// Ignored resources, rejected and required tags, then those with patterns, a line each.
pub(super) const FILTERS: &[&str] = &[
    "GET /health\nteam:a\nenv\nteam:^a.*\nhttp.status_code:2..",
    "(\n:\nversion: 1 \nspan.kind:server\ncomponent",
    "\npeer.service:x\n\n_dd.base_service:(\n",
];

pub(super) fn pattern(data: &[u8]) {
    let all = text(data);
    let (pattern, text) = all.split_once('\n').unwrap_or((&all, ""));
    match Pattern::new(pattern) {
        Err(reason) => assert!(!reason.is_empty() && !reason.contains('\n'), "{reason:?}"),
        Ok(pattern) => {
            let same = pattern.replaced(text, "$0");
            assert_eq!(same.is_some(), pattern.is_in(text));
            assert!(same.is_none_or(|same| same == text), "a match that is put back");
            pattern.replaced(text, "${1}$2$name$$");
        }
    }
}

fn lines<const N: usize>(all: &str) -> [&str; N] {
    let mut lines = all.splitn(N, '\n');
    std::array::from_fn(|_| lines.next().unwrap_or_default())
}

pub(super) fn replace_rules(data: &[u8]) {
    let all = text(data);
    let [name, pattern, repl, value] = lines(&all);
    let [name, pattern, repl] = [name, pattern, repl].map(str::to_owned);
    let setting = Setting { name: name.clone(), pattern, repl };
    let mut problems = Vec::new();
    let rules = Rules::compile(std::slice::from_ref(&setting), &mut problems);
    let is_broken = !problems.is_empty();
    for value in [Scalar::Text(value.into()), Scalar::read(value.into()), Scalar::Double(1.5)] {
        let changed = rules.of_event(&name, value.clone());
        let is_named = name != "*" && name != "resource.name";
        assert!(!(is_broken && is_named && changed.is_some()), "what can't be mended is not sent");
        let other = rules.attribute("other.key", value.clone());
        assert!(other.as_ref() == Some(&value) || name == "*" || name == "other.key");
        let field = rules.field("env", &value.text(), Some(&value.text()));
        assert!(field.is_none() || name == "*" || name == "env");
    }
    let resource = rules.resource(value);
    if is_broken && (name == "*" || name == "resource.name") {
        assert_eq!(resource.as_deref(), Some("?"));
    }
    assert!(rules.status_code(404) == 404 || name == "*" || name == "http.status_code");
}

pub(super) fn filters(data: &[u8]) {
    let all = text(data);
    let [resource, reject, require, reject_regex, require_regex] =
        lines::<5>(&all).map(|line| vec![line.to_owned()]);
    let settings = filter::Settings {
        ignore_resources: resource,
        reject,
        require,
        reject_regex,
        require_regex,
    };
    let mut problems = Vec::new();
    let filters = Filters::compile(&settings, all.len().is_multiple_of(2), &mut problems);
    assert!(problems.iter().all(|problem| !problem.is_empty()));
    let mut body = Body::default();
    let keys = Keys::new(["peer.service"], [], []);
    for json in super::decode::JSON {
        let decoded =
            decode(ApiVersion::V04, Some("application/json"), json.as_bytes(), &keys, &mut body);
        if decoded.is_ok() {
            for chunk in &body.chunks {
                let drops = || filters.drops(chunk, &body, body.source(json.as_bytes()));
                assert_eq!(drops(), drops());
            }
        }
    }
}
