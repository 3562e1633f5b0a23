//! Answers of the agent's own obfuscator, and properties that hold for every query.

use std::time::Duration;

use nix::time::ClockId;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const MODES: [Mode; 4] =
    [Mode::Legacy, Mode::ObfuscateOnly, Mode::NormaliseOnly, Mode::ObfuscateAndNormalise];
const DATABASES: [&str; 6] = ["", "postgresql", "mysql", "mssql", "oracle", "snowflake"];

pub(super) fn mode_named(name: &str) -> Mode {
    match name {
        "" => Mode::Legacy,
        "obfuscate_only" => Mode::ObfuscateOnly,
        "normalize_only" => Mode::NormaliseOnly,
        "obfuscate_and_normalize" => Mode::ObfuscateAndNormalise,
        _ => panic!("no mode: {name}"),
    }
}

fn settings_with(mode: Mode, has: impl Fn(&str) -> bool) -> Settings {
    Settings {
        mode,
        table_names: has("table_names"),
        replace_digits: has("replace_digits"),
        keep_sql_alias: has("keep_sql_alias"),
        dollar_quoted_func: has("dollar_quoted_func"),
        keep_null: has("keep_null"),
        keep_boolean: has("keep_boolean"),
        keep_positional_parameter: has("keep_positional_parameter"),
        keep_trailing_semicolon: has("keep_trailing_semicolon"),
        keep_identifier_quotation: has("keep_identifier_quotation"),
        replace_bind_parameter: has("replace_bind_parameter"),
        remove_space_between_parentheses: has("remove_space_between_parentheses"),
        keep_json_path: has("keep_json_path"),
    }
}

/// The result as a text, whether it was written or not.
fn result(sql: &mut Sql, query: &str, dbms: &str) -> Option<String> {
    let mut out = "what was here before".to_owned();
    match sql.obfuscate(query, dbms, &mut out) {
        Ok(Outcome::Changed) => {
            assert_ne!(out, query, "said to be changed");
            Some(out)
        }
        Ok(Outcome::Unchanged) => {
            assert_eq!(out, "", "{query:?}: nothing to write");
            Some(query.to_owned())
        }
        Err(Unparsable) => {
            assert_eq!(out, "", "{query:?}: nothing may leave");
            None
        }
    }
}

fn legacy(query: &str) -> Option<String> {
    result(&mut Sql::new(Settings::default()), query, "")
}

#[test]
fn answers_are_those_of_the_agent() {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sql/answers.jsonl"));
    let mut count = 0;
    for line in text.lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        let options = answer["options"].as_array().cloned().unwrap_or_default();
        let mode = mode_named(answer["mode"].as_str().unwrap_or_default());
        let mut sql =
            Sql::new(settings_with(mode, |name| options.iter().any(|option| option == name)));
        let query = answer["query"].as_str().unwrap();
        let got = result(&mut sql, query, answer["dbms"].as_str().unwrap_or_default());
        let is_error = answer["error"].as_bool().unwrap_or_default();
        let wanted = (!is_error).then(|| answer["result"].as_str().unwrap().to_owned());
        assert_eq!(got, wanted, "{line}");
        assert_eq!(sql.tables(), answer["tables"].as_str().unwrap_or_default(), "{line}");
        count += 1;
    }
    assert!(count > 1500, "{count} answers");
}

#[test]
fn a_backslash_is_read_as_in_the_last_query_that_only_one_reading_fits() {
    let mut sql = Sql::new(Settings::default());
    let mut check = |query, wanted| assert_eq!(result(&mut sql, query, "").as_deref(), wanted);
    check(r#"SELECT "a\b""#, Some("SELECT ab"));
    // Only where a backslash stands for itself, this string ends.
    check(r"SELECT a FROM t WHERE b LIKE '%\'", Some("SELECT a FROM t WHERE b LIKE ?"));
    check(r#"SELECT "a\b""#, Some(r"SELECT a\b"));
    // Nothing is learnt from what can't be read.
    check(r#"SELECT 'it\'s' ""#, None);
    check(r#"SELECT "a\b""#, Some(r"SELECT a\b"));
    // And only where it does not, this one does.
    check(r"SELECT 'it\'s'", Some("SELECT ?"));
    check(r#"SELECT "a\b""#, Some("SELECT ab"));
}

#[test]
fn what_the_agent_changes_when_it_sees_it_again() {
    // A name loses its quotes, and what was between them is read as something else.
    assert_eq!(legacy("SELECT \"a--b\" FROM t").as_deref(), Some("SELECT a--b FROM t"));
    assert_eq!(legacy("SELECT a--b FROM t").as_deref(), Some("SELECT a"));
    assert_eq!(legacy("SELECT \"it's\"").as_deref(), Some("SELECT it's"));
    assert_eq!(legacy("SELECT it's"), None);
    // An operator that it does not know is pulled apart, and a part of it is read as a comment.
    assert_eq!(legacy("a @#>b").as_deref(), Some("a @# > b"));
    assert_eq!(legacy("a #\n>b").as_deref(), Some("a"));
    // Once an alias is gone, what is behind it can be one.
    assert_eq!(legacy("SELECT a AS as b c").as_deref(), Some("SELECT a b c"));
    // A hidden digit is a value when it is seen again.
    let mut sql = Sql::new(Settings { replace_digits: true, ..Settings::default() });
    assert_eq!(result(&mut sql, "FROM t1", "").as_deref(), Some("FROM t?"));
    assert_eq!(result(&mut sql, "FROM t?", "").as_deref(), Some("FROM t ?"));
    // A list of values and names gets more commas each time.
    let mode = Mode::ObfuscateAndNormalise;
    let mut sql = Sql::new(Settings { mode, ..Settings::default() });
    assert_eq!(result(&mut sql, "f (1, a, b)", "").as_deref(), Some("f ( ?, a,, b )"));
    assert_eq!(result(&mut sql, "f ( ?, a,, b )", "").as_deref(), Some("f ( ?, a,,,, b )"));
    let mut sql = Sql::new(Settings { mode: Mode::NormaliseOnly, ..Settings::default() });
    assert_eq!(result(&mut sql, "a;;", "").as_deref(), Some("a;"));
    assert_eq!(result(&mut sql, "a;", "").as_deref(), Some("a"));
}

/// Each of these takes some hundredths of a second if the time grows with the length, and many seconds if it grows with the square.
fn cpu_time() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().unwrap().into()
}

#[test]
fn the_time_grows_no_faster_than_the_query() {
    let count = 20_000;
    let repeated = [
        "(",
        "(?,",
        "$",
        "{",
        "'",
        "\"",
        "/*",
        "[a].",
        "$func$",
        "a$$func$ ",
        "$func$a$$",
        "EXTRACT(",
        "a1, ",
        ".",
        "-.",
        "%(",
        "SAVEPOINT (",
        "FROM a ",
        "AS [",
        "\\'",
        "$é$",
        "-- ",
        "x AS ",
        "((",
        "1)",
        "`a``",
        ": ",
        "WITH a AS (",
    ];
    let mut queries: Vec<String> = repeated.iter().map(|part| part.repeat(count)).collect();
    // Letters whose code points end with the byte of a dollar.
    queries.push(format!("${}a${}", "Ĥ".repeat(count), "$".repeat(count)));
    queries.push((0..count / 2).map(|n| format!("FROM t_{n}, u{n} ")).collect());
    for mode in [Mode::Legacy, Mode::ObfuscateAndNormalise] {
        let options = ["table_names", "dollar_quoted_func", "replace_digits"];
        let mut sql = Sql::new(settings_with(mode, |name| options.contains(&name)));
        for (query, dbms) in queries.iter().flat_map(|query| [(query, ""), (query, "mssql")]) {
            // In the thread's own time, which no other work on the machine lengthens. One that grew with the square would take minutes.
            let before = cpu_time();
            result(&mut sql, query, dbms);
            let start_of_query = query.get(..20).unwrap_or_default();
            let taken = cpu_time() - before;
            assert!(taken < Duration::from_secs(5), "{mode:?} {start_of_query:?}: {taken:?}");
        }
    }
}

/// Pieces of queries, whole and broken.
fn pieces() -> impl Strategy<Value = String> {
    const PIECES: &str = r#"SELECT from WHERE = AND INSERT INTO t VALUES UPDATE DELETE JOIN AS NULL TRUE SAVEPOINT WITH EXTRACT( epoch
        PROCEDURE ( ) , . ; : :: := ! ~* <=> -> #>> ? ?| -- /* */ # %s %(x)s $1 $ $$ $func$ @ @x @@v { } [ ] " ' ` \ 0x1 1.5e -. 名 Ĥ ſ _a1"#;
    let piece = prop_oneof![
        8 => prop::sample::select(PIECES.split_whitespace().collect::<Vec<_>>())
            .prop_map(str::to_owned),
        1 => prop::sample::select(vec!["\0", "\n", "\u{a0}", "\u{2028}"]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[a-z0-9_.$]{1,6}",
    ];
    let spaced = (piece, prop::sample::select(vec!["", " ", "  "]));
    prop::collection::vec(spaced, 0..20)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, space)| piece + space).collect())
}

/// A literal with a number in it that is in nothing else.
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("'it is 98765 here'".to_owned()),
        Just("'98765'".to_owned()),
        Just("'a -- 98765'".to_owned()),
        Just("'it''s 98765'".to_owned()),
        Just("98765".to_owned()),
        Just("-98765".to_owned()),
        Just("98765.98765e3".to_owned()),
        Just("0.98765".to_owned()),
        Just("$t$98765$t$".to_owned()),
        Just("$$ 98765 ' $$".to_owned()),
        Just("NULL".to_owned()),
        Just("true".to_owned()),
    ]
}

/// A condition with literals.
fn condition() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b.c", "t1.x", "größe"]);
    prop_oneof![
        (name.clone(), literal()).prop_map(|(name, value)| format!("{name} = {value}")),
        (name.clone(), literal()).prop_map(|(name, value)| format!("{name}>={value}")),
        (name.clone(), literal(), literal())
            .prop_map(|(name, low, high)| format!("{name} BETWEEN {low} AND {high}")),
        (name.clone(), prop::collection::vec(literal(), 1..4))
            .prop_map(|(name, values)| format!("{name} IN ({})", values.join(", "))),
        (name, literal()).prop_map(|(name, value)| format!("lower({name}) LIKE {value}")),
    ]
}

/// A query that a database would take, with literals.
fn query() -> impl Strategy<Value = String> {
    let conditions = || prop::collection::vec(condition(), 1..4).prop_map(|all| all.join(" AND "));
    let rows = prop::collection::vec(prop::collection::vec(literal(), 1..4), 1..4);
    prop_oneof![
        (conditions(), literal()).prop_map(|(conditions, value)| format!(
            "SELECT a, {value} AS b FROM t1 JOIN u ON t1.id = u.id WHERE {conditions} LIMIT 98765;"
        )),
        (literal(), conditions()).prop_map(|(value, conditions)| format!(
            "UPDATE t SET a = {value}, b = b + 98765 /* why 98765 */ WHERE {conditions}"
        )),
        conditions().prop_map(|conditions| format!(
            "WITH w AS (SELECT 98765 FROM t) DELETE FROM w -- 98765\nWHERE {conditions}"
        )),
        rows.prop_map(|rows| {
            let rows: Vec<String> =
                rows.iter().map(|row| format!("({})", row.join(", "))).collect();
            format!("INSERT INTO t (a, b) VALUES {}", rows.join(", "))
        }),
    ]
}

/// With one database, a dollar before a letter starts a name.
fn as_spoken_by(dbms: &str, query: &str) -> String {
    query.replace("$t$", if dbms == "mssql" { "$$" } else { "$t$" })
}

fn settings() -> impl Strategy<Value = Settings> {
    const OPTIONS: [&str; 12] = [
        "table_names",
        "replace_digits",
        "keep_sql_alias",
        "dollar_quoted_func",
        "keep_null",
        "keep_boolean",
        "keep_positional_parameter",
        "keep_trailing_semicolon",
        "keep_identifier_quotation",
        "replace_bind_parameter",
        "remove_space_between_parentheses",
        "keep_json_path",
    ];
    let options = prop::sample::subsequence(OPTIONS.to_vec(), 0..=12);
    (prop::sample::select(MODES.to_vec()), options)
        .prop_map(|(mode, options)| settings_with(mode, |name| options.contains(&name)))
}

fn database() -> impl Strategy<Value = &'static str> {
    prop::sample::select(DATABASES.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_value_of_a_query_survives(query in query(), settings in settings(), dbms in database()) {
        let mode = Some(settings.mode).filter(|mode| *mode != Mode::NormaliseOnly);
        let settings = Settings { mode: mode.unwrap_or_default(), ..settings };
        let query = as_spoken_by(dbms, &query);
        let hides_comments = settings.mode != Mode::ObfuscateOnly;
        let result = result(&mut Sql::new(settings), &query, dbms);
        let result = result.expect("a query that a database would take");
        let comments = ["/* why 98765 */", "-- 98765\n"];
        let shown = comments.iter().fold(result, |text, comment| {
            if hides_comments { text } else { text.replace(comment, "") }
        });
        prop_assert!(!shown.contains("98765") && !shown.contains("it is"), "{shown}");
    }

    #[test]
    fn a_result_stays_as_it_is(query in query(), settings in settings(), dbms in database()) {
        // What does not stay is in a test of its own.
        let kept = Settings { replace_digits: false, keep_null: false, keep_boolean: false, ..settings };
        let mut sql = Sql::new(kept);
        let query = as_spoken_by(dbms, &query);
        let once = result(&mut sql, &query, dbms).unwrap();
        prop_assert_eq!(result(&mut sql, &once, dbms), Some(once));
    }

    #[test]
    fn anything_is_read_or_refused(query in pieces(), settings in settings(), dbms in database()) {
        let fails = settings.mode == Mode::Legacy;
        let mut sql = Sql::new(settings);
        let first = result(&mut sql, &query, dbms);
        prop_assert!(first.is_some() || fails);
        // Neither what was learnt nor what is left in the buffers has an effect.
        prop_assert_eq!(result(&mut sql, &query, dbms), first);
    }

    #[test]
    fn a_cache_makes_no_difference(
        queries in prop::collection::vec(pieces(), 1..6),
        order in prop::collection::vec((any::<prop::sample::Index>(), database()), 1..60),
        settings in settings(),
        bytes_max in prop::sample::select(vec![0_usize, 70_000, 1_000_000]),
    ) {
        let mut plain = Sql::new(settings.clone());
        let mut cached = Sql::with_cache(settings, bytes_max);
        for (index, dbms) in order {
            let query = index.get(&queries);
            let wanted = result(&mut plain, query, dbms);
            prop_assert_eq!(result(&mut cached, query, dbms), wanted.clone());
            if wanted.is_some() {
                prop_assert_eq!(cached.tables(), plain.tables());
            }
        }
    }
}
