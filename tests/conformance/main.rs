//! Conformance: every recorded case is driven through the library, and what it answers and sends is compared with what the real agent did.
//!
//! `cargo test --test conformance` prints a line per case and a total, and fails when a case differs in a place that
//! `expected_differences.txt` does not name, when a place named there has become equal, or when CONFORMANCE.md is stale.
//! `cargo test --test conformance -- 0011` runs the cases whose names contain `0011` and prints every difference;
//! `cargo test --test conformance -- --write` writes CONFORMANCE.md.
#![expect(clippy::print_stdout, reason = "the table is this program's output")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test program: what is wrong with its files ends it"
)]
#![expect(clippy::string_slice, reason = "cut at places that were looked for")]

mod case;
mod compare;
mod document;
mod drive;
mod expected;
mod http;
mod older;
mod outside;
mod replies;
mod stats;
mod support;
mod text;
mod traces;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use serde_json::Value;

use crate::case::{Case, Form, Recorded};
use crate::compare::Difference;
use crate::expected::{Class, Entry};

/// What became of one case in one form.
pub(crate) struct Verdict<'a> {
    pub(crate) case: &'a Case,
    pub(crate) form: Form,
    /// Each difference with the entry of the list that names it.
    pub(crate) differences: Vec<(Difference, Option<&'a Entry>)>,
}

impl Verdict<'_> {
    /// The first difference that nobody expects, or else the first.
    fn first(&self) -> Option<&(Difference, Option<&Entry>)> {
        self.differences
            .iter()
            .find(|(_, entry)| entry.is_none())
            .or_else(|| self.differences.first())
    }

    pub(crate) fn is_expected(&self) -> bool {
        self.differences.iter().all(|(_, entry)| entry.is_some())
    }

    /// Whether all differences are wanted ones.
    pub(crate) fn is_deliberate(&self) -> bool {
        self.differences
            .iter()
            .all(|(_, entry)| entry.is_some_and(|entry| entry.class == Class::Deliberate))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let list = fs::read_to_string(tests.join("conformance/expected_differences.txt"))
        .expect("the list of differences is there");
    let entries = expected::read(&list).unwrap_or_else(|problem| panic!("{problem}"));
    let cases = case::all(&tests);
    let chosen: Vec<&Case> = cases
        .iter()
        .filter(|case| {
            filters.is_empty() || filters.iter().any(|filter| case.name.contains(filter.as_str()))
        })
        .collect();
    let in_form = |form| chosen.iter().map(move |case| (*case, form));
    let verdicts: Vec<Verdict<'_>> = Form::ALL
        .into_iter()
        .flat_map(in_form)
        .map(|(case, form)| judge(case, form, &entries))
        .collect();
    print_table(&verdicts, !filters.is_empty());
    let unexpected = verdicts.iter().filter(|verdict| !verdict.is_expected()).count();
    let mut is_good = unexpected == 0;
    if filters.is_empty() {
        is_good &= report_equal_entries(&entries, &verdicts);
        is_good &= document::check(
            &verdicts,
            &entries,
            arguments.iter().any(|argument| argument == "--write"),
        );
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn judge<'a>(case: &'a Case, form: Form, entries: &'a [Entry]) -> Verdict<'a> {
    let mut differences = Vec::new();
    let theirs = case.recorded(form);
    match drive::through_the_library(case, form) {
        Ok(ours) => {
            differences.extend(compare::intake(&ours.intake, &with_now(case, theirs)));
            if case.raw_rates {
                differences.extend(raw_rates(theirs, &ours.rates));
            }
        }
        Err(problem) => differences.push(Difference {
            path: "run".to_owned(),
            ours: problem,
            theirs: String::new(),
        }),
    }
    match http::through_the_intake(case, form) {
        Ok((replies, passed_on)) => {
            let requested = outside::theirs(&theirs.intake["other"]);
            differences.extend(compare::requests(outside::ours(&passed_on), requested));
            for (at, (ours, theirs)) in replies.iter().zip(&theirs.replies).enumerate() {
                compare::compare(
                    &format!("replies/{at}"),
                    &replies::ours(ours),
                    &replies::theirs(theirs),
                    &mut differences,
                );
            }
        }
        Err(problem) => differences.push(Difference {
            path: "replies".to_owned(),
            ours: problem,
            theirs: String::new(),
        }),
    }
    let entry = |difference: &Difference| {
        entries.iter().find(|entry| entry.covers(form, &case.name, &difference.path))
    };
    Verdict {
        case,
        form,
        differences: differences
            .into_iter()
            .map(|difference| (entry(&difference), difference))
            .map(|(e, d)| (d, e))
            .collect(),
    }
}

/// The rates word for word, where the case is about them.
fn raw_rates(theirs: &Recorded, ours: &[Option<String>]) -> Vec<Difference> {
    let mut out = Vec::new();
    for (at, (ours, theirs)) in ours.iter().zip(&theirs.replies).enumerate() {
        if let Some(ours) = ours {
            compare::compare(
                &format!("rates/{at}"),
                &Value::String(ours.clone()),
                &theirs["body"],
                &mut out,
            );
        }
    }
    out
}

/// What the agent sent, with the times that it took from its clock put in, and without the request's own headers: what goes to the relay is
/// the payload alone.
fn with_now(case: &Case, theirs: &Recorded) -> Value {
    let mut intake = theirs.intake.clone();
    for list in intake
        .as_object_mut()
        .into_iter()
        .flat_map(|kinds| kinds.values_mut())
        .filter_map(Value::as_array_mut)
    {
        for payload in list.iter_mut().filter_map(Value::as_object_mut) {
            payload.remove("http");
        }
    }
    fill_now(&mut intake, drive::now_ns(case.clock));
    intake
}

fn fill_now(value: &mut Value, now_ns: u64) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|item| fill_now(item, now_ns)),
        Value::Object(fields) => {
            let duration = fields.get("duration").and_then(Value::as_u64).unwrap_or_default();
            for item in fields.values_mut() {
                match item.as_str() {
                    // The recording cannot tell these two apart where the duration is less than a moment.
                    Some("<now>") if duration < 1_000_000 => *item = Value::from(now_ns - duration),
                    Some("<now>") => *item = Value::from(now_ns),
                    Some("<now - duration>") => *item = Value::from(now_ns - duration),
                    _ => fill_now(item, now_ns),
                }
            }
        }
        _ => {}
    }
}

fn print_table(verdicts: &[Verdict<'_>], all_differences: bool) {
    let mut heading = ("", Form::Indexed);
    for verdict in verdicts {
        if (verdict.case.topic, verdict.form) != heading {
            heading = (verdict.case.topic, verdict.form);
            println!("\n{}, {} form", heading.0, heading.1.name());
        }
        let Some((difference, entry)) = verdict.first() else {
            println!("  equal      {}", verdict.case.name);
            continue;
        };
        let word = match entry {
            None => "DIFFERENT",
            Some(_) if verdict.is_deliberate() => "deliberate",
            Some(_) => "later",
        };
        let count = verdict.differences.len();
        println!("  {word:<10} {}: {} ({count} in all)", verdict.case.name, line(difference));
        if all_differences {
            for (difference, entry) in &verdict.differences {
                let mark = if entry.is_some() { "known" } else { "NEW" };
                println!("             {mark:<5} {}", line(difference));
            }
        }
    }
    println!();
    for form in Form::ALL {
        let [equal, deliberate, later, unexpected] = document::counts(verdicts, form);
        println!(
            "conformance, {} form: {} cases, {equal} equal, {deliberate} differ where they shall, {later} wait for a later part, {unexpected} differ \
             unexpectedly",
            form.name(),
            equal + deliberate + later + unexpected
        );
    }
}

fn line(difference: &Difference) -> String {
    format!("{}: ours {}, theirs {}", difference.path, difference.ours, difference.theirs)
}

/// Entries that no case needs any more: they go out of the list, so that it stays true.
fn report_equal_entries(entries: &[Entry], verdicts: &[Verdict<'_>]) -> bool {
    let is_used = |entry: &Entry| {
        verdicts
            .iter()
            .flat_map(|verdict| &verdict.differences)
            .any(|(_, used)| used.is_some_and(|used| used.line == entry.line))
    };
    let mut unused = entries.iter().filter(|entry| !is_used(entry)).peekable();
    let is_good = unused.peek().is_none();
    for entry in unused {
        println!(
            "expected_differences.txt:{}: {} has become equal: take the line out",
            entry.line,
            entry.place()
        );
    }
    is_good
}
