//! An intake that takes everything, and counts the messages of logs where that is asked for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The intake, on threads of its own.
pub(crate) struct Intake {
    pub(crate) url: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Whether bodies are looked into, which takes CPU.
    is_wanted: AtomicBool,
    messages: AtomicU64,
}

impl Intake {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let counts = Arc::new(Counts::default());
        let of_threads = Arc::clone(&counts);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let counts = Arc::clone(&of_threads);
                // An error is the end of the connection.
                std::thread::spawn(move || drop(serve(socket, &counts)));
            }
        });
        Self { url, counts }
    }

    /// Has the wrapper that `command` starts send all to this intake.
    pub(crate) fn receive_from(&self, command: &mut Command) {
        command.env("DD_API_KEY", "0123456789abcdef0123456789abcdef");
        for name in ["DD_APM_DD_URL", "DD_DD_URL", "DD_LOGS_CONFIG_LOGS_DD_URL"] {
            command.env(name, &self.url);
        }
    }

    /// Counts messages from now on.
    pub(crate) fn count(&self) {
        self.counts.is_wanted.store(true, Ordering::Relaxed);
    }

    /// Messages that have come since the last call.
    pub(crate) fn take_messages(&self) -> u64 {
        self.counts.messages.swap(0, Ordering::Relaxed)
    }
}

fn serve(socket: TcpStream, counts: &Counts) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket.try_clone()?);
    let mut socket = socket;
    loop {
        let (mut length, mut encoding, mut path) = (0, String::new(), String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if path.is_empty() {
                path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
            if let Some(value) = line.strip_prefix("content-encoding:") {
                value.trim().clone_into(&mut encoding);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = (&mut reader).take(length);
        if counts.is_wanted.load(Ordering::Relaxed) && path.starts_with("/api/v2/logs") {
            let mut bytes = Vec::new();
            body.read_to_end(&mut bytes)?;
            counts.messages.fetch_add(messages(&bytes, &encoding), Ordering::Relaxed);
        } else {
            std::io::copy(&mut body, &mut std::io::sink())?;
        }
        socket.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?;
    }
}

/// The messages in a body of logs.
fn messages(body: &[u8], encoding: &str) -> u64 {
    let mut text = Vec::new();
    match encoding {
        "zstd" => zstd::stream::copy_decode(body, &mut text).unwrap(),
        "gzip" => drop(flate2::read::GzDecoder::new(body).read_to_end(&mut text).unwrap()),
        other => assert_eq!(other, "", "an encoding that is not known"),
    }
    let text = if encoding.is_empty() { body } else { &text };
    memchr::memmem::find_iter(text, br#""message":"#).count() as u64
}
