//! Where a request goes: the address for each destination, with the path and query that belong to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use reqwest::Url;

use super::endpoint::{self, Endpoint};
use super::{Upstream, evp, query};
use crate::ledger::Ledger;
use crate::relay;

/// Bytes of the tags in a query (spec: trace-agent 8).
const TAGS_BYTES_MAX: usize = 4001;

/// The header that names the host of the event platform.
const SUBDOMAIN: &str = "x-datadog-evp-subdomain";

const TAGS: &[u8] = b"ddtags";

/// A destination, ready to be asked.
#[derive(Clone, Debug)]
pub(super) struct Base {
    url: Arc<str>,
    key: HeaderValue,
    ledger: Arc<Ledger>,
}

/// One place that a request goes to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The whole address.
    pub(super) url: Url,
    /// The header that carries the key, and the key, which never prints.
    pub(super) key: (HeaderName, HeaderValue),
    /// What goes there is counted in it.
    pub(super) ledger: Arc<Ledger>,
}

/// The ledgers of destinations: that of the process for main ones, and one for each host that gets copies.
pub(super) struct Ledgers {
    main: Arc<Ledger>,
    further: BTreeMap<String, Arc<Ledger>>,
}

impl Ledgers {
    pub(super) fn new(main: Arc<Ledger>) -> Self {
        Self { main, further: BTreeMap::new() }
    }

    /// That of the destination at this place of its list.
    fn of(&mut self, at: usize, url: &str) -> Arc<Ledger> {
        if at == 0 {
            return Arc::clone(&self.main);
        }
        let host = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default();
        let new = || self.main.further(host);
        Arc::clone(self.further.entry(host.to_owned()).or_insert_with(new))
    }
}

/// The destinations of an endpoint, the main one first.
pub(super) fn bases(endpoint: Endpoint, upstream: &Upstream, ledgers: &mut Ledgers) -> Vec<Base> {
    let base = |(at, to): (usize, &relay::Destination)| {
        let mut key = relay::header(&to.api_key)?;
        if endpoint == Endpoint::Lineage {
            key = HeaderValue::try_from([b"Bearer ", key.as_bytes()].concat()).ok()?;
            key.set_sensitive(true);
        }
        Some(Base { url: Arc::from(to.url.as_str()), key, ledger: ledgers.of(at, &to.url) })
    };
    upstream.destinations.iter().enumerate().filter_map(base).collect()
}

/// The places that a request goes to, the main one first. `host_tags` are those of the agent.
///
/// # Errors
/// In words, why it goes nowhere.
pub(super) fn targets(
    endpoint: Endpoint,
    bases: &[Base],
    head: &Parts,
    host_tags: &str,
) -> Result<Vec<Target>, String> {
    let query = head.uri.query().unwrap_or_default();
    let rest = endpoint::rest(head.uri.path());
    let subdomain = head.headers.get(SUBDOMAIN).map_or(&[][..], HeaderValue::as_bytes);
    let passed_query = match endpoint {
        Endpoint::Telemetry => query.to_owned(),
        Endpoint::Evp => {
            let query = query::cleaned(query);
            evp::check(subdomain, rest, &query).map_err(|refused| refused.words().to_owned())?;
            query
        }
        Endpoint::DebuggerLogs | Endpoint::Debugger => {
            let mut pairs = query::pairs(query);
            let mut tags = tags(host_tags, &head.headers, query);
            tags.truncate(TAGS_BYTES_MAX);
            pairs.retain(|(key, _)| key != TAGS);
            pairs.push((TAGS.to_vec(), tags));
            query::written(pairs)
        }
        Endpoint::Symbols => query::written(query::pairs(query)),
        _ => String::new(),
    };
    let key_name = match endpoint {
        Endpoint::Lineage => "authorization",
        _ => "dd-api-key",
    };
    let target = |base: &Base| {
        let mut url = match endpoint {
            // Only letters, digits and `_-.` are left in it.
            Endpoint::Evp => {
                format!("https://{}.{}{rest}", String::from_utf8_lossy(subdomain), base.url)
            }
            _ => format!("{}{rest}", base.url),
        };
        if !passed_query.is_empty() {
            url = format!("{url}?{passed_query}");
        }
        let url =
            Url::parse(&url).map_err(|error| format!("its address can't be used: {error}"))?;
        let key = (HeaderName::from_static(key_name), base.key.clone());
        Ok(Target { url, key, ledger: Arc::clone(&base.ledger) })
    };
    bases.iter().map(target).collect()
}

/// The tags of a debugger's request: the agent's, those of the header and those of the query.
pub(super) fn tags(host_tags: &str, headers: &HeaderMap, query: &str) -> Vec<u8> {
    let of_header = headers.get("x-datadog-additional-tags").map(|tags| tags.as_bytes().to_vec());
    let of_query =
        query::pairs(query).into_iter().find(|(key, _)| key == TAGS).map(|(_, tags)| tags);
    let mut all = host_tags.as_bytes().to_vec();
    for tags in [of_header, of_query].into_iter().flatten().filter(|tags| !tags.is_empty()) {
        all.push(b',');
        all.extend(tags);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use hyper::Request;
    use hyper::http::request::Parts;

    use super::{Base, Endpoint, Ledger, Ledgers, Upstream, targets};
    use crate::relay::Destination;
    use crate::secret::ApiKey;

    fn head(path: &str, headers: &[(&str, &str)]) -> Parts {
        let request =
            headers.iter().fold(Request::builder().uri(path), |request, (name, value)| {
                request.header(*name, *value)
            });
        request.body(()).unwrap().into_parts().0
    }

    fn upstream(urls: &[&str]) -> Upstream {
        let to = |url: &&str| Destination {
            url: (*url).to_owned(),
            api_key: ApiKey::new("k3y").unwrap(),
        };
        Upstream {
            destinations: urls.iter().map(to).collect(),
            body_bytes_max: 1,
            timeout: Duration::ZERO,
        }
    }

    fn bases(endpoint: Endpoint, upstream: &Upstream) -> Vec<Base> {
        super::bases(endpoint, upstream, &mut Ledgers::new(Arc::new(Ledger::default())))
    }

    fn urls(urls: &[&str], path: &str, headers: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let endpoint = Endpoint::of(path.split('?').next().unwrap()).unwrap();
        let targets = targets(
            endpoint,
            &bases(endpoint, &upstream(urls)),
            &head(path, headers),
            "host:h,v:1",
        )?;
        Ok(targets.iter().map(|target| target.url.to_string()).collect())
    }

    #[test]
    fn each_endpoint_has_its_own_way_with_path_and_query() {
        for (base, path, expect) in [
            ("https://t", "/telemetry/proxy/api/v2/x?a=%41&b", "https://t/api/v2/x?a=%41&b"),
            ("https://t", "/telemetry/proxy/", "https://t/"),
            ("https://p/api/v2/profile", "/profiling/v1/input?a=1", "https://p/api/v2/profile"),
            (
                "https://s/api/v0.1/pipeline_stats",
                "/v0.1/pipeline_stats?a",
                "https://s/api/v0.1/pipeline_stats",
            ),
            (
                "https://l/a?api-version=2",
                "/openlineage/api/v1/lineage?x=1",
                "https://l/a?api-version=2",
            ),
            (
                "https://d/a",
                "/debugger/v1/input?b=1&ddtags=x:y,z&a=2",
                "https://d/a?a=2&b=1&ddtags=host%3Ah%2Cv%3A1%2Cx%3Ay%2Cz",
            ),
            ("https://d/a", "/debugger/v2/input", "https://d/a?ddtags=host%3Ah%2Cv%3A1"),
            ("https://d/a", "/symdb/v1/input?b=+&a=1", "https://d/a?a=1&b=+"),
            ("https://d/a", "/symdb/v1/input", "https://d/a"),
            ("https://f/x", "/tracer_flare/v1?a=1", "https://f/x"),
        ] {
            assert_eq!(urls(&[base], path, &[]).unwrap(), [expect], "{path}");
        }
    }

    #[test]
    fn the_event_platforms_host_begins_with_what_the_tracer_says() {
        let of =
            |host, path| urls(&["dd.test", "b.test:8"], path, &[("x-datadog-evp-subdomain", host)]);
        assert_eq!(
            of("llmobs-intake", "/evp_proxy/v2/api/v2/llmobs?x=1").unwrap(),
            [
                "https://llmobs-intake.dd.test/api/v2/llmobs?x=1",
                "https://llmobs-intake.b.test:8/api/v2/llmobs?x=1"
            ]
        );
        assert_eq!(of("a b", "/evp_proxy/v2/x").unwrap_err(), "invalid subdomain");
        assert_eq!(of("", "/evp_proxy/v2/x").unwrap_err(), "no subdomain specified");
    }

    #[test]
    fn tags_in_a_query_are_cut() {
        let long = "x".repeat(5000);
        let headers = [("x-datadog-additional-tags", long.as_str())];
        let url =
            urls(&["https://d/a"], "/debugger/v1/diagnostics?ddtags=never", &headers).unwrap();
        assert_eq!(url[0].matches('x').count(), 4001 - "host:h,v:1,".len());
        assert!(!url[0].contains("never"));
    }

    #[test]
    fn copies_are_counted_by_their_hosts_and_not_with_the_rest() {
        let main = Arc::new(Ledger::default());
        let mut ledgers = Ledgers::new(Arc::clone(&main));
        let all = upstream(&["https://a/x", "https://b/x", "https://b/y", "c.test"]);
        let bases = super::bases(Endpoint::Symbols, &all, &mut ledgers);
        let is_same = |a: usize, b: usize| Arc::ptr_eq(&bases[a].ledger, &bases[b].ledger);
        assert!(Arc::ptr_eq(&bases[0].ledger, &main) && !is_same(0, 1));
        assert!(is_same(1, 2) && !is_same(2, 3));
        bases[3].ledger.passed_on.one_received();
        let line = main.losses().unwrap();
        assert!(line.starts_with("to c.test: requests passed on: 1 received"), "{line}");
    }

    #[test]
    fn the_key_goes_in_the_header_that_the_intake_reads() {
        for (path, name, value) in [
            ("/profiling/v1/input", "dd-api-key", "k3y"),
            ("/openlineage/api/v1/lineage", "authorization", "Bearer k3y"),
        ] {
            let endpoint = Endpoint::of(path).unwrap();
            let bases = bases(endpoint, &upstream(&["https://a"]));
            let target = targets(endpoint, &bases, &head(path, &[]), "").unwrap().remove(0);
            assert_eq!((target.key.0.as_str(), target.key.1.to_str().unwrap()), (name, value));
            assert!(!format!("{target:?}{bases:?}").contains("k3y"));
        }
    }
}
