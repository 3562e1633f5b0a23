//! Requests that are passed on: their bytes go to the proxy as fast as it takes them, and its answer goes back.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};
use hyper::http::request::Parts;

use crate::intake::answer::{self, Answer};
use crate::intake::desk::Desk;
use crate::intake::headers::Headers;
use crate::proxy::{AtOnce, Endpoint, Exchange, Feed, NotSent, Proxy};
use crate::server::{self, Entry, Missing, Phase};

/// Answers one request for `endpoint`.
pub(super) async fn pass(
    desk: &Desk,
    endpoint: Endpoint,
    incoming: Incoming,
    entry: &Entry,
    head: &Parts,
) -> Answer {
    if let Some(at_once) = desk.proxy.at_once(endpoint) {
        let answer = match at_once {
            // Only a path that is served has the state.
            AtOnce::Unknown => {
                return desk.after_discarding(incoming, entry, head, answer::not_found()).await;
            }
            AtOnce::Off(status, why) => answer::refusal(status, why),
            AtOnce::Dropped => answer::discarded(),
        };
        return desk.stated(desk.after_discarding(incoming, entry, head, answer).await);
    }
    let answer = match endpoint {
        Endpoint::Telemetry => telemetry(desk, incoming, entry, head).await,
        Endpoint::Statsd => metrics(desk, incoming, entry, head).await,
        _ => exchange(desk, endpoint, incoming, entry, head).await,
    };
    desk.stated(answer)
}

/// Read whole and answered before it is passed on.
async fn telemetry(desk: &Desk, incoming: Incoming, entry: &Entry, head: &Parts) -> Answer {
    let expects_continue = Headers::of(&head.headers).expects_continue;
    match server::read(incoming, &desk.floor.bodies, entry, expects_continue).await {
        Ok(body) => answer::passed_on(desk.proxy.take_telemetry(head, entry.peer(), &body)),
        Err(Missing::TooLarge) => {
            desk.count_refusal();
            answer::passed_on(Proxy::too_much())
        }
        Err(Missing::TooSlow | Missing::Broken) => {
            desk.count_refusal();
            answer::last(answer::empty_object(StatusCode::INTERNAL_SERVER_ERROR))
        }
    }
}

/// Read whole, and sent to the DogStatsD port line by line.
async fn metrics(desk: &Desk, incoming: Incoming, entry: &Entry, head: &Parts) -> Answer {
    let expects_continue = Headers::of(&head.headers).expects_continue;
    let refused = |text: &str| answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, text);
    match server::read(incoming, &desk.floor.bodies, entry, expects_continue).await {
        Ok(body) => match desk.proxy.send_metrics(&body).await {
            Ok(()) => answer::empty(),
            Err(NotSent::TooManyLines) => answer::refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too many dogstatsd payloads in request",
            ),
            Err(NotSent::LongLine) => refused("a line is longer than 64 KiB"),
            Err(NotSent::System(error)) => refused(&error.to_string()),
        },
        Err(missing) => {
            desk.count_refusal();
            let answer = refused("the body did not come to its end within its limits");
            if missing == Missing::TooLarge { answer } else { answer::last(answer) }
        }
    }
}

/// Passed on as it comes.
async fn exchange(
    desk: &Desk,
    endpoint: Endpoint,
    mut incoming: Incoming,
    entry: &Entry,
    head: &Parts,
) -> Answer {
    let length = incoming.size_hint().exact();
    let Exchange { feed, answer } = match desk.proxy.pass_on(endpoint, head, entry.peer(), length) {
        Ok(exchange) => exchange,
        Err(reply) => {
            let answer = answer::passed_on(*reply);
            return desk.after_discarding(incoming, entry, head, answer).await;
        }
    };
    entry.enter(Phase::Passing);
    let (reply, is_read) = {
        let mut answer = pin!(answer);
        let mut pump = pin!(pump(&mut incoming, feed, entry));
        let mut is_read = false;
        let reply = poll_fn(|context| {
            if let Poll::Ready(reply) = answer.as_mut().poll(context) {
                return Poll::Ready(reply);
            }
            if !is_read && pump.as_mut().poll(context).is_ready() {
                is_read = true;
            }
            Poll::Pending
        })
        .await;
        (reply, is_read)
    };
    // Nobody answers where the proxy's thread is gone.
    let answer = match reply {
        Ok(reply) => answer::passed_on(reply),
        Err(_) => answer::bad_gateway(),
    };
    if is_read && incoming.is_end_stream() {
        return answer;
    }
    // Datadog has answered before it had all: what still comes has to be read, or the client does not see the answer.
    entry.enter(Phase::Body);
    if server::discard(incoming, entry).await { answer } else { answer::last(answer) }
}

/// Hands on the body piece by piece. Where it breaks off, so does what is passed on.
async fn pump(incoming: &mut Incoming, feed: Option<Feed>, entry: &Entry) {
    let Some(mut feed) = feed else { return };
    loop {
        match server::next(incoming, entry).await {
            Ok(Some(piece)) => {
                if !feed.push(piece).await {
                    return;
                }
            }
            Ok(None) => return feed.end().await,
            Err(_) => return,
        }
    }
}
