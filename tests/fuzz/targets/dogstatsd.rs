//! DogStatsD packets: whatever they hold, every line of them is counted, and of every sample it is known what became of it.

use pillion::dogstatsd::{Inlet, Manner, Settings};
use pillion::ledger::Ledger;
use pillion::metrics::{self, Aggregator, OpenBuckets};

use super::chosen;

/// The first byte chooses how the packet came.
pub(super) const PACKETS: &[&str] = &[
    "\0orders:1:2|c|@0.5|#k:v,host:box|c:ci-1|e:it-false|card:high",
    "\0a.b:1.5|g|T1700000000\nc:1e3|h\nd:2|ms|#x\ne:a:b|s\n",
    "\u{1}size:7|d|@0.1\n_e{4,6}:boom|a\\nb c|t:error|p:low|h:x|k:y|s:z|d:12|#a:b\n",
    "\u{2}_sc|db.up|2|d:12|h:box|#a:b|m:down",
];

pub(super) fn packet(data: &[u8]) {
    const NOW_S: u64 = 1_700_000_000;
    let ([choice], packet) = chosen(data);
    let settings = Settings { namespace: "shop".to_owned(), ..Settings::default() };
    let (mut inlet, problems) = Inlet::new(&settings);
    assert!(problems.is_empty());
    let mut aggregator = Aggregator::new(metrics::Settings::default());
    let manner = Manner { is_cut_off: choice & 1 != 0, needs_line_feed: choice & 2 != 0 };
    let ledger = Ledger::default();
    inlet.packet(&mut packet.to_vec(), manner, &mut aggregator, NOW_S);
    inlet.settle(&ledger);
    aggregator.flush(NOW_S + 1, OpenBuckets::Flush, &mut |_| {});
    aggregator.settle(&ledger);
    let flows = [&ledger.samples, &ledger.events, &ledger.checks].map(|flow| flow.read());
    let lines = packet.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    let received: u64 = flows.iter().map(|read| read.received).sum();
    assert!(received >= lines as u64, "{received} of {lines} lines");
    assert_eq!(flows[0].held(), 0, "{flows:?}");
}
