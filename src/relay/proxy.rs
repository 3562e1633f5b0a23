//! Which proxy a target is reached through: the one for the target's scheme, unless `NO_PROXY` names the target (by the rules of Go's
//! `httpproxy`, which the agent follows).

use std::net::IpAddr;

use reqwest::Url;

use crate::relay::Settings;

/// A proxy as a URL without user and password, and those two beside it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) url: Url,
    pub(super) user: Option<(String, String)>,
}

/// The proxy for `target`, or why the one that is set can't be used.
pub(super) fn of(settings: &Settings, target: &Url) -> Result<Option<Proxy>, String> {
    let (text, variable) = match target.scheme() {
        "https" => (&settings.proxy_https, "HTTPS"),
        _ => (&settings.proxy_http, "HTTP"),
    };
    let Some(set) = text.as_ref().filter(|url| !url.expose().trim().is_empty()) else {
        return Ok(None);
    };
    let host = target.host_str().unwrap_or_default();
    let port = target.port_or_known_default().unwrap_or_default();
    if goes_direct(host, port, &settings.no_proxy) {
        return Ok(None);
    }
    let unusable = |why: &str| format!("the {variable} proxy {set} can't be used ({why})");
    let text = set.expose().trim();
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&whole).map_err(|error| unusable(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(unusable("only http:// and https:// proxies are known"));
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    let user = has_user.then(|| {
        (percent_decoded(url.username()), percent_decoded(url.password().unwrap_or_default()))
    });
    if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
        return Err(unusable("it has no host"));
    }
    Ok(Some(Proxy { url, user }))
}

/// Whether `NO_PROXY` names this target: `*`, a host (itself and its subdomains), `.suffix` or `*.suffix` (subdomains alone), an IP or a CIDR range, each
/// but `*` and CIDR with `:port` where it is meant for that port alone. The own host is never reached through a proxy.
fn goes_direct(host: &str, port: u16, no_proxy: &[String]) -> bool {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let ip = host.parse::<IpAddr>().ok();
    if host == "localhost" || ip.is_some_and(|ip| ip.is_loopback()) {
        return true;
    }
    let entries = no_proxy
        .iter()
        .flat_map(|list| list.split([',', ' ']))
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    entries.into_iter().any(|entry| is_named(&host, ip, port, &entry.to_ascii_lowercase()))
}

fn is_named(host: &str, ip: Option<IpAddr>, port: u16, entry: &str) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((net, bits)) = entry.split_once('/')
        && let (Ok(net), Ok(bits)) = (net.parse::<IpAddr>(), bits.parse::<u32>())
    {
        return ip.is_some_and(|ip| is_within(ip, net, bits));
    }
    let (name, entry_port) = split_port(entry);
    if entry_port.is_some_and(|entry_port| entry_port != port.to_string()) {
        return false;
    }
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if let Ok(entry_ip) = name.parse::<IpAddr>() {
        return ip == Some(entry_ip);
    }
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    match name.strip_prefix('.') {
        Some("") => false,
        Some(_) => host.ends_with(name),
        None if name.is_empty() => false,
        None => host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
    }
}

/// `host:port` in two; an IPv6 address without brackets has no port.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (entry, None),
    }
}

fn is_within(ip: IpAddr, net: IpAddr, bits: u32) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        bits <= width && (bits == 0 || (a ^ b) >> (width - bits) == 0)
    };
    match (ip, net) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => {
            same(u128::from(ip.to_bits()), u128::from(net.to_bits()), 32)
        }
        (IpAddr::V6(ip), IpAddr::V6(net)) => same(ip.to_bits(), net.to_bits(), 128),
        _ => false,
    }
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = (byte == b'%').then(|| tail.get(..2)).flatten();
        let decoded = hex
            .and_then(|hex| str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {

    use proptest::prelude::{prop, prop_assert, proptest};
    use reqwest::Url;

    use super::{goes_direct, of, percent_decoded};
    use crate::relay::Settings;
    use crate::secret;

    proptest! {
        /// Whatever is set as a proxy, it is understood or refused in words without its password.
        #[test]
        fn any_proxy_is_understood_or_refused_without_its_password(
            scheme in "(|http://|https://|[a-z]{1,6}://)",
            rest in "[a-z0-9.:/@%\\[\\]*_ é-]{0,20}",
            no_proxy in prop::collection::vec("[a-z0-9.:/*\\[\\], é-]{0,20}", 0..3),
        ) {
            let proxy_http = Some(secret::Url::new(&format!("{scheme}user:PASSWORD@{rest}")));
            let settings = Settings { proxy_http, no_proxy, ..Settings::none() };
            for target in ["http://10.0.0.1", "http://intake.example.com:8080", "http://[fd00::1]"] {
                match of(&settings, &Url::parse(target).unwrap()) {
                    Ok(Some(proxy)) => prop_assert!(!proxy.url.as_str().contains("PASSWORD")),
                    Ok(None) => {}
                    Err(why) => prop_assert!(!why.contains("PASSWORD"), "{why}"),
                }
            }
        }
    }

    fn check(no_proxy: &str, direct: &[&str], proxied: &[&str]) {
        let list = [no_proxy.to_owned()];
        for (hosts, expect) in [(direct, true), (proxied, false)] {
            for host in hosts {
                let (name, port) = host.split_once('|').unwrap_or((host, "443"));
                assert_eq!(
                    goes_direct(name, port.parse().unwrap(), &list),
                    expect,
                    "{host} by {no_proxy:?}"
                );
            }
        }
    }

    #[test]
    fn no_proxy_follows_the_rules_of_go() {
        check(
            "",
            &["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"],
            &["example.com", "10.0.0.1"],
        );
        check("*", &["example.com", "10.0.0.1"], &[]);
        check(
            "example.com",
            &["example.com", "EXAMPLE.com", "a.example.com", "example.com."],
            &["badexample.com", "example.org"],
        );
        check(
            ".example.com",
            &["a.example.com", "b.a.example.com"],
            &["example.com", "badexample.com"],
        );
        check("*.example.com", &["a.example.com"], &["example.com"]);
        check(
            "example.com:8080",
            &["example.com|8080", "a.example.com|8080"],
            &["example.com|443"],
        );
        check("10.0.0.1", &["10.0.0.1"], &["10.0.0.2", "10.0.0.1.example.com"]);
        check("10.0.0.1:80", &["10.0.0.1|80"], &["10.0.0.1|443"]);
        check(
            "10.0.0.0/8, 192.168.1.0/24",
            &["10.200.3.4", "192.168.1.9"],
            &["192.168.2.9", "11.0.0.1", "example.com"],
        );
        check(
            "fd00::/8,[fe80::1]:443",
            &["fd12::9", "[fd12::9]", "fe80::1"],
            &["fe80::1|80", "fc00::1"],
        );
        check("0.0.0.0/0", &["1.2.3.4"], &["example.com"]);
        check("a.com b.com,  c.com ", &["a.com", "b.com", "x.c.com"], &["d.com"]);
        check(" , ,.,:80,*.", &[], &["example.com", "example.com|80"]);
        check("10.0.0.0/99,10.0.0.0/x", &[], &["10.0.0.1"]);
    }

    #[test]
    fn percent_escapes_are_decoded() {
        for (text, expect) in
            [("p%40ss", "p@ss"), ("100%", "100%"), ("%zz%4", "%zz%4"), ("%C3%A9", "é")]
        {
            assert_eq!(percent_decoded(text), expect, "{text}");
        }
    }
}
