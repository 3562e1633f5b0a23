//! Where a command is looked for: the rules of execvp(3), without its fall-back to a shell.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

/// Where commands are looked for when there is no `PATH`: what musl does, and Docker's own default without the directories of the superuser.
const PATH_DEFAULT: &[u8] = b"/usr/local/bin:/bin:/usr/bin";

/// The value of the variable `name` in an environment block: the first entry counts, as in getenv(3).
pub(super) fn variable<'a>(
    environment: impl IntoIterator<Item = &'a CStr>,
    name: &[u8],
) -> Option<&'a [u8]> {
    environment
        .into_iter()
        .find_map(|entry| entry.to_bytes().strip_prefix(name)?.strip_prefix(b"="))
}

/// The paths at which `program` may be, in the order in which they are tried: itself where it has a slash, otherwise one for each
/// directory of `path`. An empty directory means the current one.
pub(super) fn candidates(program: &CStr, path: Option<&[u8]>) -> Vec<CString> {
    let name = program.to_bytes();
    if name.is_empty() || name.contains(&b'/') {
        return vec![program.to_owned()];
    }
    let directories = path.unwrap_or(PATH_DEFAULT).split(|byte| *byte == b':');
    directories.filter_map(|directory| CString::new(join(directory, name)).ok()).collect()
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let directory = if directory.is_empty() { b"." } else { directory };
    [directory, b"/", name].concat()
}

/// Whether `program` is found as a file that may be executed, by the `PATH` of this process.
pub fn is_executable(program: &CStr) -> bool {
    let environment = super::environment();
    let path = variable(environment.iter().map(CString::as_c_str), b"PATH");
    candidates(program, path).iter().any(|candidate| {
        let file = Path::new(std::ffi::OsStr::from_bytes(candidate.to_bytes()));
        file.is_file() && access(file, AccessFlags::X_OK).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::{candidates, is_executable, variable};
    use std::ffi::CString;

    fn check(program: &str, path: Option<&str>, expect: &[&str]) {
        let found = candidates(&CString::new(program).unwrap(), path.map(str::as_bytes));
        let found: Vec<_> = found.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(found, expect, "{program} in {path:?}");
    }

    #[test]
    fn a_command_is_looked_for_as_execvp_does() {
        check("ls", Some("/a:/b"), &["/a/ls", "/b/ls"]);
        check("ls", Some(":/b:"), &["./ls", "/b/ls", "./ls"]);
        check("ls", Some(""), &["./ls"]);
        check("ls", None, &["/usr/local/bin/ls", "/bin/ls", "/usr/bin/ls"]);
        check("./ls", Some("/a"), &["./ls"]);
        check("/bin/ls", Some("/a"), &["/bin/ls"]);
        check("", Some("/a"), &[""]);
    }

    #[test]
    fn the_first_entry_of_a_variable_counts() {
        let block = [c"PATHS=/no", c"PATH", c"PATH=/a", c"PATH=/b"];
        assert_eq!(variable(block, b"PATH"), Some(b"/a".as_slice()));
        assert_eq!(variable(block, b"HOME"), None);
    }

    #[test]
    fn files_that_may_be_executed_are_told_from_others() {
        assert!(is_executable(c"sh"));
        assert!(is_executable(c"/bin/sh"));
        assert!(!is_executable(c"/etc/passwd"));
        assert!(!is_executable(c"/etc"));
        assert!(!is_executable(c"no such program"));
        assert!(!is_executable(c""));
    }
}
