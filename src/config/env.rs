//! The environment, as far as it is ours, and the file beside it: the only place that reads either.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use super::file::File;
use super::keys::{self, Key};
use super::parse;
use super::problem::{Place, Problem};
use crate::platform;

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

/// The variables that settings are read from, and the file. Its `Debug` shows names alone.
pub struct Env {
    variables: Vec<(String, OsString)>,
    pub(super) file: Option<File>,
    /// Why there is no file although there should be one.
    pub(super) file_problem: Option<Problem>,
}

/// A value as it was found.
#[derive(Debug)]
pub(super) enum Given<'a> {
    /// The text of a variable, or a scalar of the file.
    Text(Cow<'a, str>),
    /// A list or a map of the file.
    Tree(&'a Value),
}

impl<'a> Given<'a> {
    /// The text; of a list or a map the JSON that a variable would hold.
    pub(super) fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text,
            Self::Tree(value) => Cow::Owned(value.to_string()),
        }
    }
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
            name.as_encoded_bytes().starts_with(b"DD_")
                || OTHERS.iter().chain(platform::VARIABLES).any(|other| name == other)
        };
        let variables = all
            .filter(|(name, _)| ours(name))
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self { variables: variables.collect(), file: None, file_problem: None }
    }

    /// The same with the settings of `datadog.yaml`, where there is one: that of `DD_CONF_PATH`, or the one in the usual place. A missing one costs
    /// one system call, a present one up to a second.
    #[must_use]
    pub fn with_file(mut self) -> Self {
        match File::find(self.path(&keys::CONF_PATH)) {
            Ok(file) => self.file = file,
            Err(problem) => self.file_problem = Some(problem),
        }
        self
    }

    /// The value of `name`, where it is set; of a name that is there twice the first, as `getenv` has it.
    fn raw(&self, name: &str) -> Option<&OsStr> {
        self.variables.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_os_str())
    }

    /// A variable that is no setting of ours but says something of the platform, without white space and quotes around it; nothing where that
    /// leaves nothing.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let value = trim(self.raw(name)?.to_string_lossy());
        (!value.is_empty()).then(|| value.into_owned())
    }

    /// The first of the key's variables that has a value, else what the file has under the first of its keys that is there, and where that
    /// stands. Without white space around it, and a variable without one pair of quotes (files for `docker run --env-file` keep quotes). What is
    /// empty then counts as not set. Bytes that are no UTF-8 become U+FFFD.
    #[inline(never)]
    pub(super) fn given(&self, key: &Key) -> Option<(Place<'_>, Given<'_>)> {
        let variable = key.names.iter().find_map(|&name| {
            let value = trim(self.raw(name)?.to_string_lossy());
            (!value.is_empty()).then_some((Place::Variable(name), Given::Text(value)))
        });
        variable.or_else(|| self.in_file(key))
    }

    /// The same as text.
    #[inline(never)]
    pub(super) fn text(&self, key: &Key) -> Option<(Place<'_>, Cow<'_, str>)> {
        self.given(key).map(|(place, given)| (place, given.into_text()))
    }

    /// The same with a variable's quotes, for values in which they have a meaning.
    pub(super) fn whole(&self, key: &Key) -> Option<(Place<'_>, Given<'_>)> {
        let variable = key.names.iter().find_map(|&name| {
            let value = self.raw(name)?.to_string_lossy().trim().to_owned();
            (!value.is_empty()).then_some((Place::Variable(name), Given::Text(Cow::Owned(value))))
        });
        variable.or_else(|| self.in_file(key))
    }

    /// A path, byte for byte where it is not UTF-8.
    pub(super) fn path(&self, key: &Key) -> Option<PathBuf> {
        let (place, text) = self.text(key)?;
        let raw = match place {
            Place::Variable(name) => self.raw(name).filter(|raw| raw.to_str().is_none()),
            Place::File { .. } => None,
        };
        Some(raw.map_or_else(|| PathBuf::from(&*text), PathBuf::from))
    }

    fn in_file(&self, key: &Key) -> Option<(Place<'_>, Given<'_>)> {
        let file = self.file.as_ref()?;
        key.yaml.iter().find_map(|&yaml| {
            let given = match file.get(yaml)? {
                Value::String(text) => Given::Text(Cow::Borrowed(text.trim())),
                tree => Given::Tree(tree),
            };
            Some((Place::File { key: yaml, path: &file.path }, given))
        })
    }

    /// The variables that have a value other than "off", in any of its spellings.
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
        f.debug_list()
            .entries(self.variables.iter().map(|(name, _)| name))
            .entries(self.file.iter().map(|file| &file.path))
            .finish()
    }
}
