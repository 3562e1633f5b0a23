//! Answers, in the form that the agent gives them: which headers, which text.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use crate::proxy::{Coming, Cut, Reply, ReplyBody};
use crate::version;

/// An answer.
pub(super) type Answer = Response<Body>;

/// The body of an answer.
pub(super) enum Body {
    /// In hand, so that head and body leave in one write; nothing once it has been taken, or where it is empty.
    Whole(Option<Bytes>),
    /// What Datadog still sends of an answer that is passed on.
    Coming(Coming),
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Coming(coming) => {
                coming.poll_next(context).map(|piece| Some(piece?.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Coming(_) => SizeHint::default(),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

const AGENT_VERSION: HeaderName = HeaderName::from_static("datadog-agent-version");
const AGENT_STATE: HeaderName = HeaderName::from_static("datadog-agent-state");
const RATES_VERSION: HeaderName = HeaderName::from_static("datadog-rates-payload-version");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// An answer of `status` with `body`, nothing else.
fn bare(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Body::from(body.into()));
    *answer.status_mut() = status;
    answer
}

fn with_type(mut answer: Answer, media: HeaderValue) -> Answer {
    answer.headers_mut().insert(CONTENT_TYPE, media);
    answer
}

/// An empty 200, for stats.
pub(super) fn empty() -> Answer {
    bare(StatusCode::OK, Bytes::new())
}

/// `OK` and a line feed.
pub(super) fn ok() -> Answer {
    with_type(bare(StatusCode::OK, Bytes::from_static(b"OK\n")), TEXT)
}

/// An empty JSON object, for what is taken and dropped.
pub(super) fn discarded() -> Answer {
    empty_object(StatusCode::OK)
}

/// An empty JSON object, with the type that Go finds for it.
pub(super) fn empty_object(status: StatusCode) -> Answer {
    with_type(bare(status, Bytes::from_static(b"{}")), TEXT)
}

/// What Go's reverse proxy answers where it gets no answer.
pub(super) fn bad_gateway() -> Answer {
    bare(StatusCode::BAD_GATEWAY, Bytes::new())
}

/// The answer to a request that was passed on.
pub(super) fn passed_on(reply: Reply) -> Answer {
    let is_own = reply.headers.is_empty();
    let body = match reply.body {
        ReplyBody::Whole(bytes) => Body::from(bytes),
        ReplyBody::Coming(coming) => Body::Coming(coming),
    };
    let has_body = !hyper::body::Body::is_end_stream(&body);
    let mut answer = Response::new(body);
    (*answer.status_mut(), *answer.headers_mut()) = (reply.status, reply.headers);
    if is_own && has_body { with_type(answer, TEXT) } else { answer }
}

/// The document of `/info`.
pub(super) fn info(document: Bytes) -> Answer {
    with_type(bare(StatusCode::OK, document), TEXT)
}

/// The rates. `version` is the header that goes with them where the tracer named the version that it has.
pub(super) fn rates(body: Bytes, version: Option<HeaderValue>) -> Answer {
    let mut answer = with_type(bare(StatusCode::OK, body), JSON);
    if let Some(version) = version {
        answer.headers_mut().insert(RATES_VERSION, version);
    }
    answer
}

/// A refusal: one line of text, as Go's `http.Error` writes it.
pub(super) fn refusal(status: StatusCode, text: &str) -> Answer {
    let mut answer = with_type(bare(status, format!("{text}\n")), TEXT);
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// What Go answers for a path that it does not know.
pub(super) fn not_found() -> Answer {
    refusal(StatusCode::NOT_FOUND, "404 page not found")
}

/// To the clean form of a path. Only an answer to GET has the page that says so.
pub(super) fn redirect(target: &str, is_get: bool, is_head: bool) -> Answer {
    let Ok(location) = HeaderValue::from_str(target) else { return not_found() };
    let page = if is_get {
        format!("<a href=\"{}\">Temporary Redirect</a>.\n\n", escape(target))
    } else {
        String::new()
    };
    let mut answer = bare(StatusCode::TEMPORARY_REDIRECT, page);
    answer.headers_mut().insert(LOCATION, location);
    if is_get || is_head { with_type(answer, HTML) } else { answer }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// Adds what every answer but those of `/info` and of unknown paths says of us. A tracer reads `/info` again when the state changes.
pub(super) fn with_state(mut answer: Answer, state: &HeaderValue) -> Answer {
    let headers = answer.headers_mut();
    headers.insert(AGENT_VERSION, HeaderValue::from_static(version::AGENT));
    headers.insert(AGENT_STATE, state.clone());
    answer
}

/// The last answer of a connection: what is still to come on it is not read.
pub(super) fn last(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

#[cfg(test)]
mod tests {
    use hyper::header::{CONTENT_TYPE, LOCATION};

    use super::{escape, not_found, redirect};

    #[test]
    fn a_redirect_has_a_page_for_get_alone() {
        let type_of = |answer: &super::Answer| {
            answer.headers().get(CONTENT_TYPE).map(|v| v.to_str().unwrap().to_owned())
        };
        let get = redirect("/info", true, false);
        assert_eq!(
            (get.status().as_u16(), get.headers().get(LOCATION).unwrap().to_str().unwrap()),
            (307, "/info")
        );
        assert_eq!(type_of(&get).unwrap(), "text/html; charset=utf-8");
        assert_eq!(type_of(&redirect("/info", false, false)), None);
    }

    #[test]
    fn a_page_never_repeats_markup_of_a_path() {
        assert_eq!(escape("/<b>&\"'"), "/&lt;b&gt;&amp;&#34;&#39;");
    }

    #[test]
    fn an_unknown_path_is_a_404() {
        assert_eq!(not_found().status().as_u16(), 404);
    }
}
