//! The settings of what payloads say of this place: its host, how tracing was installed in it, the mode that Datadog gave it.

use std::path::PathBuf;
use std::time::Duration;

use super::keys::{self, Key};
use super::parse;
use super::problem::Problem;
use super::read::Reader;
use super::small;
use crate::pipeline::Install;

/// The file with the host.
pub const HOSTNAME_FILE: Key = Key {
    names: &["DD_HOSTNAME_FILE"],
    yaml: &["hostname_file"],
    default: "",
    meaning: "A file that has the host in it, where `DD_HOSTNAME` is not set. Read when the app has been started.",
};
/// The mode.
pub const APM_MODE: Key = Key {
    names: &["DD_APM_MODE"],
    yaml: &["apm_config.mode"],
    default: "",
    meaning: "A word that Datadog gives you for a special way of billing or routing, such as `edge`: goes with every payload.",
};
/// The id of the installation.
pub const INSTALL_ID: Key = Key {
    names: &["DD_INSTRUMENTATION_INSTALL_ID"],
    yaml: &["apm_config.install_id"],
    default: "",
    meaning: "Set by Datadog's installers, to see that tracing works: goes with the first trace of each service that is sent.",
};
/// The kind of the installation.
pub const INSTALL_TYPE: Key = Key {
    names: &["DD_INSTRUMENTATION_INSTALL_TYPE"],
    yaml: &["apm_config.install_type"],
    default: "",
    meaning: "Goes with it.",
};
/// The time of the installation.
pub const INSTALL_TIME: Key = Key {
    names: &["DD_INSTRUMENTATION_INSTALL_TIME"],
    yaml: &["apm_config.install_time"],
    default: "0",
    meaning: "Goes with it, in seconds since 1970.",
};

impl Reader<'_> {
    /// `DD_HOSTNAME`, empty where there is none.
    pub(super) fn hostname(&self) -> String {
        let named = self.text(&keys::HOSTNAME);
        named.filter(|name| !name.eq_ignore_ascii_case("none")).unwrap_or_default()
    }

    /// `DD_HOSTNAME_FILE`, where it decides.
    pub(super) fn hostname_file(&self) -> Option<HostnameFile> {
        if self.env.given(&keys::HOSTNAME).is_some() {
            return None;
        }
        let (place, _) = self.env.text(&HOSTNAME_FILE)?;
        Some(HostnameFile { path: self.env.path(&HOSTNAME_FILE)?, place: place.to_string() })
    }

    /// `DD_APM_MODE`, empty where there is none.
    pub(super) fn apm_mode(&self) -> String {
        self.text(&APM_MODE).unwrap_or_default()
    }

    /// How tracing was installed, where anything is said of it; the id may be missing.
    pub(super) fn install(&mut self) -> Option<Install> {
        let (id, kind) = (self.text(&INSTALL_ID), self.text(&INSTALL_TYPE));
        let time = self.optional(&INSTALL_TIME, parse::number);
        (id.is_some() || kind.is_some() || time.is_some()).then(|| Install {
            id: id.unwrap_or_default(),
            kind: kind.unwrap_or_default(),
            time_s: time.unwrap_or_default(),
        })
    }
}

/// Bytes of a host name (RFC 1123).
const HOSTNAME_BYTES_MAX: usize = 255;

/// How long the data plane waits for the file.
const TIME_MAX: Duration = Duration::from_secs(1);

/// A file that has the host in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostnameFile {
    path: PathBuf,
    /// The setting that names it.
    pub(super) place: String,
}

impl HostnameFile {
    /// The host. Takes up to a second.
    ///
    /// # Errors
    /// The file can't be read, or what is in it is no host name.
    pub fn read(&self) -> Result<String, Problem> {
        let path = self.path.clone();
        let text = move || {
            let (path, text) = small::text(&path, None, 2 * HOSTNAME_BYTES_MAX)?;
            Ok(small::Found { path, content: text.into() })
        };
        let host = small::within(TIME_MAX, Box::new(text)).and_then(|read| {
            let host = read.content.as_str().unwrap_or_default().trim();
            let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if host.is_empty() || host.len() > HOSTNAME_BYTES_MAX || !host.bytes().all(is_host) {
                return Err("has no host name in it".to_owned());
            }
            Ok(host.to_owned())
        });
        let shown = self.path.to_string_lossy();
        host.map_err(|wrong| Problem::new(&self.place, &shown, &wrong, "using no host"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::super::{Env, Mode, read};
    use super::{HostnameFile, Install};

    #[test]
    fn a_host_in_a_file_counts_where_none_is_named() {
        let of = |pairs: &[(&str, &str)]| {
            let settings = read(&Env::of(pairs), Mode::Wrapper).0;
            (settings.pipeline.hostname, settings.hostname_file.map(|file| file.path))
        };
        let file = ("DD_HOSTNAME_FILE", "/host");
        assert_eq!(of(&[file]), (String::new(), Some(PathBuf::from("/host"))));
        assert_eq!(of(&[file, ("DD_HOSTNAME", "web-1")]), ("web-1".to_owned(), None));
        assert_eq!(of(&[file, ("DD_HOSTNAME", "none")]), (String::new(), None));
    }

    #[test]
    fn a_file_has_one_host_name_in_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        let read = |path: &Path| {
            let file = HostnameFile { path: path.to_owned(), place: "DD_HOSTNAME_FILE".to_owned() };
            file.read().map_err(|problem| problem.to_string())
        };
        for (text, expect) in [
            (" web-1.example\n".to_owned(), Ok("web-1.example".to_owned())),
            ("a b".to_owned(), Err("has no host name in it")),
            (String::new(), Err("has no host name in it")),
            ("x".repeat(256), Err("has no host name in it")),
            ("x".repeat(511), Err("is larger than 510 bytes")),
        ] {
            fs::write(path, text).unwrap();
            let wrong =
                |wrong| format!("invalid DD_HOSTNAME_FILE: {path:?} {wrong}, using no host");
            assert_eq!(read(path), expect.map_err(wrong));
        }
        assert!(read(Path::new("/missing")).unwrap_err().contains("No such file"));
    }

    #[test]
    fn an_installation_has_an_id_and_may_have_more() {
        let of = |pairs: &[(&str, &str)]| read(&Env::of(pairs), Mode::Wrapper).0.pipeline.install;
        let (id, kind) = ("DD_INSTRUMENTATION_INSTALL_ID", "DD_INSTRUMENTATION_INSTALL_TYPE");
        let time = "DD_INSTRUMENTATION_INSTALL_TIME";
        assert_eq!(of(&[(kind, "k8s"), (time, "1")]), None);
        let install =
            |kind: &str, time_s| Some(Install { id: "i".into(), kind: kind.into(), time_s });
        assert_eq!(of(&[(id, "i")]), install("", 0));
        assert_eq!(
            of(&[(id, "i"), (kind, "k8s"), (time, "1700000000")]),
            install("k8s", 1_700_000_000)
        );
        let (settings, problems) = read(&Env::of(&[(id, "i"), (time, "soon")]), Mode::Wrapper);
        assert_eq!(settings.pipeline.install, install("", 0));
        assert_eq!(
            problems[0].to_string(),
            format!("invalid {time}: \"soon\" is not a whole number, using 0")
        );
    }
}
