//! The proxy's thread: it is started by the first request, and each request is a task on it.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, StatusCode};
use reqwest::Response;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::body::Cut;
use super::bounds::{Account, Counted, Taken};
use super::endpoint::Endpoint;
use super::headers::{drop_of_connection, name_type};
use super::reply::{Coming, Reply, ReplyBody};
use super::send::{Failure, Passing, WayOut, discard, whole};
use super::target::Target;
use crate::ledger::Shed;
use crate::limits::TELEMETRY_AT_ONCE_MAX;
use crate::relay;

/// Stack of the thread, bytes.
const STACK_BYTES: usize = 256 * 1024;

/// An answer of up to so many bytes is handed back whole.
const WHOLE_BYTES_MAX: usize = 64 * 1024;

/// The longest that one telemetry request may take (the agent's client).
const TELEMETRY_TIMEOUT: Duration = Duration::from_secs(10);

/// After this long without a request, free memory is given back.
const QUIET: Duration = Duration::from_secs(15);

/// Work for the thread.
pub(super) enum Job {
    /// A request whose tracer waits.
    Pass(Box<Pass>),
    /// Telemetry, which has been answered.
    Telemetry(Box<Telemetry>),
}

/// A request whose tracer waits.
pub(super) struct Pass {
    pub(super) passing: Passing,
    pub(super) answer: oneshot::Sender<Reply>,
    pub(super) account: Account,
    /// Its place among those that are passed on at once.
    pub(super) place: Taken,
}

/// Telemetry, which has been answered.
pub(super) struct Telemetry {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) targets: Vec<Target>,
    pub(super) body: Bytes,
    pub(super) account: Account,
    /// Its place in the queue, and its bytes.
    pub(super) taken: [Taken; 2],
}

/// Starts the thread. It ends when nobody can give it work any more.
pub(super) fn spawn(jobs: Receiver<Job>, way_out: Arc<WayOut>) -> io::Result<()> {
    let work = move || match relay::runtime() {
        Ok(runtime) => {
            runtime.block_on(serve(jobs, way_out));
            // A name that is still being looked up would hold up a plain drop.
            runtime.shutdown_background();
        }
        Err(error) => tracing::error!("nothing can be passed on: no runtime ({error})"),
    };
    thread::Builder::new()
        .name("pillion-proxy".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
        .map(drop)
}

/// A panic of one task is caught by the runtime, and what it leaves is counted as a fault.
async fn serve(mut jobs: Receiver<Job>, way_out: Arc<WayOut>) {
    let at_once = Arc::new(Semaphore::new(TELEMETRY_AT_ONCE_MAX));
    let mut is_released = true;
    loop {
        let wait = if is_released { Duration::MAX } else { QUIET };
        let job = match timeout(wait, jobs.recv()).await {
            Ok(Some(job)) => job,
            Ok(None) => return,
            Err(_) => {
                relay::give_memory_back();
                is_released = true;
                continue;
            }
        };
        is_released = false;
        let way_out = Arc::clone(&way_out);
        match job {
            Job::Pass(pass) => drop(tokio::spawn(pass_on(way_out, *pass))),
            Job::Telemetry(telemetry) => {
                let at_once = Arc::clone(&at_once);
                drop(tokio::spawn(async move {
                    if let Ok(_permit) = at_once.acquire().await {
                        forward(&way_out, *telemetry).await;
                    }
                }));
            }
        }
    }
}

async fn pass_on(way_out: Arc<WayOut>, pass: Pass) {
    let Pass { passing, answer, account, place } = pass;
    let (endpoint, until, time) = (passing.endpoint, passing.until, passing.time);
    let main = passing.targets.first().cloned();
    let asked = way_out.pass_on(passing).await;
    let Some(main) = main else { return };
    let failure = match asked {
        Ok(response) => {
            way_out.answered(endpoint, &main, response.status());
            account.answered(response.status());
            give_back(endpoint, response, answer, until).await;
            drop(place);
            return;
        }
        Err(failure) => failure,
    };
    account.shed(failure.reason());
    let mut status = StatusCode::BAD_GATEWAY;
    match failure {
        Failure::TooSlow => {
            let why = format!("no answer within {} s", time.as_secs_f64());
            way_out.failed(endpoint, &main, &why);
            if endpoint == Endpoint::Profiles {
                status = StatusCode::REQUEST_TIMEOUT;
            }
        }
        Failure::Unanswered(why) => way_out.failed(endpoint, &main, &why),
        Failure::Cut(Cut::NoRoom) => {
            drop(answer.send(Reply::own(StatusCode::TOO_MANY_REQUESTS, "{}")));
            return;
        }
        Failure::Cut(cut) => tracing::debug!("{} were not passed on: {cut}", endpoint.words()),
    }
    // The tracer may be gone: then nobody is told.
    drop(answer.send(Reply::own(status, "")));
}

/// Hands the answer back: whole where it is small, else piece by piece, as long as there is time and somebody takes it.
async fn give_back(
    endpoint: Endpoint,
    mut response: Response,
    answer: oneshot::Sender<Reply>,
    until: Instant,
) {
    let mut headers = std::mem::take(response.headers_mut());
    drop_of_connection(&mut headers);
    let status = match response.status() {
        // Some tracers take nothing else for success (spec: trace-agent 8).
        StatusCode::ACCEPTED if endpoint == Endpoint::Profiles => StatusCode::OK,
        status => status,
    };
    let mut first = BytesMut::new();
    let is_whole = loop {
        match timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(piece))) => first.extend_from_slice(&piece),
            Ok(Ok(None)) => break true,
            Ok(Err(_)) | Err(_) => {
                drop(answer.send(Reply::own(StatusCode::BAD_GATEWAY, "")));
                return;
            }
        }
        if first.len() > WHOLE_BYTES_MAX {
            break false;
        }
    };
    let first = first.freeze();
    name_type(&mut headers, &first);
    if is_whole {
        let body = ReplyBody::Whole(first);
        drop(answer.send(Reply { status, headers, body }));
        return;
    }
    let (pieces, coming) = Coming::after(first);
    if answer.send(Reply { status, headers, body: ReplyBody::Coming(coming) }).is_err() {
        return;
    }
    let copy = async {
        loop {
            match response.chunk().await {
                Ok(Some(piece)) => pieces.send(Ok(piece)).await.map_err(|_| Cut::Broken)?,
                Ok(None) => return Ok(()),
                Err(_) => return Err(Cut::Broken),
            }
        }
    };
    let copied = timeout_at(until, copy).await.unwrap_or(Err(Cut::Broken));
    if let Err(cut) = copied {
        drop(pieces.send(Err(cut)).await);
    }
}

/// Telemetry goes to one destination after the other.
async fn forward(way_out: &WayOut, telemetry: Telemetry) {
    let Telemetry { method, headers, targets, body, account, taken } = telemetry;
    let further = targets.iter().skip(1);
    let further = further.map(|target| Account::open(&target.ledger, Counted::Telemetry));
    let accounts: Vec<Account> = [account].into_iter().chain(further).collect();
    for (target, account) in targets.iter().zip(accounts) {
        let asked = way_out.ask(&method, target, headers.clone(), whole(body.clone()));
        let why = match timeout(TELEMETRY_TIMEOUT, asked).await {
            Ok(Ok(answer)) => {
                way_out.answered(Endpoint::Telemetry, target, answer.status());
                account.answered(answer.status());
                discard(answer).await;
                continue;
            }
            Ok(Err(why)) => why,
            Err(_) => "no answer in time".to_owned(),
        };
        way_out.failed(Endpoint::Telemetry, target, &why);
        account.shed(Shed::Unanswered);
    }
    drop(taken);
}
