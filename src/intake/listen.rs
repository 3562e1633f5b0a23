//! Where tracers connect: bound before the app is spawned, so that a tracer that connects early waits in the backlog and is never refused.

use std::net::SocketAddr;

use nix::errno::Errno;

use crate::intake::{Settings, inherit};
use crate::server::{self, Listeners};

/// Binds what the settings ask for, or takes over what was opened for us in its place. What could not be bound is one line each, for the user;
/// the rest listens all the same.
pub fn bind(settings: &Settings) -> (Listeners, Vec<String>) {
    let (mut listeners, mut problems) = (Listeners::default(), Vec::new());
    if !settings.enabled {
        return (listeners, problems);
    }
    // First, before a number that nobody has opened could become that of a socket of ours.
    let inherited = inherit::listeners(settings, &mut problems);
    if let Some(listener) = inherited.tcp {
        listeners.take_tcp(listener);
    } else {
        let hosts = if settings.port == 0 { &[][..] } else { &settings.hosts[..] };
        let failed = server::tcp(&mut listeners, hosts, settings.port);
        problems.extend(failed.into_iter().map(|(address, error)| tcp_problem(address, error)));
    }
    if let Some(listener) = inherited.unix {
        listeners.take_unix(listener);
    } else if let Some(path) = &settings.socket
        && let Err(error) = server::unix(&mut listeners, path)
    {
        problems.push(format!(
            "cannot listen on the unix socket {}: {error}; tracers can still use TCP, or set DD_APM_RECEIVER_SOCKET to a path in an \
             existing folder",
            path.display()
        ));
    }
    (listeners, problems)
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
    use std::time::Duration;

    use super::{Errno, SocketAddr, bind, tcp_problem};
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
        assert!(first.has_unix() && problems.is_empty(), "{problems:?}");
        drop(first);
        let (second, problems) = unix(&path);
        assert!(second.has_unix() && problems.is_empty(), "{problems:?}");
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
        assert_eq!(mode & 0o777, 0o722);

        let file = folder.path().join("file");
        std::fs::write(&file, "mine").unwrap();
        let (none, problems) = unix(&file);
        assert!(
            !none.has_unix() && problems.len() == 1 && problems[0].contains("not a socket"),
            "{problems:?}"
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");

        let (none, problems) = unix(&folder.path().join("missing/apm.socket"));
        assert!(!none.has_unix() && problems.len() == 1, "{problems:?}");
    }
}
