//! The targets of `tests/fuzz/targets`, which the tests run too.

#[path = "../../tests/fuzz/targets/mod.rs"]
pub mod targets;

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let target = targets::TARGETS.iter().find(|target| target.name == name);
    (target.expect("the list of programs is made of the targets").run)(data);
}
