//! One small HTTP request to a server of the platform: plain HTTP/1.1, never through a proxy, bounded in time and in bytes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

/// A server, and the path that all requests to it begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Host and port as they stand in the `Host` header.
    authority: String,
    /// What is connected to: with a port in any case.
    target: String,
    /// Without a `/` at its end.
    path: String,
}

impl Address {
    /// Of a URL with `http://`; nothing where it is none.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        let rest = url.trim().strip_prefix("http://")?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if authority.is_empty() || authority.contains('@') || !is_plain(rest) {
            return None;
        }
        // An IPv6 address has its colons within brackets.
        let after_host = authority.rsplit(']').next().unwrap_or_default();
        let target =
            if after_host.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
        let path = path.trim_end_matches('/').to_owned();
        Some(Self { authority: authority.to_owned(), target, path })
    }
}

/// The connection's task, which ends with this.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of `GET path`, if it comes with status 200 and is no longer than `bytes_max`.
///
/// # Errors
/// Why there is none, as a part of a sentence. `time` bounds all of it, from the look-up of the host's name on.
pub(super) async fn get(
    address: &Address,
    path: &str,
    headers: &[(&'static str, &'static str)],
    bytes_max: usize,
    time: Duration,
) -> Result<Vec<u8>, String> {
    let asked = timeout(time, ask(address, path, headers, bytes_max)).await;
    asked.unwrap_or_else(|_| Err(format!("no answer within {} ms", time.as_millis())))
}

async fn ask(
    address: &Address,
    path: &str,
    headers: &[(&'static str, &'static str)],
    bytes_max: usize,
) -> Result<Vec<u8>, String> {
    let connected = TcpStream::connect(&address.target).await;
    let stream = connected.map_err(|error| format!("no connection: {error}"))?;
    let broken = |error: hyper::Error| format!("the connection has failed: {error}");
    let (mut sender, connection) =
        http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.map_err(broken)?;
    let _connection = Connection(spawn_local(async move {
        // What goes wrong shows in the answer.
        drop(connection.await);
    }));
    let target = format!("{}{path}", address.path);
    let target = if target.is_empty() { "/" } else { &target };
    let request = Request::get(target).header("host", &address.authority);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(broken)?;
    if answer.status() != StatusCode::OK {
        return Err(format!("status {}", answer.status().as_u16()));
    }
    let body = Limited::new(answer.into_body(), bytes_max).collect().await;
    let body = body.map_err(|error| format!("the answer broke off: {error}"))?;
    Ok(body.to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_has_a_host_a_port_and_maybe_a_path() {
        let check = |url: &str, expect: Option<[&str; 3]>| {
            let address = Address::of_url(url);
            let parts = address.as_ref().map(|a| [a.authority.as_str(), &a.target, &a.path]);
            assert_eq!(parts, expect, "{url}");
        };
        check("http://169.254.169.254", Some(["169.254.169.254", "169.254.169.254:80", ""]));
        check(
            "http://169.254.170.2/v4/a-1",
            Some(["169.254.170.2", "169.254.170.2:80", "/v4/a-1"]),
        );
        check("http://localhost:1234/", Some(["localhost:1234", "localhost:1234", ""]));
        check("http://[fd00:ec2::254]/v4", Some(["[fd00:ec2::254]", "[fd00:ec2::254]:80", "/v4"]));
        check("http://[::1]:81", Some(["[::1]:81", "[::1]:81", ""]));
        for wrong in ["https://a", "a", "http://", "http:///x", "http://a b", "http://u@a", ""] {
            check(wrong, None);
        }
    }
}
