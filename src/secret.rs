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

#[cfg(test)]
mod tests {
    use super::ApiKey;

    #[test]
    fn a_key_is_trimmed_and_an_empty_one_is_none() {
        assert_eq!(ApiKey::new(" abc\n").unwrap().expose(), "abc");
        assert_eq!(ApiKey::new(" \n"), None);
    }

    #[test]
    fn a_key_never_prints() {
        assert_eq!(format!("{:?}", ApiKey::new("abc")), "Some(***)");
    }
}
