//! A case over TCP: the real intake with a pipeline behind it, and each request on a connection of its own.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pillion::config;
use pillion::intake::{self, Listeners};
use pillion::ledger::Ledger;
use pillion::pipeline::Pipeline;
use pillion::proxy::Proxy;
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::case::{Case, Form, Request};
use crate::drive;
use crate::outside::Outside;
use crate::replies::Reply;
use crate::support::recorder::Request as PassedOn;

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends the case's requests to an intake of its own and returns the answers, and what was passed on. (The wait between requests is for the rates, which are
/// compared where the clock is the case's.)
pub(crate) fn through_the_intake(
    case: &Case,
    form: Form,
) -> Result<(Vec<Reply>, Vec<PassedOn>), String> {
    let outside = Outside::of(case, form);
    let settings = outside
        .as_ref()
        .map_or_else(|| drive::settings(case, form), |outside| outside.settings(case, form));
    let (listeners, address) = listen(&settings.intake)?;
    let served = Served::start(listeners, settings, case.clock);
    let replies = case.requests.iter().map(|request| {
        exchange(address, request).map_err(|error| format!("{}: {error}", request.path))
    });
    let replies = replies.collect::<Result<_, String>>();
    served.stop();
    Ok((replies?, outside.map(Outside::arrived).unwrap_or_default()))
}

/// Listens on a free port of loopback. What `/info` says of ports and sockets comes from the case's settings, which the intake is served with.
fn listen(settings: &intake::Settings) -> Result<(Listeners, SocketAddr), String> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| error.to_string())?;
    let settings = intake::Settings {
        hosts: vec![free.ip()],
        port: free.port(),
        socket: None,
        ..settings.clone()
    };
    match intake::bind(&settings) {
        (listeners, problems) if problems.is_empty() => Ok((listeners, free)),
        (_, problems) => Err(problems.join(", ")),
    }
}

/// An intake on a thread of its own.
struct Served {
    stop: watch::Sender<Option<Instant>>,
    thread: JoinHandle<()>,
}

impl Served {
    fn start(listeners: Listeners, settings: config::Settings, clock: u64) -> Self {
        let (stop, stopped) = watch::channel(None);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let ledger = Arc::new(Ledger::default());
            let outlet = Box::new(|_| Vec::new());
            let pipeline = Pipeline::new(
                settings.pipeline,
                Arc::clone(&ledger),
                outlet,
                None,
                clock * 1_000_000_000,
            );
            let proxy = Proxy::new(&settings.proxy, settings.relay, Arc::clone(&ledger));
            let served = intake::serve(
                listeners,
                &settings.intake,
                Rc::new(RefCell::new(pipeline)),
                proxy,
                ledger,
                stopped,
            );
            let local = LocalSet::new();
            let rest = local.block_on(&runtime, served);
            local.block_on(&runtime, rest.finish(Instant::now() + PATIENCE));
        });
        Self { stop, thread }
    }

    fn stop(self) {
        self.stop.send_replace(Some(Instant::now()));
        self.thread.join().expect("the intake does not panic");
    }
}

/// One request and its answer.
fn exchange(address: SocketAddr, request: &Request) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let is_chunked = request.header("Transfer-Encoding") == Some("chunked");
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    for (name, value) in request.headers.iter().filter(|(name, _)| {
        !["host", "content-length"].contains(&name.to_ascii_lowercase().as_str())
    }) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("Host: 127.0.0.1:8126\r\n");
    let mut bytes = Vec::with_capacity(request.body.len() + 1024);
    if is_chunked {
        bytes.extend(format!("{head}\r\n{:x}\r\n", request.body.len()).bytes());
        bytes.extend_from_slice(&request.body);
        bytes.extend_from_slice(b"\r\n0\r\n\r\n");
    } else {
        let has_body =
            !request.body.is_empty() || ["POST", "PUT"].contains(&request.method.as_str());
        let length = if has_body {
            format!("Content-Length: {}\r\n", request.body.len())
        } else {
            String::new()
        };
        bytes.extend(format!("{head}{length}\r\n").bytes());
        bytes.extend_from_slice(&request.body);
    }
    // A body that is too large is answered before it is read: writing and reading go on side by side.
    let mut writer = stream.try_clone()?;
    let writing = thread::spawn(move || writer.write_all(&bytes));
    let reply = read_reply(&mut stream, request.method == "HEAD");
    drop(stream);
    drop(writing.join());
    reply
}

fn read_reply(stream: &mut TcpStream, is_head: bool) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    let mut piece = [0; 16_384];
    loop {
        if let Some(reply) = parse(&bytes, is_head)? {
            return Ok(reply);
        }
        match stream.read(&mut piece)? {
            0 => return Err(io::Error::other("connection closed")),
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

/// The answer, once all of it is there.
fn parse(bytes: &[u8], is_head: bool) -> io::Result<Option<Reply>> {
    let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..at]);
    let mut lines = head.lines();
    let status =
        lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|text| text.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("no status"))?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.parse().ok());
    let length: usize = if is_head {
        0
    } else {
        length.ok_or_else(|| io::Error::other("an answer without Content-Length"))?
    };
    let body = &bytes[at + 4..];
    Ok((body.len() >= length).then(|| Reply { status, headers, body: body[..length].to_vec() }))
}
