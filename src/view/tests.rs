//! Whole traces as they look.

use std::collections::HashSet;

use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use super::{Span, render};

const MS: u64 = 1_000_000;

/// A span of one trace: id and parent, service, operation, resource, start and duration in milliseconds.
fn span(ids: (u64, u64), service: &str, name: &str, resource: &str, times: (u64, u64)) -> Span {
    Span {
        trace_id: 0x66f1_a2b3_0000_0000_3c0e_5f1d_8a9b_7c21,
        span_id: ids.0,
        parent_id: ids.1,
        service: service.to_owned(),
        name: name.to_owned(),
        resource: resource.to_owned(),
        start_ns: 1_700_000_000_000_000_000 + (times.0 * MS) as i64,
        duration_ns: times.1 * MS,
        ..Span::default()
    }
}

fn fail(span: &mut Span, kind: &str, message: &str) {
    span.error = true;
    span.error_type = kind.to_owned();
    span.error_message = message.to_owned();
}

/// A request that pays for an order and fails.
fn shop() -> Vec<Span> {
    let mut spans = vec![
        span((1, 0), "shop", "flask.request", "POST /orders/<id>", (0, 48)),
        span((2, 1), "shop", "flask.dispatch_request", "create_order", (2, 44)),
        span(
            (3, 2),
            "postgres",
            "postgres.query",
            "SELECT id, total\n  FROM orders WHERE customer = ? AND state = ?",
            (4, 11),
        ),
        span((4, 2), "redis", "redis.command", "GET", (16, 0)),
        span((5, 2), "shop", "requests.request", "POST /charge", (18, 26)),
        span((6, 5), "payments", "http.server", "POST /charge", (20, 21)),
        span((7, 1), "shop", "flask.teardown", "flask.teardown", (47, 1)),
    ];
    for (at, status) in [(0, "500"), (4, "402"), (5, "402")] {
        spans[at].http_status = status.to_owned();
    }
    for at in [0, 1, 4] {
        fail(&mut spans[at], "shop.CardRefused", "the card ending in 4242 was refused by the bank");
    }
    spans
}

/// What is drawn in 80 columns without colours, compared line by line.
fn check(spans: &[Span], expect: &[&str]) {
    let drawn = render(spans, 80, false);
    assert_eq!(drawn.lines().collect::<Vec<_>>(), expect, "\n{drawn}");
}

#[test]
fn a_request_is_a_tree_with_bars_and_the_error_where_it_arose() {
    check(
        &shop(),
        &[
            "── trace 66f1a2b3000000003c0e5f1d8a9b7c21 ───────── 7 spans · 3 errors · 48.0 ms",
            "✗ shop  POST /orders/<id>  flask.request        500 ████████████████████ 48.0 ms",
            "├ ✗ create_order  flask.dispatch_request            ▐██████████████████▌ 44.0 ms",
            "│ ├ postgres  SELECT id, total FROM orders WHERE c…  ▐████▌              11.0 ms",
            "│ ├ redis  GET  redis.command                             ▕                 0 ns",
            "│ └ ✗ POST /charge  requests.request            402        ▐██████████▌  26.0 ms",
            "│   │ shop.CardRefused: the card ending in 4242 was refused by the bank",
            "│   └ payments  POST /charge  http.server       402         █████████▌   21.0 ms",
            "└ flask.teardown                                                       ▐ 1.00 ms",
        ],
    );
}

#[test]
fn one_span_of_another_tracers_trace_is_a_tree_too() {
    let mut spans = vec![span((1, 99), "web", "http.request", "GET /", (0, 3))];
    spans[0].trace_id = 0x2a;
    check(
        &spans,
        &[
            "── trace 000000000000002a ───────────────────────────────────── 1 span · 3.00 ms",
            "web  GET /  http.request                            ████████████████████ 3.00 ms",
        ],
    );
}

#[test]
fn spans_without_their_parent_are_shown_beside_the_root() {
    let spans = [
        span((1, 0), "web", "http.request", "GET /", (0, 10)),
        span((2, 0xdead), "web", "job.step", "two", (4, 2)),
        span((3, 0xdead), "web", "job.step", "one", (2, 2)),
        span((4, 1), "web", "render", "", (5, 5)),
    ];
    check(
        &spans,
        &[
            "── trace 66f1a2b3000000003c0e5f1d8a9b7c21 ──────────────────── 4 spans · 10.0 ms",
            "web  GET /  http.request                            ████████████████████ 10.0 ms",
            "└ render                                                      ██████████ 5.00 ms",
            "(parent 000000000000dead not received)",
            "├ web  one  job.step                                    ████             2.00 ms",
            "└ web  two  job.step                                        ████         2.00 ms",
        ],
    );
}

#[test]
fn circles_and_twins_are_shown_once_each() {
    let spans = [
        span((1, 3), "a", "one", "", (1, 1)),
        span((2, 1), "a", "two", "", (2, 1)),
        span((3, 2), "a", "three", "", (0, 1)),
        span((4, 4), "a", "own parent", "", (3, 1)),
        span((4, 4), "a", "twin", "", (3, 1)),
        span((5, 4), "a", "child of the first twin", "", (3, 1)),
    ];
    check(
        &spans,
        &[
            "── trace 66f1a2b3000000003c0e5f1d8a9b7c21 ──────────────────── 6 spans · 4.00 ms",
            "a  three                                            █████                1.00 ms",
            "└ one                                                    █████           1.00 ms",
            "  └ two                                                       █████      1.00 ms",
            "a  own parent                                                      █████ 1.00 ms",
            "└ child of the first twin                                          █████ 1.00 ms",
            "a  twin                                                            █████ 1.00 ms",
        ],
    );
}

#[test]
fn of_many_children_the_failed_and_the_longest_are_shown() {
    let mut spans = vec![span((1, 0), "web", "web.request", "GET /list", (0, 1000))];
    spans.extend(
        (0..500).map(|n| span((n + 2, 1), "db", "query", &format!("q{n}"), (2 * n, n % 100))),
    );
    spans[300].error = true;
    let drawn = render(&spans, 80, false);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines.len(), 1 + 1 + 12 + 1, "{drawn}");
    assert!(lines.iter().any(|line| line.starts_with("├ ✗ db  q299  query")), "{drawn}");
    assert!(lines.iter().any(|line| line.starts_with("├ db  q499  query")), "{drawn}");
    assert_eq!(lines.last(), Some(&"└ … 488 more spans"));
}

#[test]
fn a_deep_trace_is_cut_where_the_lines_would_get_short() {
    let spans: Vec<Span> =
        (1..=10_000).map(|n| span((n, n - 1), "deep", "step", "", (0, 10_000 - n))).collect();
    let drawn = render(&spans, 80, false);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines.len(), 15, "{drawn}");
    assert!(lines[13].starts_with("                      └ step  "), "{drawn}");
    assert_eq!(lines[14].trim_start(), "└ … 9987 more spans");
}

#[test]
fn no_text_of_a_span_reaches_the_terminal_raw() {
    let evil = "\x1b[2J\u{9b}31m\u{7}\r\nx\u{202e}";
    let mut bad = span((1, 0), evil, evil, evil, (0, 1));
    bad.http_status = evil.to_owned();
    fail(&mut bad, evil, evil);
    let drawn = render(&[bad], 80, false);
    assert!(!drawn.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{drawn:?}");
    assert!(drawn.contains("\\u{1b}[2J"), "{drawn}");
}

#[test]
fn the_same_error_is_told_once() {
    let mut spans: Vec<Span> =
        (1..6).map(|n| span((n, n / 2), "web", "step", "", (n, 1))).collect();
    for at in [0, 1, 3, 4] {
        fail(&mut spans[at], "", "closed");
    }
    fail(&mut spans[2], "", "other");
    let drawn = render(&spans, 80, false);
    assert_eq!((drawn.matches("closed").count(), drawn.matches('✗').count()), (1, 5), "{drawn}");
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!((lines[4], lines[7]), ("│ │   closed", "    other"), "{drawn}");
}

#[test]
fn long_messages_take_three_lines() {
    let mut root = span((1, 0), "web", "web.request", "GET /", (0, 1));
    fail(&mut root, "Error", &"Error: all work and no play makes Jack a dull boy, ".repeat(20));
    let drawn = render(&[root], 80, false);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines.len(), 5, "{drawn}");
    assert_eq!(
        lines[2],
        "  Error: all work and no play makes Jack a dull boy, Error: all work and no play"
    );
    assert!(lines[4].ends_with('…'), "{drawn}");
}

#[test]
fn a_narrow_terminal_loses_the_bars_and_a_wide_one_has_longer_ones() {
    let drawn = render(&shop(), 40, false);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines[0], "─────────── 7 spans · 3 errors · 48.0 ms");
    assert_eq!(lines[1], "✗ shop  POST /orders/<id>    500 48.0 ms");
    let drawn = render(&shop(), 100, false);
    assert_eq!(drawn.lines().nth(1).map(|line| line.matches('█').count()), Some(25));
}

#[test]
fn colours_are_services_and_what_failed() {
    let drawn = render(&shop(), 80, true);
    let line = drawn.lines().nth(3).unwrap();
    assert!(line.starts_with("\x1b[2m│ ├ \x1b[0m\x1b[32mpostgres\x1b[0m  SELECT id"), "{line:?}");
    let line = drawn.lines().nth(1).unwrap();
    assert!(
        line.starts_with("\x1b[31m✗ \x1b[0m\x1b[36mshop\x1b[0m  POST /orders/<id>"),
        "{line:?}"
    );
    assert!(line.contains("\x1b[31m500\x1b[0m"), "{line:?}");
    assert_eq!(plain(&drawn), render(&shop(), 80, false));
}

/// `text` without its colours.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + part.split_once('m').unwrap().1)
}

prop_compose! {
    fn any_span()(
        ids in (0_u64..40, 0_u64..40),
        service in "[ab]{0,2}|\\PC{0,9}|.{0,4}",
        name in "[a-z.]{0,9}|.{0,60}",
        resource in "[A-Z /]{0,30}|.{0,90}",
        start_ns in prop_oneof![0_i64..1000, any::<i64>()],
        duration_ns in prop_oneof![0_u64..1000, any::<u64>()],
        error in any::<bool>(),
        error_message in "([a-z]{0,9} ){0,40}|.{0,200}",
        http_status in "|200|404|500|.{0,4}",
    ) -> Span {
        Span {
            trace_id: 1, span_id: ids.0, parent_id: ids.1, service, name, resource, start_ns, duration_ns, error, error_message,
            http_status, ..Span::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_comes_fits_and_is_shown_or_counted(
        spans in prop::collection::vec(any_span(), 0..80), width in 24_usize..160, colour in any::<bool>(),
    ) {
        let drawn = plain(&render(&spans, width, colour));
        for line in drawn.lines() {
            prop_assert!(line.width() <= width, "{width}: {line:?}");
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
        }
        let rows = super::tree::rows(&spans, 10);
        let shown: Vec<*const Span> = rows.iter().filter_map(|row| match row.what {
            super::tree::What::Span { span, .. } => Some(std::ptr::from_ref(span)),
            _ => None,
        }).collect();
        let counted: usize = rows.iter().map(|row| match row.what {
            super::tree::What::More(count) => count,
            _ => 0,
        }).sum();
        prop_assert_eq!(shown.len() + counted, spans.len());
        prop_assert_eq!(shown.iter().collect::<HashSet<_>>().len(), shown.len());
    }
}
