//! What browsers ask before a page of one site may send to another: allowed as the user says.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderName, HeaderValue, ORIGIN, VARY,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use crate::otlp::Cors;
use crate::otlp::http::Answer;

/// Headers that a page may always send.
const USUAL_HEADERS: [&str; 4] = ["accept", "content-type", "origin", "x-requested-with"];

impl Cors {
    /// The answer to a question that goes before a request; nothing where this is none, or pages may not send at all.
    pub(super) fn preflight(&self, head: &Parts) -> Option<Answer> {
        let asked = text(head, &ACCESS_CONTROL_REQUEST_METHOD);
        if self.origins.is_empty() || head.method != Method::OPTIONS || asked.is_empty() {
            return None;
        }
        let mut answer = Response::new(Full::new(Bytes::new()));
        *answer.status_mut() = StatusCode::NO_CONTENT;
        let wanted = text(head, &ACCESS_CONTROL_REQUEST_HEADERS);
        if self.allows(text(head, &ORIGIN)) && asked == Method::POST.as_str() && self.takes(wanted)
        {
            let headers = answer.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
            if let Some(wanted) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
        }
        Some(answer)
    }

    /// Lets the page read the answer, where it may send.
    pub(super) fn allow(&self, head: &Parts, answer: &mut Answer) {
        if self.origins.is_empty() {
            return;
        }
        let headers = answer.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = head.headers.get(ORIGIN).filter(|_| self.allows(text(head, &ORIGIN)))
        {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    fn allows(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        !origin.is_empty()
            && self.origins.iter().any(|own| fits(&own.to_ascii_lowercase(), &origin))
    }

    fn takes(&self, wanted: &str) -> bool {
        let names = wanted.split(',').map(str::trim).filter(|name| !name.is_empty());
        let is_own = |name: &str| {
            self.headers.iter().any(|own| own == "*" || own.eq_ignore_ascii_case(name))
        };
        let is_usual = |name: &str| USUAL_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name));
        names.into_iter().all(|name| is_usual(name) || is_own(name))
    }
}

/// Whether `text` is `pattern`, in which one `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            text.len() >= before.len() + after.len()
                && text.starts_with(before)
                && text.ends_with(after)
        }
    }
}

fn text<'a>(head: &'a Parts, name: &HeaderName) -> &'a str {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::{Cors, Parts, fits};

    fn head(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn cors() -> Cors {
        Cors {
            origins: vec!["https://*.shop.example".to_owned()],
            headers: vec!["X-Team".to_owned()],
        }
    }

    #[test]
    fn a_page_is_asked_for_by_its_origin() {
        for (pattern, origin, expect) in [
            ("*", "https://a.b", true),
            ("https://a.b", "https://a.b", true),
            ("https://*.b", "https://a.b", true),
            ("https://*.b", "https://b", false),
            ("https://a*a", "https://a", false),
        ] {
            assert_eq!(fits(pattern, origin), expect, "{pattern} {origin}");
        }
    }

    #[test]
    fn a_question_is_answered_with_what_is_allowed() {
        let ask = |origin: &str, method: &str, headers: &str| {
            let head = head(
                "OPTIONS",
                &[
                    ("Origin", origin),
                    ("Access-Control-Request-Method", method),
                    ("Access-Control-Request-Headers", headers),
                ],
            );
            let mut answer = cors().preflight(&head).expect("a question");
            cors().allow(&head, &mut answer);
            let of = |name: &str| {
                answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
            };
            (
                answer.status().as_u16(),
                of("access-control-allow-origin"),
                of("access-control-allow-headers"),
            )
        };
        let own = "https://www.shop.example";
        assert_eq!(
            ask(own, "POST", "content-type, x-team"),
            (204, own.to_owned(), "content-type, x-team".to_owned())
        );
        assert_eq!(ask(own, "POST", "x-other").2, "");
        assert_eq!(ask(own, "DELETE", "content-type").2, "");
        assert_eq!(ask("https://evil.example", "POST", "content-type").1, "");
    }

    #[test]
    fn without_origins_nothing_is_said() {
        let head = head(
            "OPTIONS",
            &[("Origin", "https://a.b"), ("Access-Control-Request-Method", "POST")],
        );
        assert!(Cors::default().preflight(&head).is_none());
        assert!(
            cors().preflight(&super::tests::head("POST", &[("Origin", "https://a.b")])).is_none()
        );
    }
}
