//! The figures as a table of Markdown, and their place in BENCHMARKS.md.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::runs::{Ended, Healthy, Idle, Trouble};

/// What was measured of one peer.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) idle: Idle,
    pub(crate) one: Healthy,
    pub(crate) four: Healthy,
    pub(crate) small: Healthy,
    pub(crate) v05: Option<Healthy>,
    pub(crate) v10: Option<Healthy>,
    pub(crate) minute: Healthy,
    pub(crate) ended: Ended,
    pub(crate) down: Trouble,
    pub(crate) down_paced: Trouble,
    pub(crate) slow: Trouble,
    pub(crate) slow_closed: Trouble,
}

/// One row: what is measured, what shall be reached, and how the figure is read from a column.
type Row = (&'static str, &'static str, fn(&Column) -> String);

const ROWS: [Row; 25] = [
    ("CPU per span, one connection", "≤ 1.5 µs", |own| micros_per(&own.one)),
    ("CPU per span, four connections", "≤ 1.5 µs", |own| micros_per(&own.four)),
    ("CPU per request of 10 spans", "≤ 30 µs", |own| {
        format!("{:.1} µs", per(own.small.cpu, own.small.requests))
    }),
    ("CPU per span, v0.5 bodies", "", |own| optional(own.v05.as_ref().map(micros_per))),
    ("the same to v0.4", "≤ 0.8", |own| optional(own.v05.as_ref().map(|run| to_v04(own, run)))),
    ("CPU per span, v1.0 bodies", "", |own| optional(own.v10.as_ref().map(micros_per))),
    ("the same to v0.4", "≤ 0.8", |own| optional(own.v10.as_ref().map(|run| to_v04(own, run)))),
    ("bytes on the wire per span", "≤ 48", |own| {
        format!("{:.1}", ratio(own.one.wire_bytes, own.one.delivered))
    }),
    ("spans per second, one connection", "", |own| rate(&own.one)),
    ("spans per second, four connections", "≥ 400,000", |own| rate(&own.four)),
    ("requests of 10 spans per second, one connection", "", |own| {
        format!("{:.0}", own.small.requests as f64 / own.small.elapsed.as_secs_f64())
    }),
    ("peak RSS, four connections", "≤ 40 MB", |own| megabytes(own.four.peak)),
    ("peak RSS, four connections for 60 s", "≤ 48 MB", |own| megabytes(own.minute.peak)),
    ("peak RSS, intake down while 500,000 spans arrive", "≤ 64 MB", |own| {
        megabytes(own.down.peak)
    }),
    ("answers of those 500: p50, p99, worst", "", |own| answers(&own.down)),
    (
        "answers, intake down, a body each 10 ms: p50, p99, worst",
        "≤ 5 ms (p99), ≤ 50 ms (worst)",
        |own| answers(&own.down_paced),
    ),
    (
        "answers, intake takes 500 ms, a body each 10 ms: p50, p99, worst",
        "≤ 5 ms (p99), ≤ 50 ms (worst)",
        |own| answers(&own.slow),
    ),
    ("answers, intake takes 500 ms, closed loop: p50, p99, worst", "", |own| {
        answers(&own.slow_closed)
    }),
    ("delivered / accepted, one connection", "1.0", |own| share(&own.one)),
    ("delivered / accepted, four connections", "1.0", |own| share(&own.four)),
    ("delivered / accepted, bodies of 10 spans", "1.0", |own| share(&own.small)),
    ("delivered / accepted, TERM in the middle of four connections", "1.0", |own| kept(&own.ended)),
    ("exec → the port accepts (median of 21)", "≤ 3 ms", |own| {
        format!("{:.2} ms", own.idle.accepts_after.as_secs_f64() * 1e3)
    }),
    ("idle RSS", "≤ 5 MB", |own| megabytes(own.idle.memory)),
    ("binary", "≤ 5.0 MB (musl), 6.0 MB (glibc)", |own| megabytes(own.idle.binary)),
];

fn optional(figure: Option<String>) -> String {
    figure.unwrap_or_else(|| "not taken".to_owned())
}

/// The cost of a span of this run, as a share of that of v0.4.
fn to_v04(own: &Column, run: &Healthy) -> String {
    let each = |run: &Healthy| run.cpu.as_secs_f64() / run.spans.max(1) as f64;
    format!("{:.2}", each(run) / each(&own.one))
}

/// The table.
pub(crate) fn table(columns: &[Column]) -> String {
    let mut out = String::from("| what | reach |");
    for column in columns {
        write!(out, " {} |", column.name).expect("a string takes all");
    }
    out.push_str("\n|---|---|");
    out.push_str(&"---:|".repeat(columns.len()));
    for (what, reach, read) in ROWS {
        write!(out, "\n| {what} | {reach} |").expect("a string takes all");
        for column in columns {
            write!(out, " {} |", read(column)).expect("a string takes all");
        }
    }
    out.push('\n');
    out
}

/// Puts `text` between the marks of `program` in BENCHMARKS.md.
fn put(program: &str, text: &str) -> io::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("BENCHMARKS.md");
    let whole = fs::read_to_string(&path)?;
    let (begin, end) = (format!("<!-- measured by benches/{program} -->\n"), "<!-- end -->\n");
    let parts =
        whole.split_once(&begin).and_then(|(head, rest)| Some((head, rest.split_once(end)?.1)));
    let (head, tail) = parts.ok_or_else(|| {
        io::Error::other(format!("BENCHMARKS.md has no place for benches/{program}"))
    })?;
    fs::write(path, format!("{head}{begin}\n{text}\n{end}{tail}"))
}

/// Puts the machine and the table into BENCHMARKS.md.
pub(crate) fn write_load(table: &str) -> io::Result<()> {
    put("load", &format!("{}\n\n{table}", machine()))
}

/// Puts what `benches/start` printed into BENCHMARKS.md.
pub(crate) fn write_start(file: &str) -> io::Result<()> {
    put(
        "start",
        &format!("{}\n\n```text\n{}\n```\n", machine(), fs::read_to_string(file)?.trim_end()),
    )
}

/// The machine in one line.
fn machine() -> String {
    let first = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines()
            .find_map(|line| {
                Some(line.strip_prefix(key)?.trim_start_matches([' ', '\t', ':']).to_owned())
            })
            .unwrap_or_default()
    };
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cpus} CPUs ({}), Linux {}, {}",
        first("/proc/cpuinfo", "model name"),
        kernel.trim(),
        first("/proc/meminfo", "MemTotal")
    )
}

fn per(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count.max(1) as f64
}

fn micros_per(run: &Healthy) -> String {
    format!("{:.2} µs", per(run.cpu, run.spans))
}

fn ratio(one: u64, of: u64) -> f64 {
    one as f64 / of.max(1) as f64
}

fn rate(run: &Healthy) -> String {
    let thousands = run.spans as f64 / run.elapsed.as_secs_f64() / 1e3;
    format!("{thousands:.0},000")
}

fn share(run: &Healthy) -> String {
    let refused =
        if run.refused == 0 { String::new() } else { format!(" ({} bodies refused)", run.refused) };
    format!("{:.4}{refused}", ratio(run.delivered, run.spans))
}

/// What was open when the port closed may have arrived beside what was accepted: that much above 1 is no mistake.
fn kept(run: &Ended) -> String {
    let surplus = run.delivered.saturating_sub(run.accepted);
    let words = if surplus == 0 {
        String::new()
    } else {
        format!(" and {surplus} of {} that had no answer yet", run.open)
    };
    format!("{:.4}{words}", ratio(run.delivered - surplus, run.accepted))
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn answers(run: &Trouble) -> String {
    let millis = |part: f64| run.seen.quantile(part).as_secs_f64() * 1e3;
    let refused = run.seen.refused + run.seen.unanswered;
    let words = if refused == 0 { String::new() } else { format!(" ({refused} not 200)") };
    format!("{:.1}, {:.1}, {:.1} ms{words}", millis(0.5), millis(0.99), millis(1.0))
}
