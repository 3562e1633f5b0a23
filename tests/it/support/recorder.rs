//! The recording intake: an HTTP or HTTPS server on threads of its own that keeps every request, answers as it is told, and breaks down in
//! every way that an intake can.
//!
//! ```ignore
//! let intake = Recorder::http();                       // or Recorder::https(), with `ca_file()`
//! intake.script([Answer::status(503), Answer::hang()]); // the next two requests; after them 202, or what `always` says
//! …
//! intake.wait_for("three requests", |requests| requests.len() == 3);
//! let spans = intake.spans();                          // of all trace payloads that were answered with 2xx
//! ```
//!
//! It is written on plain sockets, independent of the HTTP library of the product, so that what is on the wire is what is seen.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

use super::authority::Authority;
use super::decoded::{self, Span, TracerPayload};
use super::metrics;

/// What the certificate of an HTTPS recorder is for.
const NAMES: [&str; 3] = ["localhost", "intake.test", "127.0.0.1"];

/// The longest that any wait in a test takes before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How a request is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// The time between the end of the request and the answer.
    pub delay: Duration,
    /// What goes wrong.
    pub fault: Fault,
}

/// What goes wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The request is read, an answer never comes.
    HangBeforeHeaders,
    /// The head of the answer comes, its body never does.
    HangAfterHeaders,
    /// The connection is closed in the middle of the answer's body.
    CloseMidBody,
    /// The request is read and the connection closed without an answer.
    Drop,
    /// The connection is closed when the head of the request has been read, and its body has not.
    DropMidRequest,
}

impl Answer {
    /// A plain answer with this status.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: "{}".to_owned(),
            delay: Duration::ZERO,
            fault: Fault::None,
        }
    }

    /// 202, as the intake answers.
    pub fn ok() -> Self {
        Self::status(202)
    }

    /// 202 that breaks down in this way.
    pub fn fault(fault: Fault) -> Self {
        Self { fault, ..Self::ok() }
    }

    /// No answer, ever.
    pub fn hang() -> Self {
        Self::fault(Fault::HangBeforeHeaders)
    }

    /// The connection is closed without an answer.
    pub fn drop() -> Self {
        Self::fault(Fault::Drop)
    }

    /// The same after this time.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// The same with one more header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A request that was read to its end.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it had been read.
    pub at: Instant,
    /// `POST`.
    pub method: String,
    /// The path, with the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed where it is what its encoding says.
    pub body: Vec<u8>,
    /// The body as it was on the wire.
    pub wire: Vec<u8>,
    /// Its length on the wire.
    pub wire_bytes: usize,
    /// The number of its connection, from 0.
    pub connection: usize,
    /// The status that it was answered with; 0 where there was no answer.
    pub answered: u16,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// Whether the sender was told that it arrived.
    pub fn is_taken(&self) -> bool {
        (200..300).contains(&self.answered)
    }
}

/// The recording intake. It ends when it is dropped.
pub struct Recorder {
    shared: Arc<Shared>,
    address: SocketAddr,
    authority: Option<Authority>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    ended: AtomicBool,
    refuses: AtomicBool,
    connections: AtomicUsize,
    tls: Option<Arc<ServerConfig>>,
}

struct State {
    requests: Vec<Request>,
    script: std::collections::VecDeque<Answer>,
    always: Answer,
    body_bytes_max: usize,
    sockets: Vec<TcpStream>,
    /// Requests that are being read or answered.
    busy: usize,
    busy_max: usize,
    is_listening: bool,
}

impl Recorder {
    /// An intake at `http://127.0.0.1:<a free port>`.
    pub fn http() -> Self {
        Self::start("127.0.0.1", None)
    }

    /// The same on another address of this machine, for what runs in a network of its own.
    pub fn http_on(host: &str) -> Self {
        Self::start(host, None)
    }

    /// An intake at `https://localhost:<a free port>` with a certificate (for `localhost`, `intake.test`, 127.0.0.1) of its own authority.
    pub fn https() -> Self {
        Self::start("127.0.0.1", Some(Authority::new(&NAMES)))
    }

    /// The same of one that speaks these versions of TLS alone.
    pub fn https_of(versions: &[&'static SupportedProtocolVersion]) -> Self {
        Self::start("127.0.0.1", Some(Authority::speaking(&NAMES, versions)))
    }

    fn start(host: &str, authority: Option<Authority>) -> Self {
        let listener = TcpListener::bind((host, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = State {
            requests: Vec::new(),
            script: std::collections::VecDeque::new(),
            always: Answer::ok(),
            body_bytes_max: usize::MAX,
            sockets: Vec::new(),
            busy: 0,
            busy_max: 0,
            is_listening: true,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            ended: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            tls: authority.as_ref().map(Authority::server_config),
        });
        let accepting = Arc::clone(&shared);
        thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || accept(&accepting, listener))
            .expect("a thread");
        Self { shared, address, authority }
    }

    /// The URL without a path: what `DD_APM_DD_URL` takes.
    pub fn url(&self) -> String {
        match self.authority {
            Some(_) => format!("https://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The PEM file of the authority's certificate, for HTTPS.
    pub fn ca_file(&self) -> PathBuf {
        self.authority
            .as_ref()
            .map(Authority::file)
            .map(Path::to_path_buf)
            .expect("an HTTPS recorder")
    }

    /// Answers the next requests so, one each, in the order in which their heads arrive; then goes on with [`Recorder::always`].
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.lock().script.extend(answers);
    }

    /// Answers all requests that the script does not name so (202 at first).
    pub fn always(&self, answer: Answer) {
        self.lock().always = answer;
    }

    /// Answers 413 to every body that is longer than this when it is decompressed.
    pub fn limit_bodies(&self, bytes_max: usize) {
        self.lock().body_bytes_max = bytes_max;
    }

    /// Refuses new connections and closes those that there are; or takes them again, on the same port.
    pub fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::SeqCst);
        if refuses {
            drop(TcpStream::connect(self.address));
            self.close_connections();
        }
        self.shared.changed.notify_all();
        self.wait("the port to follow", |state| state.is_listening != refuses);
        if refuses {
            self.close_connections();
        }
    }

    /// Closes all connections, as a load balancer does with idle ones.
    pub fn close_connections(&self) {
        for socket in self.lock().sockets.drain(..) {
            drop(socket.shutdown(Shutdown::Both));
        }
    }

    /// All requests up to now.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// The requests that were answered with 2xx, for a path such as `/api/v0.2/traces`.
    pub fn taken(&self, path: &str) -> Vec<Request> {
        self.requests()
            .into_iter()
            .filter(|request| request.is_taken() && request.path == path)
            .collect()
    }

    /// Connections that were accepted up to now.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The most requests that were under way at once.
    pub fn busy_max(&self) -> usize {
        self.lock().busy_max
    }

    /// The tracer payloads of all trace requests that were answered with 2xx, in order.
    pub fn tracer_payloads(&self) -> Vec<TracerPayload> {
        let requests = self.taken("/api/v0.2/traces");
        requests
            .iter()
            .flat_map(|request| decoded::agent_payload(&request.body).tracer_payloads)
            .collect()
    }

    /// The spans of [`Recorder::tracer_payloads`].
    pub fn spans(&self) -> Vec<Span> {
        let chunks = self.tracer_payloads().into_iter().flat_map(|payload| payload.chunks);
        chunks.flat_map(|chunk| chunk.spans).collect()
    }

    /// The `StatsPayload`s of all stats requests that were answered with 2xx.
    pub fn stats(&self) -> Vec<rmpv::Value> {
        let requests = self.taken("/api/v0.2/stats");
        requests
            .iter()
            .map(|request| rmpv::decode::read_value(&mut request.body.as_slice()).expect("msgpack"))
            .collect()
    }

    /// The entries of all logs requests that were answered with 2xx, in the order in which they came.
    pub fn log_entries(&self) -> Vec<serde_json::Value> {
        self.json_arrays("/api/v2/logs")
    }

    /// The service checks of all requests that were answered with 2xx.
    pub fn service_checks(&self) -> Vec<serde_json::Value> {
        self.json_arrays("/api/v1/check_run")
    }

    /// The bodies with events that were answered with 2xx.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let requests = self.taken("/intake/");
        requests.iter().map(|request| json(&request.body)).collect()
    }

    /// The series of all requests that were answered with 2xx.
    pub fn series(&self) -> Vec<metrics::Series> {
        let requests = self.taken("/api/v2/series");
        requests.iter().flat_map(|request| metrics::series(&request.body)).collect()
    }

    /// The sketches of all requests that were answered with 2xx.
    pub fn sketches(&self) -> Vec<metrics::Sketch> {
        let requests = self.taken("/api/beta/sketches");
        requests.iter().flat_map(|request| metrics::sketches(&request.body)).collect()
    }

    fn json_arrays(&self, path: &str) -> Vec<serde_json::Value> {
        let requests = self.taken(path);
        requests
            .iter()
            .flat_map(|request| json(&request.body).as_array().expect("an array").clone())
            .collect()
    }

    /// Waits until the requests meet `is_met`; fails the test after [`PATIENCE`], with what there is.
    pub fn wait_for(&self, what: &str, mut is_met: impl FnMut(&[Request]) -> bool) {
        self.wait(what, |state| is_met(&state.requests));
    }

    fn wait(&self, what: &str, mut is_met: impl FnMut(&State) -> bool) {
        let until = Instant::now() + PATIENCE;
        let mut state = self.lock();
        while !is_met(&state) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let have: Vec<_> = state
                    .requests
                    .iter()
                    .map(|r| (r.path.clone(), r.answered, r.wire_bytes))
                    .collect();
                drop(state);
                panic!("waited for {what}; the intake has {have:?}");
            }
            state =
                self.shared.changed.wait_timeout(state, left).expect("no panic in the recorder").0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.shared.changed.notify_all();
        drop(TcpStream::connect(self.address));
        self.close_connections();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic in the recorder")
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Waits this long, or until the recorder ends.
    fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.lock();
        while !self.has_ended() && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            state = self.changed.wait_timeout(state, left).expect("no panic in the recorder").0;
        }
    }
}

fn accept(shared: &Arc<Shared>, listener: TcpListener) {
    let address = listener.local_addr().expect("bound");
    let mut listener = Some(listener);
    while !shared.has_ended() {
        if shared.refuses.load(Ordering::SeqCst) {
            listener = None;
            let mut state = shared.lock();
            state.is_listening = false;
            shared.changed.notify_all();
            drop(
                shared
                    .changed
                    .wait_timeout(state, Duration::from_millis(50))
                    .expect("no panic in the recorder"),
            );
            continue;
        }
        let listening = match &listener {
            Some(listener) => listener,
            None => listener.insert(TcpListener::bind(address).expect("its port again")),
        };
        shared.lock().is_listening = true;
        shared.changed.notify_all();
        let Ok((socket, _)) = listening.accept() else { continue };
        if shared.has_ended() || shared.refuses.load(Ordering::SeqCst) {
            continue;
        }
        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
        shared.lock().sockets.push(socket.try_clone().expect("a file descriptor"));
        let shared = Arc::clone(shared);
        let serving = move || {
            // An error is the sender's or a fault that was asked for; it shows in what was recorded.
            drop(serve(&shared, socket.try_clone().expect("a file descriptor"), number));
            drop(socket.shutdown(Shutdown::Both));
        };
        thread::Builder::new().name("recorder".to_owned()).spawn(serving).expect("a thread");
    }
}

fn json(body: &[u8]) -> serde_json::Value {
    serde_json::from_slice(body).expect("JSON")
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn serve(shared: &Shared, socket: TcpStream, connection: usize) -> io::Result<()> {
    let stream: Box<dyn Stream> = match &shared.tls {
        Some(tls) => Box::new(StreamOwned::new(
            ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?,
            socket,
        )),
        None => Box::new(socket),
    };
    let mut stream = BufReader::new(stream);
    loop {
        let Some(mut request) = read_head(&mut stream, connection)? else { return Ok(()) };
        let answer = {
            let mut state = shared.lock();
            state.busy += 1;
            state.busy_max = state.busy_max.max(state.busy);
            state.script.pop_front().unwrap_or_else(|| state.always.clone())
        };
        let served = serve_one(shared, &mut stream, &mut request, answer);
        shared.lock().busy -= 1;
        if !served? {
            return Ok(());
        }
    }
}

/// Serves one request. Whether the connection goes on.
fn serve_one(
    shared: &Shared,
    stream: &mut BufReader<Box<dyn Stream>>,
    request: &mut Request,
    mut answer: Answer,
) -> io::Result<bool> {
    if answer.fault == Fault::DropMidRequest {
        return Ok(false);
    }
    read_body(stream, request)?;
    shared.rest(answer.delay);
    if request.body.len() > shared.lock().body_bytes_max {
        answer = Answer::status(413);
    }
    let is_answered = !matches!(answer.fault, Fault::Drop | Fault::HangBeforeHeaders);
    request.answered = if is_answered { answer.status } else { 0 };
    if is_answered {
        // It is recorded before the sender can know, so that what the sender knows is always in the record.
        shared.lock().requests.push(request.clone());
        shared.changed.notify_all();
        let head = head_of(&answer);
        let body = match answer.fault {
            Fault::HangAfterHeaders => "",
            Fault::CloseMidBody => &answer.body[..answer.body.len() / 2],
            _ => &answer.body,
        };
        stream.get_mut().write_all(format!("{head}{body}").as_bytes())?;
        stream.get_mut().flush()?;
    } else {
        shared.lock().requests.push(request.clone());
        shared.changed.notify_all();
    }
    if matches!(answer.fault, Fault::HangBeforeHeaders | Fault::HangAfterHeaders) {
        // Until either side closes the connection.
        drop(io::copy(stream, &mut io::sink()));
    }
    Ok(answer.fault == Fault::None)
}

fn head_of(answer: &Answer) -> String {
    let mut head =
        format!("HTTP/1.1 {} Whatever\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head + "\r\n"
}

fn read_head(stream: &mut impl BufRead, connection: usize) -> io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    let mut words = lines.first().map(String::as_str).unwrap_or_default().split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    // A request that came through a proxy names the whole URL.
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
        None => target.to_owned(),
    };
    let headers = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
    let headers =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Ok(Some(Request {
        at: Instant::now(),
        method,
        path,
        headers,
        body: Vec::new(),
        wire: Vec::new(),
        wire_bytes: 0,
        connection,
        answered: 0,
    }))
}

fn read_body(stream: &mut impl BufRead, request: &mut Request) -> io::Result<()> {
    let mut wire = Vec::new();
    if request.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let len = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; len + 2];
            stream.read_exact(&mut chunk)?;
            if len == 0 {
                break;
            }
            wire.extend_from_slice(&chunk[..len]);
        }
    } else {
        let len =
            request.header("content-length").map_or(Ok(0), str::parse).map_err(io::Error::other)?;
        wire.resize(len, 0);
        stream.read_exact(&mut wire)?;
    }
    request.at = Instant::now();
    request.wire_bytes = wire.len();
    let decoded = match request.header("content-encoding") {
        Some("zstd") => zstd::stream::decode_all(wire.as_slice()),
        Some("gzip") => {
            let mut raw = Vec::new();
            flate2::read::GzDecoder::new(wire.as_slice()).read_to_end(&mut raw).map(|_| raw)
        }
        Some("deflate") => {
            let mut raw = Vec::new();
            flate2::read::ZlibDecoder::new(wire.as_slice()).read_to_end(&mut raw).map(|_| raw)
        }
        _ => Ok(wire.clone()),
    };
    request.body = decoded.unwrap_or_else(|_| wire.clone());
    request.wire = wire;
    Ok(())
}
