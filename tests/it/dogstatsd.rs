//! Metrics from the app to the intake, through the real binary: every way in, and a balanced account at the end.

use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::recorder::Recorder;
use crate::support::wrapped::{Wrapped, free_port, pillion, wait_until};

/// Starts an app that sleeps, with metrics on this UDP port and in this folder.
fn start(intake: &Recorder, port: u16, folder: &Path, env: &[(&str, &str)]) -> Wrapped {
    let (port, url, pillion) = (port.to_string(), intake.url(), pillion());
    let (datagram, stream) = (folder.join("datagram"), folder.join("stream"));
    let mut all = vec![
        ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
        ("DD_DD_URL", url.as_str()),
        ("DD_APM_RECEIVER_PORT", "0"),
        ("DD_LOG_LEVEL", "info"),
        ("DD_DOGSTATSD_PORT", port.as_str()),
        ("DD_DOGSTATSD_SOCKET", datagram.to_str().unwrap()),
        ("DD_DOGSTATSD_STREAM_SOCKET", stream.to_str().unwrap()),
    ];
    all.extend(env);
    let wrapped =
        Wrapped::start(&[pillion.to_str().unwrap(), "sleep", "60"], Path::new("/bin"), &all);
    wait_until("it listens", || UnixStream::connect(&stream).is_ok());
    wrapped
}

#[test]
fn what_comes_by_every_way_arrives_at_the_end_with_all_tags() {
    let (intake, port, folder) = (Recorder::http(), free_port(), tempfile::tempdir().unwrap());
    let env = [
        ("DD_TAGS", "team:web"),
        ("DD_DOGSTATSD_TAGS", "own:1"),
        ("DD_STATSD_METRIC_NAMESPACE", "shop"),
    ];
    let mut wrapped = start(&intake, port, folder.path(), &env);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.send_to(b"orders:1:2|c|#k:v\ntook:3:5|h\nsize:7|d|#k:v", ("127.0.0.1", port)).unwrap();
    let unix = UnixDatagram::unbound().unwrap();
    unix.send_to(b"queue:4|g\n_sc|db.up|2|m:down", folder.path().join("datagram")).unwrap();
    let mut stream = UnixStream::connect(folder.path().join("stream")).unwrap();
    stream.write_all(b"\x1b\0\0\0users:a|s\n_e{4,4}:boom|text").unwrap();
    wrapped.signal(Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(143));

    let mut series = intake.series();
    series.sort_by(|a, b| a.metric.cmp(&b.metric));
    let of = |name: &str| {
        let found = series.iter().find(|series| series.metric == name);
        found.unwrap_or_else(|| panic!("no {name}: {series:?}"))
    };
    let value = |name: &str| of(name).points[0].value;
    assert_eq!(value("shop.orders"), 0.3);
    assert_eq!((value("shop.took.avg"), value("shop.took.count")), (4.0, 0.2));
    assert_eq!((value("shop.queue"), value("shop.users")), (4.0, 1.0));
    assert_eq!(of("shop.orders").tags, ["k:v", "local:true", "own:1", "team:web"]);
    let sketches = intake.sketches();
    assert_eq!(
        (sketches.len(), sketches[0].metric.as_str(), sketches[0].dogsketches[0].sum),
        (1, "shop.size", 7.0)
    );
    assert_eq!(intake.service_checks()[0]["message"], "down");
    assert_eq!(intake.events()[0]["events"]["api"][0]["msg_title"], "boom");
    let stderr = wrapped.stderr();
    assert!(stderr.contains("metric samples: 7 received, 7 aggregated"), "{stderr}");
    assert!(!stderr.contains("lost"), "{stderr}");
}

#[test]
fn a_taken_port_and_bad_lines_are_said_and_stop_nothing() {
    let (intake, folder) = (Recorder::http(), tempfile::tempdir().unwrap());
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut wrapped = start(&intake, port, folder.path(), &[]);
    let unix = UnixDatagram::unbound().unwrap();
    for _ in 0..9 {
        unix.send_to(b"nonsense\ngood:1|c", folder.path().join("datagram")).unwrap();
    }
    wrapped.signal(Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(143));
    assert_eq!(intake.series()[0].points[0].value, 0.9);
    let stderr = wrapped.stderr();
    assert_eq!(stderr.matches("cannot take metrics on UDP 127.0.0.1").count(), 1, "{stderr}");
    assert_eq!(stderr.matches("a DogStatsD line was rejected").count(), 1, "{stderr}");
    assert!(stderr.contains("18 received, 9 aggregated, 9 rejected"), "{stderr}");
}

#[test]
fn what_the_kernel_has_no_room_for_is_counted_and_said() {
    const PACKETS: u64 = 20_000;
    let (intake, port, folder) = (Recorder::http(), free_port(), tempfile::tempdir().unwrap());
    let env = [("DD_DOGSTATSD_SO_RCVBUF", "4096")];
    let mut wrapped = start(&intake, port, folder.path(), &env);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    // It does not run meanwhile, so that the buffer fills.
    wrapped.signal(Signal::SIGSTOP);
    for _ in 0..PACKETS {
        udp.send_to(b"orders:1|c", ("127.0.0.1", port)).unwrap();
    }
    wrapped.signal(Signal::SIGCONT);
    wrapped.signal(Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(143));
    let stderr = wrapped.stderr();
    let samples = stderr.split("metric samples: ").nth(1).unwrap_or_else(|| panic!("{stderr}"));
    let before = |word: &str| -> u64 {
        let text = samples.split(word).next().unwrap();
        text.rsplit([' ', '(']).next().unwrap().parse().unwrap_or_else(|_| panic!("{stderr}"))
    };
    let lost = before(" no room in a socket's buffer");
    assert_eq!(before(" received"), PACKETS, "{stderr}");
    assert!(lost > 0 && before(" aggregated") + lost == PACKETS, "{stderr}");
}
