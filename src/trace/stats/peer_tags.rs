//! Peer tags: the tags of a span that say whom it called. Stats are counted by them, without the IP addresses in their values
//! (`obfuscate::hosts`).

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

/// All keys of peer tags in ascending order: the agent's own and `extra` (`DD_APM_PEER_TAGS`).
#[must_use]
pub fn peer_tag_keys(extra: &[String]) -> Vec<String> {
    let mut keys: Vec<String> =
        KEYS.iter().map(|&key| key.to_owned()).chain(extra.iter().cloned()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_merged() {
        let keys = peer_tag_keys(&["tenant".to_owned(), "db.name".to_owned()]);
        assert!(keys.is_sorted() && keys.len() == KEYS.len() + 1 && KEYS.is_sorted());
    }
}
