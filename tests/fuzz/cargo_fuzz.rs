//! The files that `cargo fuzz` wants beside the targets: a program for each, and their list. They are made of the list of targets.

use std::fs;
use std::path::{Path, PathBuf};

use crate::start;
use crate::targets::TARGETS;

/// Where the list of programs starts in `fuzz/Cargo.toml`.
const LIST: &str = "# One for each target; written by `cargo test --test fuzz -- --write`.\n";

/// What has to be where.
fn files(root: &Path) -> Vec<(PathBuf, String)> {
    let manifest = root.join("fuzz/Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("fuzz/Cargo.toml is there");
    let head = text.split(LIST).next().unwrap_or_default();
    let mut list = format!("{head}{LIST}");
    let mut files = Vec::new();
    for target in TARGETS {
        let name = target.name;
        list.push_str(&format!(
            "\n[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\ntest = false\ndoc = false\nbench = false\n"
        ));
        let program = format!(
            "//! `{name}` of `tests/fuzz/targets/mod.rs`.\n#![no_main]\n\nlibfuzzer_sys::fuzz_target!(|data: &[u8]| pillion_fuzz::run(\"{name}\", data));\n"
        );
        files.push((root.join(format!("fuzz/fuzz_targets/{name}.rs")), program));
    }
    files.push((manifest, list));
    files
}

/// Whether the files are those that belong to the targets; with `write` they become so.
pub(crate) fn check(root: &Path, write: bool) -> bool {
    let mut is_good = true;
    let files = files(root);
    for (path, wanted) in &files {
        let is_same = fs::read_to_string(path).is_ok_and(|text| text == *wanted);
        if !is_same && write {
            fs::write(path, wanted).expect("the file can be written");
        } else if !is_same {
            println!("{} is out of date", path.display());
            is_good = false;
        }
    }
    for entry in fs::read_dir(root.join("fuzz/fuzz_targets")).expect("the folder is there") {
        let path = entry.expect("the folder can be listed").path();
        if files.iter().all(|(own, _)| *own != path) {
            println!("{} belongs to no target", path.display());
            is_good = false;
        }
    }
    if !is_good {
        println!("`cargo test --test fuzz -- --write` writes what is out of date");
    }
    is_good
}

/// Writes what mutations start from where `cargo fuzz` looks for it: `fuzz/corpus/<target>`.
pub(crate) fn write_corpora(root: &Path) {
    for target in TARGETS {
        let folder = root.join("fuzz/corpus").join(target.name);
        fs::create_dir_all(&folder).expect("the folder can be made");
        for (number, input) in start::inputs(target.start).iter().enumerate() {
            fs::write(folder.join(format!("start-{number:04}")), input).expect("it can be written");
        }
    }
}
