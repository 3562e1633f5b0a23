//! The environment, as far as it is ours: the only place that reads it.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;

use super::keys::Key;
use super::parse;

/// Variables that are not ours by their prefix.
const OTHERS: [&str; 9] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "NO_COLOR",
    "TERM",
];

/// The variables that settings are read from. Its `Debug` shows names alone.
pub struct Env {
    variables: Vec<(String, OsString)>,
}

impl Env {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self::of_all(std::env::vars_os())
    }

    /// Those of `pairs`.
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        Self::of_all(
            pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))),
        )
    }

    pub(super) fn of_all(all: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let ours = |name: &OsString| {
            name.as_encoded_bytes().starts_with(b"DD_") || OTHERS.iter().any(|other| name == other)
        };
        let variables = all
            .filter(|(name, _)| ours(name))
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self { variables: variables.collect() }
    }

    /// The value of `name`, where it is set; of a name that is there twice the first, as `getenv` has it.
    pub(super) fn raw(&self, name: &str) -> Option<&OsStr> {
        self.variables.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_os_str())
    }

    /// The first of the key's names that has a value, and the value: without white space and one pair of quotes around it (files for
    /// `docker run --env-file` keep quotes). What is empty then counts as not set. Bytes that are no UTF-8 become U+FFFD.
    pub(super) fn text(&self, key: &Key) -> Option<(&'static str, Cow<'_, str>)> {
        key.names.iter().find_map(|&name| {
            let value = trim(self.raw(name)?.to_string_lossy());
            (!value.is_empty()).then_some((name, value))
        })
    }

    /// The same with the quotes, for values in which they have a meaning.
    pub(super) fn whole(&self, key: &Key) -> Option<(&'static str, Cow<'_, str>)> {
        key.names.iter().find_map(|&name| {
            let value = self.raw(name)?.to_string_lossy();
            let value: Cow<'_, str> = Cow::Owned(value.trim().to_owned());
            (!value.is_empty()).then_some((name, value))
        })
    }

    /// The names that have a value other than "off", in any of its spellings.
    pub(super) fn names_set(&self) -> impl Iterator<Item = &str> {
        let is_set = |(_, value): &&(String, OsString)| {
            let value = trim(value.to_string_lossy());
            !value.is_empty() && parse::boolean(&value) != Ok(false)
        };
        self.variables.iter().filter(is_set).map(|(name, _)| name.as_str())
    }
}

fn trim(value: Cow<'_, str>) -> Cow<'_, str> {
    fn inner(value: &str) -> &str {
        let value = value.trim();
        let unquoted =
            ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
        unquoted.map_or(value, str::trim)
    }
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(inner(value)),
        Cow::Owned(value) => Cow::Owned(inner(&value).to_owned()),
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.variables.iter().map(|(name, _)| name)).finish()
    }
}
