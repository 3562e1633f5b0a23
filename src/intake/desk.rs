//! One request, from its head to its answer: the checks in the agent's order, then the body, then the pipeline.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};

use crate::intake::answer::{self, Answer};
use crate::intake::headers::{Headers, is_msgpack};
use crate::intake::info::Info;
use crate::intake::route::{self, Route};
use crate::intake::traces::Traces;
use crate::intake::{Settings, through};
use crate::ledger::Ledger;
use crate::limits::BODIES_IN_FLIGHT_BYTES_MAX;
use crate::pipeline::Pipeline;
use crate::proxy::Proxy;
use crate::server::{self, Entry, Floor, Http1, Missing};
use crate::trace::decode::ApiVersion;

/// What all connections share.
pub(super) struct Desk {
    pub(super) floor: Floor<Http1>,
    pub(super) proxy: Proxy,
    info: Info,
    traces: Traces,
    ledger: Arc<Ledger>,
}

impl Desk {
    pub(super) fn new(
        settings: &Settings,
        pipeline: Rc<RefCell<Pipeline>>,
        proxy: Proxy,
        ledger: Arc<Ledger>,
    ) -> Self {
        let info = Info::new(settings, pipeline.borrow().settings(), &proxy);
        Self {
            floor: Floor::new(
                settings.connections_max,
                settings.body_bytes_max,
                BODIES_IN_FLIGHT_BYTES_MAX.saturating_sub(settings.body_bytes_max),
                Http1::new(),
            ),
            proxy,
            info,
            traces: Traces::new(pipeline, Arc::clone(&ledger)),
            ledger,
        }
    }

    async fn respond(&self, request: Request<Incoming>, entry: &Entry) -> Answer {
        let (head, incoming) = request.into_parts();
        let path = head.uri.path();
        let cleaned = if head.method == Method::CONNECT { path.into() } else { route::clean(path) };
        if cleaned != path {
            let target = match head.uri.query() {
                Some(query) => format!("{cleaned}?{query}"),
                None => cleaned.into_owned(),
            };
            let redirect =
                answer::redirect(&target, head.method == Method::GET, head.method == Method::HEAD);
            return self.after_discarding(incoming, entry, &head, redirect).await;
        }
        match route::of(path) {
            Route::Info => {
                self.after_discarding(incoming, entry, &head, answer::info(self.info.body.clone()))
                    .await
            }
            Route::Unknown => {
                self.after_discarding(incoming, entry, &head, answer::not_found()).await
            }
            Route::Passed(endpoint) => through::pass(self, endpoint, incoming, entry, &head).await,
            Route::Services { json_only } => self.services(incoming, entry, &head, json_only).await,
            Route::Stats => self.stats(incoming, entry, &head).await,
            Route::Traces(version) => self.traces(incoming, entry, &head, version).await,
        }
    }

    async fn services(
        &self,
        incoming: Incoming,
        entry: &Entry,
        head: &Parts,
        json_only: bool,
    ) -> Answer {
        let refusal = check(&Headers::of(&head.headers), json_only);
        self.stated(
            self.after_discarding(incoming, entry, head, refusal.unwrap_or_else(answer::ok)).await,
        )
    }

    async fn traces(
        &self,
        incoming: Incoming,
        entry: &Entry,
        head: &Parts,
        version: ApiVersion,
    ) -> Answer {
        let headers = Headers::of(&head.headers);
        if let Some(refusal) = check(&headers, matches!(version, ApiVersion::V01 | ApiVersion::V02))
        {
            self.count_refusal();
            return self.stated(self.after_discarding(incoming, entry, head, refusal).await);
        }
        let body = match server::read(incoming, &self.floor.bodies, entry, headers.expects_continue)
            .await
        {
            Ok(body) => body,
            Err(missing) => return self.stated(self.refuse_body(missing)),
        };
        self.stated(self.traces.take(version, &headers, &body))
    }

    async fn stats(&self, incoming: Incoming, entry: &Entry, head: &Parts) -> Answer {
        let headers = Headers::of(&head.headers);
        let answer =
            match server::read(incoming, &self.floor.bodies, entry, headers.expects_continue).await
            {
                Ok(body) => self.traces.take_stats(&headers, &body),
                // The agent's stats reader has a limit of its own, and another status for it.
                Err(Missing::TooLarge) => {
                    self.count_refusal();
                    answer::refusal(StatusCode::BAD_REQUEST, "the body is larger than the limit")
                }
                Err(missing) => self.refuse_body(missing),
            };
        self.stated(answer)
    }

    fn refuse_body(&self, missing: Missing) -> Answer {
        self.count_refusal();
        match missing {
            Missing::TooLarge => {
                answer::refusal(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large")
            }
            Missing::TooSlow => {
                answer::last(answer::refusal(StatusCode::REQUEST_TIMEOUT, "timeout"))
            }
            Missing::Broken => {
                answer::last(answer::refusal(StatusCode::BAD_REQUEST, "unexpected-eof"))
            }
        }
    }

    pub(super) fn count_refusal(&self) {
        self.ledger.bodies_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stated(&self, answer: Answer) -> Answer {
        let state: &HeaderValue = &self.info.state;
        answer::with_state(answer, state)
    }

    /// The answer, once the body that nobody reads has come: a client that sends first and reads then would not see it otherwise, and the
    /// connection could not be used again. A client that asks before it sends is answered before.
    pub(super) async fn after_discarding(
        &self,
        incoming: Incoming,
        entry: &Entry,
        head: &Parts,
        answer: Answer,
    ) -> Answer {
        if Headers::of(&head.headers).expects_continue && answer.status() != StatusCode::OK {
            return answer;
        }
        if server::discard(incoming, entry).await { answer } else { answer::last(answer) }
    }
}

impl server::Desk for Desk {
    type Body = answer::Body;
    type Http = Http1;

    fn floor(&self) -> &Floor<Http1> {
        &self.floor
    }

    fn answer(&self, request: Request<Incoming>, entry: &Entry) -> impl Future<Output = Answer> {
        self.respond(request, entry)
    }
}

/// What is refused before the body is read.
fn check(headers: &Headers<'_>, json_only: bool) -> Option<Answer> {
    if json_only && is_msgpack(headers.content_type) {
        return Some(answer::refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported media type: \"application/msgpack\"",
        ));
    }
    headers
        .cross_site
        .then(|| answer::refusal(StatusCode::FORBIDDEN, "cross-site request rejected"))
}
