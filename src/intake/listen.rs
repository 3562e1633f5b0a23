//! The listening sockets: bound before the app is spawned, so that a tracer that connects early waits in the backlog and is never refused.

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

use crate::intake::{Settings, inherit};

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
    /// The addresses of the TCP sockets, in the order of [`Settings::hosts`].
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Whether nothing listens.
    pub fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.unix.is_none()
    }
}

/// Binds what the settings ask for, or takes over what was opened for us in its place. What could not be bound is one line each, for the user;
/// the rest listens all the same.
///
/// An IPv6 address is left out in silence where the machine has no IPv6: `::1` stands beside `127.0.0.1` for clients that resolve
/// `localhost` that way, and such a client has then no way to try it.
pub fn bind(settings: &Settings) -> (Listeners, Vec<String>) {
    let (mut listeners, mut problems) = (Listeners::default(), Vec::new());
    if !settings.enabled {
        return (listeners, problems);
    }
    // First, before a number that nobody has opened could become that of a socket of ours.
    let inherited = inherit::listeners(settings, &mut problems);
    match inherited.tcp {
        Some(listener) => listeners.tcp.push(listener),
        None => bind_tcp(settings, &mut listeners, &mut problems),
    }
    match (inherited.unix, &settings.socket) {
        (Some(listener), _) => listeners.unix = Some((listener, None)),
        (None, Some(path)) => match listen_unix(path) {
            Ok(listener) => listeners.unix = Some((listener, Some(path.clone()))),
            Err(error) => problems.push(format!(
                "cannot listen on the unix socket {}: {error}; tracers can still use TCP, or set DD_APM_RECEIVER_SOCKET to a path in an \
                 existing folder",
                path.display()
            )),
        },
        (None, None) => {}
    }
    (listeners, problems)
}

fn bind_tcp(settings: &Settings, listeners: &mut Listeners, problems: &mut Vec<String>) {
    let hosts = if settings.port == 0 { &[][..] } else { &settings.hosts[..] };
    let v6_only = hosts.iter().any(IpAddr::is_ipv4);
    for &host in hosts {
        let address = SocketAddr::new(host, settings.port);
        match listen_tcp(address, v6_only) {
            Ok(listener) => listeners.tcp.push(listener),
            Err(Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT) if host.is_ipv6() => {}
            Err(error) => problems.push(tcp_problem(address, error)),
        }
    }
}

fn tcp_problem(address: SocketAddr, error: Errno) -> String {
    let remedy = match error {
        Errno::EADDRINUSE => {
            "another process (an agent?) listens there: stop it, or choose another port with DD_APM_RECEIVER_PORT here"
        }
        Errno::EACCES => {
            "ports below 1024 need a privilege: choose another one with DD_APM_RECEIVER_PORT here"
        }
        Errno::EADDRNOTAVAIL => "this machine has no such address: mend DD_BIND_HOST",
        _ => "choose another address with DD_BIND_HOST and DD_APM_RECEIVER_PORT here",
    };
    format!(
        "cannot listen on {address}: {}; {remedy} and DD_TRACE_AGENT_URL for the app",
        error.desc()
    )
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use super::{Errno, IpAddr, SocketAddr, TcpListener, bind, tcp_problem};
    use crate::intake::{Inherited, Settings};

    fn settings(port: u16) -> Settings {
        Settings {
            hosts: vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
            port,
            socket: None,
            enabled: true,
            receive_timeout: Duration::from_secs(5),
            connections_max: 10,
            body_bytes_max: 1000,
            inherited: Inherited::default(),
        }
    }

    #[test]
    fn a_taken_port_is_one_line_with_address_error_and_remedy() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let (listeners, problems) = bind(&settings(port));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")),
            "{problems:?}"
        );
        assert!(
            problems[0].contains("in use") && problems[0].contains("DD_APM_RECEIVER_PORT"),
            "{problems:?}"
        );
        assert!(!listeners.addresses().iter().any(SocketAddr::is_ipv4));
    }

    #[test]
    fn port_zero_and_switched_off_listen_on_nothing() {
        assert!(bind(&settings(0)).0.is_empty());
        let (listeners, problems) = bind(&Settings { enabled: false, ..settings(1) });
        assert!(listeners.is_empty() && problems.is_empty());
    }

    #[test]
    fn every_problem_names_a_setting_that_mends_it() {
        let address = SocketAddr::from(([10, 1, 2, 3], 80));
        for error in [Errno::EADDRINUSE, Errno::EACCES, Errno::EADDRNOTAVAIL, Errno::EMFILE] {
            let line = tcp_problem(address, error);
            assert!(
                line.contains("10.1.2.3:80") && line.contains("DD_") && !line.contains('\n'),
                "{line}"
            );
        }
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("apm.socket");
        let unix = |path: &std::path::Path| {
            bind(&Settings { hosts: Vec::new(), socket: Some(path.to_owned()), ..settings(1) })
        };
        let (first, problems) = unix(&path);
        assert!(first.unix.is_some() && problems.is_empty(), "{problems:?}");
        drop(first);
        let (second, problems) = unix(&path);
        assert!(second.unix.is_some() && problems.is_empty(), "{problems:?}");
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
        assert_eq!(mode & 0o777, 0o722);

        let file = folder.path().join("file");
        std::fs::write(&file, "mine").unwrap();
        let (none, problems) = unix(&file);
        assert!(
            none.unix.is_none() && problems.len() == 1 && problems[0].contains("not a socket"),
            "{problems:?}"
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");

        let (none, problems) = unix(&folder.path().join("missing/apm.socket"));
        assert!(none.unix.is_none() && problems.len() == 1, "{problems:?}");
    }
}
