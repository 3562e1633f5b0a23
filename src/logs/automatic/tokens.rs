//! Texts as tokens: what a line looks like, without what it says. Runs of letters and of digits are tokens by their length, punctuation by its
//! kind, and words of dates are tokens of their own (spec: metrics-logs 4.6).

/// A token. Those of runs and of punctuation have numbers in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token(u8);

/// Longest run of letters or digits that is told from a longer one.
const RUN_MAX: usize = 10;

/// The kinds of punctuation.
const SYMBOLS: &[u8; 28] = b":;-_/\\.,'\"`~*+=(){}[]&!@#$%^";

const FIRST_DIGITS: u8 = 1 + SYMBOLS.len() as u8;
const FIRST_LETTERS: u8 = FIRST_DIGITS + RUN_MAX as u8;
const FIRST_WORD: u8 = FIRST_LETTERS + RUN_MAX as u8;

impl Token {
    pub(super) const SPACE: Self = Self(0);
    pub(super) const MONTH: Self = Self(FIRST_WORD);
    pub(super) const DAY: Self = Self(FIRST_WORD + 1);
    /// `AM` or `PM`.
    pub(super) const HALF: Self = Self(FIRST_WORD + 2);
    pub(super) const ZONE: Self = Self(FIRST_WORD + 3);
    /// The letter between date and time.
    pub(super) const T: Self = Self(FIRST_WORD + 4);
    const FIRST_GRAVE: u8 = FIRST_WORD + 5;
    /// How many tokens there are.
    pub(super) const COUNT: usize = Self::FIRST_GRAVE as usize + 13;

    /// The token's number, below [`Token::COUNT`].
    pub(super) fn number(self) -> usize {
        usize::from(self.0)
    }

    /// A run of as many digits.
    pub(super) const fn digits(len: usize) -> Self {
        Self(FIRST_DIGITS + run(len))
    }

    /// A run of as many letters.
    const fn letters(len: usize) -> Self {
        Self(FIRST_LETTERS + run(len))
    }

    /// The token of one kind of punctuation, or of a letter for anything else.
    pub(super) const fn symbol(byte: u8) -> Self {
        match CLASSES[byte as usize] {
            SPACE | DIGIT | LETTER => Self::letters(1),
            number => Self(number),
        }
    }
}

// A row of the known pairs is 128 bits.
const _: () = assert!(Token::COUNT <= 128);

const fn run(len: usize) -> u8 {
    (if len > RUN_MAX { RUN_MAX } else { len }) as u8 - 1
}

/// Classes of bytes; those of punctuation are the numbers of their tokens.
const SPACE: u8 = 0;
const DIGIT: u8 = u8::MAX - 1;
const LETTER: u8 = u8::MAX;

/// What each byte belongs to. Bytes of other characters than ASCII's count as letters.
const CLASSES: [u8; 256] = {
    let mut classes = [LETTER; 256];
    let mut at = 0;
    while at < SYMBOLS.len() {
        classes[SYMBOLS[at] as usize] = at as u8 + 1;
        at += 1;
    }
    let mut digit = b'0';
    while digit <= b'9' {
        classes[digit as usize] = DIGIT;
        digit += 1;
    }
    classes[b' ' as usize] = SPACE;
    classes[b'\t' as usize] = SPACE;
    classes[b'\n' as usize] = SPACE;
    classes[b'\r' as usize] = SPACE;
    classes
};

/// Turns the first `bytes_max` bytes of `text` into tokens; they take the place of those in `tokens`.
pub(super) fn tokenize(text: &[u8], bytes_max: usize, tokens: &mut Vec<Token>) {
    tokens.clear();
    let mut rest = text.get(..bytes_max).unwrap_or(text);
    while let Some(first) = rest.first() {
        let class = CLASSES[usize::from(*first)];
        let is_other = |byte: &u8| CLASSES[usize::from(*byte)] != class;
        let len = rest.iter().position(is_other).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(len);
        rest = behind;
        tokens.push(match class {
            LETTER => word(run).unwrap_or(Token::letters(len)),
            DIGIT => Token::digits(len),
            SPACE => Token::SPACE,
            number => Token(number),
        });
    }
}

/// Longest word that is a token of its own.
const WORD_BYTES_MAX: usize = 9;

/// The token of a word that means something in dates or says how grave a line is, in any case.
fn word(letters: &[u8]) -> Option<Token> {
    let mut upper = [0; WORD_BYTES_MAX];
    let upper = upper.get_mut(..letters.len())?;
    upper.copy_from_slice(letters);
    upper.make_ascii_uppercase();
    let grave = |number| Some(Token(Token::FIRST_GRAVE + number));
    match &*upper {
        b"T" => Some(Token::T),
        b"Z" => Some(Token::ZONE),
        b"AM" | b"PM" => Some(Token::HALF),
        b"JAN" | b"FEB" | b"MAR" | b"APR" | b"MAY" | b"JUN" | b"JUL" | b"AUG" | b"SEP" | b"OCT"
        | b"NOV" | b"DEC" => Some(Token::MONTH),
        b"MON" | b"TUE" | b"WED" | b"THU" | b"FRI" | b"SAT" | b"SUN" => Some(Token::DAY),
        b"UTC" | b"GMT" | b"EST" | b"EDT" | b"CST" | b"CDT" | b"MST" | b"MDT" | b"PST" | b"PDT"
        | b"JST" | b"KST" | b"IST" | b"MSK" | b"CET" | b"BST" | b"HST" | b"HDT" | b"NST"
        | b"NDT" | b"CEST" | b"NZST" | b"NZDT" | b"ACST" | b"ACDT" | b"AEST" | b"AEDT"
        | b"AWST" | b"AWDT" | b"AKST" | b"AKDT" | b"CHST" | b"CHDT" => Some(Token::ZONE),
        b"WARN" | b"WARNING" => grave(0),
        b"FATAL" => grave(1),
        b"ERROR" => grave(2),
        b"PANIC" => grave(3),
        b"ALERT" => grave(4),
        b"SEVERE" => grave(5),
        b"CRIT" | b"CRITICAL" => grave(6),
        b"EMERG" | b"EMERGENCY" => grave(7),
        b"EXCEPTION" => grave(8),
        b"CRASH" | b"CRASHED" => grave(9),
        b"FAILED" | b"FAILURE" => grave(10),
        b"DEADLOCK" => grave(11),
        b"TIMEOUT" => grave(12),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST_DIGITS, FIRST_LETTERS, FIRST_WORD, SYMBOLS, Token, tokenize};

    /// Tokens in letters: `D` for each digit, `C` for each letter, words in braces.
    fn shown(text: &[u8], bytes_max: usize) -> String {
        let mut tokens = Vec::new();
        tokenize(text, bytes_max, &mut tokens);
        let name = |token: &Token| match token.0 {
            0 => " ".to_owned(),
            number if number < FIRST_DIGITS => {
                char::from(SYMBOLS[usize::from(number) - 1]).to_string()
            }
            number if number < FIRST_LETTERS => "D".repeat(usize::from(number - FIRST_DIGITS) + 1),
            number if number < FIRST_WORD => "C".repeat(usize::from(number - FIRST_LETTERS) + 1),
            _ => match *token {
                Token::MONTH => "{month}".to_owned(),
                Token::DAY => "{day}".to_owned(),
                Token::HALF => "{half}".to_owned(),
                Token::ZONE => "{zone}".to_owned(),
                Token::T => "{T}".to_owned(),
                Token(number) => format!("{{grave {}}}", number - Token::FIRST_GRAVE),
            },
        };
        tokens.iter().map(name).collect()
    }

    #[test]
    fn a_line_is_told_by_its_shape() {
        for (text, expect) in [
            ("", ""),
            (" \t\r\n ", " "),
            ("ab12", "CCDD"),
            ("[web-1] (x)", "[CCC-D] (C)"),
            ("--==", "-="),
            ("Mon Jan 2PM CET", "{day} {month} D{half} {zone}"),
            ("01-02T03:04Z5", "DD-DD{T}DD:DD{zone}D"),
            ("amused am,t z", "CCCCCC {half},{T} {zone}"),
            ("monday T1me", "CCCCCC {T}DCC"),
            ("0123456789012", "DDDDDDDDDD"),
            ("abcdefghijklm", "CCCCCCCCCC"),
            ("né!", "CCC!"),
            ("Error warning EXCEPTIONS", "{grave 2} {grave 0} CCCCCCCCCC"),
            ("exception emergency", "{grave 8} {grave 7}"),
        ] {
            assert_eq!(shown(text.as_bytes(), 60), expect, "{text:?}");
        }
        assert_eq!(shown(b"12-34-5678", 7), "DD-DD-D");
        assert_eq!(shown(b"\xff\x00\x80", 60), "CCC");
    }

    #[test]
    fn every_symbol_has_a_token_of_its_own() {
        for byte in u8::MIN..=u8::MAX {
            let is_listed = SYMBOLS.contains(&byte);
            assert_eq!(Token::symbol(byte) == Token::letters(1), !is_listed);
        }
        let mut numbers: Vec<u8> = SYMBOLS.iter().map(|byte| Token::symbol(*byte).0).collect();
        numbers.dedup();
        assert_eq!(numbers, (1..FIRST_DIGITS).collect::<Vec<u8>>());
    }
}
