//! What a tracer may ask the event platform for: the proxy must not be a way to anywhere else (spec: trace-agent 8).

use super::query::percent_decoded;

/// Why a request for the event platform is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// `X-Datadog-EVP-Subdomain` is not there.
    NoSubdomain,
    /// It has other characters than letters, digits and `_-.`.
    Subdomain,
    /// The path has other characters than letters, digits and `/_-+`.
    Path,
    /// The query has other characters than letters, digits and those of addresses, or is not escaped rightly.
    Query,
}

impl Refused {
    /// In lines for people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::NoSubdomain => "no subdomain specified",
            Self::Subdomain => "invalid subdomain",
            Self::Path => "invalid target path",
            Self::Query => "invalid query string",
        }
    }
}

/// Whether that may be asked for.
pub(super) fn check(subdomain: &[u8], path: &str, query: &str) -> Result<(), Refused> {
    let is_of = |text: &[u8], symbols: &[u8]| {
        text.iter().all(|byte| byte.is_ascii_alphanumeric() || symbols.contains(byte))
    };
    let is_escaped_of =
        |text: &str, symbols| percent_decoded(text).is_some_and(|text| is_of(&text, symbols));
    match () {
        () if subdomain.is_empty() => Err(Refused::NoSubdomain),
        () if !is_of(subdomain, b"_-.") => Err(Refused::Subdomain),
        () if !is_escaped_of(path, b"/_-+") => Err(Refused::Path),
        () if !is_escaped_of(query, b"/_-+@?&=.:\"[]") => Err(Refused::Query),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Refused, check};

    #[test]
    fn only_plain_hosts_paths_and_queries_are_asked_for() {
        for (subdomain, path, query, expect) in [
            ("llmobs-intake", "/api/v2/llmobs", "x=1", Ok(())),
            ("x.y-z_1", "/api/v2/x", "a=%22b%22&c[]=1", Ok(())),
            ("a", "/a_b-c+d", "q=@me:1/2?x.y", Ok(())),
            ("a", "/a%2Fb", "", Ok(())),
            ("", "/a", "", Err(Refused::NoSubdomain)),
            ("a b", "/a", "", Err(Refused::Subdomain)),
            ("a/b", "/a", "", Err(Refused::Subdomain)),
            ("evil.example#", "/a", "", Err(Refused::Subdomain)),
            ("a", "/a%20b", "", Err(Refused::Path)),
            ("a", "/a:b", "", Err(Refused::Path)),
            ("a", "/a%zz", "", Err(Refused::Path)),
            ("a", "/a.b", "", Err(Refused::Path)),
            ("a", "/a", "a=$", Err(Refused::Query)),
            ("a", "/a", "a=%24", Err(Refused::Query)),
            ("a", "/a", "a=%2", Err(Refused::Query)),
            ("a", "/a", "a=é", Err(Refused::Query)),
        ] {
            assert_eq!(
                check(subdomain.as_bytes(), path, query),
                expect,
                "{subdomain} {path} {query}"
            );
        }
    }
}
