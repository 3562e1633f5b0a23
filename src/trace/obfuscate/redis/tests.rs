//! What becomes of Redis commands, by example and at random.

use proptest::prelude::*;

use super::{Outcome, obfuscate_command, quantise};

fn result(text: &str, write: impl FnOnce(&mut String) -> Outcome) -> String {
    let mut out = "left over".to_owned();
    match write(&mut out) {
        Outcome::Changed => assert_ne!(out, text),
        Outcome::Unchanged => out = text.to_owned(),
    }
    out
}

fn hide(text: &str) -> String {
    result(text, |out| obfuscate_command(text, false, out))
}

fn hide_all(text: &str) -> String {
    result(text, |out| obfuscate_command(text, true, out))
}

fn name(text: &str) -> String {
    result(text, |out| quantise(text, out))
}

fn check_each(made: fn(&str) -> String, cases: &[(&str, &str)]) {
    for (text, expect) in cases {
        assert_eq!(made(text), *expect, "{text:?}");
    }
}

#[test]
fn a_resource_names_up_to_three_commands() {
    check_each(
        name,
        &[
            ("GET key", "GET"),
            ("GET", "GET"),
            ("  get   key  \n\n set a b ", "GET SET"),
            ("config set x y\nClient list", "CONFIG SET CLIENT LIST"),
            ("CONFIG", "CONFIG"),
            ("SET a\nSET b", "SET SET"),
            ("a\nb\nc", "A B C ..."),
            ("a\nb\nc\nd", "A B C ..."),
            ("a\tb c", "A\tB"),
            ("straße ÿ", "STRAßE"),
            ("", ""),
            ("\n \n", ""),
        ],
    );
}

#[test]
fn a_name_that_was_cut_off_is_left_out() {
    check_each(
        name,
        &[
            ("get...", "..."),
            ("get a\nse...", "GET ..."),
            ("se...\nget a", "GET"),
            ("config se...", "..."),
            ("con...\nget", "GET"),
            ("get k...", "GET"),
            ("get a\nset b\nx...\nincr c", "GET SET INCR ..."),
        ],
    );
}

#[test]
fn arguments_that_hold_values_are_hidden() {
    check_each(
        hide,
        &[
            ("AUTH user password", "AUTH ?"),
            ("hello 3 AUTH user password", "hello ?"),
            ("LPUSH list a b c", "LPUSH list ?"),
            ("LPUSH list", "LPUSH list"),
            ("SET k v EX 10", "SET k ? EX 10"),
            ("SET k", "SET k"),
            ("setex k 10 v", "setex k 10 ?"),
            ("LINSERT l BEFORE p v", "LINSERT l BEFORE p ?"),
            ("GEOADD g 1 2 m 3 4 n 5", "GEOADD g 1 2 ? 3 4 ? 5"),
            ("HSET h a 1 b 2 c", "HSET h a ? b ? c"),
            ("MSET a 1 b 2 c", "MSET a ? b ? c"),
            ("GET k", "GET k"),
            ("EVAL \"return 1\" 1 k v", "EVAL \"return 1\" 1 k v"),
            ("ſet k v", "ſet k ?"),
            ("AUTH", "AUTH"),
            ("", ""),
        ],
    );
}

#[test]
fn some_commands_have_rules_of_their_own() {
    check_each(
        hide,
        &[
            ("CONFIG SET requirepass x y", "CONFIG SET requirepass ? y"),
            ("config get requirepass x", "config get requirepass x"),
            (
                "BITFIELD k SET u8 0 255 GET u4 0 set u2 1 3",
                "BITFIELD k SET u8 0 ? GET u4 0 set u2 1 ?",
            ),
            ("BITFIELD SET u8 0 255", "BITFIELD SET u8 0 255"),
            ("ZADD z NX CH 1 a 2 b", "ZADD z NX CH 1 ? 2 ?"),
            ("ZADD z 1 a 2", "ZADD z 1 ? 2"),
            // Flags that are not known, or not in upper case, count as scores.
            ("ZADD z GT 1 a", "ZADD z GT ? a"),
            ("ZADD z nx 1 a", "ZADD z nx ? a"),
        ],
    );
}

#[test]
fn words_are_split_as_redis_does_nearly() {
    check_each(
        hide,
        &[
            (" SET  k   v \n\n GET k\r\n", "SET k ?\nGET k"),
            ("SET k \"a b\" EX", "SET k ? EX"),
            ("SET k \"a\nb\" EX", "SET k ? EX"),
            ("SET k \"a \\\" b\" EX", "SET k ? EX"),
            ("SET k a\\\" b", "SET k ? b"),
            ("SET k \"a\\\\\" EX", "SET k ? EX"),
            ("SET k 'a b' EX", "SET k ? b' EX"),
            ("SET k \"never closed EX", "SET k ?"),
            ("SET \"a b\"c v", "SET \"a b\"c ?"),
            ("SET k\tx v", "SET k\tx ?"),
            // A line that is a space takes the line below as its arguments, if that is the last one.
            ("GET a\n \n SET k v", "GET a\n SET k v"),
            ("GET a\n \n SET k v\nGET b", "GET a\nGET b"),
            ("GET a\n \nSET k v", "GET a\nSET k ?"),
        ],
    );
}

#[test]
fn all_arguments_can_go() {
    check_each(
        hide_all,
        &[
            ("GET k", "GET ?"),
            ("SET k v\nGET k", "SET ?"),
            ("GET", "GET"),
            ("\tget\u{a0}k", "get ?"),
            ("config set a b", "config set ?"),
            ("CONFIG RESETSTAT", "CONFIG RESETSTAT ?"),
            ("CONFIG HELP x", "CONFIG ?"),
            ("CONFIG", "CONFIG"),
            ("BITFIELD k SET u8 0 1 get u4 0 OVERFLOW SAT", "BITFIELD ? SET ? get ?"),
            ("BITFIELD", "BITFIELD"),
            ("", ""),
        ],
    );
}

/// Commands as tracers write them: words with a space in between, each command in a line.
fn commands() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "AUTH", "ACL", "SET", "setex", "LINSERT", "GEOADD", "HMSET", "MSET", "CONFIG", "BITFIELD",
        "ZADD", "GET",
    ]);
    let argument = prop_oneof!["[a-z0-9?]{1,3}", "\"[a-z \n]{0,4}\"", "SET|NX|CH"];
    let command = (name, prop::collection::vec(argument, 0..8))
        .prop_map(|(name, words)| [vec![name.to_owned()], words].concat().join(" "));
    prop::collection::vec(command, 1..4).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn what_is_hidden_once_stays_as_it_is(text in commands()) {
        let hidden = hide(&text);
        prop_assert_eq!(hide(&hidden), hidden);
        let all_hidden = hide_all(&text);
        prop_assert_eq!(hide_all(&all_hidden), all_hidden);
    }

    #[test]
    fn no_value_survives(key in "[a-z]{1,5}", value in "(\"[ -!#-\\[\\]-~]{0,9}secret[ -!#-\\[\\]-~]{0,9}\"|[!-~&&[^\\\\\"]]{0,5}secret)") {
        for text in [
            format!("SET {key} {value}"),
            format!("AUTH {value}"),
            format!("MSET a {value} b {value}"),
            format!("HSET h {key} {value} {key} {value}"),
            format!("LPUSH {key} {value} {value}"),
            format!("GET {key}\nSETEX {key} 5 {value}\nGET x"),
        ] {
            prop_assert!(!hide(&text).contains("secret"), "{text}");
            prop_assert!(!hide_all(&text).contains("secret"), "{text}");
            prop_assert!(!name(&text).contains("secret"), "{text}");
        }
    }

    #[test]
    fn any_text_has_an_end(text in "([ \n\"\\\\]|SET|ZADD|\\.\\.\\.|\\PC|.){0,30}") {
        hide(&text);
        hide_all(&text);
        let named = name(&text);
        prop_assert!(named.split(' ').count() <= 7 || named == text, "{named}");
    }
}
