//! JSON objects that come in pieces (RFC 8259): whether what came so far is one, may become one or never will. One pass, and nothing is kept but
//! where in the object the pass is.

/// Deepest nesting that is followed. What is deeper counts as no JSON; a log line is never that deep.
const DEPTH_MAX: usize = 512;

/// What the pieces so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The beginning of an object.
    Incomplete,
    /// An object, and nothing behind it but white space.
    Complete,
    /// No object, whatever comes.
    Invalid,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The object itself.
    Object,
    KeyOrEnd,
    Key,
    Colon,
    Value,
    ValueOrEnd,
    CommaOrEnd,
    /// White space only.
    Nothing,
}

/// The pass over one object.
#[derive(Debug)]
pub(super) struct Scan {
    next: Next,
    depth: usize,
    /// A bit for each depth: set for an object, not for an array.
    objects: [u64; DEPTH_MAX / 64],
}

impl Default for Scan {
    fn default() -> Self {
        Self { next: Next::Object, depth: 0, objects: [0; DEPTH_MAX / 64] }
    }
}

impl Scan {
    /// Goes on with the next line. No token goes on from one line to the next.
    pub(super) fn line(&mut self, text: &[u8]) -> Progress {
        let mut rest = text;
        while let [first, behind @ ..] = rest {
            let step = match first {
                b' ' | b'\t' | b'\r' | b'\n' => Some(behind),
                _ => self.token(*first, rest),
            };
            let Some(behind) = step else { return Progress::Invalid };
            rest = behind;
        }
        if self.next == Next::Nothing { Progress::Complete } else { Progress::Incomplete }
    }

    /// What is behind the token at the beginning of `rest`; nothing where it can't stand here.
    fn token<'a>(&mut self, first: u8, rest: &'a [u8]) -> Option<&'a [u8]> {
        let behind = rest.get(1..)?;
        match (self.next, first) {
            (Next::Object | Next::Value | Next::ValueOrEnd, b'{') => {
                self.open(true)?;
                Some(behind)
            }
            (Next::Value | Next::ValueOrEnd, b'[') => {
                self.open(false)?;
                Some(behind)
            }
            (Next::KeyOrEnd | Next::CommaOrEnd, b'}') if self.is_in_object() => {
                self.close();
                Some(behind)
            }
            (Next::ValueOrEnd | Next::CommaOrEnd, b']') if !self.is_in_object() => {
                self.close();
                Some(behind)
            }
            (Next::CommaOrEnd, b',') => {
                self.next = if self.is_in_object() { Next::Key } else { Next::Value };
                Some(behind)
            }
            (Next::Colon, b':') => {
                self.next = Next::Value;
                Some(behind)
            }
            (Next::Key | Next::KeyOrEnd, b'"') => {
                self.next = Next::Colon;
                string(behind)
            }
            (Next::Value | Next::ValueOrEnd, b'"') => {
                self.next = Next::CommaOrEnd;
                string(behind)
            }
            (Next::Value | Next::ValueOrEnd, _) => {
                self.next = Next::CommaOrEnd;
                literal(rest)
            }
            _ => None,
        }
    }

    fn open(&mut self, is_object: bool) -> Option<()> {
        let word = self.objects.get_mut(self.depth / 64)?;
        let bit = 1 << (self.depth % 64);
        *word = if is_object { *word | bit } else { *word & !bit };
        self.depth += 1;
        self.next = if is_object { Next::KeyOrEnd } else { Next::ValueOrEnd };
        Some(())
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.next = if self.depth == 0 { Next::Nothing } else { Next::CommaOrEnd };
    }

    fn is_in_object(&self) -> bool {
        let Some(at) = self.depth.checked_sub(1) else { return false };
        self.objects.get(at / 64).is_some_and(|word| word & 1 << (at % 64) != 0)
    }
}

/// What is behind a string whose first quote was read.
fn string(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    loop {
        let at = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
        match rest.get(at..)? {
            [b'"', behind @ ..] => return Some(behind),
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', behind @ ..] => {
                rest = behind;
            }
            [b'\\', b'u', behind @ ..] => {
                let (digits, behind) = behind.split_at_checked(4)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                rest = behind;
            }
            _ => return None,
        }
    }
}

/// What is behind a number or a word.
fn literal(text: &[u8]) -> Option<&[u8]> {
    for word in [&b"true"[..], b"false", b"null"] {
        if let Some(behind) = text.strip_prefix(word) {
            return Some(behind);
        }
    }
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let mut rest = match rest {
        [b'0', behind @ ..] => behind,
        _ => digits(rest)?,
    };
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = digits(fraction)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let unsigned = match exponent {
            [b'+' | b'-', unsigned @ ..] => unsigned,
            _ => exponent,
        };
        rest = digits(unsigned)?;
    }
    Some(rest)
}

/// What is behind at least one digit.
fn digits(text: &[u8]) -> Option<&[u8]> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.get(len..).filter(|_| len > 0)
}

/// Appends valid JSON to `out` without the white space between its tokens.
pub(super) fn compact(text: &[u8], out: &mut Vec<u8>) {
    let mut is_in_string = false;
    let mut is_escaped = false;
    for byte in text {
        if is_in_string {
            is_in_string = is_escaped || *byte != b'"';
            is_escaped = !is_escaped && *byte == b'\\';
        } else if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            continue;
        } else {
            is_in_string = *byte == b'"';
        }
        out.push(*byte);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use serde_json::Value;

    use super::{Progress, Scan, compact};

    fn scan(text: &str) -> Progress {
        Scan::default().line(text.as_bytes())
    }

    #[test]
    fn objects_are_told_from_what_is_none() {
        use Progress::{Complete, Incomplete, Invalid};
        for (text, expect) in [
            ("", Incomplete),
            ("{", Incomplete),
            (" {\"a\": ", Incomplete),
            ("{\"a\":[1,", Incomplete),
            ("{}", Complete),
            (" { } ", Complete),
            (r#"{"a":[],"b":{"c":[{}]},"d":"\"}\u00e9"}"#, Complete),
            (r#"{"a":[-0.5e+3,0,12E2,true,false,null,""]}"#, Complete),
            ("[", Invalid),
            ("[1]", Invalid),
            ("{}x", Invalid),
            ("{}{}", Invalid),
            ("{,", Invalid),
            ("{]", Invalid),
            ("{\"a\"}", Invalid),
            ("{\"a\":}", Invalid),
            ("{\"a\":1,}", Invalid),
            ("{\"a\":[1,]}", Invalid),
            ("{\"a\":[}", Invalid),
            ("{\"a\":01}", Invalid),
            ("{\"a\":-}", Invalid),
            ("{\"a\":1.}", Invalid),
            ("{\"a\":1e}", Invalid),
            ("{\"a\":tru}", Invalid),
            ("{\"a\":\"b", Invalid),
            ("{\"a\":\"\t\"}", Invalid),
            (r#"{"a":"\x"}"#, Invalid),
            (r#"{"a":"\u12g4"}"#, Invalid),
            ("{a", Invalid),
        ] {
            assert_eq!(scan(text), expect, "{text:?}");
        }
        let deep = |depth: usize| format!("{{\"a\":{}", "[".repeat(depth));
        assert_eq!(scan(&deep(511)), Incomplete);
        assert_eq!(scan(&deep(512)), Invalid);
    }

    /// Some JSON, as text spread over lines.
    fn value(seed: &[u8], depth: usize) -> Value {
        let Some((first, rest)) = seed.split_first() else { return Value::Null };
        match first % 6 {
            0 if depth < 6 => {
                let half = rest.len() / 2;
                let parts = [&rest[..half], &rest[half..]];
                let member =
                    |part: &&[u8]| (format!("k \"{}\\", part.len()), value(part, depth + 1));
                Value::Object(parts.iter().map(member).collect())
            }
            1 if depth < 6 => rest.chunks(5).map(|part| value(part, depth + 1)).collect(),
            2 => Value::from(f64::from(*first) * 1.5e10),
            3 => Value::from(i64::from(*first) - 100),
            4 => Value::from(*first < 100),
            _ => Value::from(String::from_utf8_lossy(rest).into_owned()),
        }
    }

    proptest! {
        #[test]
        fn an_object_over_lines_is_the_same_object(seed: Vec<u8>) {
            let whole = serde_json::json!({ "a": value(&seed, 0), "b": [] });
            let pretty = serde_json::to_string_pretty(&whole).unwrap();
            let mut scan = Scan::default();
            let mut out = Vec::new();
            let lines: Vec<&str> = pretty.lines().collect();
            for (at, line) in lines.iter().enumerate() {
                let expect =
                    if at + 1 == lines.len() { Progress::Complete } else { Progress::Incomplete };
                prop_assert_eq!(scan.line(line.as_bytes()), expect);
                compact(line.as_bytes(), &mut out);
            }
            prop_assert_eq!(String::from_utf8(out).unwrap(), whole.to_string());
        }

        #[test]
        fn what_is_taken_for_an_object_is_one(text in "[{}\\[\\]\",:\\\\ 0-9.eEtruefalsn\\-\u{e9}]{0,24}", byte: u8) {
            let taken = scan(&text);
            let parsed = serde_json::from_str::<Value>(&text).is_ok_and(|value| value.is_object());
            // An exponent can be too large for a number of serde's, and is JSON all the same.
            if !text.contains(['e', 'E']) {
                prop_assert_eq!(taken == Progress::Complete, parsed, "{:?}", text);
            }
            let behind = Scan::default().line(&[text.as_bytes(), &[byte]].concat());
            prop_assert!(taken != Progress::Invalid || behind == Progress::Invalid);
        }

        #[test]
        fn any_bytes_are_scanned(lines in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
            let mut scan = Scan::default();
            for line in &lines {
                scan.line(line);
            }
        }
    }
}
