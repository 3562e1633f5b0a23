//! `key:value` tags as users write them in `DD_TAGS`.

/// Splits `DD_TAGS` text at commas, or at white space where it has no comma, and each tag at its first `:`; a tag without a value has an
/// empty one, an empty key is left out.
pub fn parse(text: &str) -> Vec<(String, String)> {
    let is_separator = |c: char| if text.contains(',') { c == ',' } else { c.is_whitespace() };
    text.split(is_separator).filter_map(parse_one).collect()
}

/// One tag, split at its first `:`; nothing where it has no key.
pub fn parse_one(tag: &str) -> Option<(String, String)> {
    let (key, value) = tag.split_once(':').unwrap_or((tag, ""));
    let (key, value) = (key.trim(), value.trim());
    (!key.is_empty()).then(|| (key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn check(text: &str, expect: &[(&str, &str)]) {
        let tags = parse(text);
        let tags: Vec<_> = tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(tags, expect, "{text:?}");
    }

    #[test]
    fn tags_are_split_at_commas_or_spaces() {
        check("team:web,region:eu", &[("team", "web"), ("region", "eu")]);
        check("team:web region:eu", &[("team", "web"), ("region", "eu")]);
        check("url:http://x, note:a b", &[("url", "http://x"), ("note", "a b")]);
        check(" ,:x, lonely,", &[("lonely", "")]);
        check("", &[]);
    }
}
