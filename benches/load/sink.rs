//! The stand-in for Datadog's intake: it takes what is posted, answers 202 after a given time, and counts bytes at once and spans afterwards,
//! so that its own work does not disturb a run.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// One trace payload as it came.
struct Payload {
    encoding: String,
    body: Vec<u8>,
}

/// An intake that listens.
pub(crate) struct Sink {
    pub(crate) url: String,
    taken: Arc<Mutex<Vec<Payload>>>,
}

/// What came, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) spans: u64,
    pub(crate) wire_bytes: u64,
    pub(crate) payloads: u64,
}

impl Sink {
    /// Listens on a free port of loopback; each answer waits for `delay`.
    pub(crate) fn start(delay: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let taken = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keep = Arc::clone(&keep);
                // A peer that hangs up in the middle of a request ends only its own connection.
                thread::spawn(move || drop(serve(&stream, delay, &keep)));
            }
        });
        Ok(Self { url, taken })
    }

    /// The address of an intake that is down: nobody listens there.
    pub(crate) fn down() -> io::Result<String> {
        Ok(format!("http://{}", TcpListener::bind("127.0.0.1:0")?.local_addr()?))
    }

    /// Counts what came up to now.
    pub(crate) fn count(&self) -> io::Result<Taken> {
        let taken = self.taken();
        let mut out = Taken::default();
        for payload in taken.iter() {
            out.payloads += 1;
            out.wire_bytes += payload.body.len() as u64;
            out.spans += spans_in(payload)?;
        }
        Ok(out)
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Payload>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(stream: &TcpStream, delay: Duration, keep: &Mutex<Vec<Payload>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(1 << 18, stream);
    while let Some((path, encoding, body)) = request(&mut reader)? {
        thread::sleep(delay);
        if path.ends_with("/traces") {
            keep.lock().unwrap_or_else(PoisonError::into_inner).push(Payload { encoding, body });
        }
        (&*stream).write_all(b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")?;
    }
    Ok(())
}

/// Reads one request: its path, its content encoding and its body. Nothing at the end of the connection.
fn request(reader: &mut impl BufRead) -> io::Result<Option<(String, String, Vec<u8>)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut is_chunked, mut encoding) = (0, false, String::new());
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
            "content-encoding" => encoding = value.trim().to_owned(),
            "transfer-encoding" => is_chunked = value.contains("chunked"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    while is_chunked {
        line.clear();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        let before = body.len();
        body.resize(before + length, 0);
        reader.read_exact(&mut body[before..])?;
        line.clear();
        reader.read_line(&mut line)?;
        is_chunked = length > 0;
    }
    Ok(Some((path, encoding, body)))
}

/// The places of spans in the two forms of a payload: fields of the messages from the outside in.
const PLACES: [&[u64]; 2] = [&[5, 6, 3], &[11, 11, 4]];

fn spans_in(payload: &Payload) -> io::Result<u64> {
    let mut plain = Vec::new();
    match payload.encoding.as_str() {
        "zstd" => plain = zstd::decode_all(&payload.body[..])?,
        "gzip" => drop(flate2::read::GzDecoder::new(&payload.body[..]).read_to_end(&mut plain)?),
        _ => plain.clone_from(&payload.body),
    }
    PLACES
        .iter()
        .try_fold(0, |sum, place| Some(sum + count_at(&plain, place)?))
        .ok_or_else(|| io::Error::other("not protobuf"))
}

/// How many messages stand at a place of a protobuf message.
fn count_at(mut message: &[u8], place: &[u64]) -> Option<u64> {
    let (field, inside) = place.split_first()?;
    let mut count = 0;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let length = match key & 7 {
            0 => {
                varint(&mut message)?;
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, rest) = message.split_at_checked(length)?;
        message = rest;
        if key >> 3 == *field && key & 7 == 2 {
            count += if inside.is_empty() { 1 } else { count_at(value, inside)? };
        }
    }
    Some(count)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return Some(value);
        }
    }
    None
}
