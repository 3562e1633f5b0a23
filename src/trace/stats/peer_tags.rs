//! Peer tags: the tags of a span that say whom it called. Stats are counted by them, so values of which there may be many, IP addresses, are
//! replaced.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::Ipv6Addr;

/// The tag with the service that a span was renamed from.
pub(super) const BASE_SERVICE: &str = "_dd.base_service";

/// The keys that the agent knows, in ascending order.
const KEYS: [&str; 44] = [
    BASE_SERVICE,
    "active_record.db.vendor",
    "amqp.destination",
    "amqp.exchange",
    "amqp.queue",
    "aws.queue.name",
    "aws.s3.bucket",
    "bucketname",
    "cassandra.keyspace",
    "db.cassandra.contact.points",
    "db.couchbase.seed.nodes",
    "db.hostname",
    "db.instance",
    "db.name",
    "db.namespace",
    "db.system",
    "db.system.name",
    "db.type",
    "dns.hostname",
    "grpc.host",
    "hostname",
    "http.host",
    "http.server_name",
    "messaging.destination",
    "messaging.destination.name",
    "messaging.kafka.bootstrap.servers",
    "messaging.rabbitmq.exchange",
    "messaging.system",
    "mongodb.db",
    "msmq.queue.path",
    "net.peer.name",
    "network.destination.ip",
    "network.destination.name",
    "out.host",
    "peer.hostname",
    "peer.service",
    "queuename",
    "rpc.service",
    "rpc.system",
    "sequel.db.vendor",
    "server.address",
    "streamname",
    "tablename",
    "topicname",
];

const BLOCKED: &str = "blocked-ip-address";

/// Addresses that are the same for everybody: loopback and the clouds' metadata servers.
const ALLOWED: [&str; 5] =
    ["127.0.0.1", "::1", "169.254.169.254", "fd00:ec2::254", "169.254.170.2"];

/// All keys of peer tags in ascending order: the agent's own and `extra` (`DD_APM_PEER_TAGS`).
#[must_use]
pub fn peer_tag_keys(extra: &[String]) -> Vec<String> {
    let mut keys: Vec<String> =
        KEYS.iter().map(|&key| key.to_owned()).chain(extra.iter().cloned()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Replaces the IP addresses in a list of hosts separated by commas; what is then there twice stays once.
pub(super) fn quantise(value: &str) -> Cow<'_, str> {
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

/// Replaces the address that a host starts with, after an optional prefix; what follows it stays.
fn quantise_host(host: &str) -> Cow<'_, str> {
    let (prefix, rest) = split_prefix(host);
    let (address, rest) = match split_address(rest) {
        Some(found) => found,
        None => return Cow::Borrowed(host),
    };
    if ALLOWED.contains(&address) {
        Cow::Borrowed(host)
    } else {
        Cow::Owned(format!("{prefix}{BLOCKED}{rest}"))
    }
}

/// Splits off `ip-` or a scheme with two or three slashes.
fn split_prefix(host: &str) -> (&str, &str) {
    if let Some(rest) = host.strip_prefix("ip-") {
        return ("ip-", rest);
    }
    for scheme in ["dnspoll", "ftp", "file", "https", "http"] {
        let Some(rest) = host.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")) else {
            continue;
        };
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        return host.split_at(host.len() - rest.len());
    }
    ("", host)
}

/// Splits off an IPv4 address, its numbers separated by `.`, `-` or `_` (always the same), or an IPv6 address, in brackets or alone.
fn split_address(text: &str) -> Option<(&str, &str)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (address, rest) = inner.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        return Some((address, rest));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
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
        let digits = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
        let (own, after) = rest.split_at(digits);
        own.parse::<u8>().ok()?;
        rest = after;
    }
    if rest.starts_with(|next: char| next.is_ascii_digit()) {
        return None;
    }
    Some(text.split_at(text.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_replaced_as_the_agent_does() {
        for (value, wanted) in [
            ("10.1.2.3:5432", "blocked-ip-address:5432"),
            ("10.1.2.3,10.1.2.4", "blocked-ip-address"),
            ("ip-10-1-2-3.ec2.internal", "ip-blocked-ip-address.ec2.internal"),
            ("http://10.1.2.3/x", "http://blocked-ip-address/x"),
            ("[2001:db8::1]:443", "blocked-ip-address:443"),
            ("2001:db8::1", "blocked-ip-address"),
            ("::1", "::1"),
            ("127.0.0.1", "127.0.0.1"),
            ("169.254.169.254", "169.254.169.254"),
            ("db-1.internal", "db-1.internal"),
            ("1.2.3", "1.2.3"),
            ("1.2.3.4.5", "blocked-ip-address.5"),
            ("10_1_2_3", "blocked-ip-address"),
            ("dnspoll:///10.1.2.3", "dnspoll:///blocked-ip-address"),
            ("x10.1.2.3", "x10.1.2.3"),
            ("postgres", "postgres"),
            ("a,b,a", "a,b"),
            ("db,10.0.0.1,10.0.0.2,127.0.0.1", "db,blocked-ip-address,127.0.0.1"),
            ("256.1.1.1", "256.1.1.1"),
            ("", ""),
        ] {
            assert_eq!(quantise(value), wanted, "{value}");
        }
    }

    #[test]
    fn keys_are_sorted_and_merged() {
        let keys = peer_tag_keys(&["tenant".to_owned(), "db.name".to_owned()]);
        assert!(keys.is_sorted() && keys.len() == KEYS.len() + 1 && KEYS.is_sorted());
    }
}
