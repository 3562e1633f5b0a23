//! Panics, said as one line that never waits for stderr: the standard library's own report takes several and blocks where stderr does.

use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicU32, Ordering};

/// Faults that are reported; a fault that comes with every request would fill the log.
const REPORTED_MAX: u32 = 5;

static REPORTED: AtomicU32 = AtomicU32::new(0);

/// Reports panics of all threads this way from now on.
pub fn report_panics() {
    panic::set_hook(Box::new(|fault| {
        if REPORTED.fetch_add(1, Ordering::Relaxed) < REPORTED_MAX {
            super::line(&describe(fault));
        }
    }));
}

fn describe(fault: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let place = fault.location().map(ToString::to_string).unwrap_or_default();
    let what = fault.payload_as_str().unwrap_or("no reason given");
    format!(
        "a fault of pillion's own, please report it: {what} ({place}, thread {}). The app is not affected.",
        thread.name().unwrap_or("unnamed")
    )
}

#[cfg(test)]
mod tests {
    use std::panic;
    use std::sync::{Arc, Mutex};

    use super::describe;

    #[test]
    fn a_fault_is_told_with_its_place_and_thread() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&told);
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |fault| {
            own.lock().unwrap().push(describe(fault));
        }));
        let run = || panic!("index {} is gone", 7);
        let ended = std::thread::Builder::new().name("pillion-test".into()).spawn(run).unwrap();
        assert!(ended.join().is_err());
        panic::set_hook(before);
        let told = told.lock().unwrap();
        let line = told.iter().find(|line| line.contains("pillion-test")).unwrap();
        assert!(line.contains("index 7 is gone (src/log/fault.rs:"), "{line}");
        assert!(line.contains("The app is not affected."), "{line}");
    }
}
