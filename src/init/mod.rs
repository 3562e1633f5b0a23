//! The process plane: what a correct PID 1 and a transparent parent does, on the main thread, with nothing asynchronous.
//!
//! [`start`] comes first, [`spawn`] starts the app in the state in which it would be without us, [`Child::supervise`] passes signals on and reaps
//! until the app has ended. A wedged, panicked or absent data plane delays none of it. The rules, each with its reason, stand where they are
//! kept: blocked signals in `entry`, sets and forwarding in `signals`, the child's state in `child` and `vfork`, statuses in `reaper`, job
//! control in `terminal` and `supervise`. Where logs are shipped, [`Output`] copies what the app writes; else its files are its own.
//! [`ask`] runs a program beside the app that knows something, such as a secret.

mod ask;
mod child;
mod entry;
mod files;
mod lookup;
mod output;
mod reaper;
mod signals;
mod supervise;
mod terminal;
mod vfork;

use std::sync::OnceLock;

pub use ask::{NoAnswer, ask};
pub use child::{Command, Envp, SpawnError, environment, spawn};
pub use lookup::is_executable;
pub use output::{Output, Unwritten};
pub use supervise::{Child, Exit, wait_for_stop};

use signals::Set;

/// What we were started with and have changed for ourselves: the child gets it back.
struct StartState {
    mask: Set,
    ignores_chld: bool,
}

/// Takes over the process: signals blocked, statuses of children kept, orphans adopted, the numbers 0 to 2 held where they were closed.
/// Comes before anything opens a file or starts a thread.
pub fn start() {
    start_state();
}

fn start_state() -> &'static StartState {
    static STATE: OnceLock<StartState> = OnceLock::new();
    STATE.get_or_init(|| {
        let mask = entry::block_all();
        files::hold_standard();
        reaper::adopt_orphans();
        StartState { mask, ignores_chld: reaper::keep_statuses() }
    })
}
