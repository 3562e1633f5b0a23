//! IP addresses in tags that say whom a span called: there may be many of them, and they are somebody's. Stats are grouped without them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::Ipv6Addr;

const BLOCKED: &str = "blocked-ip-address";

/// Addresses that are the same for everybody: loopback and the clouds' metadata servers.
const ALLOWED: [&str; 5] =
    ["127.0.0.1", "::1", "169.254.169.254", "fd00:ec2::254", "169.254.170.2"];

/// What an address may come behind, in the order in which it is looked for.
const SCHEMES: [&str; 5] = ["dnspoll", "ftp", "file", "http", "https"];

/// Replaces the IP addresses in a list of hosts separated by commas; what is then there twice stays once (spec: trace-agent 5.2).
#[must_use]
pub fn quantise(value: &str) -> Cow<'_, str> {
    if !value.bytes().any(|byte| byte.is_ascii_digit() || byte == b':' || byte == b',') {
        return Cow::Borrowed(value);
    }
    if !value.contains(',') {
        return quantise_host(value);
    }
    let mut seen = HashSet::new();
    let hosts: Vec<Cow<'_, str>> =
        value.split(',').map(quantise_host).filter(|host| seen.insert(host.clone())).collect();
    Cow::Owned(hosts.join(","))
}

/// Replaces the address of a host. Its prefix and its port stay; what is between address and port moves behind the port, as in the agent.
fn quantise_host(host: &str) -> Cow<'_, str> {
    let (prefix, rest) = split_prefix(host);
    let (name, port) = split_port(rest).unwrap_or((rest, ""));
    match split_address(name) {
        Some((address, after)) if !ALLOWED.contains(&address) => {
            let colon = if port.is_empty() { "" } else { ":" };
            Cow::Owned([prefix, BLOCKED, colon, port, after].concat())
        }
        _ => Cow::Borrowed(host),
    }
}

/// `ip-` at the start, or a scheme with two or three slashes, and what follows it. What stands before a scheme is lost.
fn split_prefix(host: &str) -> (&str, &str) {
    if let Some(rest) = host.strip_prefix("ip-") {
        return ("ip-", rest);
    }
    let found = SCHEMES.iter().find_map(|scheme| {
        let (_, from) = host.split_at(host.find(scheme)?);
        let rest = from.strip_prefix(scheme)?.strip_prefix("://")?;
        if rest.is_empty() {
            return None;
        }
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        Some(from.split_at(from.len() - rest.len()))
    });
    found.unwrap_or(("", host))
}

/// Name and port of `name:port` and `[name]:port`; nothing where it is neither.
fn split_port(text: &str) -> Option<(&str, &str)> {
    let (name, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (name, after) = inner.split_once(']')?;
            (name, after.strip_prefix(':')?)
        }
        None => text.rsplit_once(':')?,
    };
    let is_bracketed = text.starts_with('[');
    let is_bad = name.contains('[')
        || (!is_bracketed && name.contains([':', ']']))
        || port.contains([':', '[', ']']);
    (!is_bad).then_some((name, port))
}

/// Splits off an IPv4 address, its numbers separated by `.`, `-` or `_` (always the same). An IPv6 address, possibly with a zone, is all there
/// is.
fn split_address(text: &str) -> Option<(&str, &str)> {
    let v6 = match text.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => address,
        _ => text,
    };
    if v6.parse::<Ipv6Addr>().is_ok() {
        return Some((text, ""));
    }
    ['.', '-', '_'].into_iter().find_map(|separator| split_ipv4(text, separator))
}

fn split_ipv4(text: &str, separator: char) -> Option<(&str, &str)> {
    let mut rest = text;
    for number in 0..4 {
        if number > 0 {
            rest = rest.strip_prefix(separator)?;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (own, after) = rest.split_at(digits);
        own.parse::<u8>().ok().filter(|_| own == "0" || !own.starts_with('0'))?;
        rest = after;
    }
    // One separator at the very end asks for one more number.
    if rest.strip_prefix(separator) == Some("") {
        return None;
    }
    Some(text.split_at(text.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_each(cases: &[(&str, &str)]) {
        for (value, expect) in cases {
            assert_eq!(quantise(value), *expect, "{value:?}");
        }
    }

    #[test]
    fn addresses_are_replaced_as_the_agent_does() {
        check_each(&[
            ("10.1.2.3:5432", "blocked-ip-address:5432"),
            ("ip-10-1-2-3.ec2.internal", "ip-blocked-ip-address.ec2.internal"),
            ("http://10.1.2.3/x", "http://blocked-ip-address/x"),
            ("[2001:db8::1]:443", "blocked-ip-address:443"),
            ("2001:db8::1", "blocked-ip-address"),
            ("fe80::1%eth0", "blocked-ip-address"),
            ("::ffff:10.1.2.3", "blocked-ip-address"),
            ("1.2.3.4.5", "blocked-ip-address.5"),
            ("1.2.3.4..", "blocked-ip-address.."),
            ("10_1_2_3", "blocked-ip-address"),
            ("10-1-2-3.", "blocked-ip-address."),
            ("dnspoll:///10.1.2.3", "dnspoll:///blocked-ip-address"),
            ("https://[fe80::1]:80/x", "https://blocked-ip-address:80/x"),
            ("10.1.2.3:80:90", "blocked-ip-address:80:90"),
        ]);
    }

    #[test]
    fn what_is_no_address_stays() {
        for value in [
            "db-1.internal",
            "1.2.3",
            "1.2.3.",
            "1.2.3.4.",
            "1-2-3-4-",
            "01.2.3.4",
            "256.1.1.1",
            "1.2.3.1234",
            "1.2-3.4",
            "x10.1.2.3",
            "postgres",
            "postgres:5432",
            "",
            "[fe80::1]",
            "[fe80::1]x",
            "[fe80::1]:80:90",
            "fe80::1%",
            "fe80::1/x",
            "ftp:////10.1.2.3",
            "http:/10.1.2.3",
            "HTTP://10.1.2.3",
            "http://ip-10-1-2-3",
        ] {
            check_each(&[(value, value)]);
        }
    }

    #[test]
    fn addresses_of_everybody_stay() {
        for value in [
            "::1",
            "[::1]:80",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.0.0.1x",
            "169.254.169.254",
            "http://169.254.170.2/v2",
            "fd00:ec2::254",
        ] {
            check_each(&[(value, value)]);
        }
        check_each(&[
            ("127-0-0-1", "blocked-ip-address"),
            ("0:0:0:0:0:0:0:1", "blocked-ip-address"),
        ]);
    }

    #[test]
    fn oddities_are_the_agents() {
        check_each(&[
            ("10.1.2.3:", "blocked-ip-address"),
            ("10.1.2.3x:80", "blocked-ip-address:80x"),
            ("a http://10.1.2.3", "http://blocked-ip-address"),
            ("http://ftp://10.1.2.3", "ftp://blocked-ip-address"),
            ("http x https://10.1.2.3", "https://blocked-ip-address"),
            ("http x http://10.1.2.3", "http x http://10.1.2.3"),
            ("10.1.2.3http://", "blocked-ip-address://http"),
        ]);
    }

    #[test]
    fn hosts_of_a_list_are_there_once() {
        check_each(&[
            ("10.1.2.3,10.1.2.4", "blocked-ip-address"),
            ("10.1.2.3:80,10.1.2.4:81", "blocked-ip-address:80,blocked-ip-address:81"),
            ("a,b,a", "a,b"),
            ("a, a", "a, a"),
            ("db,10.0.0.1,10.0.0.2,127.0.0.1", "db,blocked-ip-address,127.0.0.1"),
            (",,", ""),
        ]);
    }

    proptest! {
        #[test]
        fn no_address_survives(bytes in any::<[u8; 4]>(), groups in any::<[u16; 8]>(), port in "(:[0-9]{1,5})?") {
            let [v4, v6] = [std::net::Ipv4Addr::from(bytes).to_string(), Ipv6Addr::from(groups).to_string()];
            prop_assume!(!ALLOWED.contains(&v4.as_str()));
            for prefix in ["", "ip-", "http://", "file:///"] {
                for (host, expect) in [
                    (format!("{prefix}{v4}{port}"), format!("{prefix}{BLOCKED}{port}")),
                    (format!("{prefix}{v6}"), format!("{prefix}{BLOCKED}")),
                    (format!("{prefix}[{v6}]:1"), format!("{prefix}{BLOCKED}:1")),
                ] {
                    let made = quantise(&host);
                    prop_assert_eq!(made, expect);
                }
            }
        }

        #[test]
        fn any_text_has_an_end(value in "([0-9.,:_\\[\\]%-]|ip-|http://|::|\\PC){0,20}") {
            prop_assert!(quantise(&value).len() <= value.len() * 19 + 19);
        }
    }
}
