//! A tap between a tracer and the intake: passes every byte on in both directions and notes the spans of every trace body that went
//! through. What a real tracer sent is known from here alone, by a decoder that shares nothing with the product's.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rmpv::Value;

use crate::support::tee_v10;

/// A span as a tracer sent it: what must not change on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The span it hangs on; 0 for a root.
    pub parent_id: u64,
    /// The low half of the trace's id.
    pub trace_id: u64,
    /// The operation.
    pub name: String,
    /// The service.
    pub service: String,
    /// The resource.
    pub resource: String,
    /// Whether it is an error.
    pub error: bool,
}

/// What went through, by path and span id.
#[derive(Debug, Default)]
struct Seen {
    paths: Vec<String>,
    spans: BTreeMap<u64, Sent>,
}

/// The tap: a listener on a port of its own.
#[derive(Debug)]
pub struct Tee {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Tee {
    /// Passes everything on to `127.0.0.1:to`. Its threads end with the test's process.
    pub fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noted = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let noted = Arc::clone(&noted);
                thread::spawn(move || connection(client, to, &noted));
            }
        });
        Self { port, seen }
    }

    /// Where the tracer is to send.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The spans that were sent and answered so far.
    pub fn spans(&self) -> BTreeMap<u64, Sent> {
        self.seen.lock().unwrap().spans.clone()
    }

    /// Whether a trace body went to `path`.
    pub fn used(&self, path: &str) -> bool {
        self.seen.lock().unwrap().paths.iter().any(|seen| seen == path)
    }
}

/// One connection: requests are read whole, passed on, and noted when their answer has come back.
fn connection(mut client: TcpStream, to: u16, seen: &Mutex<Seen>) {
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { return };
    let mut from_client = Vec::new();
    let mut from_server = Vec::new();
    while let Some(request) = message(&mut client, &mut from_client) {
        if server.write_all(&request.raw).is_err() {
            break;
        }
        let Some(answer) = message(&mut server, &mut from_server) else { break };
        if answer.first_line.contains(" 200 ") {
            note(&request, seen);
        }
        if client.write_all(&answer.raw).is_err() {
            break;
        }
    }
    drop(server.shutdown(Shutdown::Both));
    drop(client.shutdown(Shutdown::Both));
}

/// A request or an answer: as it came, and its parts.
struct Message {
    raw: Vec<u8>,
    first_line: String,
    body: Vec<u8>,
}

/// Reads one message; `None` at the end of the stream. `held` keeps what was read beyond it.
fn message(stream: &mut TcpStream, held: &mut Vec<u8>) -> Option<Message> {
    let end = read_until(stream, held, |bytes| find(bytes, b"\r\n\r\n").map(|at| at + 4))?;
    let head = String::from_utf8_lossy(&held[..end]).into_owned();
    let lower = head.to_ascii_lowercase();
    let first_line = head.lines().next().unwrap_or_default().to_owned();
    let (total, body) = if lower.contains("transfer-encoding: chunked") {
        let total =
            read_until(stream, held, |bytes| chunked(bytes.get(end..)?).map(|(_, len)| end + len))?;
        (total, chunked(&held[end..])?.0)
    } else {
        let length =
            header(&lower, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        let total = read_until(stream, held, |bytes| {
            (bytes.len() >= end + length).then_some(end + length)
        })?;
        (total, held[end..total].to_vec())
    };
    let raw = held.drain(..total).collect();
    Some(Message { raw, first_line, body })
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Reads on until `is_whole` says where the message ends.
fn read_until(
    stream: &mut TcpStream,
    held: &mut Vec<u8>,
    is_whole: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    loop {
        if let Some(end) = is_whole(held) {
            return Some(end);
        }
        let mut piece = [0; 65_536];
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(read) => held.extend_from_slice(&piece[..read]),
        }
    }
}

/// A chunked body and its length on the wire; `None` while it is not whole.
fn chunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line = at + find(bytes.get(at..)?, b"\r\n")?;
        let size = usize::from_str_radix(
            std::str::from_utf8(&bytes[at..line]).ok()?.split(';').next()?.trim(),
            16,
        )
        .ok()?;
        let piece = line + 2;
        body.extend_from_slice(bytes.get(piece..piece + size)?);
        at = piece + size + 2;
        if size == 0 {
            return (bytes.len() >= at).then_some((body, at));
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Notes the spans of a trace body: v0.4 is an array of traces of maps; v0.5 is a table of strings and traces of arrays of its indexes; of
/// v1.0 see [`tee_v10`].
fn note(request: &Message, seen: &Mutex<Seen>) {
    let path = request.first_line.split(' ').nth(1).unwrap_or_default();
    if !path.ends_with("/traces") {
        return;
    }
    let body =
        rmpv::decode::read_value(&mut request.body.as_slice()).expect("a tracer sends msgpack");
    let mut seen = seen.lock().unwrap();
    seen.paths.push(path.to_owned());
    if path == "/v1.0/traces" {
        seen.spans.extend(tee_v10::spans(&body));
        return;
    }
    let parts = body.as_array().expect("a trace body is an array");
    if path == "/v0.5/traces" {
        let text = |index: &Value| {
            parts[0][usize::try_from(index.as_u64().unwrap()).unwrap()].as_str().unwrap().to_owned()
        };
        for span in parts[1].as_array().unwrap().iter().flat_map(|trace| trace.as_array().unwrap())
        {
            let number = |at: usize| span[at].as_u64().unwrap_or(0);
            let sent = Sent {
                service: text(&span[0]),
                name: text(&span[1]),
                resource: text(&span[2]),
                trace_id: number(3),
                parent_id: number(5),
                error: number(8) != 0,
            };
            seen.spans.insert(number(4), sent);
        }
    } else {
        for span in parts.iter().flat_map(|trace| trace.as_array().unwrap()) {
            let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
            let number = |key: &str| span[key].as_u64().unwrap_or(0);
            let sent = Sent {
                service: text("service"),
                name: text("name"),
                resource: text("resource"),
                trace_id: number("trace_id"),
                parent_id: number("parent_id"),
                error: number("error") != 0,
            };
            seen.spans.insert(number("span_id"), sent);
        }
    }
}
