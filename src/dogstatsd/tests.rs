//! The thread, with real sockets.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Metrics, Settings, bind};
use crate::ledger::Ledger;
use crate::metrics::{self, Aggregator, Kind, Origin, Output, Sample, Values};

struct Running {
    metrics: Metrics,
    ledger: Arc<Ledger>,
    sent: Arc<Mutex<Vec<Output>>>,
    address: std::net::SocketAddr,
}

const LONG: Duration = Duration::from_secs(20);

fn start(settings: Settings) -> Running {
    let settings =
        Settings { hosts: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)], port: Some(0), ..settings };
    let (listeners, problems) = bind(&settings);
    assert!(problems.is_empty(), "{problems:?}");
    let address = listeners.addresses()[0];
    let (ledger, sent) = (Arc::new(Ledger::default()), Arc::new(Mutex::new(Vec::new())));
    let out = Arc::clone(&sent);
    let outlet = Box::new(move |output| out.lock().unwrap().push(output));
    let aggregator = Aggregator::new(metrics::Settings::default());
    let metrics =
        Metrics::start(listeners, settings, aggregator, Arc::clone(&ledger), outlet).unwrap();
    Running { metrics, ledger, sent, address }
}

impl Running {
    fn client(&self) -> UdpSocket {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(self.address).unwrap();
        client
    }

    fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let until = Instant::now() + LONG;
        while !is_so(self) {
            assert!(Instant::now() < until, "{what}: {:?}", self.ledger);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn stop(&self) {
        let until = Instant::now() + LONG;
        self.metrics.begin_stop(until);
        assert!(self.metrics.wait(until));
    }

    /// All that was handed out, as text with its strings in it.
    fn text(&self) -> String {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|output| String::from_utf8_lossy(&output.body).into_owned()).collect()
    }
}

#[test]
fn what_is_in_the_buffers_at_the_end_is_read_and_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (datagram, stream) = (folder.path().join("datagram"), folder.path().join("stream"));
    let running = start(Settings {
        socket: Some(datagram.clone()),
        is_socket_asked_for: true,
        stream_socket: Some(stream.clone()),
        ..Settings::default()
    });
    let mut connection = UnixStream::connect(stream).unwrap();
    running.client().send(b"by.udp:1|c").unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"by.unix:1|c\n", datagram).unwrap();
    connection.write_all(b"\x0c\0\0\0by.stream:1|").unwrap();
    connection.write_all(b"\x00\0\0\0\x0d\0\0\0by.stream:1|c").unwrap();
    running.stop();
    let text = running.text();
    for name in ["by.udp", "by.unix", "by.stream"] {
        assert!(text.contains(name), "{name}: {text}");
    }
    let samples = running.ledger.samples.read();
    assert_eq!(
        (samples.received, samples.aggregated, samples.rejected, samples.held()),
        (4, 3, 1, 0)
    );
}

#[test]
fn events_and_checks_leave_soon_and_metrics_when_their_bucket_has_ended() {
    let running = start(Settings::default());
    running.client().send(b"_sc|up|0\n_e{1,1}:a|b").unwrap();
    running
        .wait_for("they leave within about a second", |running| running.text().contains("\"up\""));
    let samples = [4.0];
    running.metrics.add(|aggregator, now_s| {
        let sample = Sample {
            name: "own.metric",
            kind: Kind::Gauge,
            values: Values::Numbers(&samples),
            rate: 1.0,
            timestamp_s: Some(now_s),
            tags: &[],
            origin: Origin::Custom,
        };
        aggregator.sample(&sample, now_s);
    });
    running
        .wait_for("what others add leaves, too", |running| running.text().contains("own.metric"));
    running.stop();
}

#[test]
fn what_others_add_leaves_in_time_whether_it_wakes_the_thread_or_not() {
    let running = start(Settings::default());
    let add = |name: &str, has_time: bool| {
        running.metrics.add(|aggregator, now_s| {
            let sample = Sample {
                name,
                kind: Kind::Gauge,
                values: Values::Numbers(&[1.0]),
                rate: 1.0,
                timestamp_s: has_time.then_some(now_s),
                tags: &[],
                origin: Origin::Custom,
            };
            aggregator.sample(&sample, now_s);
        });
    };
    // The first wakes it, the second finds a flush that is due, and the third is due sooner.
    add("first", false);
    add("second", false);
    add("third", true);
    running.wait_for("the third leaves", |running| running.text().contains("third"));
    let is_there = |name: &'static str| move |running: &Running| running.text().contains(name);
    running.wait_for("the first leaves", is_there("first"));
    running.wait_for("the second leaves", is_there("second"));
    add("fourth", false);
    running.wait_for("the fourth leaves", is_there("fourth"));
    running.stop();
}

#[test]
fn a_flood_is_taken_or_counted_as_dropped_by_the_kernel() {
    let running = start(Settings { receive_buffer_bytes: 4096, ..Settings::default() });
    let client = running.client();
    let packets = 20_000;
    for _ in 0..packets {
        client.send(b"flood:1|c|#a:b,c:d").unwrap();
    }
    running.stop();
    let samples = running.ledger.samples.read();
    assert_eq!((samples.received, samples.held()), (packets, 0), "{samples:?}");
    assert_eq!(samples.aggregated + samples.shed_total(), packets, "{samples:?}");
}

#[test]
fn a_datagram_that_is_too_long_loses_its_last_line_alone() {
    let running = start(Settings { packet_bytes_max: 32, ..Settings::default() });
    running.client().send(b"first:1|c\nsecond:1|c\nthird.is.cut:1|c").unwrap();
    running.stop();
    let text = running.text();
    assert!(text.contains("first") && text.contains("second") && !text.contains("third"), "{text}");
    let samples = running.ledger.samples.read();
    assert_eq!((samples.received, samples.rejected), (3, 1));
}

#[test]
fn packets_are_copied_to_another_server() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    other.set_read_timeout(Some(LONG)).unwrap();
    let port = other.local_addr().unwrap().port();
    let running =
        start(Settings { forward: Some(("127.0.0.1".to_owned(), port)), ..Settings::default() });
    running.client().send(b"a:1|c\nbad\xff").unwrap();
    let mut bytes = [0; 100];
    let length = other.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"a:1|c\nbad\xff");
    running.stop();
}

#[test]
fn many_streams_are_read_beside_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream");
    let running = start(Settings { stream_socket: Some(path.clone()), ..Settings::default() });
    let mut connections: Vec<UnixStream> =
        (0..40).map(|_| UnixStream::connect(&path).unwrap()).collect();
    for _ in 0..10 {
        for connection in &mut connections {
            connection.write_all(b"\x06\0\0\0a:1|c\n").unwrap();
        }
    }
    let received = |running: &Running| running.ledger.samples.read().received;
    running.wait_for("all frames are read", |running| received(running) == 400);
    connections.pop().unwrap().write_all(b"\xff\xff\xff\xff").unwrap();
    running.wait_for("a frame that is too long is counted", |running| received(running) == 401);
    drop(connections);
    running.stop();
    assert_eq!(running.ledger.samples.read().aggregated, 400);
}
