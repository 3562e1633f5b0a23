//! The build script: makes the stub of `src/init/entry.rs` the first code of the program, where that stub exists.

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script by variables what it builds for"
)]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |name: &str| std::env::var(name).unwrap_or_default();
    if target("CARGO_CFG_TARGET_OS") == "linux"
        && matches!(target("CARGO_CFG_TARGET_ARCH").as_str(), "x86_64" | "aarch64")
    {
        println!("cargo::rustc-link-arg-bin=pillion=-Wl,-e,pillion_entry");
    }
}
