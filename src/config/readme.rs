//! Keeps the settings tables of the README equal to the keys and to `unsupported`.

use std::fmt::Write;
use std::path::Path;

use super::keys::{self, Key};
use super::unsupported;

const BEGIN: &str = "<!-- settings -->\n";
const END: &str = "<!-- /settings -->\n";

/// The tables, one under each heading.
fn tables() -> String {
    let mut out = String::from(
        "\nOf several names in a row the first that has a value counts; a key of `datadog.yaml` counts where none of the variables is set.\n\n",
    );
    for (heading, keys) in keys::ALL {
        writeln!(
            out,
            "**{heading}**\n\n| variable | in `datadog.yaml` | default | meaning |\n|---|---|---|---|"
        )
        .unwrap();
        keys.iter().for_each(|key| row(&mut out, key));
        out.push('\n');
    }
    out.push_str("**Settings that are not supported**\n\nSettings of Datadog's agent and of `datadog-init` that have no effect here. One that is set is named once.\n\n| setting | why |\n|---|---|\n");
    for (reason, names) in by_reason() {
        writeln!(out, "| {} | {reason} |", code(&names)).unwrap();
    }
    out.push('\n');
    out
}

/// Names in code, one under the other.
fn code(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join("<br>")
}

fn row(out: &mut String, key: &Key) {
    let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
    let (names, yaml) = (code(key.names), code(key.yaml));
    writeln!(out, "| {names} | {yaml} | {default} | {} |", key.meaning).unwrap();
}

/// Each reason with the settings that it keeps out, in the order of the first.
fn by_reason() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, reason) in unsupported::SETTINGS {
        match reasons.iter_mut().find(|(own, _)| own == reason) {
            Some((_, names)) => names.push(name),
            None => reasons.push((reason, vec![name])),
        }
    }
    reasons
}

/// The README before, between and after the marks.
fn readme() -> (String, String, String) {
    let text = std::fs::read_to_string(path()).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("README.md has no `<!-- settings -->`");
    let (between, after) = rest.split_once(END).expect("README.md has no `<!-- /settings -->`");
    (before.to_owned(), between.to_owned(), after.to_owned())
}

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

#[test]
fn the_readme_has_the_settings_of_the_code() {
    let (_, between, _) = readme();
    assert!(
        between == tables(),
        "README.md is out of date, run: cargo test --lib write_the_settings_into_the_readme -- --ignored"
    );
}

#[test]
#[ignore = "writes README.md; run it by name after a change of a setting"]
fn write_the_settings_into_the_readme() {
    let (before, _, after) = readme();
    std::fs::write(path(), format!("{before}{BEGIN}{}{END}{after}", tables())).unwrap();
}

#[test]
fn every_key_is_in_the_table_once() {
    let listed: Vec<&Key> = keys::ALL.iter().flat_map(|(_, keys)| keys.iter().copied()).collect();
    let declared = [
        include_str!("keys.rs"),
        include_str!("child.rs"),
        include_str!("connecting.rs"),
        include_str!("dogstatsd.rs"),
        include_str!("filtering.rs"),
        include_str!("identity.rs"),
        include_str!("log_files.rs"),
        include_str!("logs.rs"),
        include_str!("multi_line.rs"),
        include_str!("obfuscation.rs"),
        include_str!("otlp.rs"),
        include_str!("otlp_signals.rs"),
        include_str!("platform.rs"),
        include_str!("proxy_keys.rs"),
        include_str!("report.rs"),
        include_str!("secrets.rs"),
        include_str!("sending.rs"),
        include_str!("usage.rs"),
        include_str!("worker.rs"),
    ];
    let declared = declared.map(|source| source.matches(": Key =").count());
    assert_eq!(listed.len(), declared.iter().sum::<usize>());
    for names in [|key: &&Key| key.names, |key: &&Key| key.yaml] {
        let mut names: Vec<&str> = listed.iter().flat_map(names).copied().collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        let twice: Vec<_> = names.iter().filter(|name| unsupported::find(name).is_some()).collect();
        assert!(twice.is_empty(), "supported and not: {twice:?}");
    }
    assert!(unsupported::SETTINGS.is_sorted_by(|(one, _), (other, _)| one < other));
}
