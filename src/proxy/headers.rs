//! The headers of a request that is passed on, and of the answer that comes back.

use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, FORWARDED, HOST,
    HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use hyper::http::request::Parts;

use super::endpoint::{EVP_HEADERS, Endpoint};
use super::{Settings, target};
use crate::version;

/// What belongs to one connection and not to the request (RFC 9110, 7.6.1), by the list of Go's reverse proxy.
const OF_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("proxy-authorization"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const ADDITIONAL_TAGS: HeaderName = HeaderName::from_static("x-datadog-additional-tags");

/// What every request says of us, made once.
pub(super) struct Identity {
    /// `host:…,default_env:…,agent_version:…`.
    pub(super) host_tags: String,
    hostname: HeaderValue,
    env: HeaderValue,
    via: HeaderValue,
    additional_tags: HeaderValue,
    profile_tags: HeaderValue,
    /// What telemetry says beside that: the installation and the platform.
    of_telemetry: Vec<(HeaderName, HeaderValue)>,
    /// The time that an event may take, in seconds.
    evp_timeout: HeaderValue,
    errors_alone: bool,
}

impl Identity {
    pub(super) fn new(settings: &Settings) -> Self {
        let host_tags = format!(
            "host:{},default_env:{},agent_version:{}",
            settings.hostname,
            settings.env,
            version::AGENT
        );
        let profile_tags = settings
            .profile_tags
            .iter()
            .fold(host_tags.clone(), |tags, (key, value)| format!("{tags},{key}:{value}"));
        let evp_seconds = settings.evp.as_ref().map_or(0, |evp| evp.timeout.as_secs());
        Self {
            hostname: value(&settings.hostname),
            env: value(&settings.env),
            via: value(&format!("trace-agent {}", version::AGENT)),
            additional_tags: value(&host_tags),
            profile_tags: value(&profile_tags),
            of_telemetry: of_telemetry(settings),
            evp_timeout: HeaderValue::from(evp_seconds),
            errors_alone: settings.errors_alone,
            host_tags,
        }
    }

    /// The headers that go on with a request, but for the key. `peer` is the address that it came from, where it has one.
    pub(super) fn outgoing(
        &self,
        endpoint: Endpoint,
        head: &Parts,
        peer: Option<IpAddr>,
    ) -> HeaderMap {
        if endpoint == Endpoint::Evp {
            return self.evp(&head.headers);
        }
        let mut headers = head.headers.clone();
        drop_of_connection(&mut headers);
        for name in [HOST, CONTENT_LENGTH, EXPECT] {
            headers.remove(name);
        }
        if endpoint.says_whence() {
            whence(&mut headers, head.headers.get(HOST), peer);
        }
        if endpoint.says_via() {
            headers.insert(VIA, self.via.clone());
        }
        match endpoint {
            Endpoint::Telemetry => {
                headers.insert("dd-agent-hostname", self.hostname.clone());
                headers.insert("dd-agent-env", self.env.clone());
                headers.extend(self.of_telemetry.iter().cloned());
            }
            Endpoint::Profiles => {
                headers.insert(ADDITIONAL_TAGS, self.profile_tags.clone());
            }
            Endpoint::PipelineStats | Endpoint::Lineage => {
                headers.insert(ADDITIONAL_TAGS, self.additional_tags.clone());
            }
            Endpoint::Symbols => {
                let query = head.uri.query().unwrap_or_default();
                let tags = target::tags(&self.host_tags, &head.headers, query);
                headers.insert(ADDITIONAL_TAGS, value_of(tags));
            }
            _ => {}
        }
        if let Some(origin) = endpoint.origin() {
            headers.insert("dd-evp-origin", HeaderValue::from_static(origin));
            headers.insert("dd-request-id", value(&random_id()));
        }
        headers
    }

    /// The event platform gets what it is known to need, and nothing else.
    fn evp(&self, asked: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(16);
        for name in EVP_HEADERS {
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
            if let Some(value) = asked.get(&name).filter(|value| !value.is_empty()) {
                headers.insert(name, value.clone());
            }
        }
        headers.insert(VIA, self.via.clone());
        // Nobody resolves container ids where there is no container runtime beside the agent; the header is there all the same.
        headers.insert("datadog-container-id", HeaderValue::from_static(""));
        headers.insert("x-datadog-hostname", self.hostname.clone());
        headers.insert("x-datadog-agentdefaultenv", self.env.clone());
        headers.insert("x-datadog-timeout", self.evp_timeout.clone());
        if self.errors_alone {
            headers.insert("x-datadog-error-tracking-standalone", HeaderValue::from_static("true"));
        }
        headers
    }
}

/// Says where the request came from, and nothing that somebody else has said of that.
fn whence(headers: &mut HeaderMap, host: Option<&HeaderValue>, peer: Option<IpAddr>) {
    headers.remove(FORWARDED);
    headers.remove(FORWARDED_FOR);
    if let Some(peer) = peer {
        headers.insert(FORWARDED_FOR, value(&peer.to_canonical().to_string()));
    }
    headers.insert(FORWARDED_HOST, host.cloned().unwrap_or(HeaderValue::from_static("")));
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
}

/// Takes out what belongs to the connection: the fixed names and those that `Connection` lists.
pub(super) fn drop_of_connection(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    for name in listed.iter().chain(&OF_CONNECTION) {
        headers.remove(name);
    }
}

/// The media type of an answer that names none, as Go's server finds it: text where no byte of its beginning says otherwise.
pub(super) fn name_type(headers: &mut HeaderMap, body: &Bytes) {
    if body.is_empty()
        || headers.contains_key(CONTENT_TYPE)
        || headers.contains_key(CONTENT_ENCODING)
    {
        return;
    }
    let is_binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    let media = if body.iter().take(512).any(is_binary) {
        "application/octet-stream"
    } else {
        "text/plain; charset=utf-8"
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
}

/// The installation, where an installer named it, and the platform, where a tag says so.
fn of_telemetry(settings: &Settings) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    let mut say = |name, text: &str| headers.push((HeaderName::from_static(name), value(text)));
    if let Some(install) = &settings.install {
        say("dd-agent-install-id", &install.id);
        say("dd-agent-install-type", &install.kind);
        say("dd-agent-install-time", &install.time.to_string());
    }
    let tag =
        |name: &str| settings.tags.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let (provider, kind, identifier) = match tag("origin").map(String::as_str) {
        Some("cloudrun") => ("GCP", "GCPCloudRun", "service_name"),
        Some("cloudfunction") => ("GCP", "GCPCloudFunctions", "service_name"),
        Some("appservice") => ("Azure", "AzureAppService", "app_name"),
        Some("containerapp") => ("Azure", "AzureContainerApp", "app_name"),
        _ => return headers,
    };
    say("dd-cloud-provider", provider);
    say("dd-cloud-resource-type", kind);
    if let Some(identifier) = tag(identifier) {
        say("dd-cloud-resource-identifier", identifier);
    }
    headers
}

/// `text` as the value of a header: what none may hold becomes `_`.
fn value(text: &str) -> HeaderValue {
    value_of(text.as_bytes().to_vec())
}

fn value_of(mut bytes: Vec<u8>) -> HeaderValue {
    for byte in &mut bytes {
        if *byte < b' ' && *byte != b'\t' || *byte == 0x7f {
            *byte = b'_';
        }
    }
    HeaderValue::try_from(bytes).unwrap_or(HeaderValue::from_static(""))
}

/// A random UUID (RFC 9562, version 4).
fn random_id() -> String {
    let random = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{random:032x}");
    let mut id = String::with_capacity(36);
    for (at, digit) in hex.chars().enumerate() {
        if [8, 12, 16, 20].contains(&at) {
            id.push('-');
        }
        id.push(digit);
    }
    id
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::{Bytes, Endpoint, HeaderMap, Identity, name_type, random_id, value};
    use crate::proxy::Install;
    use crate::proxy::tests::settings;

    fn outgoing(settings: &super::Settings, path: &str, headers: &[(&str, &str)]) -> Vec<String> {
        let request =
            headers.iter().fold(Request::builder().uri(path), |request, (name, value)| {
                request.header(*name, *value)
            });
        let head = request.body(()).unwrap().into_parts().0;
        let endpoint = Endpoint::of(path).unwrap();
        let peer = Some([127, 0, 0, 1].into());
        let headers = Identity::new(settings).outgoing(endpoint, &head, peer);
        let mut lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .filter(|line| !line.starts_with("dd-request-id"))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn what_belongs_to_the_connection_is_not_passed_on() {
        let headers = [
            ("Host", "agent:8126"),
            ("Connection", "keep-alive, X-Mine"),
            ("X-Mine", "1"),
            ("Keep-Alive", "5"),
            ("TE", "trailers"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "5"),
            ("Expect", "100-continue"),
            ("X-Forwarded-For", "6.6.6.6"),
            ("Forwarded", "for=6.6.6.6"),
            ("X-Yours", "2"),
        ];
        assert_eq!(
            outgoing(&settings(), "/tracer_flare/v1", &headers),
            [
                "x-forwarded-for: 127.0.0.1",
                "x-forwarded-host: agent:8126",
                "x-forwarded-proto: http",
                "x-yours: 2"
            ]
        );
    }

    #[test]
    fn the_event_platform_gets_the_allowed_headers_alone() {
        let headers = [
            ("Content-Type", "application/json"),
            ("DD-CI-PROVIDER-NAME", "x"),
            ("DD-EVP-ORIGIN-VERSION", ""),
            ("X-Extra", "dropped"),
            ("Accept", "*/*"),
            ("Datadog-Container-ID", "c"),
        ];
        assert_eq!(
            outgoing(&settings(), "/evp_proxy/v2/x", &headers),
            [
                "content-type: application/json",
                "datadog-container-id: ",
                "dd-ci-provider-name: x",
                "via: trace-agent 7.85.2",
                "x-datadog-agentdefaultenv: prod",
                "x-datadog-hostname: box",
                "x-datadog-timeout: 30"
            ]
        );
        let errors_alone = super::Settings { errors_alone: true, ..settings() };
        let sent = outgoing(&errors_alone, "/evp_proxy/v2/x", &headers);
        assert!(sent.contains(&"x-datadog-error-tracking-standalone: true".to_owned()), "{sent:?}");
    }

    #[test]
    fn telemetry_says_what_is_known_of_the_installation_and_the_platform() {
        let mut settings = settings();
        settings.install = Some(Install { id: "i".to_owned(), kind: "k8s".to_owned(), time: 7 });
        settings.tags = vec![
            ("origin".to_owned(), "cloudrun".to_owned()),
            ("service_name".to_owned(), "shop".to_owned()),
        ];
        assert_eq!(
            outgoing(&settings, "/telemetry/proxy/x", &[]),
            [
                "dd-agent-env: prod",
                "dd-agent-hostname: box",
                "dd-agent-install-id: i",
                "dd-agent-install-time: 7",
                "dd-agent-install-type: k8s",
                "dd-cloud-provider: GCP",
                "dd-cloud-resource-identifier: shop",
                "dd-cloud-resource-type: GCPCloudRun",
                "via: trace-agent 7.85.2"
            ]
        );
    }

    #[test]
    fn profiles_have_tags_of_their_own() {
        let mut settings = settings();
        settings.profile_tags = vec![("a".to_owned(), "1\n".to_owned())];
        let lines = outgoing(&settings, "/profiling/v1/input", &[("User-Agent", "u")]);
        let tags = "x-datadog-additional-tags: host:box,default_env:prod,agent_version:7.85.2,a:1_";
        assert!(
            lines.contains(&tags.to_owned()) && lines.contains(&"user-agent: u".to_owned()),
            "{lines:?}"
        );
    }

    #[test]
    fn an_answer_without_a_type_is_named_by_its_bytes() {
        let named = |body: &'static [u8], headers: HeaderMap| {
            let mut headers = headers;
            name_type(&mut headers, &Bytes::from_static(body));
            headers.get("content-type").map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(named(b"{}", HeaderMap::new()).unwrap(), "text/plain; charset=utf-8");
        assert_eq!(named(b"\x80\x00", HeaderMap::new()).unwrap(), "application/octet-stream");
        assert_eq!(named(b"", HeaderMap::new()), None);
        let json = HeaderMap::from_iter([(super::CONTENT_TYPE, value("application/json"))]);
        assert_eq!(named(b"{}", json).unwrap(), "application/json");
        let gzip = HeaderMap::from_iter([(super::CONTENT_ENCODING, value("gzip"))]);
        assert_eq!(named(b"\x1f\x8b", gzip), None);
    }

    #[test]
    fn ids_are_random_and_of_version_four() {
        let (id, other) = (random_id(), random_id());
        assert_ne!(id, other);
        let shape: String =
            id.chars().map(|c| if c.is_ascii_hexdigit() { 'x' } else { c }).collect();
        assert_eq!(shape, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
        assert!(id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
    }
}
