//! Vectors observed with the agent 7.85.2, and properties that hold for every text.

use proptest::prelude::*;

use super::*;

#[test]
fn services_become_what_the_agent_makes_of_them() {
    let long = "a".repeat(101);
    let accents = "é".repeat(60);
    let accents_cut = "é".repeat(50);
    let long_cut = "a".repeat(100);
    let letter_gone = "x".repeat(99);
    let cut_letter = format!("{letter_gone}é");
    for (text, wanted) in [
        ("", "unnamed-python-service"),
        ("   ", "unnamed-python-service"),
        ("Web-Store", "web-store"),
        ("UPPER_case", "upper_case"),
        (long.as_str(), long_cut.as_str()),
        (accents.as_str(), accents_cut.as_str()),
        ("9lives", "9lives"),
        ("123", "123"),
        ("svc:one", "svc:one"),
        ("svc/one.two-three", "svc/one.two-three"),
        ("__x__", "_x"),
        ("_", "unnamed-python-service"),
        ("...", "..."),
        ("-dash", "-dash"),
        ("sp ace", "sp_ace"),
        ("tab\tnew\nline", "tab_new_line"),
        ("emoji😀svc", "emoji_svc"),
        ("ŁÓDŹ", "łódź"),
        ("日本語", "日本語"),
        ("a__b", "a_b"),
        ("a..b", "a..b"),
        ("a--b", "a--b"),
        ("trailing_", "trailing"),
        ("trailing.", "trailing."),
        (":colon", ":colon"),
        ("/slash", "/slash"),
        ("#hash", "_hash"),
        ("İstanbul", "İstanbul"),
        ("ǅungla", "ǅungla"),
        ("null\0byte", "null_byte"),
        (cut_letter.as_str(), letter_gone.as_str()),
        ("🎉", "unnamed-python-service"),
        ("ok\u{fffd}bad", "ok_bad"),
        ("caf\u{fffd}", "caf"),
    ] {
        assert_eq!(service(text, "python"), wanted, "{text:?}");
    }
    assert_eq!(service("", ""), "unnamed-service");
    assert_eq!(peer_service("🎉"), "");
    assert_eq!(peer_service("Users DB"), "users_db");
}

#[test]
fn marks_and_letter_like_symbols_are_not_letters() {
    assert_eq!(tag_value("हिन्दी"), "ह_न_द", "vowel signs are marks, and the one at the end goes");
    assert_eq!(tag_value("aⅧb"), "a_b", "a roman numeral is a number");
    assert_eq!(tag_value("aⒶb"), "a_b", "a letter in a circle is a symbol");
    assert_eq!(tag_value("a½b٣"), "a_b٣", "a fraction is no digit, an Arabic-Indic three is");
}

#[test]
fn names_become_what_the_agent_makes_of_them() {
    let too_long = "Too-Long-.".repeat(20);
    let made_of_it = "Too_Long.".repeat(10);
    let long = "a".repeat(101);
    let long_cut = "a".repeat(100);
    for (text, wanted) in [
        ("", "unnamed_operation"),
        ("ok.name", "ok.name"),
        ("Bad-Name", "Bad_Name"),
        ("&***", "unnamed_operation"),
        ("&&&&&&&_test-name-", "test_name"),
        ("9lives", "lives"),
        (long.as_str(), long_cut.as_str()),
        (too_long.as_str(), made_of_it.as_str()),
        ("é.name", "name"),
        ("name é", "name"),
        ("a..b", "a..b"),
        ("a_.b", "a.b"),
        ("a._b", "a._b"),
        ("a__b", "a_b"),
        ("a.", "a."),
        ("a_", "a"),
        ("._a", "a"),
        ("UPPER.Case", "UPPER.Case"),
        ("sp ace", "sp_ace"),
        ("a:b", "a_b"),
        ("a/b", "a_b"),
        ("日本", "unnamed_operation"),
        ("x.日本.y", "x..y"),
        ("http.request", "http.request"),
        ("1.2.3", "unnamed_operation"),
        ("-", "unnamed_operation"),
        ("a\n", "a"),
        ("a-.-b", "a.b"),
        ("ok\u{fffd}bad", "ok_bad"),
    ] {
        assert_eq!(name(text), wanted, "{text:?}");
    }
}

#[test]
fn envs_become_what_the_agent_makes_of_them() {
    let (long, long_cut) = ("a".repeat(201), "a".repeat(200));
    let (accents, accents_cut) = ("é".repeat(201), "é".repeat(200));
    for (text, wanted) in [
        ("", ""),
        ("PROD", "prod"),
        ("pre prod", "pre_prod"),
        (long.as_str(), long_cut.as_str()),
        (accents.as_str(), accents_cut.as_str()),
        ("9prod", "9prod"),
        (".prod", ".prod"),
        ("_x_", "_x"),
        ("!!!", ""),
        ("a::b", "a::b"),
        ("Env:1", "env:1"),
        ("ünïcode", "ünïcode"),
        ("trailing-", "trailing-"),
        ("a  b", "a_b"),
        ("日本", "日本"),
        ("İ", "İ"),
        ("😀", ""),
    ] {
        assert_eq!(tag_value(text), wanted, "{text:?}");
    }
    let sushi = format!("a{}b", "🍣".repeat(799));
    assert_eq!(tag_value(&sushi), "a", "what is not read does not end the run of other characters");
    let han = "日".repeat(300);
    assert_eq!(tag_value(&han).len(), 402, "the character that passes 400 bytes is the last one");
}

#[test]
fn what_is_fine_already_is_borrowed() {
    for text in ["web-store", "日本語", "_hash", "a.b/c:d-e_f", "ünïcode", ""] {
        assert!(matches!(tag_value(text), Cow::Borrowed(_)), "{text}");
    }
    for text in ["http.request", "a._b", "a.."] {
        assert!(matches!(name(text), Cow::Borrowed(_)), "{text}");
    }
}

#[test]
fn status_codes_are_plain_decimal_numbers() {
    for text in ["100", "200", "599", "0200", "00000000000000000000000404"] {
        assert!(is_valid_status_code(text), "{text}");
    }
    for text in
        ["", "99", "600", "+200", " 200", "404.0", "abc", "-1", "18446744073709551816", "２００"]
    {
        assert!(!is_valid_status_code(text), "{text}");
    }
}

#[test]
fn long_tags_are_cut_and_marked() {
    let long = "v".repeat(META_VALUE_BYTES_MAX + 1);
    assert_eq!(meta_value("k", &long).len(), META_VALUE_BYTES_MAX + 3);
    assert_eq!(meta_value("_dd.appsec.json", &long), long);
    assert_eq!(meta_value("_ddx.json", &long).len(), META_VALUE_BYTES_MAX + 3);
    let longest = "v".repeat(META_VALUE_BYTES_MAX);
    assert_eq!(meta_value("k", &longest), longest);
    let boundary = format!("{}é", "v".repeat(META_VALUE_BYTES_MAX - 1));
    assert_eq!(meta_value("k", &boundary).len(), META_VALUE_BYTES_MAX + 2);
    let key = "k".repeat(META_KEY_BYTES_MAX);
    assert_eq!(meta_key(&format!("{key}k")), format!("{key}..."));
    assert!(matches!(meta_key(&format!("_dd.{key}.json")), Cow::Borrowed(_)));
    assert!(matches!(meta_key(&key), Cow::Borrowed(_)));
}

/// Texts in which the characters that the rules know are common.
fn texts() -> impl Strategy<Value = String> {
    let any_text = proptest::collection::vec(any::<char>(), 0..300)
        .prop_map(|chars| chars.into_iter().collect());
    prop_oneof!["[a-cA-C0-2_.:/ éİǅ日😀-]{0,260}", any_text]
}

proptest! {
    #[test]
    fn a_second_pass_changes_nothing(text in texts()) {
        let once = tag_value(&text).into_owned();
        prop_assert_eq!(tag_value(&once), once.as_str());
        let once = name(&text).into_owned();
        prop_assert_eq!(name(&once), once.as_str());
        let once = service(&text, "go").into_owned();
        prop_assert_eq!(service(&once, "go"), once.as_str());
    }

    #[test]
    fn results_keep_their_alphabet_and_bounds(text in texts()) {
        let value = tag_value(&text);
        prop_assert!(value.chars().count() <= TAG_CODE_POINTS_MAX);
        prop_assert!(value.len() < TAG_BYTES_MAX + 4);
        prop_assert!(!value.contains("__") && !value.ends_with('_') && !value.contains(' '));
        let name = name(&text);
        prop_assert!(!name.is_empty() && name.len() <= NAME_BYTES_MAX);
        prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_'));
        prop_assert!(name.starts_with(|first: char| first.is_ascii_alphabetic()));
    }

    #[test]
    fn a_cut_text_is_a_prefix_at_a_boundary(text in texts(), bytes_max in 0usize..400) {
        let cut = truncate(&text, bytes_max);
        prop_assert!(text.starts_with(cut) && cut.len() <= bytes_max);
        prop_assert!(cut.len() == text.len() || cut.len() + 4 > bytes_max);
    }
}
