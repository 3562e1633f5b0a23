//! Where SDKs connect: bound before the app is spawned, so that an early span finds the port open.

use std::net::SocketAddr;

use nix::errno::Errno;

use crate::otlp::{Endpoint, Settings};
use crate::server;

/// Sockets that listen already and that nobody accepts from yet.
#[derive(Debug, Default)]
pub struct Listeners {
    pub(super) http: server::Listeners,
    pub(super) grpc: server::Listeners,
}

impl Listeners {
    /// The addresses for HTTP.
    pub fn http_addresses(&self) -> Vec<SocketAddr> {
        self.http.addresses()
    }

    /// The addresses for gRPC.
    pub fn grpc_addresses(&self) -> Vec<SocketAddr> {
        self.grpc.addresses()
    }

    /// Whether nothing listens.
    pub fn is_empty(&self) -> bool {
        self.http.is_empty() && self.grpc.is_empty()
    }
}

/// Binds what the settings ask for. An endpoint of which anything could not be bound is one line, for the user; the rest listens all the same.
pub fn bind(settings: &Settings) -> (Listeners, Vec<String>) {
    let (mut listeners, mut problems) = (Listeners::default(), Vec::new());
    for (endpoint, listeners, protocol) in [
        (&settings.http, &mut listeners.http, "HTTP"),
        (&settings.grpc, &mut listeners.grpc, "GRPC"),
    ] {
        let Some(Endpoint { hosts, port }) = endpoint else { continue };
        let failed = server::tcp(listeners, hosts, *port);
        problems.extend(failed.first().map(|(address, error)| problem(*address, *error, protocol)));
    }
    (listeners, problems)
}

fn problem(address: SocketAddr, error: Errno, protocol: &str) -> String {
    let why = match error {
        Errno::EADDRINUSE => "another process (a collector?) listens there",
        Errno::EACCES => "ports below 1024 need a privilege",
        Errno::EADDRNOTAVAIL => "this machine has no such address",
        _ => "it can't be had",
    };
    format!(
        "cannot listen on {address} for OTLP: {}; {why}: choose another one with DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_{protocol}_ENDPOINT here and \
         OTEL_EXPORTER_OTLP_ENDPOINT for the app",
        error.desc()
    )
}

#[cfg(test)]
mod tests {
    use super::{Errno, SocketAddr, problem};

    #[test]
    fn every_problem_names_its_setting() {
        let address = SocketAddr::from(([10, 1, 2, 3], 80));
        for error in [Errno::EADDRINUSE, Errno::EACCES, Errno::EADDRNOTAVAIL, Errno::EMFILE] {
            let line = problem(address, error, "GRPC");
            assert!(
                line.contains("10.1.2.3:80")
                    && line.contains("PROTOCOLS_GRPC_ENDPOINT")
                    && !line.contains('\n'),
                "{line}"
            );
        }
    }
}
