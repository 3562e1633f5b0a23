//! Lines that the app prints, on their way to messages: joined, by the user's rules, and what their JSON says.

use std::borrow::Cow;

use pillion::logs::automatic::{Mode, Settings, samples};
use pillion::logs::join::Plan;
use pillion::logs::rules::{Rules, Verdict};
use pillion::logs::{Line, Message, Stream, level, lines, multi_line};

use super::{chosen, text};

/// Output of apps, behind a byte that chooses settings.
pub(super) const LINES: &[&str] = &[
    "\0ready\n2026-11-25 22:10:05 a\n  b\n{\n\"c\": [1,\n2]\n}\n22:10:06.123 [main] d\n",
    "\0panic: d\n\ngoroutine 1 [running]:\nmain.f()\n\t/a.go:1 +0x1\n\nrax 0x1\nexit status 2\n",
    "\0ERROR:a\nTraceback (most recent call last):\n  File \"/a.py\", line 1, in g\n    h()\nValueError: i\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\nb\n",
    "\0Exception in thread \"main\" a.B: x\n\tat a.B.c(B.java:1)\nCaused by: k\nl\n\t... 3 more\n",
    "\0/app/a.js:1\nx\n ^\n\nError: x\n    at f (/app/a.js:1:2) {\n  [cause]: y\n}\n\nNode.js v20\n",
    "\u{7}2026-11-25 22:10:05 a\n b\n",
    "\u{3}1 a\nb\n2 c\n",
];

/// A list of rules and a message, a line each.
pub(super) const RULES: &[&str] = &[
    "[{\"type\":\"mask_sequences\",\"name\":\"a\",\"pattern\":\"(\\\\d+)@\",\"replace_placeholder\":\"$1?\"}]\na 12@b",
    "[{\"type\":\"exclude_at_match\",\"name\":\"a\",\"pattern\":\"x\"},{\"type\":\"multi_line\",\"name\":\"b\",\"pattern\":\"\\\\d\"}]\nx",
    "[{\"type\":\"remap_source\",\"name\":\"a\",\"matching\":[{\"attribute\":\"b\",\"value\":\"c\",\"new_source\":\"d\"}]}]\n{\"b\":\"c\"}",
    "[{\"type\":\"mask_sequences\",\"name\":\"a\",\"pattern\":\"(\"}, 1]\nb",
];

/// JSON lines.
pub(super) const JSON: &[&str] = &[
    "{\"level\":\"error\",\"a\":{\"level\":1},\"ddtags\":\"b:c,d\",\"e\":[\"\\\"}\"]}",
    "{ \"severity\" : \"WARNING\" , \"ddtags\" : \"\" }",
    "{\"status\":30,\"log.level\":\"info\"",
];

/// Samples of first lines, and a line.
pub(super) const SAMPLES: &[&str] = &[
    "[{\"sample\":\"!![web 12]\",\"match_threshold\":0.5},{\"regex\":\"\\\\d+\",\"label\":\"aggregate\"}]\n!![a 1] b",
    "[{\"sample\":\"\"},{\"label\":1},null]\n",
];

fn plan(choice: u8) -> Plan {
    let mode = if choice & 4 == 0 { Mode::Join } else { Mode::Mark };
    let message_bytes_max = if choice & 8 == 0 { 900_000 } else { 40 };
    let automatic = Settings { mode, message_bytes_max, ..Settings::default() };
    let rule = "[{\"type\":\"multi_line\",\"name\":\"a\",\"pattern\":\"\\\\d\"}]";
    let rules = Rules::read(if choice & 3 == 3 { rule } else { "" }, &mut Vec::new());
    let multi_line = multi_line::Settings { message_bytes_max, ..Default::default() };
    Plan::new(rules.multi_line(), multi_line, automatic, &mut Vec::new())
}

/// Every line that is not blank is in one message, whatever joins them.
pub(super) fn join(data: &[u8]) {
    let ([choice], text) = chosen::<1>(data);
    let (mut join, mut count, mut came) = (plan(choice).start(), 0, 0);
    let mut out = |message: Message<'_>| {
        assert!(!message.text.is_empty() && message.lines > 0);
        assert_eq!(lines::trim(&message.text), &*message.text);
        came += message.lines;
    };
    for (text, now_ms) in text.split(|byte| *byte == b'\n').zip(0..) {
        count += u32::from(!lines::trim(text).is_empty());
        let stream = Stream::Stdout;
        join.line(
            Line { text, stream, time_ms: now_ms, tags: "", is_cut: false },
            now_ms,
            &mut out,
        );
        join.tick(now_ms + u64::from(choice) * 100, &mut out);
    }
    join.flush(&mut out);
    assert_eq!((came, join.due_ms()), (count, None));
}

fn message(text: &[u8]) -> Option<Message<'_>> {
    let stream = Stream::File;
    Message::of_line(Line { text, stream, time_ms: 0, tags: "filename:a", is_cut: false })
}

/// What can't be used is said, and what has to be masked is not sent then.
pub(super) fn rules(data: &[u8]) {
    let all = text(data);
    let (list, text) = all.split_once('\n').unwrap_or((&all, ""));
    let mut problems = Vec::new();
    let rules = Rules::read(list, &mut problems);
    assert!(problems.iter().all(|problem| !problem.is_empty() && !problem.contains('\n')));
    assert!(!rules.withholds_all() || !problems.is_empty());
    if let Some(mut message) = message(text.as_bytes()) {
        let verdict = rules.apply(&mut message);
        assert!(!rules.withholds_all() || verdict == Verdict::Drop);
        assert!(verdict == Verdict::Drop || !message.text.is_empty());
    }
}

/// What is JSON stays JSON without its tags.
pub(super) fn level_and_tags(data: &[u8]) {
    let Some(mut message) = message(data) else { return };
    level::level(data);
    let before: Option<serde_json::Value> = serde_json::from_slice(&message.text).ok();
    level::lift_tags(&mut message);
    let is_lifted = matches!(message.text, Cow::Owned(_));
    if before.is_some() {
        let after: Result<serde_json::Value, _> = serde_json::from_slice(&message.text);
        assert!(after.is_ok(), "no longer JSON");
    }
    assert!(is_lifted || message.origin_tags == "filename:a");
}

pub(super) fn samples(data: &[u8]) {
    let all = text(data);
    let (list, line) = all.split_once('\n').unwrap_or((&all, ""));
    let mut problems = Vec::new();
    let samples = samples::parse(list, &mut problems);
    let automatic = Settings { samples, ..Settings::default() };
    let plan = Plan::new(None, multi_line::Settings::default(), automatic, &mut problems);
    let mut join = plan.start();
    let (text, stream) = (line.as_bytes(), Stream::Stdout);
    join.line(Line { text, stream, time_ms: 0, tags: "", is_cut: false }, 0, &mut |_| ());
    join.flush(&mut |_| ());
}
