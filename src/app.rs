//! The composition root: what is started in which order, and what is stopped.

use std::ffi::CString;

use crate::cli;
use crate::cli::Action;
use crate::init;
use crate::init::{Command, SpawnError};

/// Does what the arguments ask for and returns the exit code.
pub fn run(args: Vec<CString>) -> u8 {
    match cli::parse(args) {
        Action::Wrap { argv, .. } => wrap(argv).unwrap_or_else(|error| {
            cli::complain(&format!("pillion: {error}\n"));
            error.code()
        }),
        Action::Sidecar { .. } => {
            init::wait_for_stop();
            0
        }
        Action::Print(text) => {
            cli::print(&text);
            0
        }
        Action::Usage(text) => {
            cli::complain(&text);
            cli::USAGE_CODE
        }
    }
}

fn wrap(argv: Vec<CString>) -> Result<u8, SpawnError> {
    match Command::of_argv(argv) {
        Some(command) => Ok(init::spawn(&command)?.supervise(&mut || {}).code),
        None => Ok(cli::USAGE_CODE),
    }
}
