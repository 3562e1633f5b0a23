//! A small HTTP proxy: CONNECT for https targets, whole URLs for http ones. Whatever host is asked for, it leads to one address, so that tests may
//! use names that no resolver knows.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the proxy was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `CONNECT`, or the method of a forwarded request.
    pub method: String,
    /// `host:port`, or a whole URL.
    pub target: String,
    /// `Proxy-Authorization`.
    pub authorization: Option<String>,
    /// The whole head as it came.
    pub head: String,
}

/// The proxy. It ends when it is dropped.
pub struct ConnectProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
}

impl ConnectProxy {
    /// A proxy that leads to `to` whatever it is asked for. Where `status` is not 200 it refuses with that.
    pub fn start(to: SocketAddr, status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let (record, end) = (Arc::clone(&asked), Arc::clone(&ended));
        let accept = move || {
            while let Ok((socket, _)) = listener.accept() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let record = Arc::clone(&record);
                // An error is one side's hanging up.
                let serve = move || drop(serve(socket, to, status, &record));
                thread::Builder::new().name("proxy".to_owned()).spawn(serve).expect("a thread");
            }
        };
        thread::Builder::new().name("proxy".to_owned()).spawn(accept).expect("a thread");
        Self { address, asked, ended }
    }

    /// `host:port` of the proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked for up to now, one per connection.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic in the proxy").clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn serve(
    mut socket: TcpStream,
    to: SocketAddr,
    status: u16,
    record: &Mutex<Vec<Asked>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(socket.try_clone()?);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    let mut words = head.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let line =
        head.lines().find(|line| line.to_ascii_lowercase().starts_with("proxy-authorization:"));
    let authorization =
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned());
    record.lock().expect("no panic in the proxy").push(Asked {
        method: method.clone(),
        target,
        authorization,
        head: head.clone(),
    });
    if status != 200 {
        return socket
            .write_all(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n").as_bytes());
    }
    let mut up = TcpStream::connect(to)?;
    if method == "CONNECT" {
        socket.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        up.write_all(head.as_bytes())?;
    }
    let (mut up_reader, mut down) = (up.try_clone()?, socket.try_clone()?);
    let back = thread::Builder::new().name("proxy".to_owned()).spawn(move || {
        drop(io::copy(&mut up_reader, &mut down));
        drop(down.shutdown(Shutdown::Both));
    })?;
    let copied = pump(&mut reader, &mut up);
    drop(up.shutdown(Shutdown::Both));
    drop(back.join());
    copied
}

fn pump(from: &mut impl Read, to: &mut TcpStream) -> io::Result<()> {
    io::copy(from, to).map(drop)
}
