//! The copying threads with pipes at both ends, without a child.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::streams::Streams;
use super::{Output, Unwritten};
use crate::ring::{self, Half, Ring};

/// What is captured, with the ends that a child and a platform have.
struct Fixture {
    output: Output,
    ring: Arc<Ring>,
    app: File,
    platform: PipeReader,
}

impl Fixture {
    fn new() -> Self {
        let (platform, to) = io::pipe().unwrap();
        let ring = Arc::new(Ring::new(4 << 20));
        let streams = Streams { stdout: Some(to.into()), stderr: None, is_one: true };
        let mut output = Output::of(&streams, &ring).unwrap().unwrap();
        drop(streams);
        let [Some(one), Some(other)] = &output.for_child else { panic!("it is both") };
        assert!(Arc::ptr_eq(one, other));
        let app = File::from(OwnedFd::try_clone(one).unwrap());
        output.spawned();
        Self { output, ring, app, platform }
    }

    fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.platform.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// What was handed over for the logs.
    fn copied(&self) -> Vec<u8> {
        let mut half = Half::default();
        self.ring.take(&mut half);
        half.pieces()
            .flat_map(|piece| {
                assert_eq!(piece.output, ring::Output::Stdout);
                piece.bytes.to_vec()
            })
            .collect()
    }

    fn drain(&mut self, time: Duration) -> bool {
        self.output.drain(Instant::now() + time)
    }
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn bytes_go_on_at_once_and_are_copied() {
    let mut fixture = Fixture::new();
    for number in 0..100 {
        let text = format!("line {number}\n");
        fixture.app.write_all(text.as_bytes()).unwrap();
        assert_eq!(fixture.read(text.len()), text.as_bytes());
    }
    assert!(fixture.drain(LONG));
    assert_eq!(fixture.copied().len(), 690 + 100);
    assert_eq!(fixture.output.unwritten(), Unwritten::default());
}

#[test]
fn the_end_is_not_waited_for_and_what_comes_after_it_goes_on() {
    let mut fixture = Fixture::new();
    fixture.app.write_all(b"before").unwrap();
    // The end of the pipe that the app has is still open.
    assert!(fixture.drain(LONG));
    assert_eq!(fixture.copied(), b"before");
    fixture.app.write_all(b" after").unwrap();
    assert_eq!(fixture.read(12), b"before after");
}

#[test]
fn a_reader_that_is_gone_is_gone_for_the_app_too() {
    let mut fixture = Fixture::new();
    fixture.app.write_all(b"read").unwrap();
    assert_eq!(fixture.read(4), b"read");
    let (other, _) = io::pipe().unwrap();
    drop(std::mem::replace(&mut fixture.platform, other));
    let given_up = Instant::now() + LONG;
    let error = loop {
        assert!(Instant::now() < given_up);
        if let Err(error) = fixture.app.write_all(b"again") {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert!(fixture.drain(LONG));
    assert!(fixture.copied().starts_with(b"readagain"));
}

#[test]
fn a_reader_that_is_stuck_is_waited_for_until_the_deadline_only() {
    const BYTES: usize = 700_000;
    let mut fixture = Fixture::new();
    fixture.app.write_all(&vec![b'x'; BYTES]).unwrap();
    assert!(!fixture.drain(Duration::from_millis(50)));
    let stuck = fixture.output.unwritten().stuck;
    // The platform's pipe has 64 KiB, and of what is in our hand all counts.
    assert!((BYTES - 64 * 1024..=BYTES).contains(&stuck), "{stuck}");
    assert_eq!(fixture.read(BYTES), vec![b'x'; BYTES]);
    assert!(fixture.drain(LONG));
    assert_eq!(fixture.output.unwritten(), Unwritten::default());
    assert_eq!(fixture.copied().len(), BYTES);
}
