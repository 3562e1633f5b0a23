//! CONFORMANCE.md: the verdicts as a table and the list of differences with their reasons, written from a run so that it cannot claim
//! what the run does not show.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::Verdict;
use crate::case::Form;
use crate::expected::{Class, Entry};

const HEAD: &str = "\
# Conformance

What pillion answers and sends, compared with what the real Datadog trace agent 7.85.2 answered and sent for the same requests. This file is
written by the comparison itself (`cargo test --test conformance -- --write`); the test fails when it is out of date.

Two sets of cases, both recorded from the published Go packages `github.com/DataDog/datadog-agent/pkg/trace` v0.85.2:

- `tests/golden`: requests made up to show one rule each, with the agent's answers and the payloads it sent.
- `tests/corpus`: traffic of real tracers (Python, Node, Java, Go, Rust), with what the agent made of each request.

Every case is run twice, as it was recorded twice: with payloads in the form that the agent sends by default (with string tables,
`idxTracerPayloads`), and in its older form (`tracerPayloads`, `DD_APM_FEATURES=disable-convert-traces`), by whose rules many spans look different.

The payloads are decoded by the test's own reader and compared field by field, chunk by chunk and
stats group by stats group, each with the values of the payload around it; sketches byte by byte. Requests are also sent over TCP, and the
answers' status, headers and bodies compared. Requests that are passed on are received by a recording intake, by way of TLS and a proxy, and compared
whole: method, host, path, query, headers and body. Not compared: the texts of refusals (the agent's come from its Go libraries), the rates in
answers where they depend on timing, and how bodies are spread over payloads.
";

/// Writes the file, or says whether it is what a run would write.
pub(crate) fn check(verdicts: &[Verdict<'_>], entries: &[Entry], write: bool) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("CONFORMANCE.md");
    let text = render(verdicts, entries);
    if write {
        fs::write(&path, &text).expect("CONFORMANCE.md can be written");
        return true;
    }
    let is_current = fs::read_to_string(&path).is_ok_and(|current| current == text);
    if !is_current {
        println!("CONFORMANCE.md is stale: run `cargo test --test conformance -- --write`");
    }
    is_current
}

fn render(verdicts: &[Verdict<'_>], entries: &[Entry]) -> String {
    let mut out = HEAD.to_owned();
    let [indexed, older] = Form::ALL.map(|form| counts(verdicts, form));
    let cases = indexed.iter().sum::<usize>();
    write!(
        out,
        "\nIn the default form {} of {cases} cases are equal, in the older form {}.\n\n",
        indexed[0], older[0]
    )
    .expect("a string takes all");
    out.push_str("| cases | equal | differ deliberately | wait for a later part | older form: equal | differ deliberately | wait |\n");
    out.push_str("|---|---:|---:|---:|---:|---:|---:|\n");
    let mut topic_counts: Vec<(&str, [[usize; 4]; 2])> = Vec::new();
    for verdict in verdicts {
        let topic = verdict.case.topic;
        let at = topic_counts.iter().position(|(own, _)| *own == topic).unwrap_or_else(|| {
            topic_counts.push((topic, [[0; 4]; 2]));
            topic_counts.len() - 1
        });
        topic_counts[at].1[verdict.form as usize][column(verdict)] += 1;
    }
    for (topic, counts) in topic_counts {
        let counts = counts.iter().flat_map(|counts| &counts[..3]).map(usize::to_string);
        writeln!(out, "| {topic} | {} |", counts.collect::<Vec<_>>().join(" | "))
            .expect("a string takes all");
    }
    list(&mut out, entries, Class::Deliberate, "## Deliberate differences");
    list(&mut out, entries, Class::Later, "## Not built yet");
    out.push_str("\n## Case by case\n\n| case | default form | older form |\n|---|---|---|\n");
    let [indexed, older] = Form::ALL.map(|form| rows(verdicts, form));
    for ((name, indexed), (_, older)) in indexed.into_iter().zip(older) {
        writeln!(out, "| `{name}` | {indexed} | {older} |").expect("a string takes all");
    }
    out
}

/// How many cases in that form are equal, differ deliberately, wait for a later part, and differ unexpectedly.
pub(crate) fn counts(verdicts: &[Verdict<'_>], form: Form) -> [usize; 4] {
    let mut counts = [0; 4];
    for verdict in verdicts.iter().filter(|verdict| verdict.form == form) {
        counts[column(verdict)] += 1;
    }
    counts
}

fn column(verdict: &Verdict<'_>) -> usize {
    match () {
        () if verdict.differences.is_empty() => 0,
        () if !verdict.is_expected() => 3,
        () if verdict.is_deliberate() => 1,
        () => 2,
    }
}

fn list(out: &mut String, entries: &[Entry], class: Class, heading: &str) {
    write!(out, "\n{heading}\n\n").expect("a string takes all");
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.class == class) {
        match by_reason.iter_mut().find(|(reason, _)| *reason == entry.reason) {
            Some((_, places)) => places.push(entry.place()),
            None => by_reason.push((&entry.reason, vec![entry.place()])),
        }
    }
    for (reason, places) in by_reason {
        let places: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
        writeln!(out, "- {reason} ({})", places.join(", ")).expect("a string takes all");
    }
}

/// A row for each golden case and for each folder of the corpus: the verdicts, and what the cases that differ wait for.
fn rows(verdicts: &[Verdict<'_>], form: Form) -> Vec<(String, String)> {
    const WORDS: [&str; 4] = ["equal", "deliberate", "later", "different"];
    let mut rows = BTreeMap::<String, Vec<&Verdict<'_>>>::new();
    for verdict in verdicts.iter().filter(|verdict| verdict.form == form) {
        let name = &verdict.case.name;
        let row = if name.starts_with("corpus/") {
            name.rsplit_once('/').map_or(name.as_str(), |(folder, _)| folder)
        } else {
            name
        };
        rows.entry(row.to_owned()).or_default().push(verdict);
    }
    let words =
        |all: &[&Verdict<'_>]| {
            let count = |at: usize| all.iter().filter(|verdict| column(verdict) == at).count();
            let counted =
                (0..WORDS.len()).map(|at| (WORDS[at], count(at))).filter(|(_, count)| *count > 0);
            let counted = counted.map(|(word, count)| {
                if all.len() == 1 { word.to_owned() } else { format!("{count} {word}") }
            });
            let mut words = counted.collect::<Vec<_>>().join(", ");
            let entries =
                all.iter().flat_map(|verdict| &verdict.differences).filter_map(|(_, entry)| *entry);
            let later: BTreeSet<&str> = entries
                .filter(|entry| entry.class == Class::Later)
                .map(|entry| entry.reason.as_str())
                .collect();
            if !later.is_empty() {
                write!(words, ": {}", later.into_iter().collect::<Vec<_>>().join("; "))
                    .expect("a string takes all");
            }
            words
        };
    rows.into_iter().map(|(name, all)| (name, words(&all))).collect()
}
