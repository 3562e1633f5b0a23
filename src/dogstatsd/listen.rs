//! Where clients send to: bound before the app is spawned, so that what is sent early waits in the buffers of the sockets.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::sockopt::{Ipv6V6Only, RcvBuf, RcvBufForce};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind as bind_socket, setsockopt,
    socket,
};

use super::Settings;
use crate::limits::DOGSTATSD_RECEIVE_BUFFER_BYTES;

/// Mode of the unix sockets, the agent's: everybody may write, only the owner may read.
const SOCKET_MODE: u32 = 0o722;

/// Sockets that are bound already and that nobody reads from yet. They are non-blocking and closed in the child.
#[derive(Debug, Default)]
pub struct Listeners {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) unix: Option<UnixDatagram>,
    pub(super) streams: Option<UnixListener>,
}

impl Listeners {
    /// The addresses of the UDP sockets, in the order in which they were bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.udp.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Whether nothing is bound.
    pub fn is_empty(&self) -> bool {
        self.udp.is_empty() && self.unix.is_none() && self.streams.is_none()
    }
}

/// Binds what the settings ask for. What could not be bound is one line each, for people; the rest is bound all the same.
pub fn bind(settings: &Settings) -> (Listeners, Vec<String>) {
    let (mut listeners, mut problems) = (Listeners::default(), Vec::new());
    if !settings.is_on {
        return (listeners, problems);
    }
    bind_udp(settings, &mut listeners, &mut problems);
    let complaint = |path: &Path, error: io::Error, name: &str| {
        format!(
            "cannot listen on the unix socket {}: {error}; clients can still use UDP, or set {name} to a path in an existing folder",
            path.display()
        )
    };
    if let Some(path) = &settings.socket {
        match unix(path, Form::Datagram).and_then(|()| UnixDatagram::bind(path)).and_then(|bound| {
            bound.set_nonblocking(true)?;
            open_to_all(path)?;
            Ok(bound)
        }) {
            Ok(bound) => listeners.unix = Some(bound),
            // By default it is there for those who look for it, where its folder is.
            Err(_) if !settings.is_socket_asked_for => {}
            Err(error) => problems.push(complaint(path, error, "DD_DOGSTATSD_SOCKET")),
        }
    }
    if let Some(path) = &settings.stream_socket {
        match unix(path, Form::Stream).and_then(|()| UnixListener::bind(path)).and_then(|bound| {
            bound.set_nonblocking(true)?;
            open_to_all(path)?;
            Ok(bound)
        }) {
            Ok(bound) => listeners.streams = Some(bound),
            Err(error) => problems.push(complaint(path, error, "DD_DOGSTATSD_STREAM_SOCKET")),
        }
    }
    (listeners, problems)
}

/// An IPv6 address is left out in silence where the machine has no IPv6, as for traces.
fn bind_udp(settings: &Settings, listeners: &mut Listeners, problems: &mut Vec<String>) {
    let Some(port) = settings.port else { return };
    let v6_only = settings.hosts.iter().any(IpAddr::is_ipv4);
    for &host in &settings.hosts {
        // Of a port that the system chooses, all addresses have the same one.
        let chosen = listeners.addresses().first().map_or(port, SocketAddr::port);
        let address = SocketAddr::new(host, if port == 0 { chosen } else { port });
        match udp(address, v6_only, settings.receive_buffer_bytes) {
            Ok(bound) => listeners.udp.push(bound),
            Err(Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT) if host.is_ipv6() => {}
            Err(error) => problems.push(udp_problem(address, error)),
        }
    }
}

fn udp(address: SocketAddr, v6_only: bool, buffer_bytes: usize) -> Result<UdpSocket, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: OwnedFd = socket(family, SockType::Datagram, flags, None)?;
    match address {
        SocketAddr::V4(address) => bind_socket(fd.as_raw_fd(), &SockaddrIn::from(address))?,
        SocketAddr::V6(address) => {
            setsockopt(&fd, Ipv6V6Only, &v6_only)?;
            bind_socket(fd.as_raw_fd(), &SockaddrIn6::from(address))?;
        }
    }
    let bytes = if buffer_bytes == 0 { DOGSTATSD_RECEIVE_BUFFER_BYTES } else { buffer_bytes };
    // The first goes beyond what the system allows, for those who have the privilege (man 7 socket). Without either, the socket works as well.
    setsockopt(&fd, RcvBufForce, &bytes).or_else(|_| setsockopt(&fd, RcvBuf, &bytes)).ok();
    Ok(UdpSocket::from(fd))
}

fn udp_problem(address: SocketAddr, error: Errno) -> String {
    let remedy = match error {
        Errno::EADDRINUSE => {
            "another process (an agent?) listens there: stop it, or choose another port with DD_DOGSTATSD_PORT for us and for the app"
        }
        Errno::EADDRNOTAVAIL => "this machine has no such address: mend DD_BIND_HOST",
        _ => "choose another address with DD_BIND_HOST and DD_DOGSTATSD_PORT",
    };
    format!("cannot take metrics on UDP {address}: {}; {remedy}", error.desc())
}

/// What a unix socket carries.
#[derive(Clone, Copy)]
enum Form {
    Datagram,
    Stream,
}

/// Removes what a previous run left at the path: only a socket, and only one that nobody listens on. In the folder of an agent that runs
/// beside us (it is mounted into containers), the socket is that agent's.
fn unix(path: &Path, form: Form) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something that is not a socket is at this path",
        )),
        Ok(_) if is_alive(path, form) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process (an agent?) listens there",
        )),
        Ok(_) => std::fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether somebody listens on a unix socket. Only where the system says that nobody does it is a leftover.
fn is_alive(path: &Path, form: Form) -> bool {
    let connected = match form {
        Form::Datagram => UnixDatagram::unbound().and_then(|socket| socket.connect(path)),
        Form::Stream => UnixStream::connect(path).map(drop),
    };
    !connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn open_to_all(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;

    use super::{Errno, Settings, SocketAddr, bind, udp_problem};

    fn local(port: u16) -> Settings {
        let hosts = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        Settings { port: Some(port), hosts, ..Settings::default() }
    }

    fn sockets(datagram: &Path, stream: &Path) -> Settings {
        Settings {
            port: None,
            socket: Some(datagram.to_owned()),
            is_socket_asked_for: true,
            stream_socket: Some(stream.to_owned()),
            ..Settings::default()
        }
    }

    #[test]
    fn a_taken_port_is_one_line_with_address_error_and_remedy() {
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let (listeners, problems) = bind(&local(port));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(&format!("cannot take metrics on UDP 127.0.0.1:{port}: ")));
        assert!(problems[0].contains("in use") && problems[0].contains("DD_DOGSTATSD_PORT"));
        assert!(!listeners.addresses().iter().any(SocketAddr::is_ipv4));
        let address = SocketAddr::from(([10, 1, 2, 3], 80));
        for error in [Errno::EADDRINUSE, Errno::EACCES, Errno::EADDRNOTAVAIL, Errno::EMFILE] {
            let line = udp_problem(address, error);
            assert!(line.contains("10.1.2.3:80") && line.contains("DD_") && !line.contains('\n'));
        }
    }

    #[test]
    fn nothing_is_bound_where_nothing_is_asked_for() {
        assert!(bind(&Settings { port: None, ..local(0) }).0.is_empty());
        let (listeners, problems) = bind(&Settings { is_on: false, ..local(0) });
        assert!(listeners.is_empty() && problems.is_empty());
        let (listeners, _) = bind(&local(0));
        let ports: Vec<u16> = listeners.addresses().iter().map(SocketAddr::port).collect();
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }

    #[test]
    fn a_leftover_is_replaced_and_a_living_socket_or_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (datagram, stream) = (folder.path().join("dsd.socket"), folder.path().join("stream"));
        let settings = sockets(&datagram, &stream);
        let (first, problems) = bind(&settings);
        assert!(first.unix.is_some() && first.streams.is_some() && problems.is_empty());
        for path in [&datagram, &stream] {
            assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o722);
        }
        let (second, problems) = bind(&settings);
        assert!(second.is_empty() && problems.len() == 2, "{problems:?}");
        assert!(problems.iter().all(|line| line.contains("another process")), "{problems:?}");
        let client = UnixDatagram::unbound().unwrap();
        client.send_to(b"still the first", &datagram).unwrap();
        drop(first);
        let (third, problems) = bind(&settings);
        assert!(third.unix.is_some() && third.streams.is_some() && problems.is_empty());

        let file = folder.path().join("file");
        std::fs::write(&file, "mine").unwrap();
        let (none, problems) = bind(&sockets(&file, &file));
        assert!(none.is_empty() && problems.len() == 2 && problems[0].contains("not a socket"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn a_missing_folder_is_one_line_for_who_asked_and_silence_else() {
        let path = Path::new("/no such folder/dsd.socket");
        let (none, problems) = bind(&sockets(path, path));
        assert!(none.is_empty() && problems.len() == 2, "{problems:?}");
        assert!(problems[0].contains("DD_DOGSTATSD_SOCKET"), "{problems:?}");
        let settings =
            Settings { is_socket_asked_for: false, stream_socket: None, ..sockets(path, path) };
        assert!(bind(&settings).1.is_empty());
    }
}
