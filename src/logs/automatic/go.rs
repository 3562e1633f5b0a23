//! Crash dumps of Go: the message, then a chunk for each goroutine, functions and files in turn, maybe registers (the agent's stack-trace
//! aggregator, spec: metrics-logs 4.6; the forms are those of Go's `runtime`).

use super::piece::Piece;
use crate::logs::held::Held;
use crate::logs::lines::trim;

/// Where in a dump the last line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the message before the first chunk.
    Header,
    /// Behind a blank line.
    Between,
    /// In a chunk; the next line is a function.
    Function,
    /// In a chunk; the next line is the file of a function.
    File,
    Registers,
}

/// Puts dumps together.
#[derive(Debug)]
pub(super) struct GoJoin {
    held: Held,
    at: At,
    has_chunk: bool,
    /// Lines at the end that belong to the dump only if the next one does.
    unconfirmed: usize,
    bytes_max: usize,
    tags: &'static [&'static str],
}

/// The tag of a dump.
const TAGS: &[&str] = &["multiline:go_stack"];

impl GoJoin {
    /// Dumps of up to `bytes_max` bytes; with the tag `multiline:go_stack` where `is_tagged`.
    pub(super) fn new(bytes_max: usize, is_tagged: bool) -> Self {
        Self {
            held: Held::default(),
            at: At::Header,
            has_chunk: false,
            unconfirmed: 0,
            bytes_max,
            tags: if is_tagged { TAGS } else { &[] },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes a line or a message. What becomes of it and of those before goes to `out` as soon as that is known.
    pub(super) fn piece(&mut self, piece: Piece<'_>, out: &mut dyn FnMut(Piece<'_>)) {
        let line = match piece {
            Piece::Line(line) => line,
            Piece::Message(message) => {
                self.flush(out);
                return out(Piece::Message(message));
            }
        };
        if !self.held.is_empty() {
            if self.accepts(line.text) {
                if self.held.has_room(&line, self.bytes_max) {
                    return self.held.push(&line, b"");
                }
                self.give_up(0, out);
                return out(Piece::Line(line));
            }
            self.flush(out);
        }
        if !is_start(line.text) || line.text.len() >= self.bytes_max {
            return out(Piece::Line(line));
        }
        self.held.push(&line, b"");
        self.at = At::Header;
        self.has_chunk = false;
        self.unconfirmed = 0;
    }

    /// Gives out what is held: a message if it is a dump, else the lines as they were.
    pub(super) fn flush(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        let confirmed = self.held.len().saturating_sub(self.unconfirmed);
        if !self.has_chunk || confirmed < 2 {
            return self.give_up(0, out);
        }
        if let Some(message) = self.held.message(confirmed, self.tags) {
            out(Piece::Message(message));
        }
        self.give_up(confirmed, out);
    }

    /// Gives out the lines from that at `from` on as they were, and forgets all.
    fn give_up(&mut self, from: usize, out: &mut dyn FnMut(Piece<'_>)) {
        self.held.lines_from(from).for_each(|line| out(Piece::Line(line)));
        self.held.clear();
    }

    /// Whether the line goes on with the dump.
    fn accepts(&mut self, text: &[u8]) -> bool {
        if trim(text).is_empty() {
            // A function whose file does not come is none.
            self.unconfirmed = if self.at == At::File { self.unconfirmed + 1 } else { 0 };
            self.at = At::Between;
            return true;
        }
        if self.at != At::Header && is_start(text) {
            return false;
        }
        // Blank lines between chunks are lost on many ways, so a chunk may begin anywhere but before the file of a function.
        if self.at != At::File
            && let Some(at) = chunk_start(text)
        {
            self.at = at;
            self.has_chunk = true;
            self.unconfirmed = 0;
            return true;
        }
        match self.at {
            At::Header => is_header(text),
            At::Between => false,
            At::Function => self.accepts_function(text),
            At::File => {
                let is_file = text.starts_with(b"\t");
                if is_file {
                    self.at = At::Function;
                    self.unconfirmed = 0;
                }
                is_file
            }
            At::Registers => is_registers(text),
        }
    }

    fn accepts_function(&mut self, text: &[u8]) -> bool {
        if text.first().is_some_and(u8::is_ascii_alphabetic) {
            self.at = At::File;
            self.unconfirmed = 1;
            return true;
        }
        // "...12 frames elided..."
        text.starts_with(b"...")
    }
}

fn is_start(text: &[u8]) -> bool {
    let starts = |word: &[u8]| text.starts_with(word);
    match text.first() {
        Some(b'p') => starts(b"panic:"),
        Some(b'f') => starts(b"fatal error:"),
        Some(b'r') => starts(b"runtime:"),
        Some(b'u') => starts(b"unexpected fault address"),
        Some(b'S') => starts(b"SIG") && text.windows(2).any(|pair| pair == b": "),
        _ => false,
    }
}

fn is_header(text: &[u8]) -> bool {
    const HEADERS: [&[u8]; 6] =
        [b"\t", b"[signal ", b"fatal error:", b"PC=", b"signal ", b"runtime:"];
    HEADERS.iter().any(|header| text.starts_with(header))
}

/// Where a line leads that begins a chunk.
fn chunk_start(text: &[u8]) -> Option<At> {
    if text.starts_with(b"goroutine ") || text.starts_with(b"runtime stack:") {
        return Some(At::Function);
    }
    // The registers that come first on the processors that Go knows.
    const FIRST: [&[u8]; 5] = [b"rax", b"eax", b"r0", b"trap", b"ra"];
    let name = text.split(|byte| matches!(byte, b' ' | b'\t')).next().unwrap_or_default();
    (FIRST.contains(&name) && is_registers(text)).then_some(At::Registers)
}

/// One or several registers with their values: `rax 0x1f`, with tabs between several.
fn is_registers(text: &[u8]) -> bool {
    const NAME_BYTES_MAX: usize = 8;
    text.split(|byte| *byte == b'\t').filter(|part| !part.is_empty()).count() > 0
        && registers(text).all(|(name, value)| {
            let is_name = name.first().is_some_and(u8::is_ascii_lowercase)
                && name.len() <= NAME_BYTES_MAX
                && name.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            let digits = value.strip_prefix(b"0x").unwrap_or_default();
            is_name && !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit)
        })
}

/// Names and values; a name alone has an empty value.
fn registers(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let name_len = rest.iter().position(is_space).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(name_len);
        let value = behind.trim_ascii_start();
        let value_len = value.iter().position(is_space).unwrap_or(value.len());
        let (value, behind) = value.split_at(value_len);
        rest = match behind {
            // Only a tab stands between two of them.
            [b'\t', next @ ..] if !next.is_empty() => next,
            _ => behind,
        };
        Some((name, value))
    })
}

#[cfg(test)]
mod tests {
    use super::super::piece::tests::{lines_of, texts};
    use super::{GoJoin, chunk_start, is_registers};

    fn check(input: &str, expect: &[&str]) {
        let mut join = GoJoin::new(200, true);
        let mut pieces = Vec::new();
        for line in lines_of(input) {
            join.piece(super::Piece::Line(line), &mut |piece| pieces.push(texts(&piece)));
        }
        join.flush(&mut |piece| pieces.push(texts(&piece)));
        assert_eq!(pieces, expect, "{input:?}");
        assert!(join.is_empty());
    }

    #[test]
    fn a_dump_is_one_message() {
        check(
            "a\npanic: x\n\ngoroutine 1 [running]:\nmain.main()\n\t/a.go:1 +0x1\n\ngoroutine 2 [select]:\nmain.f(...)\n\t/a.go:2\nexit status 2",
            &[
                "a",
                "panic: x\\n\\ngoroutine 1 [running]:\\nmain.main()\\n\t/a.go:1 +0x1\\n\\ngoroutine 2 [select]:\\nmain.f(...)\\n\t/a.go:2 x7 multiline:go_stack",
                "exit status 2",
            ],
        );
        check(
            "fatal error: x\nruntime stack:\nf()\n\t/a.go:1\n...3 frames elided...\ngoroutine 1:\ng()\n\t/b.go:1\npanic: y",
            &[
                "fatal error: x\\nruntime stack:\\nf()\\n\t/a.go:1\\n...3 frames elided...\\ngoroutine 1:\\ng()\\n\t/b.go:1 x8 multiline:go_stack",
                "panic: y",
            ],
        );
        check(
            "SIGSEGV: segmentation violation\nPC=0x1 m=0\n\nrax 0x1\nrbx 0x2\nlevel=info",
            &[
                "SIGSEGV: segmentation violation\\nPC=0x1 m=0\\n\\nrax 0x1\\nrbx 0x2 x4 multiline:go_stack",
                "level=info",
            ],
        );
    }

    #[test]
    fn a_function_without_its_file_is_no_part_of_it() {
        check(
            "panic: x\ngoroutine 1:\nf()\n\t/a.go:1\nserver stopped",
            &["panic: x\\ngoroutine 1:\\nf()\\n\t/a.go:1 x4 multiline:go_stack", "server stopped"],
        );
        check(
            "panic: x\ngoroutine 1:\nf()\n\t/a.go:1\nserver stopped\n\nok",
            &[
                "panic: x\\ngoroutine 1:\\nf()\\n\t/a.go:1 x4 multiline:go_stack",
                "server stopped",
                "",
                "ok",
            ],
        );
    }

    #[test]
    fn what_only_begins_like_a_dump_stays_lines() {
        check("panic: x\na\npanic: y", &["panic: x", "a", "panic: y"]);
        check("runtime: x\nruntime: y", &["runtime: x", "runtime: y"]);
        check("SIGHUP received\nfatal error", &["SIGHUP received", "fatal error"]);
        let long = "f".repeat(200);
        check(
            &format!("panic: x\ngoroutine 1:\n{long}\nb"),
            &["panic: x", "goroutine 1:", &long, "b"],
        );
    }

    #[test]
    fn registers_are_told_from_words() {
        for text in ["rax 0x7f", "r0\t0xff", "r0      0x104", "r0   0xa\tr1   0xb", "oldmask 0x0"] {
            assert!(is_registers(text.as_bytes()), "{text:?}");
        }
        for text in [
            "",
            "rax",
            "rax 7f",
            "rax 0x",
            "registers 0xf",
            "0r 0xf",
            "RAX 0x1",
            "rax 0xf x",
            "rax 0xf\t0a 0x0",
            "rax 0xf ",
            "level=info",
            "rax 0xf\t",
        ] {
            assert!(!is_registers(text.as_bytes()), "{text:?}");
        }
        assert!(chunk_start(b"ra 0x1\tsp 0x2").is_some());
        assert!(chunk_start(b"rbx 0x1").is_none() && chunk_start(b"trap 6").is_none());
    }
}
