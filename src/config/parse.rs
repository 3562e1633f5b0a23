//! Values as people write them. Every function takes text without white space or quotes around it, and says in words what is wrong with it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::limits::BODIES_IN_FLIGHT_BYTES_MAX;
use crate::log::Level;
use crate::relay::{Compression, Destination};
use crate::secret::{ApiKey, Url};
use crate::tags;
use crate::trace::sample::AnalyzedSpan;

/// What is wrong with a value, as the middle of a sentence: `is not …`.
pub(super) type Wrong = String;

fn wrong<T>(text: &str) -> Result<T, Wrong> {
    Err(text.to_owned())
}

/// What Go's `ParseBool` takes (the agent's rule), `yes`/`no`, `y`/`n`, `on`/`off`, all in any case.
pub(super) fn boolean(text: &str) -> Result<bool, Wrong> {
    let is_any = |words: [&str; 6]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_any(["true", "1", "t", "yes", "y", "on"]) {
        Ok(true)
    } else if is_any(["false", "0", "f", "no", "n", "off"]) {
        Ok(false)
    } else {
        wrong("is neither true nor false")
    }
}

/// A TCP port; 0 is for "off".
pub(super) fn port(text: &str) -> Result<u16, Wrong> {
    text.parse().map_err(|_| "is not a port between 0 and 65535".to_owned())
}

/// A whole number of at least one.
pub(super) fn count(text: &str) -> Result<usize, Wrong> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => wrong("is not a whole number above 0"),
    }
}

/// Traces per second: a number, possibly with a fraction, not negative.
pub(super) fn rate(text: &str) -> Result<f64, Wrong> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 0.0 => Ok(rate),
        _ => wrong("is not a number of 0 or more"),
    }
}

/// A share in percent, as the 32-bit number that the agent takes it for. More than 100 is all.
pub(super) fn percentage(text: &str) -> Result<f32, Wrong> {
    match text.parse::<f64>() {
        Ok(percentage) if percentage.is_finite() && percentage >= 0.0 => Ok(percentage as f32),
        _ => wrong("is not a number of 0 or more"),
    }
}

/// A seed of 32 bits: any whole number, of which the lowest bits count.
pub(super) fn seed(text: &str) -> Result<u32, Wrong> {
    match text.parse::<i64>() {
        Ok(seed) => Ok(seed as u32),
        Err(_) => wrong("is not a whole number"),
    }
}

/// How many kinds of spans are told apart.
pub(super) fn cardinality(text: &str) -> Result<u32, Wrong> {
    match text.parse() {
        Ok(kinds @ 1..=65_536) => Ok(kinds),
        _ => wrong("is not a whole number between 1 and 65536"),
    }
}

/// `service|operation=rate`, between commas, or a JSON object of rates.
pub(super) fn analyzed_spans(text: &str) -> Result<Vec<AnalyzedSpan>, Wrong> {
    const WRONG: &str = "is not of the form service|operation=rate,…";
    let one = |name: &str, rate: &str| {
        let (service, operation) = name.split_once('|').filter(|(_, rest)| !rest.contains('|'))?;
        let rate = rate.trim().parse().ok().filter(|rate: &f64| rate.is_finite())?;
        let [service, operation] = [service, operation].map(|name| name.trim().to_owned());
        Some(AnalyzedSpan { service, operation, rate })
    };
    let all: Option<Vec<_>> = if text.starts_with('{') {
        let rates: Option<Map<String, Value>> = serde_json::from_str(text).ok();
        let rate = |rate: &Value| rate.as_str().map_or_else(|| rate.to_string(), str::to_owned);
        rates.and_then(|rates| rates.iter().map(|(name, own)| one(name, &rate(own))).collect())
    } else {
        text.split(',')
            .map(|item| item.split_once('=').and_then(|(name, rate)| one(name, rate)))
            .collect()
    };
    all.ok_or_else(|| WRONG.to_owned())
}

/// A number with an optional unit: `512`, `64KiB`, `1.5 MB`. `K`, `M` and `G` are powers of 1024 with and without `B` or `iB`, as `docker` has
/// them.
pub(super) fn bytes(text: &str) -> Result<usize, Wrong> {
    const WRONG: &str = "is not a number of bytes such as 33554432 or 32MiB";
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let power = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return wrong(WRONG),
    };
    // Exact up to 8 PiB, far above any container.
    let bytes = number.parse::<f64>().map_err(|_| WRONG)? * f64::from(1_u32 << power);
    if bytes < 9e15 { Ok(bytes as usize) } else { wrong(WRONG) }
}

/// The size of a request: [`bytes`], of which at least one must fit, and no more than the door lets in at once.
pub(super) fn body_bytes(text: &str) -> Result<usize, Wrong> {
    match bytes(text)? {
        0 => wrong("lets nothing in"),
        bytes if bytes > BODIES_IN_FLIGHT_BYTES_MAX => wrong("is more than 50MiB"),
        bytes => Ok(bytes),
    }
}

/// A time: a plain number is seconds (`8`, `0.5`), otherwise numbers with units as Go writes them (`500ms`, `1m30s`).
pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    const WRONG: &str = "is not a time such as 8, 8s or 500ms";
    let of_seconds =
        |seconds: f64| Duration::try_from_secs_f64(seconds).map_err(|_| WRONG.to_owned());
    if let Ok(seconds) = text.parse::<f64>() {
        return of_seconds(seconds);
    }
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let is_digit = |c: char| c.is_ascii_digit() || c == '.';
        let (number, after) = rest.split_at(rest.find(|c| !is_digit(c)).unwrap_or(rest.len()));
        let (unit, after) = after.split_at(after.find(is_digit).unwrap_or(after.len()));
        let scale = match unit.trim() {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return wrong(WRONG),
        };
        total += number.parse::<f64>().map_err(|_| WRONG)? * scale;
        rest = after;
    }
    of_seconds(total)
}

/// [`duration`] within bounds, both included.
pub(super) fn duration_within(
    text: &str,
    least: Duration,
    most: Duration,
) -> Result<Duration, Wrong> {
    let time = duration(text)?;
    if (least..=most).contains(&time) {
        return Ok(time);
    }
    let bound = |time: Duration| match time.as_millis() {
        millis if millis % 1000 == 0 => format!("{}s", millis / 1000),
        millis => format!("{millis}ms"),
    };
    Err(format!("is not between {} and {}", bound(least), bound(most)))
}

/// The agent's names of levels, in any case.
pub(super) fn level(text: &str) -> Result<Level, Wrong> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" | "warning" => Level::Warn,
        "error" | "critical" => Level::Error,
        "off" => Level::Off,
        _ => return wrong("is not one of trace, debug, info, warn, error, off"),
    })
}

/// The compression of trace payloads.
pub(super) fn compression(text: &str) -> Result<Compression, Wrong> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "zstd" => Compression::Zstd(1),
        "gzip" => Compression::Gzip(1),
        "none" => Compression::None,
        _ => return wrong("is not one of zstd, gzip, none"),
    })
}

/// A JSON array of texts, or texts between commas or white space.
pub(super) fn list(text: &str) -> Result<Vec<String>, Wrong> {
    const WRONG: &str = "is not a list of texts such as [\"a\", \"b\"]";
    if text.starts_with('{') {
        return wrong(WRONG);
    }
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(|_| WRONG.to_owned());
    }
    let items = text.split(|c: char| c == ',' || c.is_whitespace());
    Ok(items.filter(|item| !item.is_empty()).map(str::to_owned).collect())
}

/// `key:value` tags, also as a JSON array.
pub(super) fn tags(text: &str) -> Result<Vec<(String, String)>, Wrong> {
    if text.starts_with('[') {
        Ok(list(text)?.iter().flat_map(|tag| tags::parse_one(tag)).collect())
    } else {
        Ok(tags::parse(text))
    }
}

/// All addresses of all interfaces; the first is the one that is needed.
pub(super) const ALL_INTERFACES: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// The addresses of this machine for itself.
pub(super) const LOOPBACK: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// An address to listen on: an IP address (v6 with and without brackets), `localhost` for both loopbacks, `*` for everything. Names are not
/// looked up: that could take seconds before the app starts.
pub(super) fn bind_host(text: &str) -> Result<Vec<IpAddr>, Wrong> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match bare {
        "*" | "0.0.0.0" => Ok(ALL_INTERFACES.to_vec()),
        _ if bare.eq_ignore_ascii_case("localhost") => Ok(LOOPBACK.to_vec()),
        _ => match bare.parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => wrong("is not an IP address or localhost"),
        },
    }
}

/// A host name: labels of letters, digits, `-` and `_`.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// A Datadog site, also where it is written as the address of the web page (`https://app.datadoghq.eu/`).
pub(super) fn site(text: &str) -> Result<String, Wrong> {
    let lower = text.to_ascii_lowercase();
    let host = lower.split_once("://").map_or(lower.as_str(), |(_, host)| host);
    let host = host.split('/').next().unwrap_or_default();
    let host = host.strip_prefix("app.").unwrap_or(host).trim_end_matches('.');
    if is_host(host) && host.contains('.') {
        Ok(host.to_owned())
    } else {
        wrong("is not a host name such as datadoghq.eu")
    }
}

/// The base of an address: `http://` or `https://` (the latter where none is written), host, port, perhaps a path, no slash at the end.
pub(super) fn base_url(text: &str) -> Result<String, Wrong> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let scheme = scheme.to_ascii_lowercase();
    let rest = rest.trim_end_matches('/');
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let fits_path =
        |path: &str| path.bytes().all(|b| b.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&b));
    if !["http", "https"].contains(&scheme.as_str()) || !is_authority(authority) || !fits_path(path)
    {
        return wrong(
            "is not an address such as https://host:port (without user, query or fragment)",
        );
    }
    Ok(format!("{scheme}://{authority}{path}"))
}

/// A host, perhaps with a port, also where it is written as an address: scheme and path are left out then.
pub(super) fn authority(text: &str) -> Result<String, Wrong> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    if is_authority(authority) {
        Ok(authority.to_ascii_lowercase())
    } else {
        wrong("is not a host such as intake.example or intake.example:443")
    }
}

/// A JSON object of addresses, each with a list of API keys (or one key, or several between spaces), in the order of the addresses: the
/// agent's form. `address` reads an address. Whether an entry was left out, because its address or a key of it can't be used.
pub(super) fn destinations(
    text: &str,
    address: impl Fn(&str) -> Result<String, Wrong>,
) -> Result<(Vec<Destination>, bool), Wrong> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Keys {
        Many(Vec<String>),
        Few(String),
    }
    let entries: BTreeMap<String, Keys> = serde_json::from_str(text).map_err(|_| {
        "is not a JSON object of addresses, each with a list of API keys".to_owned()
    })?;
    let (mut destinations, mut is_short) = (Vec::new(), false);
    for (url, keys) in entries {
        let keys = match keys {
            Keys::Many(keys) => keys,
            Keys::Few(keys) => keys.split_whitespace().map(str::to_owned).collect(),
        };
        let url = address(url.trim()).ok();
        is_short |= keys.is_empty();
        for key in keys {
            match (&url, ApiKey::new(&key).filter(is_api_key)) {
                (Some(url), Some(api_key)) => {
                    destinations.push(Destination { url: url.clone(), api_key })
                }
                _ => is_short = true,
            }
        }
    }
    Ok((destinations, is_short))
}

/// Whether a header takes it, and it can be one key alone.
pub(super) fn is_api_key(key: &ApiKey) -> bool {
    key.is_plain()
}

/// A JSON object of texts, numbers or truth values, as `key:value` tags in the order of their keys.
pub(super) fn tag_object(text: &str) -> Result<Vec<(String, String)>, Wrong> {
    let tags: BTreeMap<String, Value> =
        serde_json::from_str(text).map_err(|_| "is not a JSON object of tags".to_owned())?;
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(tags.into_iter().map(|(key, value)| (key, text(value))).collect())
}

/// A whole number.
pub(super) fn number(text: &str) -> Result<i64, Wrong> {
    text.parse().map_err(|_| "is not a whole number".to_owned())
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn is_authority(text: &str) -> bool {
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((v6, "")) => v6.parse::<Ipv6Addr>().is_ok(),
        Some((v6, port)) => {
            v6.parse::<Ipv6Addr>().is_ok() && port.strip_prefix(':').is_some_and(is_port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => is_host(host) && is_port(port),
            None => is_host(text),
        },
    }
}

/// A proxy: like [`base_url`], `http://` where none is written, possibly with `user:password@`.
pub(super) fn proxy(text: &str) -> Result<Url, Wrong> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = scheme.to_ascii_lowercase();
    let rest = rest.trim_end_matches('/');
    let authority = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if !["http", "https"].contains(&scheme.as_str()) || !is_authority(authority) {
        return wrong("is not an http or https proxy such as http://user:password@host:port");
    }
    Ok(Url::new(&format!("{scheme}://{rest}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: PartialEq + std::fmt::Debug>(
        parse: fn(&str) -> Result<T, Wrong>,
        text: &str,
        expect: Option<T>,
    ) {
        assert_eq!(parse(text).ok(), expect, "{text:?}");
    }

    #[test]
    fn booleans_are_read_in_every_common_spelling() {
        for yes in ["1", "t", "T", "true", "TRUE", "True", "yes", "Y", "on"] {
            check(boolean, yes, Some(true));
        }
        for no in ["0", "f", "F", "false", "FALSE", "no", "N", "Off"] {
            check(boolean, no, Some(false));
        }
        for neither in ["", "2", "maybe", "truee", "-1"] {
            check(boolean, neither, None);
        }
    }

    #[test]
    fn times_are_seconds_or_have_units() {
        let of = |millis| Some(Duration::from_millis(millis));
        for (text, expect) in [
            ("8", of(8000)),
            ("0", of(0)),
            ("0.5", of(500)),
            ("8s", of(8000)),
            ("500ms", of(500)),
            ("1m30s", of(90_000)),
            ("1.5h", of(5_400_000)),
            ("2 s", of(2000)),
            ("-1", None),
            ("-1s", None),
            ("nan", None),
            ("inf", None),
            ("1e300", None),
            ("s", None),
            ("8x", None),
            ("1.2.3s", None),
            ("soon", None),
        ] {
            check(duration, text, expect);
        }
    }

    #[test]
    fn bytes_may_have_a_unit() {
        for (text, expect) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("512B", Some(512)),
            ("64KiB", Some(65_536)),
            ("64k", Some(65_536)),
            ("1.5 MB", Some(1_572_864)),
            ("2g", Some(2_147_483_648)),
            ("", None),
            ("-1", None),
            ("1e3", None),
            ("9999999999G", None),
            ("32 mebibytes", None),
        ] {
            check(bytes, text, expect);
        }
    }

    #[test]
    fn lists_are_json_or_words() {
        let of = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect());
        check(list, r#"["a b", "c"]"#, of(&["a b", "c"]));
        check(list, "a, b  c", of(&["a", "b", "c"]));
        check(list, "[]", of(&[]));
        check(list, r#"["a""#, None);
        check(list, "[1]", None);
    }

    #[test]
    fn hosts_to_bind_are_addresses() {
        check(bind_host, "localhost", Some(LOOPBACK.to_vec()));
        check(bind_host, "0.0.0.0", Some(ALL_INTERFACES.to_vec()));
        check(bind_host, "[::1]", Some(vec![IpAddr::V6(Ipv6Addr::LOCALHOST)]));
        check(bind_host, "10.0.0.7", Some(vec![IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7))]));
        check(bind_host, "my-host", None);
    }

    #[test]
    fn a_site_is_a_host_however_it_is_written() {
        for (text, expect) in [
            ("datadoghq.eu", Some("datadoghq.eu")),
            ("US3.Datadoghq.com", Some("us3.datadoghq.com")),
            ("https://app.datadoghq.com/", Some("datadoghq.com")),
            ("ddog-gov.com.", Some("ddog-gov.com")),
            ("eu", None),
            ("data doghq.com", None),
            ("datadoghq.com:443", None),
            ("http://", None),
        ] {
            check(site, text, expect.map(str::to_owned));
        }
    }

    #[test]
    fn addresses_have_a_scheme_a_host_and_no_user() {
        for (text, expect) in [
            ("http://127.0.0.1:9000/", Some("http://127.0.0.1:9000")),
            ("HTTPS://intake.example", Some("https://intake.example")),
            ("intake:8080/base/", Some("https://intake:8080/base")),
            ("http://[::1]:80", Some("http://[::1]:80")),
            ("ftp://x", None),
            ("http://", None),
            ("http://a:b@host", None),
            ("http://host:99999", None),
            ("http://host/?q", None),
            ("http://host/a b", None),
        ] {
            check(base_url, text, expect.map(str::to_owned));
        }
    }

    #[test]
    fn a_host_may_be_written_as_an_address() {
        for (text, expect) in [
            ("Intake.example", Some("intake.example")),
            ("https://intake.example:8443/a/b", Some("intake.example:8443")),
            ("[::1]:80", Some("[::1]:80")),
            ("https://", None),
            ("a b", None),
            ("me:pw@host", None),
        ] {
            check(authority, text, expect.map(str::to_owned));
        }
    }

    #[test]
    fn destinations_are_addresses_with_keys() {
        let read = |text: &str| {
            destinations(text, base_url).map(|(all, is_short)| {
                let all = all.iter().map(|to| format!("{} {}", to.url, to.api_key.expose()));
                (all.collect::<Vec<_>>().join(", "), is_short)
            })
        };
        let of = |text: &str, is_short| Ok((text.to_owned(), is_short));
        assert_eq!(
            read(r#"{"https://b/": ["k1", " k2 "], "a:1": ["k3"]}"#),
            of("https://a:1 k3, https://b k1, https://b k2", false)
        );
        assert_eq!(read(r#"{"https://b": "k1 k2"}"#), of("https://b k1, https://b k2", false));
        assert_eq!(read("{}"), of("", false));
        assert_eq!(read(r#"{"https://b": ["k", ""], "ftp://c": ["k"]}"#), of("https://b k", true));
        assert_eq!(read(r#"{"https://b": []}"#), of("", true));
        for text in ["", "[]", "https://b", r#"{"https://b": 1}"#, r#"{"https://b": [1]}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_object_of_tags_may_hold_numbers() {
        let of = |tags: &[(&str, &str)]| {
            Some(tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        check(
            tag_object,
            r#"{"b": 1, "a": "x y", "c": true}"#,
            of(&[("a", "x y"), ("b", "1"), ("c", "true")]),
        );
        check(tag_object, "a:b", None);
    }

    #[test]
    fn proxies_may_have_a_user() {
        for (text, expect) in [
            ("proxy:3128", Some("http://proxy:3128")),
            ("http://me:p@ss@proxy:3128/", Some("http://me:p@ss@proxy:3128")),
            ("socks5://proxy:1080", None),
            ("http://", None),
        ] {
            check(proxy, text, expect.map(Url::new));
        }
    }
}
