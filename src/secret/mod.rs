//! Values that must never be seen: types whose every printed form is `***`.
//!
//! A key may also stand elsewhere than in the settings: in a file, or with a program that knows it by a name. Then an [`ApiKey`] says where
//! ([`Source`], in `source`) until it was got from there. How such a program is asked, and what it answers, is in [`backend`].

pub mod backend;
mod source;

use std::fmt;

pub use source::Source;

/// The API key. It has no `Display`, its `Debug` prints `***`, and only the code that fills in the request header calls [`ApiKey::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(Kept);

#[derive(Clone, PartialEq, Eq)]
enum Kept {
    Here(String),
    Elsewhere(Source),
}

impl ApiKey {
    /// The key in `text` without the white space around it, or where it is to be had (`ENC[…]`), or nothing where that is empty.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let kept = || Source::of(text).map_or_else(|| Kept::Here(text.to_owned()), Kept::Elsewhere);
        (!text.is_empty()).then(|| Self(kept()))
    }

    /// A key that is to be had there.
    pub fn at(source: Source) -> Self {
        Self(Kept::Elsewhere(source))
    }

    /// The key in `text`, which came from such a place: a header takes it, and it can be one key alone. A further handle is none.
    pub fn resolved(text: &str) -> Option<Self> {
        Self::new(text).filter(|key| key.source().is_none() && key.is_plain())
    }

    /// Where it is still to be had.
    pub fn source(&self) -> Option<&Source> {
        match &self.0 {
            Kept::Here(_) => None,
            Kept::Elsewhere(source) => Some(source),
        }
    }

    /// Whether a header takes it, and it can be one key alone: white space inside shows two values pasted together.
    pub fn is_plain(&self) -> bool {
        self.expose().bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// The key itself, for the request header alone. Empty where it is still to be had.
    pub fn expose(&self) -> &str {
        match &self.0 {
            Kept::Here(key) => key,
            Kept::Elsewhere(_) => "",
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The address of a proxy. Every printed form of it leaves out user and password, of which [`Url::expose`] has the whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// Takes the address as it is.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The whole address, for the code that connects.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A password may hold any character, so all up to the last `@` goes, wherever a path or the end of a scheme seems to be.
        let Some((before, host)) = self.0.rsplit_once('@') else { return f.write_str(&self.0) };
        let is_scheme = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
        match before.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
            Some((scheme, _)) => write!(f, "{scheme}://***@{host}"),
            None => write!(f, "***@{host}"),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::{ApiKey, Source, Url};

    #[test]
    fn a_key_is_trimmed_and_an_empty_one_is_none() {
        assert_eq!(ApiKey::new(" abc\n").unwrap().expose(), "abc");
        assert_eq!(ApiKey::new(" \n"), None);
    }

    #[test]
    fn a_key_never_prints() {
        assert_eq!(format!("{:?}", ApiKey::new("abc")), "Some(***)");
        assert_eq!(format!("{:?}", ApiKey::new("ENC[abc]")), "Some(***)");
    }

    #[test]
    fn a_key_elsewhere_is_no_key_yet() {
        let key = ApiKey::new(" ENC[prod/key]\n").unwrap();
        assert_eq!(key.source(), Some(&Source::Handle("prod/key".to_owned())));
        assert_eq!(key.expose(), "");
        let at = |path: &str| Source::File(path.into());
        assert_eq!(ApiKey::at(at("/k")), ApiKey::new("ENC[file@/k]").unwrap());
        for text in ["", " ", "a b", "ENC[x]", "caf\u{e9}"] {
            assert_eq!(ApiKey::resolved(text), None, "{text}");
        }
        assert_eq!(ApiKey::resolved("k\n").unwrap().expose(), "k");
    }

    #[test]
    fn an_address_prints_without_its_user_and_password() {
        for (text, expect) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://me:pass@proxy:3128/", "http://***@proxy:3128/"),
            ("me:p/a@s:s@proxy", "***@proxy"),
            ("me:pass@://", "***@://"),
            ("me:pa://ss@proxy", "***@proxy"),
        ] {
            let url = Url::new(text);
            assert_eq!(
                (url.to_string(), format!("{url:?}")),
                (expect.to_owned(), format!("\"{expect}\""))
            );
            assert_eq!(url.expose(), text);
        }
    }
}
