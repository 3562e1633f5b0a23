//! Values that must never be seen: a type whose every printed form is `***`.

use std::fmt;

/// The API key. It has no `Display`, its `Debug` prints `***`, and only the code that fills in the request header calls [`ApiKey::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key in `text` without the white space around it, or nothing where that is empty.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The key itself, for the request header alone.
    pub fn expose(&self) -> &str {
        &self.0
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
    use super::{ApiKey, Url};

    #[test]
    fn a_key_is_trimmed_and_an_empty_one_is_none() {
        assert_eq!(ApiKey::new(" abc\n").unwrap().expose(), "abc");
        assert_eq!(ApiKey::new(" \n"), None);
    }

    #[test]
    fn a_key_never_prints() {
        assert_eq!(format!("{:?}", ApiKey::new("abc")), "Some(***)");
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
