//! All steps together.

use std::sync::Arc;

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::piece::tests::{lines_of, shown};
use super::{Automatic, Detection, Message, Mode, Settings};

fn automatic(change: impl FnOnce(&mut Settings)) -> Automatic {
    let mut settings = Settings::default();
    change(&mut settings);
    Automatic::new(&Arc::new(Detection::new(settings, &mut Vec::new())))
}

fn run(automatic: &mut Automatic, input: &str) -> Vec<String> {
    let mut messages = Vec::new();
    let mut out = |message: Message<'_>| messages.push(shown(&message));
    for line in lines_of(input) {
        automatic.line(line, line.time_ms, &mut out);
    }
    automatic.flush(&mut out);
    assert_eq!(automatic.due_ms(), None);
    messages
}

#[test]
fn steps_hand_on_to_each_other_in_order() {
    let input = "2026-11-25 22:10:05 a\n  b\n{\n\"c\": 1\n}\npanic: d\ngoroutine 1:\nf()\n\t/a.go:1\n{\n\"e\":\nplain\n2026-11-25 22:10:06 f\n{\"g\": 1}\nh";
    assert_eq!(
        run(&mut automatic(|_| ()), input),
        [
            "2026-11-25 22:10:05 a\\n  b x2 multiline:auto_multiline",
            "{\"c\":1} x3",
            "panic: d\\ngoroutine 1:\\nf()\\n\t/a.go:1 x4 multiline:go_stack",
            // The first line of what is no object after all looks like none, the second like nothing.
            "{",
            "\"e\":",
            "plain",
            "2026-11-25 22:10:06 f",
            "{\"g\": 1}",
            "h",
        ]
    );
}

#[test]
fn ordinary_lines_are_messages_of_their_own() {
    let input = "starting\n  with options\nINFO x\nGET / 200\n10.0.0.1 - \"GET /\"\n\nerror: y\nValueError: z\ndone";
    let expect: Vec<&str> =
        input.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(run(&mut automatic(|_| ()), input), expect);
}

#[test]
fn each_step_can_be_switched_off() {
    let json = "{\n\"a\": 1\n}";
    let lines: Vec<&str> = json.split('\n').collect();
    assert_eq!(run(&mut automatic(|settings| settings.joins_json = false), json), lines);
    assert_eq!(
        run(&mut automatic(|settings| settings.tags_json = true), json),
        ["{\"a\":1} x3 aggregated_json:true"]
    );
    let dump = "panic: d\ngoroutine 1:\nf()\n\t/a.go:1";
    let lines: Vec<&str> = dump.split('\n').map(str::trim).collect();
    assert_eq!(run(&mut automatic(|settings| settings.joins_go = false), dump), lines);
    let dated = "2026-11-25 22:10:05 a\n b";
    let lines = ["2026-11-25 22:10:05 a", "b"];
    assert_eq!(run(&mut automatic(|settings| settings.detects_timestamps = false), dated), lines);
    assert_eq!(
        run(&mut automatic(|settings| settings.tags_multi_line = false), dated),
        ["2026-11-25 22:10:05 a\\n b x2"]
    );
    let object = "2026-11-25 22:10:05 a\n{\"b\": 1}";
    assert_eq!(
        run(&mut automatic(|settings| settings.detects_json = false), object),
        ["2026-11-25 22:10:05 a\\n{\"b\": 1} x2 multiline:auto_multiline"]
    );
    let frames = "java.io.IOException: x\n\tat a.B.c(B.java:1)";
    let lines: Vec<&str> = frames.split('\n').map(str::trim).collect();
    assert_eq!(run(&mut automatic(|settings| settings.joins_traces = false), frames), lines);
}

#[test]
fn first_lines_are_marked_where_lines_are_not_joined() {
    let input = "a\n2026-11-25 22:10:05 b\n c\n d\n2026-11-25 22:10:06 e\n{\n\"f\": 1\n}\n2026-11-25 22:10:07 g\n\nh";
    assert_eq!(
        run(&mut automatic(|settings| settings.mode = Mode::Mark), input),
        [
            "a",
            "2026-11-25 22:10:05 b auto_multiline_detected:true",
            "c",
            "d",
            "2026-11-25 22:10:06 e auto_multiline_detected:true",
            "{",
            "\"f\": 1",
            "}",
            "2026-11-25 22:10:07 g",
            "h",
        ]
    );
}

#[test]
fn what_waits_is_given_out_in_time() {
    let mut automatic = automatic(|_| ());
    let mut messages = Vec::new();
    assert_eq!(automatic.due_ms(), None);
    for (input, now_ms) in [("{", 10), ("panic: x", 20), ("2026-11-25 22:10:05 b", 30)] {
        let line = lines_of(input).next().unwrap();
        automatic.line(line, now_ms, &mut |message| messages.push(shown(&message)));
        assert_eq!(automatic.due_ms(), Some(now_ms + 1000));
    }
    assert_eq!(messages, ["{", "panic: x"]);
    automatic.tick(1029, &mut |message| messages.push(shown(&message)));
    assert_eq!(messages.len(), 2);
    automatic.tick(1030, &mut |message| messages.push(shown(&message)));
    assert_eq!((messages.len(), automatic.due_ms()), (3, None));
}

/// Lines as they come, with much of what the steps look for.
fn line() -> impl Strategy<Value = String> {
    let known = [
        "{",
        "}",
        "\"a\": [1,",
        "2],",
        "{\"b\": {}}",
        "panic: x",
        "SIGHUP: y",
        "goroutine 1 [running]:",
        "main.f()",
        "\t/a.go:1 +0x1",
        "exit status 2",
        "2026-11-25 22:10:05 c",
        "22:10:05.123 [d] e",
        "ERROR:f",
        "Traceback (most recent call last):",
        "  File \"/a.py\", line 1, in g",
        "    h()",
        "ValueError: i",
        "During handling of the above exception, another exception occurred:",
        "java.io.IOException: j",
        "\tat a.B.c(B.java:1)",
        "Caused by: k",
        "\t... 3 more",
        "/app/a.js:1",
        "    ^",
        "Node.js v20",
        "thread 'main' panicked at a.rs:1:1:",
        "",
        "  ",
    ];
    prop_oneof![
        8 => (0..known.len()).prop_map(move |at| known[at].to_owned()),
        2 => "[a-z {}\\[\\]\":,0-9]{0,12}",
    ]
}

proptest! {
    /// Every line comes out once and in its order, whatever is joined; JSON without the white space between its tokens.
    #[test]
    fn no_line_is_lost(
        lines in proptest::collection::vec(line(), 0..40),
        bytes_max in prop_oneof![Just(900_000_usize), 1_usize..200],
        mode in prop_oneof![3 => Just(Mode::Join), 1 => Just(Mode::Mark)],
        seed: u64,
    ) {
        let mut automatic = automatic(|settings| {
            settings.mode = mode;
            settings.message_bytes_max = bytes_max;
        });
        let mut came: Vec<u8> = Vec::new();
        let mut count = 0;
        let mut random = fastrand::Rng::with_seed(seed);
        let mut now_ms = 0;
        let mut longest = 0;
        let mut out = |message: Message<'_>| {
            assert!(!message.text.is_empty() && message.lines > 0);
            if message.lines > 1 {
                longest = longest.max(message.text.len());
            }
            came.extend_from_slice(&message.text);
            count += message.lines;
        };
        for line in lines_of(&lines.join("\n")) {
            automatic.line(line, now_ms, &mut out);
            now_ms += random.u64(..600);
            automatic.tick(now_ms, &mut out);
        }
        automatic.flush(&mut out);
        let filled = lines.iter().filter(|line| !line.trim().is_empty()).count();
        prop_assert_eq!(count as usize, filled);
        prop_assert!(longest < bytes_max.max(1), "{} bytes", longest);
        let kept = |text: &str| text.replace("\\n", "").replace(char::is_whitespace, "");
        prop_assert_eq!(kept(&String::from_utf8_lossy(&came)), kept(&lines.concat()));
    }

    #[test]
    fn any_bytes_go_through(lines in proptest::collection::vec(any::<Vec<u8>>(), 0..20)) {
        let mut automatic = automatic(|settings| settings.message_bytes_max = 100);
        for bytes in &lines {
            let mut line = lines_of("").next().unwrap();
            line.text = bytes;
            automatic.line(line, 0, &mut |_| ());
        }
        automatic.flush(&mut |_| ());
        prop_assert_eq!(automatic.due_ms(), None);
    }
}
