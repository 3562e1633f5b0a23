//! The listening sockets.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::sockopt::{Ipv6V6Only, ReuseAddr, TcpNoDelay};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6};
use nix::sys::socket::{bind as bind_socket, listen, setsockopt, socket};

/// Mode of the unix socket, the agent's: everybody may write (connect), only the owner may read.
const SOCKET_MODE: u32 = 0o722;

/// Sockets that listen already and that nobody accepts from yet. They are non-blocking and closed in the child.
#[derive(Debug, Default)]
pub struct Listeners {
    pub(super) tcp: Vec<TcpListener>,
    /// With the path, where we have made it.
    pub(super) unix: Option<(UnixListener, Option<PathBuf>)>,
}

impl Listeners {
    /// The addresses of the TCP sockets, in the order in which they were bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Whether nothing listens.
    pub fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.unix.is_none()
    }

    /// Adds a socket that somebody else has opened; it is non-blocking.
    pub(crate) fn take_tcp(&mut self, listener: TcpListener) {
        self.tcp.push(listener);
    }

    /// The same with a unix socket, whose file stays.
    pub(crate) fn take_unix(&mut self, listener: UnixListener) {
        self.unix = Some((listener, None));
    }

    /// Whether a unix socket listens.
    pub fn has_unix(&self) -> bool {
        self.unix.is_some()
    }
}

/// Listens on this port of all these hosts; what could not be bound is returned, and the rest listens all the same.
///
/// An IPv6 address is left out in silence where the machine has no IPv6: `::1` stands beside `127.0.0.1` for clients that resolve
/// `localhost` that way, and such a client has then no way to try it.
pub(crate) fn tcp(
    listeners: &mut Listeners,
    hosts: &[IpAddr],
    port: u16,
) -> Vec<(SocketAddr, Errno)> {
    let v6_only = hosts.iter().any(IpAddr::is_ipv4);
    let mut failed = Vec::new();
    for &host in hosts {
        let address = SocketAddr::new(host, port);
        match listen_tcp(address, v6_only) {
            Ok(listener) => listeners.tcp.push(listener),
            Err(Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT) if host.is_ipv6() => {}
            Err(error) => failed.push((address, error)),
        }
    }
    failed
}

/// Listens on the unix socket at `path`.
///
/// # Errors
/// When something else is there, or its folder is missing or not ours to write.
pub(crate) fn unix(listeners: &mut Listeners, path: &Path) -> io::Result<()> {
    listeners.unix = Some((listen_unix(path)?, Some(path.to_owned())));
    Ok(())
}

/// One listening TCP socket. `SO_REUSEADDR` lets a restart bind while old connections are in TIME_WAIT (a port that somebody listens on
/// is refused all the same); `TCP_NODELAY` is inherited by accepted sockets on Linux and so costs no call per connection.
fn listen_tcp(address: SocketAddr, v6_only: bool) -> Result<TcpListener, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd: OwnedFd =
        socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    setsockopt(&fd, ReuseAddr, &true)?;
    setsockopt(&fd, TcpNoDelay, &true)?;
    match address {
        SocketAddr::V4(address) => bind_v4(&fd, address)?,
        SocketAddr::V6(address) => bind_v6(&fd, address, v6_only)?,
    }
    listen(&fd, Backlog::MAXCONN)?;
    Ok(TcpListener::from(fd))
}

fn bind_v4(fd: &OwnedFd, address: SocketAddrV4) -> Result<(), Errno> {
    bind_socket(fd.as_raw_fd(), &SockaddrIn::from(address))
}

fn bind_v6(fd: &OwnedFd, address: SocketAddrV6, v6_only: bool) -> Result<(), Errno> {
    setsockopt(fd, Ipv6V6Only, &v6_only)?;
    bind_socket(fd.as_raw_fd(), &SockaddrIn6::from(address))
}

/// The unix socket. What a previous run left at the path is removed, but only a socket: anything else is somebody's file.
fn listen_unix(path: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "something that is not a socket is at this path",
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}
