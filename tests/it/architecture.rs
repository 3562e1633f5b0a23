//! Keeps the import table of ARCHITECTURE.md and the habits of the code true.

use std::fs;
use std::path::{Path, PathBuf};

/// Words that a module may not contain (no name: all of `src`), with the files and folders that are excused.
const BANNED: &[(&str, &[&str], &[&str])] = &[
    ("init", &["tokio", "reqwest", "hyper", ".unwrap()", ".expect("], &[]),
    ("trace", &["tokio", "std::env", "std::fs", "TcpStream", "UdpSocket", "::now()"], &[]),
    ("", &["waitpid", "waitid"], &["init/reaper.rs"]),
    ("", &["env::var", "vars_os"], &["config/env.rs"]),
    ("", &["reqwest"], &["relay/", "proxy/"]),
    ("", &["println!", "print!"], &["cli.rs"]),
    ("", &["super::super::", "unbounded_channel", "use crate::{self"], &[]),
];

const FILE_LINES_MAX: usize = 600;

#[test]
fn modules_import_only_what_the_table_allows() {
    let table = table();
    let mut offenders = Vec::new();
    each_code_line(|path, number, code| {
        let module = module_of(path);
        let Some((_, allowed)) = table.iter().find(|(name, _)| name == module) else { return };
        for target in imported_modules(code) {
            if target != module && !allowed.iter().any(|name| name == target) {
                offenders.push(format!("{path}:{number}: {module} may not import {target}"));
            }
        }
    });
    assert!(offenders.is_empty(), "\n{}", offenders.join("\n"));
}

#[test]
fn every_module_has_a_row_in_the_table() {
    let table = table();
    for path in source_files() {
        let module = module_of(&path);
        let is_top = ["lib", "main"].contains(&module);
        let has_row = table.iter().any(|(name, _)| name == module);
        assert!(has_row || is_top, "{module} has no row in ARCHITECTURE.md");
    }
    for (name, _) in &table {
        assert!(source_files().iter().any(|path| module_of(path) == name), "{name} is gone");
    }
}

#[test]
fn the_table_has_no_cycle() {
    let mut left = table();
    while !left.is_empty() {
        let names: Vec<String> = left.iter().map(|(name, _)| name.clone()).collect();
        let before = left.len();
        left.retain(|(_, imports)| imports.iter().any(|name| names.contains(name)));
        assert!(left.len() < before, "these import each other: {names:?}");
    }
}

#[test]
fn banned_words_stay_where_they_are_allowed() {
    let mut offenders = Vec::new();
    each_code_line(|path, number, code| {
        for (module, words, excused) in BANNED {
            let is_covered = module.is_empty() || module_of(path) == *module;
            if !is_covered || excused.iter().any(|file| path.starts_with(file)) {
                continue;
            }
            for word in words.iter().filter(|word| code.contains(**word)) {
                offenders.push(format!("{path}:{number}: `{word}` does not belong here"));
            }
        }
    });
    assert!(offenders.is_empty(), "\n{}", offenders.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for path in source_files() {
        let text = fs::read_to_string(root().join("src").join(&path)).unwrap();
        assert!(text.starts_with("//! "), "{path} does not say what it is");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        assert!(code.lines().count() <= FILE_LINES_MAX, "{path} is too long");
    }
}

#[test]
fn the_top_level_holds_only_what_belongs_there() {
    let allowed = [
        ".cargo",
        ".ci",
        ".git",
        ".gitignore",
        "ARCHITECTURE.md",
        "BENCHMARKS.md",
        "CHANGELOG.md",
        "CONFORMANCE.md",
        "CONTRIBUTING.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "benches",
        "build.rs",
        "clippy.toml",
        "deny.toml",
        "docker",
        "examples",
        "fuzz",
        "proptest-regressions",
        "rust-toolchain.toml",
        "rustfmt.toml",
        "src",
        "target",
        "tests",
    ];
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(allowed.contains(&name.as_str()) || name.starts_with(".docker"), "{name}");
    }
}

/// The rows of the import table: `| module | imports |`, all names in backticks.
fn table() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let section = text.split("## Who may import whom").nth(1).expect("the import table");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let names = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut table = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        for module in names(cells[0]) {
            table.push((module, names(cells[1])));
        }
    }
    table
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.rs` file of `src`, relative to it.
fn source_files() -> Vec<String> {
    let source = root().join("src");
    let (mut files, mut folders): (Vec<String>, Vec<PathBuf>) = (Vec::new(), vec![source.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files
}

fn module_of(path: &str) -> &str {
    path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// Lines of code without comments and without test modules.
fn each_code_line(mut visit: impl FnMut(&str, usize, &str)) {
    for path in source_files() {
        if path.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(root().join("src").join(&path)).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            visit(&path, number + 1, line);
        }
    }
}

/// The modules of ours that a line names: `crate::name…`, or `use crate::{name, other}`.
fn imported_modules(code: &str) -> Vec<&str> {
    let mut modules = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        if let Some(group) = rest.strip_prefix('{') {
            let group = group.split('}').next().unwrap_or_default();
            let first = |name: &'_ str| name.trim().split("::").next().unwrap_or_default().len();
            modules.extend(group.split(',').map(|name| &name.trim()[..first(name)]));
        } else {
            modules.push(rest.split(|c| !is_name(c)).next().unwrap_or_default());
        }
    }
    modules.retain(|name| !name.is_empty());
    modules
}
