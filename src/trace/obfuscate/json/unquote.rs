//! From a JSON string to the text it stands for, as far as the agent can: it reads strings by the rules of its own language.

/// The text of a whole JSON string with its quotes; `buffer` holds it where it has escapes. A literal that is no string, or one with `\/` or
/// half of a surrogate pair, stays as it is, with its quotes.
pub(super) fn unquote<'a>(literal: &'a str, buffer: &'a mut String) -> &'a str {
    let Some(inner) = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return literal;
    };
    if !inner.contains('\\') {
        return inner;
    }
    buffer.clear();
    let mut rest = inner;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        buffer.push_str(plain);
        let Some((character, after)) = escape(escaped) else { return literal };
        buffer.push(character);
        rest = after;
    }
    buffer.push_str(rest);
    buffer
}

/// The character that an escape stands for, without its backslash, and what follows it.
fn escape(text: &str) -> Option<(char, &str)> {
    let (kind, rest) = text.split_at_checked(1)?;
    let character = match kind {
        "\"" => '"',
        "\\" => '\\',
        "b" => '\u{8}',
        "f" => '\u{c}',
        "n" => '\n',
        "r" => '\r',
        "t" => '\t',
        "u" => {
            let (digits, rest) = rest.split_at_checked(4)?;
            return Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, rest));
        }
        _ => return None,
    };
    Some((character, rest))
}

#[cfg(test)]
mod tests {
    use super::unquote;

    #[test]
    fn escapes_become_characters_unless_the_agent_has_no_such_escape() {
        for (literal, expect) in [
            (r#""select 1""#, "select 1"),
            (r#""""#, ""),
            (r#""a\"b\\c""#, "a\"b\\c"),
            (r#""\b\f\n\r\t""#, "\u{8}\u{c}\n\r\t"),
            (r#""\u00e9\u20AC""#, "é€"),
            (r#""a\/b""#, r#""a\/b""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            ("12", "12"),
            ("null", "null"),
        ] {
            assert_eq!(unquote(literal, &mut "old".to_owned()), expect, "{literal}");
        }
    }
}
