//! Whether a line has a date with a time near its beginning: by the pairs of tokens that follow each other in such texts. A date alone or a time
//! alone is not enough (spec: metrics-logs 4.6).

use super::tokens::Token;

/// Pairs of tokens in a row that a timestamp has at least. (The agent's figure, which it does not let users set.)
const PAIRS_MIN: usize = 8;

/// Which tokens follow which in the formats that the agent knows, some 55 of them. A row for each token.
const FOLLOWERS: &[(Token, &[Token])] = &[
    (Token::SPACE, &[s(b'+'), d(1), d(2), d(4), Token::HALF, Token::MONTH, Token::ZONE]),
    (s(b'\''), &[d(2), Token::T]),
    (s(b'*'), &[d(2), d(3), Token::ZONE]),
    (s(b'+'), &[d(2), d(4)]),
    (s(b','), &[d(3), Token::SPACE]),
    (s(b'-'), &[d(2), d(4), Token::MONTH]),
    (s(b'.'), &[d(2), d(3), d(6)]),
    (s(b'/'), &[d(1), d(2), d(4), Token::MONTH]),
    (s(b':'), &[d(2), d(3)]),
    (s(b'_'), &[d(2)]),
    (d(1), &[s(b','), s(b'/'), s(b':'), Token::SPACE]),
    (
        d(2),
        &[
            s(b'\''),
            s(b'*'),
            s(b'+'),
            s(b','),
            s(b'-'),
            s(b'.'),
            s(b'/'),
            s(b':'),
            s(b'_'),
            Token::T,
            Token::SPACE,
        ],
    ),
    (d(3), &[s(b'*'), s(b'+'), Token::SPACE, Token::ZONE]),
    (d(4), &[s(b'*'), s(b'-'), s(b'/'), s(b':'), Token::SPACE, Token::ZONE]),
    (d(6), &[s(b'+'), Token::ZONE]),
    (Token::T, &[s(b'\''), d(2)]),
    (Token::DAY, &[s(b',')]),
    (Token::HALF, &[s(b':')]),
    (Token::MONTH, &[s(b'-'), s(b'/'), Token::SPACE]),
];

const fn s(byte: u8) -> Token {
    Token::symbol(byte)
}

const fn d(len: usize) -> Token {
    Token::digits(len)
}

/// The pairs, a bit for each.
#[derive(Debug)]
pub(super) struct Timestamps {
    followers: [u128; Token::COUNT],
    threshold: f64,
}

impl Timestamps {
    /// `threshold`: the part of a stretch's pairs that has to be known, in excess of those that are not; more than that is a timestamp.
    pub(super) fn new(threshold: f64) -> Self {
        let mut followers = [0; Token::COUNT];
        for (token, after) in FOLLOWERS {
            if let Some(row) = followers.get_mut(token.number()) {
                *row = after.iter().fold(0, |row, token| row | 1 << token.number());
            }
        }
        Self { followers, threshold }
    }

    /// Whether a line begins with a year, a month, a day, an hour and a minute in the form that most loggers write. Its tokens are eight known
    /// pairs then, which is all that [`Timestamps::is_in`] would ask for. Where it does not begin so, nothing is said. `bytes_max`: what would
    /// be turned into tokens.
    pub(super) fn begins(&self, text: &[u8], bytes_max: usize) -> bool {
        let Some(([y1, y2, y3, y4, one, m1, m2, two, d1, d2, gap, h1, h2, b':', s1, s2], rest)) =
            text.split_first_chunk()
        else {
            return false;
        };
        let digits = [y1, y2, y3, y4, m1, m2, d1, d2, h1, h2, s1, s2];
        let is_date = matches!((one, two), (b'-', b'-') | (b'/', b'/'));
        is_date
            && matches!(gap, b' ' | b'T' | b't')
            && digits.iter().all(|digit| digit.is_ascii_digit())
            && !rest.first().is_some_and(u8::is_ascii_digit)
            && bytes_max > text.len() - rest.len()
            && self.threshold < 1.0
    }

    /// Whether these are the tokens of a line with a timestamp.
    pub(super) fn is_in(&self, tokens: &[Token]) -> bool {
        if tokens.len() < PAIRS_MIN {
            return false;
        }
        let mut best = Stretch::default();
        let mut open = Stretch::default();
        let mut leading = 0;
        for (at, pair) in tokens.windows(2).enumerate() {
            let &[first, second] = pair else { continue };
            let row = self.followers.get(first.number()).copied().unwrap_or_default();
            let is_known = row & 1 << second.number() != 0;
            if is_known && leading == at {
                leading += 1;
            }
            open.extend(is_known);
            if at == 0 || open.sum > best.sum {
                best = open;
            }
        }
        // The agent rates a line that begins with nothing but known pairs by these alone: what follows would dilute them.
        if leading >= PAIRS_MIN {
            return self.threshold < 1.0;
        }
        best.pairs >= PAIRS_MIN && f64::from(best.sum) / best.pairs as f64 > self.threshold
    }
}

/// Pairs in a row: known ones less unknown ones.
#[derive(Clone, Copy, Default)]
struct Stretch {
    sum: i32,
    pairs: usize,
}

impl Stretch {
    /// Takes the next pair, or begins with it where what was before only does harm.
    fn extend(&mut self, is_known: bool) {
        if self.sum < 0 {
            *self = Self::default();
        }
        self.sum += if is_known { 1 } else { -1 };
        self.pairs += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::super::tokens::tokenize;
    use super::Timestamps;

    /// As the agent rates such lines (spec: metrics-logs 8, the tests of its timestamp detector).
    #[test]
    fn lines_with_date_and_time_begin_a_message() {
        let timestamps = Timestamps::new(0.5);
        let check = |text: &str, expect: bool| {
            let mut tokens = Vec::new();
            tokenize(text.as_bytes(), 60, &mut tokens);
            assert_eq!(timestamps.is_in(&tokens), expect, "{text:?}");
        };
        for text in [
            "2026-11-25 22:10:05 started",
            "22:10:05 2026-11-25",
            "web worker 22:10:05 2026-11-25",
            "2026-11-25T22:10:05.743350Z started",
            "2026-11-25T22:10:05.743350+00:00 started",
            "[2026-11-25 22:10:05] [INFO] started",
            "[2026-11-25 22:10:05 +0000] [7] [INFO] Booting worker with pid: 7",
            "2026-11-25 22:10:05,369 - root - DEBUG - started",
            "2026-11-25 22:10:05.123  INFO 1 --- [main] c.e.App : started",
            "9/28/2026 2:23:15 PM",
            "Nov 25, 2026 10:10:05 PM com.example.App main",
            "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: failed",
            "[Wed Nov 25 22:10:05 2026] [notice] ok",
            "2026/11/25 22:10:05 http: panic serving 127.0.0.1:1: x",
            "127.0.0.1 - - [25/Nov/2026:22:10:05 +0000] \"GET / HTTP/1.1\" 200",
            "log 2026-11-25'T'22:10:05.455 it",
            "2026-08-11 10:34:49 W3SVC1 10.1.48.10 GET /a/b - 443 x 10.1.48.122",
        ] {
            check(text, true);
        }
        for text in [
            "",
            "22:10:05 - started",
            "22:10:2026 - started",
            "2026/11/25",
            "started",
            "    at com.example.App.main(App.java:12)",
            "  File \"/app/main.py\", line 12, in <module>",
            "ERROR in | app.go:53:123 failed",
            "[INFO] app.swift:123 started",
            "1234-1234-1234-123-21-1",
            "192.168.1.123",
            "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
            "fd12:3456:789a:1::1",
            "  Caused by: connect timed out to 10.1.48.10 after 3 retries",
            "  peer 9.100.48.100 unreachable",
            "10:10:10 foo :10: bar 10:10",
        ] {
            check(text, false);
        }
    }

    #[test]
    fn the_usual_form_is_known_at_a_glance() {
        let timestamps = Timestamps::new(0.5);
        for (text, bytes_max, expect) in [
            ("2026-11-25T22:10:05.123Z INFO", 60, true),
            ("2026/11/25 22:10:05 http:", 60, true),
            ("2026-11-25 22:10", 60, true),
            ("2026-11-25 22:10", 17, true),
            ("2026-11-25 22:10", 16, false),
            ("2026-11-25 22:1", 60, false),
            ("2026-11-25 22:100", 60, false),
            ("2026-11/25 22:10", 60, false),
            ("2026.11.25 22:10", 60, false),
            ("2026-11-25x22:10", 60, false),
            (" 2026-11-25 22:10", 60, false),
            ("x026-11-25 22:10", 60, false),
        ] {
            assert_eq!(timestamps.begins(text.as_bytes(), bytes_max), expect, "{text:?}");
        }
        assert!(!Timestamps::new(1.0).begins(b"2026-11-25 22:10:05", 60));
    }

    proptest! {
        #[test]
        fn what_is_known_at_a_glance_is_what_the_tokens_say(
            text in "[0-9]{4,5}[-/][0-9]{2,3}[-/][0-9]{2}[Tt x][0-9]{2}:[0-9]{2,3}[-/:TZ a-z0-9+.,]{0,60}",
            bytes_max in 0_usize..100,
            threshold in 0.0_f64..1.1,
        ) {
            let timestamps = Timestamps::new(threshold);
            let mut tokens = Vec::new();
            tokenize(text.as_bytes(), bytes_max, &mut tokens);
            prop_assert!(!timestamps.begins(text.as_bytes(), bytes_max) || timestamps.is_in(&tokens));
        }
    }

    #[test]
    fn no_threshold_makes_a_timestamp_of_nothing() {
        let timestamps = Timestamps::new(0.0);
        let mut tokens = Vec::new();
        for (text, expect) in [("short", false), ("2026-11-25 22:10:05 x", true)] {
            tokenize(text.as_bytes(), 60, &mut tokens);
            assert_eq!(timestamps.is_in(&tokens), expect);
        }
    }
}
