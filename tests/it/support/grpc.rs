//! A client of gRPC that sends what it is told, on the frames of HTTP/2.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use hyper::{HeaderMap, Method, Request};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

pub(crate) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// The longest that a test waits for an answer.
const WAIT: Duration = Duration::from_secs(20);

/// One connection.
pub(crate) struct Client {
    handle: Handle,
    /// The connection ends with this.
    _end: tokio::sync::oneshot::Sender<()>,
    sender: SendRequest<Bytes>,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http_status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    /// `grpc-status`, wherever it stands; -1 where it is missing.
    pub(crate) fn code(&self) -> i32 {
        let of = |map: &HeaderMap| {
            map.get("grpc-status").map(|value| value.to_str().unwrap().parse().unwrap())
        };
        of(&self.trailers).or_else(|| of(&self.headers)).unwrap_or(-1)
    }

    /// `grpc-message`, as it stands there.
    pub(crate) fn message(&self) -> &str {
        self.headers.get("grpc-message").map_or("", |value| value.to_str().unwrap())
    }

    /// The one message, without what is in front of it.
    pub(crate) fn unframed(&self) -> &[u8] {
        let length = u32::from_be_bytes(self.body[1..5].try_into().unwrap()) as usize;
        assert_eq!((self.body[0], length), (0, self.body.len() - 5));
        &self.body[5..]
    }
}

/// A message with what belongs in front of it.
pub(crate) fn framed(packed: bool, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[u8::from(packed)], &length[..], message].concat()
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (end, ended) = tokio::sync::oneshot::channel();
        // What the connection has to do is done here, also while the test does something else.
        std::thread::spawn(move || runtime.block_on(ended).ok());
        let sender = handle.block_on(async {
            let stream = TcpStream::connect(address).await.unwrap();
            let (sender, connection) = h2::client::handshake(stream).await.unwrap();
            tokio::spawn(async move { drop(connection.await) });
            sender
        });
        Self { handle, sender, _end: end }
    }

    /// Calls the method of traces with this message.
    pub(crate) fn export(&mut self, message: &[u8]) -> Answer {
        self.call(EXPORT, &[], &framed(false, message))
    }

    /// Sends `body` to `path`; headers come on top of the usual ones, and one with the same name replaces it.
    pub(crate) fn call(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.ask(Method::POST, path, headers, body)
    }

    pub(crate) fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let (response, body) = (self.begin(method, path, headers, body, true), body.len());
        self.finish(response).unwrap_or_else(|error| panic!("{path}, {body} bytes: {error}"))
    }

    /// Starts a call whose body ends only where `is_all`.
    pub(crate) fn begin(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        is_all: bool,
    ) -> Started {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = format!("http://localhost{path}").parse().unwrap();
        let usual = [("content-type", "application/grpc"), ("te", "trailers")];
        for (name, value) in usual.iter().chain(headers) {
            request.headers_mut().insert(
                hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        let body = Bytes::copy_from_slice(body);
        self.handle.block_on(async {
            let mut sender = self.sender.clone().ready().await.expect("the connection is open");
            let (response, mut stream) = sender.send_request(request, false).unwrap();
            // Not an error: the answer may have come before the end of the body.
            stream.send_data(body, is_all).ok();
            Started { response, _stream: stream }
        })
    }

    /// Waits for the answer.
    pub(crate) fn finish(&mut self, started: Started) -> Result<Answer, String> {
        self.handle.block_on(async {
            let answer = async {
                let Started { response, _stream } = started;
                let response = response.await.map_err(|error| error.to_string())?;
                let (head, mut incoming) = response.into_parts();
                let mut body = Vec::new();
                while let Some(piece) = incoming.data().await {
                    let piece = piece.map_err(|error| error.to_string())?;
                    incoming
                        .flow_control()
                        .release_capacity(piece.len())
                        .map_err(|error| error.to_string())?;
                    body.extend_from_slice(&piece);
                }
                let trailers = incoming.trailers().await.map_err(|error| error.to_string())?;
                Ok(Answer {
                    http_status: head.status.as_u16(),
                    headers: head.headers,
                    body,
                    trailers: trailers.unwrap_or_default(),
                })
            };
            tokio::time::timeout(WAIT, answer).await.map_err(|_| "no answer in time".to_owned())?
        })
    }
}

/// A call under way. Its body stays open as long as this lives.
pub(crate) struct Started {
    response: h2::client::ResponseFuture,
    _stream: h2::SendStream<Bytes>,
}
