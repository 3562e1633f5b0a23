//! Query strings as Go reads and writes them, which is what the intake has always been sent.

/// The pairs of a query in their order. A pair that is not escaped rightly, or has a `;` in it, is left out.
pub(super) fn pairs(query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
    let read = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((unescaped(key)?, unescaped(value)?))
    };
    pairs.filter_map(read).collect()
}

/// The pairs as a query, in the order of their keys; values of one key keep theirs.
pub(super) fn written(mut pairs: Vec<(Vec<u8>, Vec<u8>)>) -> String {
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut query = String::new();
    for (key, value) in &pairs {
        if !query.is_empty() {
            query.push('&');
        }
        escape(key, &mut query);
        query.push('=');
        escape(value, &mut query);
    }
    query
}

/// `query` as it is passed on: as it came where every pair of it can be read, else written anew without those that can't.
pub(super) fn cleaned(query: &str) -> String {
    let is_broken = query.contains(';') || percent_decoded(query).is_none();
    if is_broken { written(pairs(query)) } else { query.to_owned() }
}

/// `text` with `%XX` read and everything else as it is; nothing where a `%` is not followed by two digits.
pub(super) fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let [high, low] = *tail.first_chunk::<2>()?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        out.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
        rest = tail.get(2..).unwrap_or_default();
    }
    Some(out)
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    percent_decoded(&text.replace('+', " "))
}

/// Everything but letters, digits and `-_.~` is escaped, a space as `+`.
fn escape(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert_eq, proptest};

    use super::{cleaned, pairs, percent_decoded, written};

    #[test]
    fn a_query_is_written_in_the_order_of_its_keys() {
        for (query, expect) in [
            ("b=2&a=1&a=0", "a=1&a=0&b=2"),
            ("a=x+y%20z&c[]=%C3%A9", "a=x+y+z&c%5B%5D=%C3%A9"),
            ("a&&b=", "a=&b="),
            ("a=1;b=2&c=3", "c=3"),
            ("a=%zz&b=%4&c=1", "c=1"),
            ("", ""),
        ] {
            assert_eq!(written(pairs(query)), expect, "{query}");
        }
    }

    #[test]
    fn a_query_is_passed_on_as_it_came_where_it_can_be_read() {
        for (query, expect) in [
            ("b=2&a=%22x%22&c[]=1", "b=2&a=%22x%22&c[]=1"),
            ("b=2&a=%zz", "b=2"),
            ("b=2;a=1", ""),
            ("b=%4", ""),
        ] {
            assert_eq!(cleaned(query), expect, "{query}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(texts in prop::collection::vec(("\\PC{0,9}", "\\PC{0,9}"), 0..6)) {
            let mut texts: Vec<_> = texts.into_iter().map(|(k, v)| (k.into_bytes(), v.into_bytes())).collect();
            texts.sort_by(|(a, _), (b, _)| a.cmp(b));
            prop_assert_eq!(pairs(&written(texts.clone())), texts);
        }

        #[test]
        fn decoding_never_fails_on_plain_text(text in "[^%]{0,30}") {
            prop_assert_eq!(percent_decoded(&text), Some(text.into_bytes()));
        }
    }
}
