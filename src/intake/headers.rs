//! What the headers of a request say of its tracer.

use hyper::HeaderMap;
use hyper::header::HeaderValue;

use crate::server::is_true;
use crate::trace::Tracer;

/// The headers that the intake looks at, found in one pass: a request has about fifteen, and a look-up for each would hash each name.
#[derive(Debug, Default)]
pub(super) struct Headers<'a> {
    /// The tracer. Its container id stays empty: the agent resolves one only where it runs with a container runtime beside it, and
    /// ignores the headers otherwise.
    pub(super) tracer: Tracer<'a>,
    pub(super) content_type: Option<&'a str>,
    /// `Datadog-Rates-Payload-Version`, empty where it is absent.
    pub(super) rates_version: &'a str,
    /// `X-Datadog-Trace-Count`: the chunks of the body as the tracer counted them. Only for counting a body that could not be read.
    pub(super) trace_count: Option<u64>,
    /// `Sec-Fetch-Site` says that a page of another site sent this.
    pub(super) cross_site: bool,
    /// `Expect: 100-continue`: the client waits for a word before it sends the body.
    pub(super) expects_continue: bool,
}

impl<'a> Headers<'a> {
    /// Reads them. Of a header that comes twice, the first counts, as in Go; text that is not UTF-8 counts as absent.
    pub(super) fn of(map: &'a HeaderMap<HeaderValue>) -> Self {
        let mut headers = Self::default();
        for name in map.keys() {
            let Some(value) =
                map.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
            else {
                continue;
            };
            headers.take(name.as_str(), value);
        }
        headers
    }

    fn take(&mut self, name: &str, value: &'a str) {
        let tracer = &mut self.tracer;
        match name {
            "content-type" => self.content_type = Some(value),
            "datadog-meta-lang" => tracer.lang = value,
            "datadog-meta-lang-version" => tracer.lang_version = value,
            "datadog-meta-tracer-version" => tracer.version = value,
            "datadog-client-computed-top-level" => tracer.computed_top_level = is_true(value),
            "datadog-client-computed-stats" => tracer.computed_stats = is_true(value),
            "datadog-client-dropped-p0-traces" => {
                tracer.dropped_p0_traces = value.parse().unwrap_or(0)
            }
            "datadog-client-dropped-p0-spans" => {
                tracer.dropped_p0_spans = value.parse().unwrap_or(0)
            }
            "datadog-obfuscation-version" => tracer.obfuscated_stats = !value.is_empty(),
            "x-datadog-process-tags" => tracer.process_tags = value,
            "x-datadog-trace-count" => self.trace_count = value.parse().ok(),
            "datadog-rates-payload-version" => self.rates_version = value,
            "sec-fetch-site" => self.cross_site = value == "cross-site",
            "expect" => self.expects_continue = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
    }
}

/// Whether a Content-Type says msgpack, whatever its parameters and its case.
pub(super) fn is_msgpack(content_type: Option<&str>) -> bool {
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/msgpack")
}

#[cfg(test)]
mod tests {
    use super::{HeaderMap, HeaderValue, Headers, is_msgpack};

    fn map(headers: &[(&'static str, &[u8])]) -> HeaderMap<HeaderValue> {
        headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_bytes(value).unwrap()))
            .collect()
    }

    #[test]
    fn a_tracer_is_what_its_headers_say() {
        let map = map(&[
            ("datadog-meta-lang", b"python"),
            ("datadog-meta-lang-version", b"3.12.1"),
            ("datadog-meta-tracer-version", b"4.16.0"),
            ("datadog-client-computed-stats", b"yes"),
            ("datadog-client-computed-top-level", b"False"),
            ("datadog-client-dropped-p0-traces", b"7"),
            ("datadog-client-dropped-p0-spans", b"-3"),
            ("datadog-container-id", b"cafe"),
            ("datadog-entity-id", b"ci-beef"),
            ("x-datadog-process-tags", b"a:b"),
            ("x-datadog-trace-count", b"12"),
        ]);
        let headers = Headers::of(&map);
        let tracer = headers.tracer;
        assert_eq!(
            (tracer.lang, tracer.lang_version, tracer.version),
            ("python", "3.12.1", "4.16.0")
        );
        assert!(tracer.computed_stats && !tracer.computed_top_level && !tracer.obfuscated_stats);
        assert_eq!((tracer.dropped_p0_traces, tracer.dropped_p0_spans), (7, 0));
        assert_eq!(
            (tracer.container_id, tracer.process_tags, headers.trace_count),
            ("", "a:b", Some(12))
        );
    }

    #[test]
    fn of_a_header_that_comes_twice_the_first_counts_and_bytes_that_are_no_text_count_as_absent() {
        let mut map = map(&[("datadog-meta-lang", b"go"), ("content-type", b"text/\xff")]);
        map.append("datadog-meta-lang", HeaderValue::from_static("java"));
        let headers = Headers::of(&map);
        assert_eq!((headers.tracer.lang, headers.content_type), ("go", None));
    }

    #[test]
    fn a_media_type_is_read_without_its_parameters() {
        assert!(
            is_msgpack(Some("application/msgpack"))
                && is_msgpack(Some("Application/MsgPack ; charset=x"))
        );
        assert!(!is_msgpack(Some("application/json")) && !is_msgpack(None));
    }
}
