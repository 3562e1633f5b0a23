//! Hosts of URLs: which ones the agent's URL library takes.

use std::net::Ipv6Addr;

use super::escape::{self, Part};

/// Whether what stands before the `@` can be a user with or without a password.
pub(super) fn is_user(text: &str) -> bool {
    let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    text.bytes().all(may_be) && escape::is_valid(text)
}

/// Whether this can be a host, with or without a port. Two colons are taken for one except in the schemes `http` and `https`.
pub(super) fn is_host(scheme: &str, text: &str) -> bool {
    if let Some(open) = text.rfind('[') {
        return open == 0 && is_bracketed(text);
    }
    if let Some((name, port)) = text.rsplit_once(':') {
        let is_strict = ["http", "https"].iter().any(|own| scheme.eq_ignore_ascii_case(own));
        if !is_port(port) || (is_strict && name.contains(':')) {
            return false;
        }
    }
    is_name(text)
}

/// `[v6]`, `[v6%25zone]`, either with a port.
fn is_bracketed(text: &str) -> bool {
    let Some((inner, port)) = text.strip_prefix('[').and_then(|text| text.rsplit_once(']')) else {
        return false;
    };
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return false;
    }
    match inner.split_once("%25") {
        Some((address, zone)) => {
            !zone.is_empty() && is_zone(zone) && address.parse::<Ipv6Addr>().is_ok()
        }
        None => inner.parse::<Ipv6Addr>().is_ok(),
    }
}

/// Any number of digits, none included.
fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A name has escapes only for `%` and for bytes beyond ASCII.
fn is_name(text: &str) -> bool {
    holds(text, |byte| byte == b'%' || byte >= 0x80)
}

/// A zone has escapes for `%`, for spaces and for what could stand there without.
fn is_zone(text: &str) -> bool {
    holds(text, |byte| byte == b'%' || byte == b' ' || Part::Host.writes(byte))
}

/// Whether each byte may stand in a host, and each escaped one is one that `may_be_escaped`.
fn holds(text: &str, may_be_escaped: impl Fn(u8) -> bool) -> bool {
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return true,
            [b'%', ..] => match escape::escape(rest) {
                Some((byte, after)) if may_be_escaped(byte) => after,
                _ => return false,
            },
            [byte, after @ ..] if *byte >= 0x80 || Part::Host.writes(*byte) => after,
            _ => return false,
        };
    }
}
