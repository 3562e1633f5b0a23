//! The first of the README's two commands, as a person runs it: it shows the traces, leaves nothing running, and says what is in its way.

#![expect(clippy::disallowed_types, reason = "a test starts processes")]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Output};

use crate::support::wrapped::{cache, example, free_port, pillion};

fn quickstart(port: u16, intake: u16) -> Output {
    Command::new("bash")
        .arg(example("quickstart.sh"))
        .env("PILLION_BIN", pillion())
        .env("XDG_CACHE_HOME", cache())
        .env("PORT", port.to_string())
        .env("DD_APM_RECEIVER_PORT", intake.to_string())
        .output()
        .expect("there is a bash")
}

#[test]
#[ignore = "installs Flask and ddtrace: run by tests/run.sh"]
fn it_shows_the_traces_and_leaves_nothing_running_and_runs_again() {
    for _ in 0..2 {
        let (port, intake) = (free_port(), free_port());
        let output = quickstart(port, intake);
        let (said, shown) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}\n{shown}");
        for part in ["/orders/7 → 200", "/fail → 500", "/nowhere → 404", "ended with 143"] {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
        for part in ["GET /orders/<int:number>", "order 7", "ValueError: the warehouse is closed"] {
            assert!(shown.contains(part), "no {part:?} in {shown}");
        }
        for port in [port, intake] {
            assert!(
                TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(),
                "{port} is still open"
            );
        }
    }
}

#[test]
#[ignore = "belongs to the one that installs Flask: run by tests/run.sh"]
fn it_says_which_port_is_taken_and_what_to_do() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    for (port, intake, remedy) in
        [(port, free_port(), "PORT="), (free_port(), port, "DD_APM_RECEIVER_PORT=")]
    {
        let output = quickstart(port, intake);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let is_it = said.lines().count() == 1 && said.contains("is taken") && said.contains(remedy);
        assert!(is_it, "{said}");
    }
}
