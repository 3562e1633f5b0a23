//! Where metrics and logs go, and how.

use serde_json::Value;

use super::keys::{API_KEY, Key};
use super::parse::{self, Wrong};
use super::problem::Problem;
use super::read::Reader;
use crate::relay::{Compression, Destination, Intake, Kind};
use crate::secret::{ApiKey, Url};

/// The key of all but traces: a file may have another one for those.
const COMMON_KEY: &Key =
    &Key { names: API_KEY.names, yaml: &["api_key"], default: "", meaning: "" };

/// The metric intake.
pub const METRICS_URL: Key = Key {
    names: &["DD_DD_URL", "DD_URL"],
    yaml: &["dd_url"],
    default: "https://api.<DD_SITE>",
    meaning: "Another intake for metrics, service checks and events (not for traces and logs), for a relay of your own or a test; `http://` is \
              allowed, a missing scheme is `https://`.",
};
/// Further metric intakes.
pub const METRICS_FURTHER: Key = Key {
    names: &["DD_ADDITIONAL_ENDPOINTS"],
    yaml: &["additional_endpoints"],
    default: "{}",
    meaning: "Further intakes that get a copy of all metrics, service checks and events: a JSON object of addresses, each with a list of API keys, \
              such as `{\"https://api.datadoghq.eu\": [\"key\"]}`.",
};
/// Compression of metrics.
pub const METRICS_COMPRESSION: Key = Key {
    names: &["DD_SERIALIZER_COMPRESSOR_KIND"],
    yaml: &["serializer_compressor_kind"],
    default: "zstd",
    meaning: "`zstd`, `gzip`, `zlib` or `none` for metrics. Change it only for an intake of your own that does not take zstd.",
};
/// The zstd level of metrics.
pub const METRICS_LEVEL: Key = Key {
    names: &["DD_SERIALIZER_ZSTD_COMPRESSOR_LEVEL"],
    yaml: &["serializer_zstd_compressor_level"],
    default: "1",
    meaning: "The level of zstd for metrics, from 1 to 22. Higher ones take more CPU for a little less traffic.",
};
/// Whether series are sent.
pub const SERIES: Key = Key {
    names: &["DD_ENABLE_PAYLOADS_SERIES"],
    yaml: &["enable_payloads.series"],
    default: "true",
    meaning: "`false`: no counts, gauges, rates and histograms are sent; they are counted as filtered.",
};
/// Whether sketches are sent.
pub const SKETCHES: Key = Key {
    names: &["DD_ENABLE_PAYLOADS_SKETCHES"],
    yaml: &["enable_payloads.sketches"],
    default: "true",
    meaning: "The same for distributions.",
};
/// Whether service checks are sent.
pub const CHECKS: Key = Key {
    names: &["DD_ENABLE_PAYLOADS_SERVICE_CHECKS"],
    yaml: &["enable_payloads.service_checks"],
    default: "true",
    meaning: "The same for service checks.",
};
/// Whether events are sent.
pub const EVENTS: Key = Key {
    names: &["DD_ENABLE_PAYLOADS_EVENTS"],
    yaml: &["enable_payloads.events"],
    default: "true",
    meaning: "The same for events.",
};
/// The logs intake.
pub const LOGS_URL: Key = Key {
    names: &["DD_LOGS_CONFIG_LOGS_DD_URL"],
    yaml: &["logs_config.logs_dd_url"],
    default: "https://http-intake.logs.<DD_SITE>",
    meaning: "Another intake for logs, as an address or as `host:port`. Logs go there over HTTP, whatever the agent would do with that port.",
};
/// Its host alone.
pub const LOGS_HOST: Key = Key {
    names: &["DD_LOGS_CONFIG_DD_URL"],
    yaml: &["logs_config.dd_url"],
    default: "",
    meaning: "The host of another intake for logs; the variable before counts first.",
};
/// Plain http for logs.
pub const LOGS_NO_SSL: Key = Key {
    names: &["DD_LOGS_CONFIG_LOGS_NO_SSL"],
    yaml: &["logs_config.logs_no_ssl"],
    default: "false",
    meaning: "`true`: `http://` where the intake for logs is given without a scheme. For a relay of your own in the same network.",
};
/// The key of logs.
pub const LOGS_KEY: Key = Key {
    names: &["DD_LOGS_CONFIG_API_KEY"],
    yaml: &["logs_config.api_key"],
    default: "",
    meaning: "The API key for logs, where it is another one than `DD_API_KEY`.",
};
/// Further logs intakes.
pub const LOGS_FURTHER: Key = Key {
    names: &["DD_LOGS_CONFIG_ADDITIONAL_ENDPOINTS"],
    yaml: &["logs_config.additional_endpoints"],
    default: "[]",
    meaning: "Further intakes that get a copy of all logs: a JSON array such as `[{\"api_key\": \"key\", \"Host\": \
              \"http-intake.logs.datadoghq.eu\", \"Port\": 443, \"is_reliable\": true}]`. `\"is_reliable\": false`: each payload is tried once.",
};
/// Whether logs are compressed.
pub const LOGS_COMPRESS: Key = Key {
    names: &["DD_LOGS_CONFIG_USE_COMPRESSION"],
    yaml: &["logs_config.use_compression"],
    default: "true",
    meaning: "`false`: logs are sent as they are, for an intake of your own that unpacks nothing.",
};
/// How.
pub const LOGS_COMPRESSION: Key = Key {
    names: &["DD_LOGS_CONFIG_COMPRESSION_KIND"],
    yaml: &["logs_config.compression_kind"],
    default: "zstd",
    meaning: "`zstd` or `gzip` for logs.",
};
/// The gzip level of logs.
pub const LOGS_GZIP_LEVEL: Key = Key {
    names: &["DD_LOGS_CONFIG_COMPRESSION_LEVEL"],
    yaml: &["logs_config.compression_level"],
    default: "6",
    meaning: "The level of gzip for logs, from 0 to 9.",
};
/// The zstd level of logs.
pub const LOGS_ZSTD_LEVEL: Key = Key {
    names: &["DD_LOGS_CONFIG_ZSTD_COMPRESSION_LEVEL"],
    yaml: &["logs_config.zstd_compression_level"],
    default: "1",
    meaning: "The level of zstd for logs, from 1 to 22.",
};

/// All of metrics.
pub const METRICS: &[&Key] = &[
    &METRICS_URL,
    &METRICS_FURTHER,
    &METRICS_COMPRESSION,
    &METRICS_LEVEL,
    &SERIES,
    &SKETCHES,
    &CHECKS,
    &EVENTS,
];

/// All of logs.
pub const LOGS: &[&Key] = &[
    &LOGS_URL,
    &LOGS_HOST,
    &LOGS_NO_SSL,
    &LOGS_KEY,
    &LOGS_FURTHER,
    &LOGS_COMPRESS,
    &LOGS_COMPRESSION,
    &LOGS_GZIP_LEVEL,
    &LOGS_ZSTD_LEVEL,
];

/// The agent's level of gzip where none is set: zlib's own.
const GZIP_LEVEL: u32 = 6;

const ZSTD_LEVEL: i32 = 1;

impl Reader<'_> {
    /// The key of metrics and logs: the one of traces, `of_traces`, unless the file has another one for all else. What is wrong with the same
    /// value is said once.
    pub(super) fn common_key(&mut self, of_traces: Option<&ApiKey>) -> Option<ApiKey> {
        let place = |key| self.env.given(key).map(|(place, _)| place);
        match place(COMMON_KEY) {
            Some(common) if Some(common) != place(&API_KEY) => {
                self.api_key(COMMON_KEY, "sending no metrics and logs")
            }
            // The file has a key for traces alone, and there is one for the rest.
            None if place(&API_KEY).is_some() => self.key_in_file().or_else(|| of_traces.cloned()),
            _ => of_traces.cloned(),
        }
    }

    /// Where metrics go.
    pub(super) fn metrics_intake(&mut self, site: &str, api_key: Option<ApiKey>) -> Intake {
        let level = self.take(&METRICS_LEVEL, ZSTD_LEVEL, zstd_level);
        let compression = self.take(&METRICS_COMPRESSION, Compression::Zstd(level), |text| {
            Ok(match text.to_ascii_lowercase().as_str() {
                "zstd" => Compression::Zstd(level),
                "gzip" => Compression::Gzip(GZIP_LEVEL),
                "zlib" => Compression::Deflate(GZIP_LEVEL),
                "none" => Compression::None,
                _ => return Err("is not one of zstd, gzip, zlib, none".to_owned()),
            })
        });
        let url = self.url(&METRICS_URL).unwrap_or_else(|| format!("https://api.{site}"));
        let further = self.destinations(&METRICS_FURTHER, parse::base_url);
        Intake { further, compression, ..Intake::new(&url, api_key) }
    }

    /// The kinds of metrics that are switched off.
    pub(super) fn kinds_off(&mut self) -> Vec<Kind> {
        let mut off = Vec::new();
        for (key, kind) in [
            (&SERIES, Kind::Series),
            (&SKETCHES, Kind::Sketches),
            (&CHECKS, Kind::Checks),
            (&EVENTS, Kind::Events),
        ] {
            if !self.take(key, true, parse::boolean) {
                off.push(kind);
            }
        }
        off
    }

    /// Where logs go; `api_key` is the key where they have none of their own.
    pub(super) fn logs_intake(&mut self, site: &str, api_key: Option<ApiKey>) -> Intake {
        let own = self.env.given(&LOGS_KEY).is_some();
        let api_key = if own { self.api_key(&LOGS_KEY, "sending no logs") } else { api_key };
        let scheme = if self.take(&LOGS_NO_SSL, false, parse::boolean) { "http" } else { "https" };
        let url = self.logs_url(&LOGS_URL, scheme).or_else(|| self.logs_url(&LOGS_HOST, scheme));
        let url = url.unwrap_or_else(|| format!("https://http-intake.logs.{site}"));
        let (further, best_effort) = self.logs_further(scheme);
        let compression = self.logs_compression();
        Intake { further, best_effort, compression, ..Intake::new(&url, api_key) }
    }

    fn logs_compression(&mut self) -> Compression {
        let zstd = self.take(&LOGS_ZSTD_LEVEL, ZSTD_LEVEL, zstd_level);
        let gzip = self.take(&LOGS_GZIP_LEVEL, GZIP_LEVEL, |text| match text.parse() {
            Ok(level) if level <= 9 => Ok(level),
            _ => Err("is not a level from 0 to 9".to_owned()),
        });
        let zstd = Compression::Zstd(zstd);
        let kind =
            self.take(&LOGS_COMPRESSION, zstd, |text| match text.to_ascii_lowercase().as_str() {
                "zstd" => Ok(zstd),
                "gzip" => Ok(Compression::Gzip(gzip)),
                _ => Err("is not one of zstd, gzip".to_owned()),
            });
        if self.take(&LOGS_COMPRESS, true, parse::boolean) { kind } else { Compression::None }
    }

    fn logs_url(&mut self, key: &Key, scheme: &str) -> Option<String> {
        let (place, text) = self.env.text(key)?;
        match with_scheme(&text, scheme) {
            Ok(url) => Some(url),
            Err(wrong) => {
                let shown = Url::new(&text).to_string();
                let using = if key.default.is_empty() { "ignoring it" } else { "using the site's" };
                self.say(Problem::new(place, &shown, &wrong, using));
                None
            }
        }
    }

    /// Further destinations of logs: those that are as reliable as the main one, and the others.
    fn logs_further(&mut self, scheme: &str) -> (Vec<Destination>, Vec<Destination>) {
        let Some((place, text)) = self.env.text(&LOGS_FURTHER) else { return Default::default() };
        let Ok(entries) = serde_json::from_str::<Vec<Value>>(&text) else {
            let wrong = "is not a JSON array of objects with api_key, Host and Port";
            self.say(Problem::of_secret(place, wrong, "ignoring it"));
            return Default::default();
        };
        let all = entries.len();
        let (reliable, other): (Vec<_>, Vec<_>) = entries
            .iter()
            .filter_map(|entry| endpoint(entry, scheme))
            .partition(|(_, is_reliable)| *is_reliable);
        if reliable.len() + other.len() < all {
            let wrong = "has an entry whose Host, Port or api_key can't be used";
            self.say(Problem::of_secret(place, wrong, "leaving that out"));
        }
        let only = |all: Vec<(Destination, bool)>| all.into_iter().map(|(to, _)| to).collect();
        (only(reliable), only(other))
    }
}

fn zstd_level(text: &str) -> Result<i32, Wrong> {
    match text.parse() {
        Ok(level @ 1..=22) => Ok(level),
        _ => Err("is not a level from 1 to 22".to_owned()),
    }
}

/// An address, with this scheme where it has none.
fn with_scheme(text: &str, scheme: &str) -> Result<String, Wrong> {
    if text.contains("://") {
        parse::base_url(text)
    } else {
        parse::base_url(&format!("{scheme}://{text}"))
    }
}

/// One entry of the further destinations of logs, and whether it is as reliable as the main one, as it is unless it says otherwise. Names count
/// in any case, as for the agent.
fn endpoint(entry: &Value, scheme: &str) -> Option<(Destination, bool)> {
    let entry = entry.as_object()?;
    let member = |name: &str| {
        entry.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let is = |name, default| match member(name) {
        None => Some(default),
        Some(Value::Bool(is)) => Some(*is),
        Some(other) => parse::boolean(other.as_str()?).ok(),
    };
    let api_key = ApiKey::new(member("api_key")?.as_str()?).filter(parse::is_api_key)?;
    let scheme = if is("use_ssl", scheme == "https")? { "https" } else { "http" };
    let mut url = with_scheme(member("host")?.as_str()?.trim(), scheme).ok()?;
    if let Some(port) = member("port") {
        let port = match port {
            Value::Number(port) => u16::try_from(port.as_u64()?).ok()?,
            other => other.as_str()?.trim().parse().ok()?,
        };
        let has_path = url.split_once("://")?.1.contains('/');
        if port > 0 && !has_path {
            url = parse::base_url(&format!("{url}:{port}")).ok()?;
        }
    }
    Some((Destination { url, api_key }, is("is_reliable", true)?))
}

#[cfg(test)]
mod tests {
    use super::super::{Env, Mode, read};
    use crate::relay::{Compression, Destination, Intake, Kind, Settings};

    fn of(pairs: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let (settings, problems) = read(&Env::of(pairs), Mode::Wrapper);
        (settings.relay, problems.iter().map(ToString::to_string).collect())
    }

    fn good(pairs: &[(&str, &str)]) -> Settings {
        let (settings, problems) = of(pairs);
        assert!(problems.is_empty(), "{problems:?}");
        settings
    }

    fn key(intake: &Intake) -> Option<&str> {
        intake.api_key.as_ref().map(|key| key.expose())
    }

    fn shown(all: &[Destination]) -> Vec<String> {
        all.iter().map(|to| format!("{} {}", to.url, to.api_key.expose())).collect()
    }

    #[test]
    fn told_nothing_metrics_and_logs_go_to_the_site() {
        let settings = good(&[("DD_SITE", "datadoghq.eu"), ("DD_API_KEY", "k")]);
        let (metrics, logs) = (&settings.metrics, &settings.logs);
        assert_eq!(metrics.url, "https://api.datadoghq.eu");
        assert_eq!(logs.url, "https://http-intake.logs.datadoghq.eu");
        assert_eq!((key(metrics), key(logs)), (Some("k"), Some("k")));
        let compressions = [metrics.compression, logs.compression];
        assert_eq!(compressions, [Compression::Zstd(1); 2]);
        assert!(settings.off.is_empty());
        assert_eq!(key(&good(&[]).metrics), None);
    }

    #[test]
    fn intakes_can_be_set_for_each() {
        let metrics = |pairs: &[(&str, &str)]| good(pairs).metrics.url;
        assert_eq!(metrics(&[("DD_URL", "a.test")]), "https://a.test");
        assert_eq!(metrics(&[("DD_URL", "a.test"), ("DD_DD_URL", "http://b")]), "http://b");
        let logs = |pairs: &[(&str, &str)]| good(pairs).logs.url;
        let (url, host) = ("DD_LOGS_CONFIG_LOGS_DD_URL", "DD_LOGS_CONFIG_DD_URL");
        let plain = ("DD_LOGS_CONFIG_LOGS_NO_SSL", "true");
        assert_eq!(logs(&[(url, "a:8080")]), "https://a:8080");
        assert_eq!(logs(&[(url, "a:8080"), (host, "b"), plain]), "http://a:8080");
        assert_eq!(logs(&[(url, "https://a:1/x"), plain]), "https://a:1/x");
        assert_eq!(logs(&[(host, "b")]), "https://b");
        let settings = good(&[("DD_API_KEY", "k"), ("DD_LOGS_CONFIG_API_KEY", "l")]);
        let keys = [&settings.traces, &settings.metrics, &settings.logs].map(key);
        assert_eq!(keys, [Some("k"), Some("k"), Some("l")]);
    }

    #[test]
    fn further_intakes_can_be_set_for_each() {
        let settings = good(&[
            ("DD_ADDITIONAL_ENDPOINTS", r#"{"https://app.datadoghq.eu": ["k2", "k3"]}"#),
            (
                "DD_LOGS_CONFIG_ADDITIONAL_ENDPOINTS",
                r#"[{"api_key": "k4", "Host": "a.test", "Port": 8443, "is_reliable": true},
                    {"api_key": "k5", "host": "b.test", "port": "80", "use_ssl": false, "is_reliable": false},
                    {"API_KEY": "k6", "Host": "https://c.test/x"}]"#,
            ),
        ]);
        let expect = ["https://app.datadoghq.eu k2", "https://app.datadoghq.eu k3"];
        assert_eq!(shown(&settings.metrics.further), expect);
        assert_eq!(
            shown(&settings.logs.further),
            ["https://a.test:8443 k4", "https://c.test/x k6"]
        );
        assert_eq!(shown(&settings.logs.best_effort), ["http://b.test:80 k5"]);
        assert!(settings.traces.further.is_empty());
    }

    #[test]
    fn what_cannot_be_used_of_them_is_said_without_keys() {
        let name = "DD_LOGS_CONFIG_ADDITIONAL_ENDPOINTS";
        for (text, left) in [
            ("{}", 0),
            ("x", 0),
            (r#"[{"api_key": "s3cr3t", "Host": "a", "Port": 70000}]"#, 0),
            (r#"[{"api_key": "s3cr3t", "Host": "a"}, {"api_key": "s3cr3t"}]"#, 1),
            (r#"[{"api_key": "s3c r3t", "Host": "a"}]"#, 0),
            (r#"[{"api_key": "s3cr3t", "Host": "a", "is_reliable": 7}]"#, 0),
            ("[1]", 0),
        ] {
            let (settings, problems) = of(&[(name, text)]);
            assert_eq!(settings.logs.further.len(), left, "{text}");
            assert_eq!(problems.len(), 1, "{text}");
            assert!(problems[0].contains(name) && !problems[0].contains("s3c"), "{problems:?}");
        }
    }

    #[test]
    fn compression_can_be_set_for_each() {
        let metrics = |pairs: &[(&str, &str)]| good(pairs).metrics.compression;
        let kind = "DD_SERIALIZER_COMPRESSOR_KIND";
        let level = ("DD_SERIALIZER_ZSTD_COMPRESSOR_LEVEL", "3");
        assert_eq!(metrics(&[level]), Compression::Zstd(3));
        assert_eq!(metrics(&[(kind, "zstd"), level]), Compression::Zstd(3));
        assert_eq!(metrics(&[(kind, "GZIP"), level]), Compression::Gzip(6));
        assert_eq!(metrics(&[(kind, "zlib")]), Compression::Deflate(6));
        assert_eq!(metrics(&[(kind, "none")]), Compression::None);
        let logs = |pairs: &[(&str, &str)]| good(pairs).logs.compression;
        let (kind, gzip) = ("DD_LOGS_CONFIG_COMPRESSION_KIND", "DD_LOGS_CONFIG_COMPRESSION_LEVEL");
        assert_eq!(logs(&[("DD_LOGS_CONFIG_ZSTD_COMPRESSION_LEVEL", "22")]), Compression::Zstd(22));
        assert_eq!(logs(&[(gzip, "9")]), Compression::Zstd(1));
        assert_eq!(logs(&[(kind, "gzip"), (gzip, "9")]), Compression::Gzip(9));
        assert_eq!(logs(&[("DD_LOGS_CONFIG_USE_COMPRESSION", "false")]), Compression::None);
        for (name, bad) in [
            (kind, "zlib"),
            (gzip, "10"),
            ("DD_LOGS_CONFIG_ZSTD_COMPRESSION_LEVEL", "0"),
            ("DD_SERIALIZER_COMPRESSOR_KIND", "lz4"),
            ("DD_SERIALIZER_ZSTD_COMPRESSOR_LEVEL", "23"),
            ("DD_DD_URL", "ftp://x"),
            ("DD_LOGS_CONFIG_LOGS_DD_URL", "me:pw@x"),
        ] {
            let (settings, problems) = of(&[(name, bad)]);
            assert!(problems.len() == 1 && problems[0].contains(name), "{problems:?}");
            assert!(!problems[0].contains("pw"), "{problems:?}");
            assert_eq!(format!("{settings:?}"), format!("{:?}", good(&[])));
        }
    }

    #[test]
    fn kinds_of_metrics_can_be_switched_off() {
        for (name, kind) in [
            ("DD_ENABLE_PAYLOADS_SERIES", Kind::Series),
            ("DD_ENABLE_PAYLOADS_SKETCHES", Kind::Sketches),
            ("DD_ENABLE_PAYLOADS_SERVICE_CHECKS", Kind::Checks),
            ("DD_ENABLE_PAYLOADS_EVENTS", Kind::Events),
        ] {
            assert_eq!(good(&[(name, "false")]).off, [kind]);
            assert!(good(&[(name, "true")]).off.is_empty());
        }
    }
}
