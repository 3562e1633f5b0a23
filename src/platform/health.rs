//! The platform's probe (`DD_HEALTH_PORT`): whoever asks is told that we run. A probe of TCP alone is answered by the kernel, from the moment
//! at which the port is bound; that is before the app starts.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener as StdTcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

/// Probes that are answered at once; further ones wait in the backlog.
const PROBES_MAX: usize = 8;

/// The time that a probe may take: the default of Kubernetes' is one second.
const TIME: Duration = Duration::from_secs(5);

/// Bytes of a probe's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Between two attempts to accept, when the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// What is said to each, in the form of the agent's own health port.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 38\r\nConnection: close\r\n\r\n{\"Healthy\":[\"pillion\"],\"Unhealthy\":[]}";

/// Binds the port on all interfaces, IPv6 among them where the system has it.
///
/// # Errors
/// The system refuses: most likely, somebody has the port.
pub fn bind(port: u16) -> io::Result<StdTcpListener> {
    // A socket for `::` takes IPv4 too, unless the system says otherwise (`man 7 ipv6`, `bindv6only`).
    let listener = StdTcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
        .or_else(|_| StdTcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Answers probes for as long as it is polled. It must run on a `LocalSet` with I/O and time.
pub async fn serve(listener: StdTcpListener) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let places = Arc::new(Semaphore::new(PROBES_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                spawn_local(async move {
                    // Whatever becomes of it, there is nobody to tell.
                    drop(timeout(TIME, answer(&stream)).await);
                    drop(place);
                });
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

async fn answer(stream: &TcpStream) -> io::Result<()> {
    let mut head: Vec<u8> = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        stream.readable().await?;
        match stream.try_read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(bytes) => head.extend(piece.iter().take(bytes)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let mut rest = ANSWER;
    while !rest.is_empty() {
        stream.writable().await?;
        match stream.try_write(rest) {
            Ok(bytes) => rest = rest.get(bytes..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
