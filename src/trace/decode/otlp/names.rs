//! Service, operation name, resource and type of a span: what Datadog groups spans by, found among the attributes that OpenTelemetry's semantic
//! conventions name, the newer ones first (spec: trace-agent 9.3; 7.85.2 as observed).

use std::borrow::Cow;

use super::Rules;
use super::known::{Both, Key};
use crate::trace::normalise;

/// A span's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
    /// A number that no version has given a meaning.
    Unknown,
}

impl Kind {
    pub(super) fn of(number: u64) -> Self {
        match number {
            0 => Self::Unspecified,
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unknown,
        }
    }

    /// The tag `span.kind`.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Unspecified | Self::Unknown => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }

    /// The kind in names: capitalised, and nothing for one that is not known.
    fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "Unspecified",
            Self::Internal => "Internal",
            Self::Server => "Server",
            Self::Client => "Client",
            Self::Producer => "Producer",
            Self::Consumer => "Consumer",
            Self::Unknown => "",
        }
    }
}

/// The service of a span whose resource names none.
const SERVICE_FALLBACK: &str = "otlpresourcenoservicename";

const HTTP_METHOD: [Key; 2] = [Key::HttpRequestMethod, Key::HttpMethod];
const DB_SYSTEM: [Key; 2] = [Key::DbSystemName, Key::DbSystem];
const DB_STATEMENT: [Key; 2] = [Key::DbStatement, Key::DbQueryText];
const DESTINATION: [Key; 2] = [Key::MessagingDestination, Key::MessagingDestinationName];

/// What the names of one span are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) kind: Kind,
    /// The span's own name.
    pub(super) name: &'a str,
    /// The name of its instrumentation library.
    pub(super) scope: &'a str,
    pub(super) attributes: Both<'a>,
}

impl<'a> Named<'a> {
    pub(super) fn service(self) -> Cow<'a, str> {
        let named = self.attributes.text(&[Key::ServiceName]);
        normalise::service(if named.is_empty() { SERVICE_FALLBACK } else { named }, "")
    }

    pub(super) fn operation(self, rules: &Rules) -> String {
        let name = if rules.uses_older_names() {
            self.older_operation(rules)
        } else {
            self.newer_operation()
        };
        normalise::name(&name).into_owned()
    }

    fn newer_operation(self) -> String {
        let value = |keys: &[Key]| self.attributes.tag_value(keys);
        let (is_client, is_server) = (self.kind == Kind::Client, self.kind == Kind::Server);
        let side = match self.kind {
            Kind::Client => Some("client"),
            Kind::Server => Some("server"),
            _ => None,
        };
        let own = value(&[Key::OperationName]);
        if !own.is_empty() {
            return own;
        }
        if let Some(side) = side.filter(|_| !self.attributes.text(&HTTP_METHOD).is_empty()) {
            return format!("http.{side}.request");
        }
        let database = value(&DB_SYSTEM);
        if is_client && !database.is_empty() {
            return format!("{database}.query");
        }
        let (system, operation) =
            (value(&[Key::MessagingSystem]), value(&[Key::MessagingOperation]));
        let is_between = !matches!(self.kind, Kind::Unspecified | Kind::Internal | Kind::Unknown);
        if is_between && !system.is_empty() && !operation.is_empty() {
            return format!("{system}.{operation}");
        }
        match (value(&[Key::RpcSystem]).as_str(), side) {
            ("", _) | (_, None) => {}
            ("aws-api", Some("client")) => {
                let service = value(&[Key::RpcService]);
                let service = if service.is_empty() { "client" } else { &service };
                return format!("aws.{service}.request");
            }
            (system, Some(side)) => return format!("{system}.{side}.request"),
        }
        let (provider, function) =
            (value(&[Key::FaasInvokedProvider]), value(&[Key::FaasInvokedName]));
        if is_client && !provider.is_empty() && !function.is_empty() {
            return format!("{provider}.{function}.invoke");
        }
        let trigger = value(&[Key::FaasTrigger]);
        if is_server && !trigger.is_empty() {
            return format!("{trigger}.invoke");
        }
        if !value(&[Key::GraphqlOperationType]).is_empty() {
            return "graphql.server.request".to_owned();
        }
        match (side, value(&[Key::NetworkProtocolName]).as_str()) {
            (Some(side), "") => format!("{side}.request"),
            (Some(side), protocol) => format!("{protocol}.{side}.request"),
            (None, _) if self.kind == Kind::Unspecified => Kind::Internal.word().to_owned(),
            (None, _) => self.kind.word().to_owned(),
        }
    }

    /// The name of older agents, which users asked to keep: the library's and the kind's, or the span's own, by another name where they wish so.
    fn older_operation(self, rules: &Rules) -> String {
        let own = self.attributes.of_resource_first(&[Key::OperationName]);
        let name = if !own.is_empty() {
            own
        } else if rules.span_name_as_resource_name {
            self.name.to_owned()
        } else {
            let library = if self.scope.is_empty() { "opentelemetry" } else { self.scope };
            format!("{library}.{}", self.kind.word().to_ascii_lowercase())
        };
        rules.span_name_remappings.get(&name).cloned().unwrap_or(name)
    }

    pub(super) fn resource(self, rules: &Rules) -> String {
        let resource =
            if rules.uses_older_names() { self.older_resource() } else { self.newer_resource() };
        normalise::truncate(&resource, normalise::RESOURCE_BYTES_MAX).to_owned()
    }

    fn newer_resource(self) -> String {
        let text = |keys: &[Key]| self.attributes.text(keys);
        let own = text(&[Key::ResourceName]);
        if !own.is_empty() {
            return own.to_owned();
        }
        let pairs: [(&str, &[Key]); 4] = [
            (
                match text(&HTTP_METHOD) {
                    "_OTHER" => "HTTP",
                    method => method,
                },
                match self.kind {
                    Kind::Client => &[Key::UrlTemplate],
                    Kind::Server => &[Key::HttpRoute],
                    _ => &[],
                },
            ),
            (text(&[Key::MessagingOperation]), &DESTINATION),
            (text(&[Key::RpcMethod]), &[Key::RpcService]),
            (text(&[Key::GraphqlOperationType]), &[Key::GraphqlOperationName]),
        ];
        if let Some((first, second)) = pairs.into_iter().find(|(first, _)| !first.is_empty()) {
            return joined(first, text(second));
        }
        let statement = text(&DB_STATEMENT);
        if !text(&DB_SYSTEM).is_empty() && !statement.is_empty() {
            return statement.to_owned();
        }
        self.name.to_owned()
    }

    fn older_resource(self) -> String {
        let text = |keys: &[Key]| self.attributes.of_resource_first(keys);
        let pairs: [(&[Key], &[Key]); 5] = [
            (&[Key::ResourceName], &[]),
            (&HTTP_METHOD, &[Key::HttpRoute]),
            (&[Key::MessagingOperation], &DESTINATION),
            (&[Key::RpcMethod], &[Key::RpcService]),
            (&[Key::GraphqlOperationType], &[Key::GraphqlOperationName]),
        ];
        for (first, second) in pairs {
            let first = text(first);
            if !first.is_empty() {
                return joined(&first, &text(second));
            }
        }
        self.name.to_owned()
    }

    pub(super) fn span_type(self) -> Cow<'a, str> {
        let own = self.attributes.text(&[Key::SpanType]);
        if !own.is_empty() {
            return Cow::Borrowed(own);
        }
        Cow::Borrowed(match self.kind {
            Kind::Server => "web",
            Kind::Client => match self.attributes.tag_value(&DB_SYSTEM).as_str() {
                "" => "http",
                system => database_type(system),
            },
            _ => "custom",
        })
    }
}

fn joined(first: &str, second: &str) -> String {
    if second.is_empty() { first.to_owned() } else { format!("{first} {second}") }
}

/// Databases that are spoken to in SQL, in the spellings of the older and the newer conventions.
const SQL: [&str; 48] = [
    "actian.ingres",
    "adabas",
    "aws.redshift",
    "cache",
    "clickhouse",
    "cloudscape",
    "cockroachdb",
    "coldfusion",
    "db2",
    "derby",
    "edb",
    "filemaker",
    "firebird",
    "firebirdsql",
    "firstsql",
    "h2",
    "h2database",
    "hanadb",
    "hsqldb",
    "ibm.db2",
    "ibm.informix",
    "ibm.netezza",
    "informix",
    "ingres",
    "instantdb",
    "interbase",
    "intersystems.cache",
    "mariadb",
    "maxdb",
    "microsoft.sql_server",
    "mssql",
    "mysql",
    "netezza",
    "oracle",
    "oracle.db",
    "other_sql",
    "pervasive",
    "pointbase",
    "postgresql",
    "progress",
    "redshift",
    "sap.hana",
    "sap.maxdb",
    "softwareag.adabas",
    "sqlite",
    "sybase",
    "teradata",
    "vertica",
];

/// The type of a call to a database: its own where Datadog has one.
fn database_type(system: &str) -> &'static str {
    match system {
        "cassandra" => "cassandra",
        "elasticsearch" => "elasticsearch",
        "memcached" => "memcached",
        "mongodb" => "mongodb",
        "opensearch" => "opensearch",
        "redis" => "redis",
        _ if SQL.binary_search(&system).is_ok() => "sql",
        _ => "db",
    }
}

#[cfg(test)]
mod tests {
    use super::{SQL, database_type};

    #[test]
    fn databases_are_found_by_both_spellings() {
        assert!(SQL.is_sorted());
        for (system, expect) in [
            ("mssql", "sql"),
            ("microsoft.sql_server", "sql"),
            ("redis", "redis"),
            ("neo4j", "db"),
            ("", "db"),
        ] {
            assert_eq!(database_type(system), expect, "{system}");
        }
    }
}
