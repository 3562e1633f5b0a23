//! Whether the app died, and what there is to say of it.

use super::{End, measure, signal};

/// A death, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// What happened, in a word or two: `OOM`, `SIGSEGV`, `exit 3`, `exec` where it could not be started.
    pub kind: String,
    /// The same as half a sentence about the app, for people: `was killed by SIGKILL after 3.2 s: out of memory`.
    pub what: String,
}

/// The exit code of a shell whose program was killed by SIGKILL.
const KILLED_BELOW: u8 = 128 + 9;

impl End {
    /// The death that this end was; nothing where the app ended well, or as somebody had asked it to.
    pub fn death(&self) -> Option<Death> {
        if let Some(why) = &self.not_started {
            return Some(Death { kind: "exec".to_owned(), what: format!("did not start: {why}") });
        }
        if self.code == 0 || (self.was_asked && is_of_stop(self.code)) {
            return None;
        }
        let how = match self.signal {
            Some(number) => format!("was killed by {}", signal::name(number)),
            None => format!("ended with exit code {}", self.code),
        };
        let because = self.because();
        let why = because.map(|because| format!(": {because}")).unwrap_or_default();
        Some(Death {
            kind: self.kind(),
            what: format!("{how} after {}{why}", measure::time(self.lasted)),
        })
    }

    /// Whether a process of the container that was killed for want of memory was the app.
    fn is_out_of_memory(&self) -> bool {
        self.out_of_memory.is_some() && self.code == KILLED_BELOW
    }

    fn kind(&self) -> String {
        match self.signal {
            _ if self.is_out_of_memory() => "OOM".to_owned(),
            Some(number) => signal::name(number).into_owned(),
            None => format!("exit {}", self.code),
        }
    }

    fn because(&self) -> Option<String> {
        if let Some(memory) = self.out_of_memory {
            let limit = memory
                .limit_bytes
                .map(|bytes| format!(" (the container's limit is {})", measure::bytes(bytes)));
            let limit = limit.unwrap_or_default();
            return Some(if self.is_out_of_memory() {
                format!("out of memory{limit}")
            } else {
                format!(
                    "the kernel had just killed a process of the container, out of memory{limit}"
                )
            });
        }
        if self.signal.is_some() {
            return self.has_core.then(|| "its memory was written to a core file".to_owned());
        }
        match self.code {
            126 => Some("a shell's code for what could not be executed".to_owned()),
            127 => Some("a shell's code for what was not found".to_owned()),
            129..=192 => Some(format!(
                "a shell's code for what was killed by {}",
                signal::name(i32::from(self.code) - 128)
            )),
            _ => None,
        }
    }
}

/// Whether an exit code says that a signal which asks a program to stop ended it.
fn is_of_stop(code: u8) -> bool {
    [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP]
        .iter()
        .any(|signal| i32::from(code) == 128 + signal)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::OutOfMemory;
    use super::{Death, End};

    fn end(code: u8, signal: Option<i32>) -> End {
        End {
            code,
            signal,
            has_core: false,
            was_asked: false,
            lasted: Duration::from_millis(3250),
            out_of_memory: None,
            not_started: None,
        }
    }

    fn said(end: &End) -> (String, String) {
        let Death { kind, what } = end.death().unwrap();
        (kind, what)
    }

    fn pair(kind: &str, what: &str) -> (String, String) {
        (kind.to_owned(), what.to_owned())
    }

    #[test]
    fn deaths_say_how_and_after_how_long() {
        assert_eq!(said(&end(3, None)), pair("exit 3", "ended with exit code 3 after 3.2 s"));
        assert_eq!(said(&end(137, Some(9))), pair("SIGKILL", "was killed by SIGKILL after 3.2 s"));
        let core = End { has_core: true, ..end(139, Some(11)) };
        assert_eq!(
            said(&core),
            pair(
                "SIGSEGV",
                "was killed by SIGSEGV after 3.2 s: its memory was written to a core file"
            )
        );
        assert_eq!(
            said(&end(143, None)).1,
            "ended with exit code 143 after 3.2 s: a shell's code for what was killed by SIGTERM"
        );
    }

    #[test]
    fn a_kill_for_want_of_memory_is_told_apart() {
        let memory = OutOfMemory { limit_bytes: Some(512 << 20) };
        let killed = End { out_of_memory: Some(memory), ..end(137, Some(9)) };
        assert_eq!(
            said(&killed),
            pair(
                "OOM",
                "was killed by SIGKILL after 3.2 s: out of memory (the container's limit is 512 MiB)"
            )
        );
        // The shell around it lives on, and ends with its code.
        let shell = End { out_of_memory: Some(memory), ..end(137, None) };
        assert_eq!(said(&shell).0, "OOM");
        let other = End { out_of_memory: Some(OutOfMemory::default()), ..end(1, None) };
        assert_eq!(
            said(&other),
            pair(
                "exit 1",
                "ended with exit code 1 after 3.2 s: the kernel had just killed a process of the container, out of memory"
            )
        );
    }

    #[test]
    fn an_end_that_was_asked_for_is_no_death() {
        assert_eq!(end(0, None).death(), None);
        for (code, signal) in [(143, Some(15)), (143, None), (130, Some(2)), (0, None)] {
            assert_eq!(End { was_asked: true, ..end(code, signal) }.death(), None);
        }
        for (code, signal) in [(1, None), (137, Some(9)), (139, Some(11))] {
            assert!(End { was_asked: true, ..end(code, signal) }.death().is_some());
        }
        // Nobody asked.
        assert_eq!(said(&end(143, Some(15))).0, "SIGTERM");
    }

    #[test]
    fn what_did_not_start_says_why() {
        let end = End { not_started: Some("no such file".to_owned()), ..end(127, None) };
        assert_eq!(said(&end), pair("exec", "did not start: no such file"));
    }
}
