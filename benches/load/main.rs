//! The measurements of BENCHMARKS.md: pillion and its peers, one after the other on the same machine, under the same load.
//!
//! `bash benches/run.sh` builds all of them, runs this and writes the file. By hand:
//! `cargo bench --bench load -- pillion=PATH [go-agent=PATH] [serverless-compat=PATH] [--seconds N] [--write] [--start FILE]`.
#![expect(
    clippy::disallowed_types,
    reason = "peers are started as any program is; nothing is wrapped here"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the tables are this program's output"
)]
#![expect(clippy::expect_used, reason = "a broken run ends the program")]
#![expect(clippy::cast_precision_loss, reason = "figures of three digits")]

mod bodies;
mod client;
mod forms;
mod peer;
mod report;
mod runs;
mod sink;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, io};

use crate::forms::Form;
use crate::peer::Peer;
use crate::report::Column;

/// What each peer needs to listen on the port and to send to the intake.
const ENVIRONMENTS: [(&str, &[(&str, &str)]); 3] = [
    (
        "pillion",
        &[
            ("DD_API_KEY", "x"),
            ("DD_APM_RECEIVER_PORT", "{port}"),
            ("DD_BIND_HOST", "127.0.0.1"),
            ("DD_APM_DD_URL", "{intake}"),
            ("DD_ENHANCED_METRICS", "false"),
        ],
    ),
    (
        "go-agent",
        &[("PEER_PORT", "{port}"), ("PEER_INTAKE", "{intake}"), ("PATH", "/usr/bin:/bin")],
    ),
    (
        "serverless-compat",
        &[
            ("DD_API_KEY", "x"),
            ("DD_APM_RECEIVER_PORT", "{port}"),
            ("DD_APM_DD_URL", "{intake}"),
            ("DD_LOG_LEVEL", "error"),
            // It runs only where it finds Azure Functions; the folder /home/site/wwwroot with a host.json must be there, too.
            ("FUNCTIONS_EXTENSION_VERSION", "~4"),
            ("FUNCTIONS_WORKER_RUNTIME", "python"),
            ("WEBSITE_SITE_NAME", "bench"),
        ],
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> =
        env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let value = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
    let seconds = value("--seconds").and_then(|text| text.parse().ok()).unwrap_or(10);
    let peers: Vec<Peer> = arguments.iter().filter_map(|argument| peer(argument)).collect();
    if peers.is_empty() {
        // `cargo bench` and `cargo test` run every bench: without a program to measure there is nothing to do.
        println!("nothing to measure: name a program, such as pillion=target/release/pillion");
        return ExitCode::SUCCESS;
    }
    let mut columns = Vec::new();
    for peer in &peers {
        match measure(peer, Duration::from_secs(seconds)) {
            Ok(column) => columns.push(column),
            Err(error) => {
                eprintln!("{}: {error}", peer.name);
                return ExitCode::FAILURE;
            }
        }
    }
    let table = report::table(&columns);
    println!("\n{table}");
    if arguments.iter().any(|argument| argument == "--write") {
        report::write_load(&table).expect("BENCHMARKS.md can be written");
    }
    if let Some(file) = value("--start") {
        report::write_start(file).expect("BENCHMARKS.md can be written");
    }
    ExitCode::SUCCESS
}

fn peer(argument: &str) -> Option<Peer> {
    let (own, path) = argument.split_once('=')?;
    let (name, environment) = ENVIRONMENTS.into_iter().find(|(name, _)| *name == own)?;
    Some(Peer { name, binary: PathBuf::from(path), environment })
}

/// All runs of one peer.
fn measure(peer: &Peer, time: Duration) -> io::Result<Column> {
    let said = |what: &str| eprintln!("{}: {what}", peer.name);
    said("start and idle");
    let idle = runs::idle(peer)?;
    said("one connection");
    let one = runs::healthy(peer, runs::LARGE, runs::closed(1, time))?;
    said("four connections");
    let four = runs::healthy(peer, runs::LARGE, runs::closed(4, time))?;
    said("small bodies");
    let small = runs::healthy(peer, runs::SMALL, runs::closed(1, time))?;
    said("v0.5 and v1.0");
    let v05 = runs::other_form(peer, Form::V05, time)?;
    let v10 = runs::other_form(peer, Form::V10, time)?;
    said("a minute at full load");
    let minute = runs::healthy(peer, runs::LARGE, runs::closed(4, runs::LONG))?;
    said("TERM in the middle");
    let ended = runs::term_in_the_middle(peer)?;
    said("intake down, 500,000 spans");
    let down = runs::intake_down(peer)?;
    said("intake down, paced");
    let down_paced = runs::intake_down_paced(peer)?;
    said("slow intake, paced");
    let slow = runs::intake_slow(peer)?;
    said("slow intake, closed loop");
    let slow_closed = runs::intake_slow_closed(peer)?;
    Ok(Column {
        name: peer.name,
        idle,
        one,
        four,
        small,
        v05,
        v10,
        minute,
        ended,
        down,
        down_paced,
        slow,
        slow_closed,
    })
}
