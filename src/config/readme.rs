//! Keeps the settings table of the README equal to `keys` and `proxy_keys`.

use std::fmt::Write;
use std::path::Path;

use super::keys::{self, Key};

const BEGIN: &str = "<!-- settings -->\n";
const END: &str = "<!-- /settings -->\n";

/// The tables, one under each heading.
fn tables() -> String {
    let mut out =
        String::from("\nOf several names in a row the first that has a value counts.\n\n");
    for (heading, keys) in keys::ALL {
        writeln!(out, "**{heading}**\n\n| variable | default | meaning |\n|---|---|---|").unwrap();
        keys.iter().for_each(|key| row(&mut out, key));
        out.push('\n');
    }
    out
}

fn row(out: &mut String, key: &Key) {
    let names: Vec<String> = key.names.iter().map(|name| format!("`{name}`")).collect();
    let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
    writeln!(out, "| {} | {default} | {} |", names.join("<br>"), key.meaning).unwrap();
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
#[ignore = "writes README.md; run it by name after a change of keys.rs"]
fn write_the_settings_into_the_readme() {
    let (before, _, after) = readme();
    std::fs::write(path(), format!("{before}{BEGIN}{}{END}{after}", tables())).unwrap();
}

#[test]
fn every_key_is_in_the_table_once() {
    let listed: Vec<&Key> = keys::ALL.iter().flat_map(|(_, keys)| keys.iter().copied()).collect();
    let sources = [
        include_str!("keys.rs"),
        include_str!("filtering.rs"),
        include_str!("obfuscation.rs"),
        include_str!("otlp.rs"),
        include_str!("proxy_keys.rs"),
        include_str!("worker.rs"),
    ];
    let declared: usize = sources.iter().map(|text| text.matches(": Key =").count()).sum();
    assert_eq!(listed.len(), declared);
    let mut names: Vec<&str> = listed.iter().flat_map(|key| key.names.iter().copied()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    assert!(
        names.iter().all(|name| keys::UNSUPPORTED.binary_search(name).is_err()),
        "supported and not"
    );
    assert!(keys::UNSUPPORTED.is_sorted());
}
