//! API keys that are not in the settings: got from files and from the user's program, on the data plane's thread, while the app runs and before
//! anything is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::config::{self, Settings};
use crate::init::{self, Command, NoAnswer};
use crate::secret::{ApiKey, Source, backend};

type Found = BTreeMap<Source, ApiKey>;

/// Gets the keys that are to be had elsewhere and puts them in their places, within the time that the settings give it, and the deadline where the app
/// ends meanwhile. A line says of each, or of all that the program should have known, why it is not there.
pub(super) fn resolve(settings: &mut Settings, stopping: &watch::Receiver<Option<Instant>>) {
    let sources = settings.sources_of_keys();
    if sources.is_empty() {
        return;
    }
    let until = Instant::now() + settings.secrets.timeout;
    let left = || {
        let until = stopping.borrow().map_or(until, |stop| stop.min(until));
        until.saturating_duration_since(Instant::now())
    };
    let mut found = of_files(&sources, &left);
    found.extend(of_program(&sources, &settings.secrets, &left));
    settings.put_keys(&found);
}

/// A key that is not there.
fn say(source: &dyn std::fmt::Display, wrong: &str) {
    tracing::warn!("No API key from {source} ({wrong}): nothing is sent with it.");
}

fn of_files(sources: &BTreeSet<Source>, left: &dyn Fn() -> Duration) -> Found {
    let mut found = Found::new();
    for source in sources {
        let Source::File(path) = source else { continue };
        match config::key_of_file(path, left()) {
            Ok(key) => {
                found.insert(source.clone(), key);
            }
            Err(wrong) => say(source, &wrong),
        }
    }
    found
}

/// Asks the user's program for all names at once.
fn of_program(
    sources: &BTreeSet<Source>,
    settings: &backend::Settings,
    left: &dyn Fn() -> Duration,
) -> Found {
    let handles = || {
        sources.iter().filter_map(|source| match source {
            Source::Handle(handle) => Some(handle.as_str()),
            Source::File(_) => None,
        })
    };
    if handles().next().is_none() {
        return Found::new();
    }
    let mut found = Found::new();
    match answer(settings, &backend::question(handles()), left)
        .and_then(|output| backend::answer(&output, handles()))
    {
        Ok(all) => {
            for (handle, key) in all {
                let source = Source::Handle(handle);
                match key {
                    Ok(key) => {
                        found.insert(source, key);
                    }
                    Err(wrong) => say(&source, &wrong),
                }
            }
        }
        Err(wrong) => say(&format_args!("the secrets backend {:?}", settings.command), &wrong),
    }
    found
}

fn answer(
    settings: &backend::Settings,
    question: &[u8],
    left: &dyn Fn() -> Duration,
) -> Result<Vec<u8>, String> {
    if settings.command.is_empty() {
        return Err("DD_SECRET_BACKEND_COMMAND is not set".to_owned());
    }
    let words = [&settings.command].into_iter().chain(&settings.arguments);
    let words: Result<Vec<CString>, _> = words.map(|word| CString::new(word.as_str())).collect();
    let command = words.ok().and_then(Command::of_argv);
    let command = command.ok_or("it has a zero byte in its name or arguments")?;
    let output = init::ask(&command, question, settings.output_bytes_max, left);
    output.map_err(|why| match why {
        NoAnswer::NotStarted(errno) => format!("it can't be started: {}", errno.desc()),
        NoAnswer::TooLarge => format!(
            "it wrote more than {} bytes and was killed; DD_SECRET_BACKEND_OUTPUT_MAX_SIZE allows more",
            settings.output_bytes_max
        ),
        NoAnswer::Late => format!(
            "it was not done within {:?}, or before the end, and was killed; DD_SECRET_BACKEND_TIMEOUT gives it more",
            settings.timeout
        ),
        NoAnswer::Unreadable(error) => format!("its output can't be read: {error}"),
    })
}
