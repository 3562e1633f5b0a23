//! API keys that do not stand in the settings themselves: the settings that say where they are, the files that have them, and putting them in their
//! places once they are known (spec: metrics-logs 7.1, 7.5).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::keys::Key;
use super::parse::{self, Wrong};
use super::read::Reader;
use super::{Settings, small};
use crate::proxy::Upstream;
use crate::secret::backend;
use crate::secret::{ApiKey, Source};

/// The file with the API key.
pub const API_KEY_FILE: Key = Key {
    names: &["DD_API_KEY_FILE"],
    yaml: &["api_key_file"],
    default: "",
    meaning: "A file that has the key in it, such as a mounted secret; counts where `DD_API_KEY` is not set. A regular file of at most 4 KiB, read when \
              the app has been started. Wherever an API key may stand, `ENC[file@/path]` means the same.",
};
/// The program that knows secrets.
pub const COMMAND: Key = Key {
    names: &["DD_SECRET_BACKEND_COMMAND"],
    yaml: &["secret_backend_command"],
    default: "",
    meaning: "A program that knows the API keys which are given as `ENC[name]`: it reads `{\"version\": \"1.0\", \"secrets\": [\"name\"]}` and writes \
              `{\"name\": {\"value\": \"key\", \"error\": null}}`. It is run once, beside the app, with the environment of pillion; what it writes to \
              stderr is thrown away.",
};
/// Its arguments.
pub const ARGUMENTS: Key = Key {
    names: &["DD_SECRET_BACKEND_ARGUMENTS"],
    yaml: &["secret_backend_arguments"],
    default: "[]",
    meaning: "Its arguments: a JSON array, or words.",
};
/// The time for keys.
pub const TIMEOUT: Key = Key {
    names: &["DD_SECRET_BACKEND_TIMEOUT"],
    yaml: &["secret_backend_timeout"],
    default: "5",
    meaning: "Seconds, up to 300, that getting keys may take, from files and from that program together; 0 means the default. (The agent's default is 30: \
              here tracers wait meanwhile.) What has no key then is not sent.",
};
/// The bound of its output.
pub const OUTPUT_BYTES: Key = Key {
    names: &["DD_SECRET_BACKEND_OUTPUT_MAX_SIZE"],
    yaml: &["secret_backend_output_max_size"],
    default: "1MiB",
    meaning: "Bytes of that program's output, up to 16 MiB; one that writes more is killed.",
};

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

const TIMEOUT_MAX: Duration = Duration::from_secs(300);

const OUTPUT_BYTES_DEFAULT: usize = 1024 * 1024;

const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of a file with a key.
const FILE_BYTES_MAX: usize = 4096;

impl Reader<'_> {
    /// The program that knows secrets, and its bounds.
    pub(super) fn secrets(&mut self) -> backend::Settings {
        let timeout = self.take(&TIMEOUT, TIMEOUT_DEFAULT, |text| {
            parse::duration_within(text, Duration::ZERO, TIMEOUT_MAX)
        });
        backend::Settings {
            command: self.text(&COMMAND).unwrap_or_default(),
            arguments: self.texts(&ARGUMENTS, words),
            timeout: if timeout.is_zero() { TIMEOUT_DEFAULT } else { timeout },
            output_bytes_max: self.take(&OUTPUT_BYTES, OUTPUT_BYTES_DEFAULT, output_bytes),
        }
    }

    /// The key of the file that is there for it, where there is one.
    pub(super) fn key_in_file(&self) -> Option<ApiKey> {
        self.path(&API_KEY_FILE).map(|path| ApiKey::at(Source::File(path)))
    }

    /// Whether somebody is there to be asked for this key, where it is known by a name.
    pub(super) fn can_be_asked_for(&self, key: &ApiKey) -> bool {
        !matches!(key.source(), Some(Source::Handle(_))) || self.env.text(&COMMAND).is_some()
    }
}

/// A JSON array of texts, or texts between white space, as the agent has it: a comma may be part of one.
fn words(text: &str) -> Result<Vec<String>, Wrong> {
    if text.starts_with('[') {
        return parse::list(text);
    }
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn output_bytes(text: &str) -> Result<usize, Wrong> {
    match parse::bytes(text)? {
        0 => Ok(OUTPUT_BYTES_DEFAULT),
        bytes if bytes <= OUTPUT_BYTES_MAX => Ok(bytes),
        _ => Err("is more than 16MiB".to_owned()),
    }
}

/// The key in the file at `path`, got within `time`: the data plane waits for it, and never the app.
///
/// # Errors
/// Why there is none, with nothing of what is in the file.
pub fn key_of_file(path: &Path, time: Duration) -> Result<ApiKey, String> {
    let own = path.to_owned();
    let read = move || {
        let (path, text) = small::text(&own, None, FILE_BYTES_MAX)?;
        Ok(small::Found { path, content: text.into() })
    };
    let found = small::within(time, Box::new(read))?;
    match found.content.as_str().unwrap_or_default().trim() {
        "" => Err("is empty".to_owned()),
        text => ApiKey::resolved(text)
            .ok_or_else(|| "has white space or other characters in it that no key has".to_owned()),
    }
}

impl Settings {
    /// Where keys are still to be had. Empty: all are here.
    pub fn sources_of_keys(&self) -> BTreeSet<Source> {
        let intakes = [&self.relay.traces, &self.relay.metrics, &self.relay.logs];
        let mut keys: Vec<&ApiKey> = Vec::new();
        for intake in intakes {
            let copies = intake.further.iter().chain(&intake.best_effort);
            keys.extend(intake.api_key.iter().chain(copies.map(|to| &to.api_key)));
        }
        keys.extend(self.proxy.destinations().map(|to| &to.api_key));
        keys.iter().filter_map(|key| key.source()).cloned().collect()
    }

    /// Puts the keys that were `found` in their places. A place whose key was not found has none from here on, as if none had ever been set for it.
    pub fn put_keys(&mut self, found: &BTreeMap<Source, ApiKey>) {
        let known = |key: &ApiKey| match key.source() {
            None => Some(key.clone()),
            Some(source) => found.get(source).cloned(),
        };
        let put = |key: &mut ApiKey| known(key).map(|found| *key = found).is_some();
        for intake in [&mut self.relay.traces, &mut self.relay.metrics, &mut self.relay.logs] {
            intake.api_key = intake.api_key.as_ref().and_then(known);
            for copies in [&mut intake.further, &mut intake.best_effort] {
                copies.retain_mut(|to| put(&mut to.api_key));
            }
        }
        for upstream in self.proxy.upstreams_mut() {
            put_in(upstream, &put);
        }
        self.pipeline.sending = self.relay.traces.api_key.is_some();
        self.usage.is_on &= self.relay.metrics.api_key.is_some();
    }
}

/// The same for what is passed on, which goes nowhere without its first destination: that one's answer is the tracer's.
fn put_in(upstream: &mut Upstream, put: &impl Fn(&mut ApiKey) -> bool) {
    let has_first = upstream.destinations.first_mut().is_some_and(|to| put(&mut to.api_key));
    if has_first {
        upstream.destinations.retain_mut(|to| put(&mut to.api_key));
    } else {
        upstream.destinations.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use nix::sys::stat::Mode as Rights;

    use super::super::{Env, Mode, Settings, read};
    use super::{ApiKey, Source, key_of_file};

    const COMMAND: (&str, &str) = ("DD_SECRET_BACKEND_COMMAND", "/ask");

    fn of(pairs: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let (settings, problems) = read(&Env::of(pairs), Mode::Wrapper);
        (settings, problems.iter().map(ToString::to_string).collect())
    }

    fn good(pairs: &[(&str, &str)]) -> Settings {
        let (settings, problems) = of(pairs);
        assert!(problems.is_empty(), "{problems:?}");
        settings
    }

    fn sources(settings: &Settings) -> Vec<String> {
        settings.sources_of_keys().iter().map(ToString::to_string).collect()
    }

    fn found(pairs: &[(&str, &str)]) -> BTreeMap<Source, ApiKey> {
        let pair =
            |(at, key): &(&str, &str)| (Source::of(at).unwrap(), ApiKey::resolved(key).unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_file_counts_where_no_key_is_set() {
        let file = ("DD_API_KEY_FILE", "/run/key");
        let settings = good(&[file]);
        assert!(settings.pipeline.sending);
        assert_eq!(sources(&settings), ["the file \"/run/key\""]);
        let settings = good(&[file, ("DD_API_KEY", "k")]);
        assert_eq!(settings.relay.traces.api_key.as_ref().unwrap().expose(), "k");
        assert!(sources(&settings).is_empty());
        assert_eq!(
            sources(&good(&[file, ("DD_API_KEY", "ENC[file@/other]")])),
            ["the file \"/other\""]
        );
        // A key that is set and wrong is not replaced by another organisation's.
        assert_eq!(of(&[file, ("DD_API_KEY", "a b")]).0.relay.traces.api_key, None);
    }

    #[test]
    fn every_place_of_a_key_takes_one_from_elsewhere() {
        let mut settings = good(&[
            COMMAND,
            ("DD_API_KEY", "ENC[main]"),
            ("DD_LOGS_CONFIG_API_KEY", "ENC[file@/logs]"),
            (
                "DD_ADDITIONAL_ENDPOINTS",
                r#"{"https://a.test": ["ENC[more]", "plain", "ENC[none]"]}"#,
            ),
            (
                "DD_LOGS_CONFIG_ADDITIONAL_ENDPOINTS",
                r#"[{"api_key": "ENC[more]", "Host": "b.test"}]"#,
            ),
            ("DD_EVP_PROXY_CONFIG_API_KEY", "ENC[evp]"),
        ]);
        assert_eq!(
            sources(&settings),
            ["the file \"/logs\"", "ENC[evp]", "ENC[main]", "ENC[more]", "ENC[none]"]
        );
        settings.put_keys(&found(&[
            ("ENC[main]", "k1"),
            ("ENC[file@/logs]", "k2"),
            ("ENC[more]", "k3"),
            ("ENC[evp]", "k4"),
        ]));
        assert!(sources(&settings).is_empty() && settings.pipeline.sending);
        let relay = &settings.relay;
        let own = |key: &Option<ApiKey>| key.as_ref().unwrap().expose().to_owned();
        let keys = [&relay.traces, &relay.metrics, &relay.logs].map(|intake| own(&intake.api_key));
        assert_eq!(keys, ["k1", "k1", "k2"]);
        let further: Vec<_> = relay.metrics.further.iter().map(|to| to.api_key.expose()).collect();
        assert_eq!(further, ["k3", "plain"]);
        assert_eq!(relay.logs.further[0].api_key.expose(), "k3");
        let evp = settings.proxy.evp.as_ref().unwrap();
        assert_eq!(evp.destinations[0].api_key.expose(), "k4");
        assert_eq!(settings.proxy.symbols.destinations[0].api_key.expose(), "k1");
    }

    #[test]
    fn what_is_not_found_is_as_if_it_were_not_set() {
        let further = [
            ("DD_APM_ADDITIONAL_ENDPOINTS", r#"{"https://a.test": ["plain"]}"#),
            ("DD_APM_TELEMETRY_ADDITIONAL_ENDPOINTS", r#"{"a.test": ["plain"]}"#),
        ];
        let mut settings = good(&[&further[..], &[COMMAND, ("DD_API_KEY", "ENC[main]")]].concat());
        assert!(settings.usage.is_on);
        settings.put_keys(&BTreeMap::new());
        let mut without = good(&further);
        without.secrets = settings.secrets.clone();
        assert_eq!(format!("{settings:?}"), format!("{without:?}"));
        assert!(!settings.pipeline.sending);
    }

    #[test]
    fn a_name_without_a_program_and_bad_bounds_are_said() {
        let (settings, problems) = of(&[("DD_API_KEY", "ENC[x]")]);
        assert_eq!(settings.relay.traces.api_key, None);
        assert_eq!(
            problems,
            [
                "invalid DD_API_KEY: its value needs DD_SECRET_BACKEND_COMMAND, which is not set, sending nothing"
            ]
        );
        for (name, bad) in [
            ("DD_SECRET_BACKEND_TIMEOUT", "301"),
            ("DD_SECRET_BACKEND_OUTPUT_MAX_SIZE", "17MiB"),
            ("DD_SECRET_BACKEND_ARGUMENTS", "[1]"),
        ] {
            let (settings, problems) = of(&[(name, bad)]);
            assert!(problems.len() == 1 && problems[0].contains(name), "{problems:?}");
            assert_eq!(settings.secrets, good(&[]).secrets);
        }
        let settings = good(&[
            ("DD_SECRET_BACKEND_TIMEOUT", "2"),
            ("DD_SECRET_BACKEND_OUTPUT_MAX_SIZE", "4096"),
            ("DD_SECRET_BACKEND_ARGUMENTS", "[\"-x\", \"a b\"]"),
        ]);
        assert_eq!(settings.secrets.timeout, Duration::from_secs(2));
        assert_eq!(settings.secrets.output_bytes_max, 4096);
        assert_eq!(settings.secrets.arguments, ["-x", "a b"]);
        let settings = good(&[("DD_SECRET_BACKEND_ARGUMENTS", "-x a,b")]);
        assert_eq!(settings.secrets.arguments, ["-x", "a,b"]);
    }

    #[test]
    fn a_file_has_a_key_or_says_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let second = Duration::from_secs(60);
        let said = |path: &Path| key_of_file(path, second).map(|key| key.expose().to_owned());
        for (text, expect) in [
            ("k3y", Ok("k3y")),
            ("\n k3y\r\n", Ok("k3y")),
            (" \n", Err("is empty")),
            ("s3c r3t", Err("has white space or other characters in it that no key has")),
            ("ENC[x]", Err("has white space or other characters in it that no key has")),
            ("x".repeat(4097).as_str(), Err("is larger than 4096 bytes")),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(said(&path), expect.map(str::to_owned).map_err(str::to_owned));
        }
        let start = Instant::now();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Rights::S_IRWXU).unwrap();
        assert_eq!(said(&fifo), Err("is no regular file".to_owned()));
        assert!(said(&folder.path().join("none")).unwrap_err().contains("No such file"));
        assert!(start.elapsed() < second);
    }
}
