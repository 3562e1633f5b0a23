//! At the end everything that has arrived is still served: also from the backlog, also from clients that are dead.

use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt::Linger};

use crate::support::bodies;
use crate::support::http::{Client, MSGPACK, request};
use crate::support::running_intake::{BoundIntake, RunningIntake, Wanted};

fn in_seconds(seconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(seconds))
}

#[test]
fn requests_in_the_backlog_of_clients_that_are_gone_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apm.socket");
    let bound = BoundIntake::new(Wanted { socket: Some(path.clone()), ..Wanted::default() });
    let request = request("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(3, 10));
    for number in 0..100 {
        let mut client =
            if number % 2 == 0 { Client::tcp(bound.address) } else { Client::unix(&path) };
        client.send(&request);
    }
    let mut intake = bound.serve(in_seconds(20));
    intake.join();
    assert_eq!(intake.spans(), 100 * 30);
}

#[test]
fn a_client_that_resets_its_connection_is_served_what_it_sent() {
    let bound = BoundIntake::new(Wanted::default());
    let request = request("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(3, 10));
    for _ in 0..10 {
        let stream = std::net::TcpStream::connect(bound.address).unwrap();
        setsockopt(&stream, Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
        std::io::Write::write_all(&mut &stream, &request).unwrap();
    }
    let mut intake = bound.serve(in_seconds(20));
    intake.join();
    assert_eq!(intake.spans(), 10 * 30);
}

#[test]
fn what_arrives_before_the_end_on_open_connections_is_served() {
    let mut intake = RunningIntake::new();
    let mut clients: Vec<_> = (0..50).map(|_| Client::tcp(intake.address)).collect();
    for client in &mut clients {
        assert_eq!(client.ask("GET", "/info", &[], b"").status, 200);
    }
    for client in &mut clients {
        client.send(&request("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(2, 10)));
    }
    intake.stop(Duration::from_secs(20));
    assert_eq!(intake.spans(), 50 * 20);
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
        assert!(client.rest().is_empty());
    }
}

#[test]
fn a_large_body_whose_sender_died_is_read_to_its_end() {
    let mut intake = RunningIntake::new();
    let mut body = bodies::v04(10, 10);
    body.resize(20_000_000, 0);
    let address = intake.address;
    // The kernel goes on sending what a dead process has written.
    let sender = std::thread::spawn(move || {
        Client::tcp(address).send(&request("POST", "/v0.4/traces", &[MSGPACK], &body))
    });
    sender.join().unwrap();
    intake.stop(Duration::from_secs(20));
    assert_eq!(intake.spans(), 100);
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let mut intake = RunningIntake::new();
    let mut clients: Vec<_> = (0..20).map(|_| Client::tcp(intake.address)).collect();
    for client in clients.iter_mut().take(10) {
        assert_eq!(client.ask("GET", "/info", &[], b"").status, 200);
    }
    let took = intake.stop(Duration::from_secs(20));
    assert!(took < Duration::from_millis(500), "{took:?}");
    for client in &mut clients {
        assert!(client.rest().is_empty());
    }
}

#[test]
fn a_client_that_stalls_in_a_request_holds_up_the_end_for_a_moment_only() {
    let mut intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    assert_eq!(client.ask("GET", "/info", &[], b"").status, 200);
    client.send(b"POST /v0.4/traces HTTP/1.1\r\nContent-Length: 100\r\n\r\nsome");
    let took = intake.stop(Duration::from_secs(20));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_client_that_goes_on_sending_may_finish() {
    let mut intake = RunningIntake::new();
    let request = request("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(100, 10));
    let mut client = Client::tcp(intake.address);
    client.send(&request[..1000]);
    let sender = std::thread::spawn(move || {
        for piece in request[1000..].chunks(request.len() / 20) {
            std::thread::sleep(Duration::from_millis(10));
            client.send(piece);
        }
        client.answer().status
    });
    intake.stop(Duration::from_secs(20));
    assert_eq!((sender.join().unwrap(), intake.spans()), (200, 1000));
}

#[test]
fn a_client_that_never_ends_leaves_half_of_the_time_for_delivering() {
    let mut intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    client.send(b"POST /v0.4/traces HTTP/1.1\r\nContent-Length: 10000\r\n\r\n");
    let sender = std::thread::spawn(move || {
        while client.try_send(b"x") {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let took = intake.stop(Duration::from_millis(600));
    assert!((Duration::from_millis(200)..Duration::from_secs(3)).contains(&took), "{took:?}");
    sender.join().unwrap();
}
