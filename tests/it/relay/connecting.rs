//! How connections are made, and how long they live.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use pillion::relay::{Connecting, Settings, TlsMin};
use rustls::version::{TLS12, TLS13};

use crate::relay::{Fixture, numbers, settings, wait_until};
use crate::support::lines;
use crate::support::recorder::Recorder;

#[test]
fn nothing_older_than_the_oldest_tls_is_spoken() {
    let connecting = |tls_min| Connecting { tls_min, ..Connecting::default() };
    for (spoken, tls_min, arrives) in [
        (&TLS12, TlsMin::V12, true),
        (&TLS13, TlsMin::V12, true),
        (&TLS13, TlsMin::V13, true),
        (&TLS12, TlsMin::V13, false),
    ] {
        let intake = Recorder::https_of(&[spoken]);
        let fixture = Fixture::start(Settings {
            ca_file: Some(intake.ca_file()),
            connecting: connecting(tls_min),
            ..settings(&intake.url())
        });
        fixture.push_number(1);
        if arrives {
            fixture.flush();
            assert_eq!(numbers(&intake), [1], "{spoken:?} {tls_min:?}");
        } else {
            let host = format!("localhost:{}", intake.address().port());
            wait_until("a warning", || lines::with(&host).iter().any(|line| line.contains("WARN")));
            assert!(intake.requests().is_empty(), "{spoken:?} {tls_min:?}");
        }
    }
}

#[test]
fn connecting_ends_after_its_own_time() {
    // It listens, and never says a word of TLS.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let connecting = Connecting { timeout: Duration::from_millis(50), ..Connecting::default() };
    let fixture =
        Fixture::start(Settings { connecting, ..settings(&format!("https://{address}")) });
    fixture.push_number(1);
    wait_until("a warning", || {
        lines::with(&address.to_string())
            .iter()
            .any(|own| own.contains("no connection within 0.05 s"))
    });
}

#[test]
fn connections_are_replaced_when_they_are_old() {
    let interval = Duration::from_millis(200);
    for (reset_interval, expect) in [(None, 1), (Some(interval), 2)] {
        let intake = Recorder::http();
        let connecting = Connecting { reset_interval, ..Connecting::default() };
        let fixture = Fixture::start(Settings { connecting, ..settings(&intake.url()) });
        fixture.push_number(1);
        fixture.flush();
        thread::sleep(interval);
        fixture.push_number(2);
        fixture.flush();
        let connections: Vec<_> =
            intake.requests().iter().map(|request| request.connection).collect();
        let mut different = connections.clone();
        different.dedup();
        assert_eq!((connections.len(), different.len()), (2, expect), "{reset_interval:?}");
    }
}
