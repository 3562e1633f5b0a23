//! What one client does, or how many there are, bounds what the intake holds and does not slow the others.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use pillion::ledger::Shed;

use crate::support::bodies;
use crate::support::http::{Client, MSGPACK, request};
use crate::support::running_intake::{FAULTY_SERVICE, RunningIntake, Wanted};

const LIMIT: usize = 300_000;

fn limited() -> RunningIntake {
    RunningIntake::with(Wanted { body_bytes_max: LIMIT, ..Wanted::default() })
}

fn hasty() -> RunningIntake {
    RunningIntake::with(Wanted { receive_timeout: Duration::from_millis(300), ..Wanted::default() })
}

#[test]
fn a_body_above_the_limit_is_413_and_the_connection_goes_on() {
    let intake = limited();
    let mut client = Client::tcp(intake.address);
    for size in [LIMIT + 1, 10 * LIMIT] {
        let answer = client.ask("POST", "/v0.4/traces", &[MSGPACK], &vec![0; size]);
        assert_eq!((answer.status, answer.text()), (413, "payload-too-large\n"));
        assert_eq!(answer.header("X-Content-Type-Options"), "nosniff");
    }
    let answer = client.ask("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(1, 1));
    assert_eq!((answer.status, intake.spans()), (200, 1));
}

#[test]
fn a_body_of_just_the_limit_is_read() {
    let intake = limited();
    let mut client = Client::tcp(intake.address);
    // Bytes after the value do not matter.
    let mut body = bodies::v04(10, 10);
    body.resize(LIMIT, 0);
    assert_eq!(client.ask("POST", "/v0.4/traces", &[MSGPACK], &body).status, 200);
    assert_eq!(intake.spans(), 100);
}

#[test]
fn a_chunked_body_above_the_limit_is_413_too() {
    let intake = limited();
    let mut client = Client::tcp(intake.address);
    client.send(b"PUT /v0.5/traces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..10 {
        client.send(b"c350\r\n");
        client.send(&[0; 50_000]);
        client.send(b"\r\n");
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(client.answer().status, 413);
    assert_eq!(client.ask("PUT", "/v0.4/traces", &[MSGPACK], &bodies::v04(1, 1)).status, 200);
}

#[test]
fn a_client_that_asks_before_it_sends_too_much_is_told_at_once() {
    let intake = limited();
    let mut client = Client::tcp(intake.address);
    client.send(b"PUT /v0.4/traces HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
    assert_eq!(client.answer().status, 413);
}

#[test]
fn stats_above_the_limit_are_400() {
    let intake = limited();
    let answer =
        Client::tcp(intake.address).ask("PUT", "/v0.6/stats", &[MSGPACK], &vec![0; LIMIT + 1]);
    assert_eq!((answer.status, answer.header("Content-Type")), (400, "text/plain; charset=utf-8"));
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let intake = limited();
    let mut client = Client::tcp(intake.address);
    client.try_send(format!("GET /info HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000)).as_bytes());
    assert!(client.rest().starts_with(b"HTTP/1.1 431 "));
    let mut client = Client::tcp(intake.address);
    client.try_send(format!("GET /info HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1000)).as_bytes());
    assert!(client.rest().starts_with(b"HTTP/1.1 431 "));
}

#[test]
fn what_is_not_http_is_refused() {
    let intake = limited();
    let mut client = Client::tcp(intake.address);
    client.try_send(b"\x16\x03\x01 hello\r\n\r\n");
    assert!(client.rest().starts_with(b"HTTP/1.1 400 "));
    assert_eq!(Client::tcp(intake.address).ask("GET", "/info", &[], b"").status, 200);
}

#[test]
fn a_slow_body_is_408_and_a_slow_head_is_closed() {
    let intake = hasty();
    let (mut body, mut head) = (Client::tcp(intake.address), Client::tcp(intake.address));
    let mut trickle = Client::tcp(intake.address);
    let start = Instant::now();
    body.send(b"POST /v0.4/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome");
    head.send(b"POST /v0.4/tra");
    trickle.send(b"POST /v0.4/traces HTTP/1.1\r\nContent-Length: 100000\r\n\r\n");
    let late = body.answer();
    assert_eq!((late.status, late.text(), late.header("Connection")), (408, "timeout\n", "close"));
    assert_eq!(late.header("Datadog-Agent-Version"), "7.85.2");
    assert!(start.elapsed() >= Duration::from_millis(270), "{:?}", start.elapsed());
    assert!(body.rest().is_empty() && head.rest().is_empty());
    // A byte now and then does not help: the limit is for the whole request.
    while trickle.try_send(b"x") {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[test]
fn an_idle_connection_outlives_the_time_limit() {
    let intake = hasty();
    let (mut used, mut fresh) = (Client::tcp(intake.address), Client::tcp(intake.address));
    assert_eq!(used.ask("GET", "/info", &[], b"").status, 200);
    let mut stuck = Client::tcp(intake.address);
    stuck.send(b"GET /inf");
    assert!(stuck.rest().is_empty(), "the passes have run by now");
    for client in [&mut used, &mut fresh] {
        assert_eq!(client.ask("GET", "/info", &[], b"").status, 200);
    }
}

#[test]
fn two_hundred_stuck_connections_do_not_slow_the_others() {
    let intake = RunningIntake::new();
    let mut stuck = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(intake.address).unwrap();
        let request = request("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(20, 10));
        let sent = match number % 4 {
            0 => 0,
            1 => 20,
            2 => request.len() / 2,
            _ => request.len() - 1,
        };
        stream.write_all(&request[..sent]).unwrap();
        stuck.push(stream);
    }
    let mut client = Client::tcp(intake.address);
    let mut worst = Duration::ZERO;
    for _ in 0..50 {
        let start = Instant::now();
        assert_eq!(client.ask("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(1, 10)).status, 200);
        worst = worst.max(start.elapsed());
    }
    assert!(worst < Duration::from_millis(500), "{worst:?}");
    assert_eq!(intake.spans(), 500);
}

#[test]
fn senders_that_stall_with_much_make_room_for_others() {
    // Two stalled bodies hold all that bodies may hold together; the third waits for one of them, not for ever.
    let intake = RunningIntake::with(Wanted {
        receive_timeout: Duration::from_secs(2),
        ..Wanted::default()
    });
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let mut client = Client::tcp(intake.address);
        client.send(
            format!("POST /v0.4/traces HTTP/1.1\r\nContent-Length: {}\r\n\r\n", 26_000_001)
                .as_bytes(),
        );
        client.send(&vec![0; 26_000_000]);
        stalled.push(client);
    }
    let mut body = bodies::v04(1, 1);
    body.resize(26_000_000, 0);
    let answer = Client::tcp(intake.address).ask("POST", "/v0.4/traces", &[MSGPACK], &body);
    assert_eq!((answer.status, intake.spans()), (200, 1));
}

#[test]
fn at_the_limit_the_longest_idle_connection_gives_way() {
    let intake = RunningIntake::with(Wanted { connections_max: 3, ..Wanted::default() });
    let mut clients: Vec<_> = (0..3).map(|_| Client::tcp(intake.address)).collect();
    for client in &mut clients {
        assert_eq!(client.ask("GET", "/info", &[], b"").status, 200);
    }
    let mut fourth = Client::tcp(intake.address);
    assert_eq!(fourth.ask("GET", "/info", &[], b"").status, 200);
    assert!(clients[0].rest().is_empty(), "the first has been idle longest");
    assert_eq!(clients[2].ask("GET", "/info", &[], b"").status, 200);
}

#[test]
fn beyond_the_limit_clients_wait_and_are_not_refused() {
    let intake = RunningIntake::with(Wanted {
        connections_max: 2,
        receive_timeout: Duration::from_millis(500),
        ..Wanted::default()
    });
    let mut busy: Vec<_> = (0..2).map(|_| Client::tcp(intake.address)).collect();
    for client in &mut busy {
        client.send(b"POST /v0.4/traces HTTP/1.1\r\nContent-Length: 10\r\n\r\n");
    }
    let mut waiting = Client::tcp(intake.address);
    // It is served once a stuck one has been given up.
    assert_eq!(waiting.ask("GET", "/info", &[], b"").status, 200);
    assert!(busy.iter_mut().any(|client| client.answer().status == 408));
}

#[test]
fn an_answer_leaves_in_one_piece() {
    // In two pieces a client waits 40 ms for its own delayed acknowledgement: 25 requests would take a second.
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    let start = Instant::now();
    for _ in 0..25 {
        assert_eq!(client.ask("PUT", "/v0.4/traces", &[MSGPACK], &bodies::v04(1, 1)).status, 200);
    }
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
}

#[test]
fn a_panic_over_a_body_is_counted_and_not_the_tracers_concern() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    let faulty = bodies::v04_of(FAULTY_SERVICE, 1, 1);
    let answer =
        client.ask("POST", "/v0.4/traces", &[MSGPACK, ("X-Datadog-Trace-Count", "7")], &faulty);
    assert_eq!(answer.status, 200);
    assert!(answer.text().starts_with("{\"rate_by_service\":"), "{answer:?}");
    assert_eq!(intake.ledger.chunks.read().shed[Shed::Fault as usize], 7);
    let before = intake.spans();
    let answer = client.ask("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(2, 5));
    assert_eq!((answer.status, intake.spans() - before), (200, 10));
}
