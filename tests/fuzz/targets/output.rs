//! The app's output on its way into batches: cut anywhere, with gaps, and read again by another parser.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use pillion::ledger::Ledger;
use pillion::logs::{Settings, Stages};
use pillion::relay::Payload;
use pillion::ring::{Output, Ring};

use super::chosen;

pub(super) const TEXTS: &[&str] = &[
    "\u{1}\u{3}\u{0}a line\nanother \"line\" \\ \t\r\n  \n{\"level\":\"warn\",\"message\":\"m\"}\nunfinished",
    "\u{40}\u{1}\u{1}\u{e4}\u{20ac}\u{1f600}\n\u{0}\u{1}\u{1f}\u{7f}\n",
    "\u{10}\u{8}\u{2}a long line that is cut in pieces, and again, and once more\nb\n",
];

/// The first byte is the length of pieces, the second that of lines, the third the size of batches and of the ring.
pub(super) fn output(data: &[u8]) {
    let ([piece_len, line_len, room], text) = chosen::<3>(data);
    let ring = Arc::new(Ring::new(if room & 1 == 0 { 64 * 1024 } else { 512 }));
    let ledger = Arc::new(Ledger::default());
    let mut settings =
        Settings { line_bytes_max: usize::from(line_len) * 8, ..Settings::default() };
    settings.batch.bytes_max = 300 + usize::from(room) * 64;
    let bytes_max = settings.batch.bytes_max;
    let arrived = Rc::new(RefCell::new(0_u64));
    let (count, sent) = (Rc::clone(&arrived), Arc::clone(&ledger));
    let outlet = Box::new(move |payload: Payload| {
        assert!(payload.body.len() <= bytes_max);
        let entries: Vec<serde_json::Value> =
            serde_json::from_slice(&payload.body).expect("an array");
        assert!(
            entries.iter().all(|entry| entry["message"].as_str().is_some_and(|m| !m.is_empty()))
        );
        let lines: u64 = payload.parts.iter().map(|part| part.counts.log_lines).sum();
        assert_eq!((lines, entries.len() as u64), (payload.counts.log_lines, lines));
        *count.borrow_mut() += lines;
        sent.sent(payload.counts);
        payload.body
    });
    let mut stages =
        Stages::new(&settings, |_| None, Arc::clone(&ring), Arc::clone(&ledger), outlet);
    for (now_ms, piece) in (0..).zip(text.chunks(usize::from(piece_len).max(1))) {
        let stream = if now_ms % 5 == 3 { Output::Stderr } else { Output::Stdout };
        ring.push(stream, piece, now_ms);
        if now_ms % 3 == 0 {
            stages.take(now_ms);
        }
    }
    stages.finish(0);
    let lines = ledger.log_lines.read();
    assert_eq!((lines.held(), lines.sent), (0, *arrived.borrow()));
}
