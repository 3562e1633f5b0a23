//! Where our cgroup is in the file system.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Bytes read of each file; a process in a container has some kilobytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Levels of cgroups that are looked at, from ours upwards.
const LEVELS_MAX: usize = 8;

/// Our cgroup in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) version: Version,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// Where the hierarchy, or the part of it that is visible, is mounted: `folder` or above it.
    mount: PathBuf,
}

/// A version of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

impl Place {
    /// The cgroup's folder and those above it, as far as they are visible, [`LEVELS_MAX`] at the most.
    pub(super) fn levels(&self) -> impl Iterator<Item = &Path> {
        let levels = self.folder.ancestors().take_while(|level| level.starts_with(&self.mount));
        levels.take(LEVELS_MAX)
    }
}

/// Our places in all hierarchies, as the kernel writes them.
#[derive(Debug)]
pub(super) struct Hierarchies<'a> {
    /// `/`, or where a recorded file system begins.
    root: &'a Path,
    /// `/proc/self/cgroup`: a line `number:controllers:path` for each; version 2 has neither number nor controllers.
    groups: String,
    /// `/proc/self/mountinfo`.
    mounts: String,
}

impl<'a> Hierarchies<'a> {
    pub(super) fn read(root: &'a Path) -> Self {
        let text = |name| read_text(&root.join(name)).unwrap_or_default();
        Self { root, groups: text("proc/self/cgroup"), mounts: text("proc/self/mountinfo") }
    }

    pub(super) fn of_texts(root: &'a Path, groups: &str, mounts: &str) -> Self {
        Self { root, groups: groups.to_owned(), mounts: mounts.to_owned() }
    }

    /// The kernel knows no cgroups, or shows none.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.trim().is_empty()
    }

    /// Our cgroup of a controller: in version 1 where the controller has a hierarchy there that is mounted, else in version 2.
    pub(super) fn place(&self, controller: &str) -> Option<Place> {
        self.find(Version::One, controller).or_else(|| self.find(Version::Two, controller))
    }

    fn find(&self, version: Version, controller: &str) -> Option<Place> {
        let group = self.groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, controllers) = (fields.next()?, fields.next()?);
            let is_it = match version {
                Version::One => has(controllers, controller),
                Version::Two => number == "0" && controllers.is_empty(),
            };
            fields.next().filter(|_| is_it)
        })?;
        let mounts = || {
            let mounts = self.mounts.lines().filter_map(Mount::of_line);
            mounts.filter(|mount| match version {
                Version::One => mount.kind == "cgroup" && has(mount.options, controller),
                Version::Two => mount.kind == "cgroup2",
            })
        };
        // A mount that our path is not below of shows another part of the hierarchy, or was made in another namespace: then it is the
        // container's own, of which we know no more. So is one that has not the folder.
        let found = mounts().find_map(|mount| self.folder(mount, version, mount.below(group)?));
        found.or_else(|| mounts().find_map(|mount| self.folder(mount, version, "")))
    }

    fn folder(&self, mount: Mount<'_>, version: Version, below: &str) -> Option<Place> {
        let mount = self.root.join(unescaped(mount.point).strip_prefix("/").ok()?);
        let folder = if below.is_empty() { mount.clone() } else { mount.join(below) };
        folder.is_dir().then_some(Place { version, folder, mount })
    }
}

/// Whether a name is in a list with commas between them.
fn has(list: &str, name: &str) -> bool {
    list.split(',').any(|one| one == name)
}

/// A line of mountinfo (`man 5 proc_pid_mountinfo`).
#[derive(Clone, Copy, Debug)]
struct Mount<'a> {
    /// What of the file system is mounted.
    root: &'a str,
    /// Where.
    point: &'a str,
    /// The file system's type.
    kind: &'a str,
    /// The file system's options; with version 1 the controllers are among them.
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn of_line(line: &'a str) -> Option<Self> {
        // Optional fields stand before the dash.
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut file_system = file_system.split(' ');
        Some(Self {
            root: mount.next()?,
            point: mount.next()?,
            kind: file_system.next()?,
            options: file_system.nth(1).unwrap_or_default(),
        })
    }

    /// The path of a cgroup from this mount on, without a slash before it; nothing where it is not below. A path with `..` in it leads out of
    /// our namespace, where nothing is visible.
    fn below(self, group: &'a str) -> Option<&'a str> {
        let below = group.strip_prefix(self.root.trim_end_matches('/'))?;
        if !below.is_empty() && !below.starts_with('/') {
            return None;
        }
        let below = below.trim_matches('/');
        (!below.split('/').any(|part| part == "..")).then_some(below)
    }
}

/// A path of mountinfo, in which blanks and the like are written as `\040`.
fn unescaped(path: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let octal = behind
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { behind.get(3..).unwrap_or_default() } else { behind };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// A small file's text, cut at [`FILE_BYTES_MAX`].
fn read_text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Mount, unescaped};

    fn below<'a>(root: &'a str, group: &'a str) -> Option<&'a str> {
        Mount { root, point: "/", kind: "cgroup2", options: "" }.below(group)
    }

    #[test]
    fn a_group_is_below_a_mount_by_whole_names() {
        assert_eq!(below("/", "/"), Some(""));
        assert_eq!(below("/", "/docker/a/b"), Some("docker/a/b"));
        assert_eq!(below("/docker/a", "/docker/a"), Some(""));
        assert_eq!(below("/docker/a", "/docker/a/b"), Some("b"));
        assert_eq!(below("/docker/a", "/docker/ab"), None);
        assert_eq!(below("/docker/a", "/"), None);
        assert_eq!(below("/", "/../b"), None);
        assert_eq!(below("/..", "/"), None);
    }

    #[test]
    fn paths_are_unescaped() {
        assert_eq!(unescaped("/a\\040b\\134c"), PathBuf::from("/a b\\c"));
        assert_eq!(unescaped("/a\\04"), PathBuf::from("/a\\04"));
        assert_eq!(unescaped("/a\\999"), PathBuf::from("/a\\999"));
    }
}
