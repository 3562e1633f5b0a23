//! Card numbers in tags: a value that is nothing but a card number becomes [`HIDDEN`].

/// What takes the place of a card number.
pub const HIDDEN: &str = "?";

/// Digits of a card number (spec: trace-agent 7.5).
const DIGITS_MIN: usize = 12;
const DIGITS_MAX: usize = 16;

/// First six digits that issuers of cards have, first and last of each range.
const ISSUERS: [(u32, u32); 6] = [
    (100_000, 199_999),
    (222_100, 272_099),
    (300_000, 305_999),
    (309_000, 309_999),
    (340_000, 589_999),
    (600_000, 699_999),
];

/// Tags that hold other long numbers, or texts that no one types a card number into.
pub const EXEMPT: [&str; 31] = [
    "account_id",
    "aws_account",
    "config.spark_app_startTime",
    "config.spark_databricks_job_parentRunId",
    "databricks_job_id",
    "databricks_job_run_id",
    "databricks_task_run_id",
    "env",
    "error",
    "error.msg",
    "error.stack",
    "error.type",
    "graphql.field",
    "graphql.operation.name",
    "graphql.query",
    "graphql.type",
    "grpc.code",
    "grpc.method",
    "grpc.request",
    "http.method",
    "http.status_code",
    "out.host",
    "out.port",
    "runtime-id",
    "sampling.priority",
    "service",
    "service.name",
    "span.name",
    "span.type",
    "sql.query",
    "version",
];

/// Whether the value of this tag is never taken for a card number: those the agent knows, those that start with `_`, and `keep_values`.
#[must_use]
pub fn key_is_exempt(key: &str, keep_values: &[String]) -> bool {
    key.starts_with('_')
        || EXEMPT.binary_search(&key).is_ok()
        || keep_values.iter().any(|own| own == key)
}

/// Whether a text can be a card number at all, by its length and first byte: nearly none can.
#[inline(always)]
#[must_use]
pub fn may_be_card(text: &[u8]) -> bool {
    text.len() >= DIGITS_MIN && matches!(text.first(), Some(b'0'..=b'9' | b' ' | b'-'))
}

/// Whether a text is a card number: 12 to 16 digits of which the first six belong to an issuer, with any spaces and dashes before, between
/// and after them. With `luhn` the check digit has to be right, too.
#[inline]
#[must_use]
pub fn is_card(text: &[u8], luhn: bool) -> bool {
    may_be_card(text) && is_card_number(text, luhn)
}

/// The same for a number that is a whole one, in the decimal form that the agent gives it: its minus counts as a dash.
#[inline]
#[must_use]
pub fn int_is_card(number: i64, luhn: bool) -> bool {
    let number = number.unsigned_abs();
    (100_000_000_000..10_000_000_000_000_000).contains(&number) && digits_are_card(number, luhn)
}

/// The same for any number: one with a fraction is no card.
#[inline]
#[must_use]
pub fn float_is_card(number: f64, luhn: bool) -> bool {
    let number = number.abs();
    // Up to here every whole number has a form of its own.
    (1e11..9_007_199_254_740_992.0).contains(&number)
        && number.fract() == 0.0
        && digits_are_card(number as u64, luhn)
}

fn digits_are_card(mut number: u64, luhn: bool) -> bool {
    let mut digits = [b'0'; DIGITS_MAX];
    let mut start = DIGITS_MAX;
    while number > 0 && start > 0 {
        start -= 1;
        digits[start] += (number % 10) as u8;
        number /= 10;
    }
    is_card_number(&digits[start..], luhn)
}

fn is_card_number(text: &[u8], luhn: bool) -> bool {
    let mut digits = [0_u8; DIGITS_MAX];
    let mut count = 0;
    let mut issuer = 0;
    for &byte in text {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b' ' | b'-' => continue,
            _ => return false,
        };
        let Some(place) = digits.get_mut(count) else { return false };
        *place = digit;
        count += 1;
        if count <= 6 {
            issuer = issuer * 10 + u32::from(digit);
            if count == 6 && !ISSUERS.iter().any(|(first, last)| (*first..=*last).contains(&issuer))
            {
                return false;
            }
        }
    }
    count >= DIGITS_MIN && (!luhn || check_digit_is_right(&digits[..count]))
}

/// Luhn's sum: every second digit from the right counts twice.
fn check_digit_is_right(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, u32::from(digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{EXEMPT, float_is_card, int_is_card, is_card, key_is_exempt};

    fn check(text: &str, is_like_a_card: bool, has_right_digit: bool) {
        assert_eq!(is_card(text.as_bytes(), false), is_like_a_card, "{text:?}");
        assert_eq!(is_card(text.as_bytes(), true), has_right_digit, "{text:?}");
    }

    #[test]
    fn cards_of_every_issuer_are_found() {
        for text in [
            "4111111111111111",
            "378282246310005",
            "6011111111111117",
            "5105105105105100",
            "3530111333300000",
            "30569309025904",
            "2221000000000009",
            "2720990000000007",
            "5019717010103742",
        ] {
            check(text, true, true);
        }
        check("4111111111111112", true, false);
    }

    #[test]
    fn spaces_and_dashes_may_stand_anywhere() {
        for text in ["4111 1111-1111  1111", " 4111111111111111 ", "--4111111111111111-"] {
            check(text, true, true);
        }
        for text in ["4111_1111_1111_1111", "4111\t111111111111", "4111\u{a0}11111111 1111"] {
            check(text, false, false);
        }
    }

    #[test]
    fn the_number_is_all_there_is() {
        for text in [
            "card 4111111111111111",
            "4111111111111111x",
            "4111111111111111.0",
            "",
            "-",
            "            ",
        ] {
            check(text, false, false);
        }
    }

    #[test]
    fn a_card_has_twelve_to_sixteen_digits() {
        check("41111111111", false, false);
        check("411111111111", true, false);
        check("4111-1111-1111-1111-1", false, false);
        check(&format!("4111111111111111{}", " ".repeat(5000)), true, true);
    }

    #[test]
    fn the_first_six_digits_decide() {
        for (six, is_issuer) in [
            (99_999, false),
            (100_000, true),
            (199_999, true),
            (200_000, false),
            (222_099, false),
            (222_100, true),
            (272_099, true),
            (272_100, false),
            (299_999, false),
            (300_000, true),
            (305_999, true),
            (306_000, false),
            (308_999, false),
            (309_000, true),
            (310_000, false),
            (339_999, false),
            (340_000, true),
            (589_999, true),
            (590_000, false),
            (599_999, false),
            (600_000, true),
            (699_999, true),
            (700_000, false),
            (999_999, false),
        ] {
            assert_eq!(
                is_card(format!("{six:06}0000000000").as_bytes(), false),
                is_issuer,
                "{six}"
            );
        }
    }

    #[test]
    fn numbers_are_taken_by_their_digits() {
        for (number, is_like_a_card) in [
            (4_111_111_111_111_111_i64, true),
            (-4_111_111_111_111_111, true),
            (411_111_111_111, true),
            (41_111_111_111, false),
            (41_111_111_111_111_111, false),
            (0, false),
            (i64::MIN, false),
            (i64::MAX, false),
        ] {
            assert_eq!(int_is_card(number, false), is_like_a_card, "{number}");
            assert_eq!(float_is_card(number as f64, false), is_like_a_card, "{number}");
        }
        assert!(
            int_is_card(4_111_111_111_111_111, true) && !int_is_card(4_111_111_111_111_112, true)
        );
        assert!(!float_is_card(411_111_111_111.5, false));
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert!(!float_is_card(number, false));
        }
    }

    #[test]
    fn some_tags_are_not_looked_at() {
        assert!(EXEMPT.is_sorted());
        let keep = ["order.number".to_owned()];
        for key in ["_dd.x", "_", "env", "version", "error.msg", "http.status_code", "order.number"]
        {
            assert!(key_is_exempt(key, &keep), "{key}");
        }
        for key in ["", "Env", "error.message", "http.url", "card.number", "order.number2"] {
            assert!(!key_is_exempt(key, &keep), "{key}");
        }
        assert!(!key_is_exempt("order.number", &[]));
    }

    proptest! {
        #[test]
        fn no_card_number_survives(
            issuer in prop::sample::select(vec!["1", "4", "34", "39", "51", "55", "62", "65", "300", "305", "309", "636", "644", "649", "3528", "3589", "5019", "6011"]),
            digits in "[0-9]{12}",
            gaps in prop::collection::vec((any::<prop::sample::Index>(), "[ -]{1,2}"), 0..6),
        ) {
            let mut text = format!("{issuer}{digits}");
            for (at, gap) in gaps {
                text.insert_str(at.index(text.len() + 1), &gap);
            }
            prop_assert!(is_card(text.as_bytes(), false), "{text}");
        }

        #[test]
        fn every_number_has_one_right_check_digit(start in "4[0-9]{14}") {
            let right = (0..10).filter(|digit| is_card(format!("{start}{digit}").as_bytes(), true));
            prop_assert_eq!(right.count(), 1);
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..40), luhn in any::<bool>()) {
            prop_assert!(!is_card(&bytes, luhn) || bytes.iter().all(|byte| byte.is_ascii_digit() || b" -".contains(byte)));
        }
    }
}
