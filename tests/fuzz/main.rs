//! Every way in for bytes from outside, with mutations of recorded traffic: no panic, no promise broken, memory in proportion to the input.
//!
//! `cargo test --test fuzz` runs each target for its share of ten seconds; `-- NAME… --seconds 600 --seed 7` runs those whose names contain
//! one of these for longer, with other mutations. What broke a promise is kept in `target/fuzz/` and run again with `-- NAME FILE`.
//! `-- --write` makes the files of `cargo fuzz`, `-- --corpus` what it starts from.
#![expect(clippy::print_stdout, reason = "the table is this program's output")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by a panic, and its parts are not an interface"
)]

mod cargo_fuzz;
mod mutate;
mod start;
mod targets;

#[path = "../shared/allocator.rs"]
#[allow(dead_code, reason = "it counts more than is of use here")]
mod allocator;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use allocator::{Counting, measure};
use targets::{TARGETS, Target};

#[global_allocator]
static COUNTING: Counting = Counting;

/// The time for all targets together, seconds.
const SECONDS: f64 = 10.0;

/// Memory that a run may have at once: tables and buffers, and so many bytes for each byte of its input. What takes the most for its size is a
/// span without a field, which is one byte: its list doubles, and for a moment there are the old one and the new one.
const PEAK_BYTES_MAX: usize = 4_000_000;
const PEAK_PER_BYTE_MAX: usize = 400;

/// What the command line asks for.
struct Options {
    names: Vec<String>,
    files: Vec<PathBuf>,
    seconds: f64,
    seed: u64,
}

impl Options {
    fn of(arguments: &[String]) -> Self {
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1)
        };
        let is_value =
            |at: usize| at > 0 && ["--seconds", "--seed"].contains(&arguments[at - 1].as_str());
        let words = arguments.iter().enumerate();
        let words = words.filter(|(at, word)| !word.starts_with('-') && !is_value(*at));
        let (files, names): (Vec<&String>, Vec<&String>) =
            words.map(|(_, word)| word).partition(|word| Path::new(word).is_file());
        Self {
            names: names.into_iter().cloned().collect(),
            files: files.into_iter().map(PathBuf::from).collect(),
            seconds: value("--seconds").map_or(SECONDS, |text| text.parse().expect("a number")),
            seed: value("--seed").map_or(1, |text| text.parse().expect("a number")),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let asks = |name: &str| arguments.iter().any(|argument| argument == name);
    if asks("--list") {
        return ExitCode::SUCCESS;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if asks("--corpus") {
        cargo_fuzz::write_corpora(root);
        return ExitCode::SUCCESS;
    }
    let options = Options::of(&arguments);
    let mut is_good = true;
    if options.names.is_empty() {
        is_good = cargo_fuzz::check(root, asks("--write"));
    }
    let is_chosen = |target: &&Target| {
        let names = &options.names;
        names.is_empty() || names.iter().any(|name| target.name.contains(name.as_str()))
    };
    let chosen: Vec<&Target> = TARGETS.iter().filter(is_chosen).collect();
    for target in &chosen {
        let seconds = options.seconds / chosen.len() as f64;
        is_good &= if options.files.is_empty() {
            fuzz(target, Duration::from_secs_f64(seconds), options.seed)
        } else {
            options.files.iter().all(|file| run(target, &fs::read(file).expect("a file")).is_some())
        };
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a target for some time, at least with all that it starts from; whether all promises held.
fn fuzz(target: &Target, time: Duration, seed: u64) -> bool {
    let begin = Instant::now();
    let inputs = start::inputs(target.start);
    assert!(!inputs.is_empty(), "{}: there is nothing to start from", target.name);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut runs, mut peak_bytes) = (0_usize, 0);
    while runs < inputs.len() || begin.elapsed() < time {
        let mut input = inputs[runs % inputs.len()].clone();
        // First everything as it is.
        if runs >= inputs.len() {
            input.clone_from(&inputs[random.usize(..inputs.len())]);
            let other = &inputs[random.usize(..inputs.len())];
            mutate::mutate(&mut random, &mut input, other);
        }
        let Some(peak) = run(target, &input) else {
            let file = kept(target, &input);
            println!(
                "{}: a promise is broken, seed {seed}, run {runs}: {}",
                target.name,
                file.display()
            );
            return false;
        };
        peak_bytes = peak_bytes.max(peak);
        runs += 1;
    }
    println!(
        "{:20} {runs:7} runs from {:4} inputs, {:6.1} s, at the most {:5} kB at once",
        target.name,
        inputs.len(),
        begin.elapsed().as_secs_f64(),
        peak_bytes / 1000
    );
    true
}

/// One run: the bytes that it had at once, or nothing where a promise was broken.
fn run(target: &Target, input: &[u8]) -> Option<usize> {
    let (result, asked) = measure(|| catch_unwind(AssertUnwindSafe(|| (target.run)(input))));
    result.ok()?;
    let bytes_max = PEAK_BYTES_MAX + PEAK_PER_BYTE_MAX * input.len();
    if asked.peak_bytes > bytes_max {
        println!("{} bytes of memory for an input of {}", asked.peak_bytes, input.len());
        return None;
    }
    Some(asked.peak_bytes)
}

/// Keeps an input that broke a promise.
fn kept(target: &Target, input: &[u8]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("target/fuzz");
    fs::create_dir_all(&folder).expect("the folder can be made");
    let number = (0..).find(|number| !folder.join(format!("{}-{number}", target.name)).exists());
    let file = folder.join(format!("{}-{}", target.name, number.unwrap_or_default()));
    fs::write(&file, input).expect("the input can be kept");
    file
}
