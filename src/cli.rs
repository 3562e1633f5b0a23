//! The command line: options only before the command, and the command's own words untouched.

use std::ffi::{CStr, CString};
use std::io::Write;

use crate::init;
use crate::version;

/// The exit code of a usage error (`EX_USAGE` of sysexits.h).
pub const USAGE_CODE: u8 = 64;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a command and be its wrapper.
    Wrap {
        /// The command and its arguments, as given.
        argv: Vec<CString>,
        /// Whether the traces are shown on standard error.
        view: bool,
    },
    /// Serve without a command.
    Sidecar {
        /// Whether the traces are shown on standard error.
        view: bool,
    },
    /// Print this on standard output and exit with 0.
    Print(String),
    /// Print this on standard error and exit with [`USAGE_CODE`].
    Usage(String),
}

const HELP: &str = "\
Usage: pillion [OPTIONS] [--] COMMAND [ARG...]
       pillion [OPTIONS]

Runs COMMAND as its child: signals, exit code, input and output are as without
pillion. The traces that the command sends to localhost:8126 go to Datadog.
Without a command it serves as a sidecar, on all interfaces.

Options:
  --view     show every trace as a tree on standard error
  --version  print the version
  --help     print this

Examples:
  ENTRYPOINT [\"/pillion\"]                   in a Dockerfile, before CMD
  DD_API_KEY=... pillion ddtrace-run python app.py
  pillion --view -- node --require dd-trace/init app.js

Settings come from the environment: DD_API_KEY, DD_SITE, DD_ENV, DD_TAGS, ...
and from the datadog.yaml that DD_CONF_PATH names or that is in its usual place.
";

/// Reads the words after the program's own name.
///
/// The first word that is not an option is the command, and all after it is the command's. One single word with white space in it that is not
/// itself an executable is split there, as `datadog-init` does: an image's `CMD` may be one string.
pub fn parse(args: Vec<CString>) -> Action {
    parse_with(args, &init::is_executable)
}

fn parse_with(args: Vec<CString>, is_executable: &dyn Fn(&CStr) -> bool) -> Action {
    let mut view = false;
    let mut args = args.into_iter().peekable();
    while let Some(option) = args.next_if(|word| is_option(word)) {
        match option.to_bytes() {
            b"--" if args.peek().is_none() => return usage("no command after --"),
            b"--" => break,
            b"--help" | b"-h" => return Action::Print(HELP.into()),
            b"--version" => {
                return Action::Print(format!("{} (as agent {})\n", version::OWN, version::AGENT));
            }
            b"--view" => view = true,
            _ => return usage(&format!("unknown option {:?}", option.to_string_lossy())),
        }
    }
    let argv: Vec<_> = args.collect();
    match argv.as_slice() {
        [] => Action::Sidecar { view },
        [line] => Action::Wrap { argv: split(line, is_executable).unwrap_or(argv), view },
        _ => Action::Wrap { argv, view },
    }
}

/// Whether `word` is an option. A lone `-` is none: it is what many programs call standard input.
fn is_option(word: &CStr) -> bool {
    word.count_bytes() > 1 && word.to_bytes().starts_with(b"-")
}

fn usage(problem: &str) -> Action {
    Action::Usage(format!(
        "pillion: {problem}; usage: pillion [--view] [--] COMMAND [ARG...], more with pillion --help\n"
    ))
}

/// The words of a command that was given as one, or nothing where it is not to be split.
fn split(line: &CStr, is_executable: &dyn Fn(&CStr) -> bool) -> Option<Vec<CString>> {
    let words: Vec<_> = match line.to_str() {
        Ok(text) => text.split_whitespace().map(str::as_bytes).collect(),
        Err(_) => {
            line.to_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect()
        }
    };
    if words.is_empty() || words == [line.to_bytes()] || is_executable(line) {
        return None;
    }
    words.into_iter().map(|word| CString::new(word).ok()).collect()
}

/// Writes `text` on standard output. That it is closed or full is no error of ours.
pub fn print(text: &str) {
    std::io::stdout().write_all(text.as_bytes()).ok();
}

/// Writes `text` on standard error, likewise.
pub fn complain(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).ok();
}

#[cfg(test)]
mod tests {
    use super::{Action, parse_with};
    use std::ffi::CString;

    fn parse(args: &[&str]) -> Action {
        let args = args.iter().map(|arg| CString::new(*arg).unwrap()).collect();
        parse_with(args, &|program| program == c"/opt/my app")
    }

    fn check_wrap(args: &[&str], expect_view: bool, expect: &[&str]) {
        let argv = expect.iter().map(|arg| CString::new(*arg).unwrap()).collect();
        assert_eq!(parse(args), Action::Wrap { argv, view: expect_view }, "{args:?}");
    }

    fn check_usage(args: &[&str], word: &str) {
        let Action::Usage(text) = parse(args) else { panic!("{args:?} was taken") };
        assert!(text.contains(word) && text.lines().count() == 1, "{text}");
    }

    #[test]
    fn options_stand_only_before_the_command() {
        check_wrap(&["app"], false, &["app"]);
        check_wrap(&["app", "--view", "-h", "--"], false, &["app", "--view", "-h", "--"]);
        check_wrap(&["--view", "app", "--help"], true, &["app", "--help"]);
        check_wrap(&["--view", "--", "app", "", "a b"], true, &["app", "", "a b"]);
        check_wrap(&["--", "--view"], false, &["--view"]);
        check_wrap(&["--", "--", "true"], false, &["--", "true"]);
        check_wrap(&["-"], false, &["-"]);
    }

    #[test]
    fn no_word_at_all_is_the_sidecar() {
        assert_eq!(parse(&[]), Action::Sidecar { view: false });
        assert_eq!(parse(&["--view"]), Action::Sidecar { view: true });
    }

    #[test]
    fn what_is_not_understood_is_a_usage_error() {
        check_usage(&["--wiew", "app"], "\"--wiew\"");
        check_usage(&["-x"], "\"-x\"");
        check_usage(&["--view=1", "app"], "--view=1");
        check_usage(&["--"], "no command");
    }

    #[test]
    fn help_and_version_are_printed() {
        let Action::Print(help) = parse(&["--view", "--help"]) else { panic!("no help") };
        assert!(help.starts_with("Usage:") && help.lines().all(|line| line.len() <= 80), "{help}");
        assert!(matches!(parse(&["-h"]), Action::Print(_)));
        let Action::Print(version) = parse(&["--version"]) else { panic!("no version") };
        assert!(version.starts_with("pillion-") && version.contains("7.85.2"), "{version}");
    }

    #[test]
    fn one_word_with_white_space_is_split_unless_it_is_a_program() {
        check_wrap(&["python  app.py\t-x "], false, &["python", "app.py", "-x"]);
        check_wrap(&["--", "a\u{a0}b"], false, &["a", "b"]);
        check_wrap(&[" app"], false, &["app"]);
        check_wrap(&["/opt/my app"], false, &["/opt/my app"]);
        check_wrap(&["python app.py", "x"], false, &["python app.py", "x"]);
        check_wrap(&["  "], false, &["  "]);
        check_wrap(&[""], false, &[""]);
    }

    #[test]
    fn words_that_are_not_utf_8_are_split_and_kept_too() {
        let args = vec![CString::new(b"a\xff b".to_vec()).unwrap()];
        let argv = vec![CString::new(b"a\xff".to_vec()).unwrap(), c"b".to_owned()];
        assert_eq!(parse_with(args, &|_| false), Action::Wrap { argv, view: false });
    }
}
