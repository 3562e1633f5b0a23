//! Listening sockets that we were started with: taken over where they are what they are said to be.

use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::sockopt::{AcceptConn, SockType as TypeOf};
use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike, SockaddrStorage, getsockname, getsockopt,
};

use crate::intake::Settings;

/// What of it was there.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) tcp: Option<TcpListener>,
    pub(super) unix: Option<UnixListener>,
}

/// The sockets that the settings name. They become non-blocking, and closed in the child: two that accept from one socket would each get half
/// of the tracers. Where one can't be used, `problems` has a line about it. To be called once, before this process opens a socket.
pub(super) fn listeners(settings: &Settings, problems: &mut Vec<String>) -> Taken {
    let named = settings.inherited;
    let mut taken = Taken::default();
    if let Some(number) = named.tcp.filter(|_| settings.port != 0) {
        match take(number, &[AddressFamily::Inet, AddressFamily::Inet6]) {
            Ok(socket) => taken.tcp = Some(TcpListener::from(socket)),
            Err(wrong) => problems.push(problem("DD_APM_NET_RECEIVER_FD", number, wrong)),
        }
    }
    if let Some(number) = named.unix {
        match take(number, &[AddressFamily::Unix]) {
            Ok(socket) => taken.unix = Some(UnixListener::from(socket)),
            Err(wrong) => problems.push(problem("DD_APM_UNIX_RECEIVER_FD", number, wrong)),
        }
    }
    taken
}

fn problem(variable: &str, number: RawFd, wrong: &str) -> String {
    format!(
        "invalid {variable}: the open file {number} {wrong}, opening a socket as without it; pass a listening socket on, or unset the variable"
    )
}

fn take(number: RawFd, families: &[AddressFamily]) -> Result<OwnedFd, &'static str> {
    if !is_open(number) {
        return Err("does not exist");
    }
    #[expect(unsafe_code, reason = "a number that is an open file")]
    // SAFETY: it is open, and nothing in this process closes it while this function runs: only the main thread has one to close.
    let file = unsafe { BorrowedFd::borrow_raw(number) };
    let family = getsockname::<SockaddrStorage>(file.as_raw_fd()).ok().and_then(|at| at.family());
    let is_of_family = family.is_some_and(|family| families.contains(&family));
    let is_stream = getsockopt(&file, TypeOf) == Ok(SockType::Stream);
    if !is_of_family || !is_stream || getsockopt(&file, AcceptConn) != Ok(true) {
        return Err("is not such a listening socket");
    }
    prepare(file).map_err(|_| "can't be made non-blocking")?;
    #[expect(unsafe_code, reason = "it is taken over from whoever started us")]
    // SAFETY: it is a listening socket, of which this process has opened none yet, and its type or family keeps it from being taken twice.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn prepare(file: BorrowedFd<'_>) -> Result<(), Errno> {
    let file = file.as_fd();
    fcntl(file, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    fcntl(file, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}

#[expect(unsafe_code, reason = "a number that may be no open file cannot be borrowed")]
fn is_open(number: RawFd) -> bool {
    // SAFETY: it asks for the flags of a number and changes nothing.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::{AsRawFd, IntoRawFd};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::time::Duration;

    use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

    use super::{RawFd, Settings, Taken, listeners};
    use crate::intake::Inherited;

    fn take(tcp: Option<RawFd>, unix: Option<RawFd>, port: u16) -> (Taken, Vec<String>) {
        let settings = Settings {
            hosts: Vec::new(),
            port,
            socket: None,
            enabled: true,
            receive_timeout: Duration::from_secs(5),
            connections_max: 10,
            body_bytes_max: 1000,
            inherited: Inherited { tcp, unix },
        };
        let mut problems = Vec::new();
        (listeners(&settings, &mut problems), problems)
    }

    #[test]
    fn listening_sockets_are_taken_over_and_kept_from_the_child() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let unix = UnixListener::bind(&path).unwrap();
        fcntl(&tcp, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let (taken, problems) = take(Some(tcp.into_raw_fd()), Some(unix.into_raw_fd()), 8126);
        assert!(problems.is_empty(), "{problems:?}");
        let (tcp, unix) = (taken.tcp.unwrap(), taken.unix.unwrap());
        assert_eq!(fcntl(&tcp, FcntlArg::F_GETFD).unwrap(), FdFlag::FD_CLOEXEC.bits());
        let flags = OFlag::from_bits_retain(fcntl(&unix, FcntlArg::F_GETFL).unwrap());
        assert!(flags.contains(OFlag::O_NONBLOCK));
        let _clients = (TcpStream::connect(address).unwrap(), UnixStream::connect(&path).unwrap());
        assert!(tcp.accept().is_ok() && unix.accept().is_ok());
    }

    #[test]
    fn what_is_no_such_socket_is_left_alone_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        let unix = UnixListener::bind(folder.path().join("socket")).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let of = |fd: &dyn AsRawFd| Some(fd.as_raw_fd());
        for wrong in [of(&stream), of(&unix), of(&udp), of(&file), Some(9_999)] {
            let (taken, problems) = take(wrong, None, 8126);
            assert!(taken.tcp.is_none() && problems.len() == 1, "{problems:?}");
            let begin =
                format!("invalid DD_APM_NET_RECEIVER_FD: the open file {} ", wrong.unwrap());
            assert!(problems[0].starts_with(&begin), "{problems:?}");
        }
        let (taken, problems) = take(None, of(&tcp), 8126);
        assert!(taken.unix.is_none() && problems[0].contains("is not such a listening socket"));
        // Where TCP is switched off, it stays so.
        let (taken, problems) = take(of(&tcp), None, 0);
        assert!(taken.tcp.is_none() && problems.is_empty(), "{problems:?}");
        assert!(tcp.local_addr().is_ok() && unix.local_addr().is_ok());
    }
}
