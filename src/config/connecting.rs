//! The settings of connections: those to the intake, and those of tracers that somebody else has opened the door for.

use std::os::fd::RawFd;
use std::time::Duration;

use super::keys::{self, Key};
use super::parse::{self, Wrong};
use super::read::Reader;
use crate::intake::Inherited;
use crate::limits::CONNECTIONS_MAX as CONNECTIONS_DEFAULT;
use crate::relay::{Connecting, TlsMin};

/// The oldest TLS.
pub const TLS_MIN: Key = Key {
    names: &["DD_MIN_TLS_VERSION"],
    yaml: &["min_tls_version"],
    default: "tlsv1.2",
    meaning: "The oldest TLS to speak with the intake, `tlsv1.2` or `tlsv1.3`. Older ones count as `tlsv1.2`: they are not spoken.",
};
/// The time to connect.
pub const TIMEOUT: Key = Key {
    names: &["DD_TLS_HANDSHAKE_TIMEOUT"],
    yaml: &["tls_handshake_timeout"],
    default: "10s",
    meaning: "Time for connecting to the intake, proxy and TLS included. A request has ten seconds in all, so a longer time has no effect.",
};
/// The life of connections.
pub const RESET_INTERVAL: Key = Key {
    names: &["DD_APM_CONNECTION_RESET_INTERVAL"],
    yaml: &["apm_config.connection_reset_interval"],
    default: "0",
    meaning: "Seconds after which new connections to the intake replace the old ones, for a relay of your own behind a load balancer. 0: they \
              are used as long as they work.",
};
/// Connections of tracers.
pub const CONNECTIONS_MAX: Key = Key {
    names: &["DD_APM_MAX_CONNECTIONS"],
    yaml: &["apm_config.max_connections"],
    default: "",
    meaning: "The same; where both are set, the smaller number counts.",
};
/// Inherited sockets or none.
pub const ACTIVATION: Key = Key {
    names: &["DD_APM_SOCKET_ACTIVATION_ENABLED"],
    yaml: &["apm_config.socket_activation.enabled"],
    default: "true",
    meaning: "Use the listening sockets that the next two name.",
};
/// An inherited TCP socket.
pub const TCP_DESCRIPTOR: Key = Key {
    names: &["DD_APM_NET_RECEIVER_FD"],
    yaml: &[],
    default: "",
    meaning: "The number of an open file that is a TCP socket and listens, for what starts pillion with the port already open. It takes the \
              place of the port above; where it can't be used, that is said and the port is opened as usual.",
};
/// An inherited unix socket.
pub const UNIX_DESCRIPTOR: Key = Key {
    names: &["DD_APM_UNIX_RECEIVER_FD"],
    yaml: &[],
    default: "",
    meaning: "The same for a unix socket. Its file stays when pillion ends.",
};

/// A connection can't take longer to make than this and be worth waiting for.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// A day.
const RESET_INTERVAL_MAX: Duration = Duration::from_secs(86_400);

impl Reader<'_> {
    /// How the intake is connected to.
    pub(super) fn connecting(&mut self) -> Connecting {
        let default = Connecting::default();
        Connecting {
            tls_min: self.take(&TLS_MIN, default.tls_min, tls_version),
            timeout: self.take(&TIMEOUT, default.timeout, |text| {
                parse::duration_within(text, Duration::from_millis(1), TIMEOUT_MAX)
            }),
            reset_interval: self.take(&RESET_INTERVAL, None, |text| {
                let time = parse::duration_within(text, Duration::ZERO, RESET_INTERVAL_MAX)?;
                Ok((!time.is_zero()).then_some(time))
            }),
        }
    }

    /// The agent's two limits, of which one counts connections in half a minute and the other those at once: here both are of those at once.
    pub(super) fn connections_max(&mut self) -> usize {
        let limits =
            [&keys::CONNECTIONS, &CONNECTIONS_MAX].map(|key| self.optional(key, parse::count));
        limits.into_iter().flatten().min().unwrap_or(CONNECTIONS_DEFAULT)
    }

    /// The sockets that somebody else has opened.
    pub(super) fn inherited(&mut self) -> Inherited {
        let tcp = self.optional(&TCP_DESCRIPTOR, descriptor);
        let unix = self.optional(&UNIX_DESCRIPTOR, descriptor);
        if self.take(&ACTIVATION, true, parse::boolean) {
            Inherited { tcp, unix }
        } else {
            Inherited::default()
        }
    }
}

fn tls_version(text: &str) -> Result<TlsMin, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "tlsv1.0" | "tlsv1.1" | "tlsv1.2" => Ok(TlsMin::V12),
        "tlsv1.3" => Ok(TlsMin::V13),
        _ => Err("is not one of tlsv1.2, tlsv1.3".to_owned()),
    }
}

/// A number above those of the standard files.
fn descriptor(text: &str) -> Result<RawFd, Wrong> {
    match text.parse() {
        Ok(number) if number > 2 => Ok(number),
        _ => Err("is not the number of an open file above 2".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Env, Mode, Settings, read};
    use super::{Connecting, Inherited, TlsMin};

    fn of(pairs: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let (settings, problems) = read(&Env::of(pairs), Mode::Wrapper);
        (settings, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn connections_to_the_intake_can_be_set() {
        let connecting = |pairs: &[(&str, &str)]| {
            let (settings, problems) = of(pairs);
            assert!(problems.is_empty(), "{problems:?}");
            settings.relay.connecting
        };
        let default = Connecting::default();
        assert_eq!(connecting(&[]), default);
        for (text, tls_min) in
            [("tlsv1.0", TlsMin::V12), ("TLSv1.2", TlsMin::V12), ("tlsv1.3", TlsMin::V13)]
        {
            assert_eq!(connecting(&[("DD_MIN_TLS_VERSION", text)]).tls_min, tls_min, "{text}");
        }
        let timeout = Duration::from_millis(1500);
        assert_eq!(
            connecting(&[("DD_TLS_HANDSHAKE_TIMEOUT", "1.5s")]),
            Connecting { timeout, ..default }
        );
        for (text, reset_interval) in [("0", None), ("30", Some(Duration::from_secs(30)))] {
            assert_eq!(
                connecting(&[("DD_APM_CONNECTION_RESET_INTERVAL", text)]),
                Connecting { reset_interval, ..default }
            );
        }
    }

    #[test]
    fn of_two_limits_the_smaller_counts() {
        let max = |pairs: &[(&str, &str)]| of(pairs).0.intake.connections_max;
        let (limit, own) = ("DD_APM_CONNECTION_LIMIT", "DD_APM_MAX_CONNECTIONS");
        assert_eq!(max(&[]), 2000);
        assert_eq!(max(&[(own, "5000")]), 5000);
        assert_eq!(max(&[(limit, "7"), (own, "9")]), 7);
        assert_eq!(max(&[(limit, "9"), (own, "7")]), 7);
        assert_eq!(max(&[(limit, "9"), (own, "0")]), 9);
    }

    #[test]
    fn inherited_sockets_are_numbers_and_can_be_switched_off() {
        let (tcp, unix) = (("DD_APM_NET_RECEIVER_FD", "3"), ("DD_APM_UNIX_RECEIVER_FD", "4"));
        let inherited = |pairs: &[(&str, &str)]| of(pairs).0.intake.inherited;
        assert_eq!(inherited(&[tcp, unix]), Inherited { tcp: Some(3), unix: Some(4) });
        let off = ("DD_APM_SOCKET_ACTIVATION_ENABLED", "false");
        assert_eq!(inherited(&[tcp, unix, off]), Inherited::default());
        for bad in ["2", "-1", "x", "99999999999"] {
            let (settings, problems) = of(&[("DD_APM_NET_RECEIVER_FD", bad)]);
            assert_eq!(settings.intake.inherited, Inherited::default());
            assert_eq!(
                problems,
                [format!(
                    "invalid DD_APM_NET_RECEIVER_FD: {bad:?} is not the number of an open file above 2, ignoring it"
                )]
            );
        }
        let (_, problems) = of(&[("DD_MIN_TLS_VERSION", "ssl3")]);
        assert_eq!(
            problems,
            ["invalid DD_MIN_TLS_VERSION: \"ssl3\" is not one of tlsv1.2, tlsv1.3, using tlsv1.2"]
        );
    }
}
