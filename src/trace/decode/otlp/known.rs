//! The attributes that rules look for, found in one pass over a list: a span's rules ask some sixty times, and a resource is asked for each of
//! its spans.

use super::value::{Attribute, Value};
use crate::trace::normalise;

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A key that some rule looks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Key {
            $($(#[$doc])* $name,)*
        }

        impl Key {
            const COUNT: usize = [$(Self::$name),*].len();

            fn of(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

keys! {
    DbNamespace = "db.namespace",
    DbQueryText = "db.query.text",
    DbStatement = "db.statement",
    DbSystem = "db.system",
    DbSystemName = "db.system.name",
    DeploymentEnvironment = "deployment.environment",
    DeploymentEnvironmentName = "deployment.environment.name",
    FaasInvokedName = "faas.invoked_name",
    FaasInvokedProvider = "faas.invoked_provider",
    FaasTrigger = "faas.trigger",
    GraphqlOperationName = "graphql.operation.name",
    GraphqlOperationType = "graphql.operation.type",
    GrpcCode = "grpc.code",
    GrpcStatusCode = "grpc.status.code",
    HttpMethod = "http.method",
    HttpRequestMethod = "http.request.method",
    HttpResponseStatusCode = "http.response.status_code",
    HttpRoute = "http.route",
    HttpStatusCode = "http.status_code",
    Measured = "_dd.measured",
    MessagingDestination = "messaging.destination",
    MessagingDestinationName = "messaging.destination.name",
    MessagingOperation = "messaging.operation",
    MessagingSystem = "messaging.system",
    NetworkProtocolName = "network.protocol.name",
    OperationName = "operation.name",
    ResourceName = "resource.name",
    RpcGrpcStatusCode = "rpc.grpc.status.code",
    RpcGrpcStatusCodeOld = "rpc.grpc.status_code",
    RpcMethod = "rpc.method",
    RpcResponseStatusCode = "rpc.response.status_code",
    RpcService = "rpc.service",
    RpcSystem = "rpc.system",
    RpcSystemName = "rpc.system.name",
    SampleRate = "_sample_rate",
    ServiceName = "service.name",
    ServiceVersion = "service.version",
    SpanType = "span.type",
    StatsComputed = "_dd.stats_computed",
    SdkLanguage = "telemetry.sdk.language",
    SdkVersion = "telemetry.sdk.version",
    UrlTemplate = "url.template",
    ContainerId = "container.id",
}

/// Which attribute of a list has each key: of several the first.
#[derive(Debug)]
pub(super) struct Known<'a> {
    values: [Option<&'a Value<'a>>; Key::COUNT],
}

impl<'a> Known<'a> {
    pub(super) fn of(attributes: &'a [Attribute<'a>]) -> Self {
        let mut values = [None; Key::COUNT];
        for attribute in attributes {
            if let Some(key) = Key::of(&attribute.key) {
                values[key as usize].get_or_insert(&attribute.value);
            }
        }
        Self { values }
    }

    /// The value of this key, of whatever kind.
    pub(super) fn value(&self, key: Key) -> Option<&'a Value<'a>> {
        self.values[key as usize]
    }

    /// The text of this key; empty where there is none or it is of another kind.
    pub(super) fn text(&self, key: Key) -> &'a str {
        match self.value(key) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    fn int(&self, key: Key) -> Option<i64> {
        match self.value(key) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }
}

/// The attributes of a span and, behind them, those of its resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Both<'a> {
    pub(super) span: &'a Known<'a>,
    pub(super) resource: &'a Known<'a>,
}

impl<'a> Both<'a> {
    /// The text of the first of these keys that has one, in the span or else in its resource; empty where none has.
    pub(super) fn text(self, keys: &[Key]) -> &'a str {
        let texts = keys.iter().flat_map(|&key| [self.span.text(key), self.resource.text(key)]);
        texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// The same as a tag value.
    pub(super) fn tag_value(self, keys: &[Key]) -> String {
        normalise::tag_value(self.text(keys)).into_owned()
    }

    /// The number of this key where it is a whole one by its kind.
    pub(super) fn int(self, key: Key) -> Option<i64> {
        self.span.int(key).or_else(|| self.resource.int(key))
    }

    /// The first of these keys that is a whole number, by its kind or as text.
    pub(super) fn whole(self, keys: &[Key]) -> Option<i64> {
        keys.iter().find_map(|&key| self.int(key).or_else(|| whole(self.text(&[key]))))
    }

    /// The first of these keys that is text or a whole number, as text.
    pub(super) fn code(self, keys: &[Key]) -> Option<String> {
        keys.iter().find_map(|&key| match self.text(&[key]) {
            "" => self.int(key).map(|number| number.to_string()),
            text => Some(text.to_owned()),
        })
    }

    /// The value of the first of these keys that the resource has, else that the span has, as text of whatever kind: the order of the agent's older
    /// naming rules. A key that is there and empty counts as found.
    pub(super) fn of_resource_first(self, keys: &[Key]) -> String {
        for known in [self.resource, self.span] {
            let found = keys.iter().find_map(|&key| known.value(key));
            if let Some(text) = found.map(Value::to_text).filter(|text| !text.is_empty()) {
                return text.into_owned();
            }
        }
        String::new()
    }
}

/// A whole number in text, also where it is written with a fraction of zero or an exponent.
fn whole(text: &str) -> Option<i64> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    if !is_number {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a number that changes is none"
    )]
    let of_double = |number: f64| Some(number as i64).filter(|whole| *whole as f64 == number);
    text.parse().ok().or_else(|| text.parse().ok().and_then(of_double))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{Attribute, Both, Key, Known, Value, whole};

    fn attribute(key: &'static str, value: Value<'static>) -> Attribute<'static> {
        Attribute { key: Cow::Borrowed(key), value }
    }

    #[test]
    fn the_span_comes_before_its_resource_and_each_key_before_the_next() {
        let text = |text| Value::Text(Cow::Borrowed(text));
        let span = [
            attribute("db.system", text("span")),
            attribute("http.method", text("")),
            attribute("http.status_code", text("2e2")),
            attribute("grpc.code", Value::Int(5)),
            attribute("db.system", text("later")),
            attribute("rpc.system", Value::Int(5)),
        ];
        let resource =
            [attribute("db.system.name", text("resource")), attribute("http.method", text("GET"))];
        let (span, resource) = (Known::of(&span), Known::of(&resource));
        let both = Both { span: &span, resource: &resource };
        assert_eq!(both.text(&[Key::DbSystem, Key::DbSystemName]), "span");
        assert_eq!(both.text(&[Key::DbSystemName, Key::DbSystem]), "resource");
        assert_eq!((both.text(&[Key::HttpMethod]), both.text(&[Key::RpcSystem])), ("GET", ""));
        assert_eq!(both.whole(&[Key::HttpRoute, Key::HttpStatusCode]), Some(200));
        assert_eq!(both.code(&[Key::RpcGrpcStatusCode, Key::GrpcCode]).as_deref(), Some("5"));
    }

    #[test]
    fn whole_numbers_in_text() {
        for (text, expect) in [
            ("200", Some(200)),
            ("+5", Some(5)),
            ("-1", Some(-1)),
            ("2.0", Some(2)),
            ("2.5", None),
            ("", None),
            ("inf", None),
            ("1e99", None),
            ("0x5", None),
        ] {
            assert_eq!(whole(text), expect, "{text}");
        }
    }
}
