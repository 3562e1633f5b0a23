//! Our container's id, from what the kernel says of our own process: cgroup v1 names it in the path of each hierarchy, cgroup v2 with a
//! namespace of its own shows `/` there, and then the host's path of a mounted file (`/etc/hostname`) has it.

use std::fs::File;
use std::io::Read;

/// Bytes read of each file; a process in a container has some kilobytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// The id of the container that we run in; nothing outside of one.
pub(super) fn own() -> Option<String> {
    let of_cgroup = read("/proc/self/cgroup").and_then(|text| of_cgroup(&text).map(str::to_owned));
    of_cgroup.or_else(|| {
        read("/proc/self/mountinfo").and_then(|text| of_mountinfo(&text).map(str::to_owned))
    })
}

/// A small file's text, cut at [`FILE_BYTES_MAX`].
pub(super) fn read(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The id in `/proc/<pid>/cgroup` (`man 7 cgroups`: `hierarchy:controllers:path`): in the last part of the path that has one.
fn of_cgroup(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        path.rsplit('/').find_map(id_of_part)
    })
}

/// The id in `/proc/<pid>/mountinfo` (`man 5 proc`: the fourth field is the root of the mount within its file system): the folder of a
/// `hostname` that is mounted into the container. A pod's sandbox has one, too, which is not ours.
fn of_mountinfo(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let mut parts = line.split(' ').nth(3)?.rsplit('/');
        if parts.next() != Some("hostname") {
            return None;
        }
        let id = parts.by_ref().find_map(id_of_part)?;
        (parts.next() != Some("sandboxes")).then_some(id)
    })
}

/// The id in a part of a path such as `docker-<id>.scope` or `<id>`.
fn id_of_part(part: &str) -> Option<&str> {
    let part = part.strip_suffix(".scope").unwrap_or(part);
    // What the runtime puts before it ends in `-`, and so may what stands in a task's id of ECS.
    let whole = is_id(part).then_some(part);
    whole.or_else(|| part.rsplit_once('-').map(|(_, id)| id).filter(|id| is_hex(id, 64)))
}

/// 64 hex digits; on Fargate 32 of them with a number after `-`; on Cloud Foundry a UUID of which the last part is short.
fn is_id(text: &str) -> bool {
    if is_hex(text, 64) {
        return true;
    }
    if let Some((task, number)) = text.split_once('-')
        && is_hex(task, 32)
    {
        return !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    }
    let groups: Vec<&str> = text.split('-').collect();
    matches!(groups.as_slice(), [first, rest @ ..] if rest.len() == 4 && is_hex(first, 8) && rest.iter().all(|part| is_hex(part, 4)))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// For the fuzz target and properties: both files' texts.
#[doc(hidden)]
pub fn of_text(text: &str) -> (Option<&str>, Option<&str>) {
    (of_cgroup(text), of_mountinfo(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{of_cgroup, of_mountinfo, of_text};

    const ID: &str = "3e74d3fd9db4c9dd921ae05c2502fb984d0cde1b36e581b13f79c639da4518a1";

    #[test]
    fn cgroup_v1_names_it_in_a_path() {
        let check =
            |line: &str, expect: Option<&str>| assert_eq!(of_cgroup(line), expect, "{line}");
        check(&format!("13:name=systemd:/docker/{ID}\n12:pids:/docker/{ID}\n"), Some(ID));
        check(
            &format!(
                "1:name=systemd:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod2d3da189_6407_48e3_9ab6_78188d75e609.slice/docker-{ID}.scope"
            ),
            Some(ID),
        );
        check(
            &format!(
                "11:perf_event:/kubepods/besteffort/pod3d274242-8ee0-11e9-a8a6-1e68d864ef1a/{ID}"
            ),
            Some(ID),
        );
        check(
            &format!("9:perf_event:/ecs/haissam-ecs-classic/5a0d5ceddf6c44c1928d367a815d890f/{ID}"),
            Some(ID),
        );
        check(
            "3:cpu:/ecs/55091c13-b8cf-4801-b527-f4601742204d/34dc0b5e626f2c5c4c5170e34b10e765-1234567890",
            Some("34dc0b5e626f2c5c4c5170e34b10e765-1234567890"),
        );
        check(
            "1:name=systemd:/garden/34dc0b5e-626f-2c5c-4c51-70e3",
            Some("34dc0b5e-626f-2c5c-4c51-70e3"),
        );
        check("0::/", None);
        check("0::/user.slice/user-1000.slice/session-2.scope", None);
        check("", None);
    }

    #[test]
    fn with_cgroup_v2_a_mount_names_it() {
        let check = |line: &str, expect: Option<&str>| {
            assert_eq!(of_mountinfo(line), expect, "{line}");
        };
        let docker = format!(
            "608 554 0:42 / / rw - overlay overlay rw\n738 608 254:1 /docker/volumes/x/_data /var rw - ext4 /dev/vda1 rw\n740 608 254:1 /docker/containers/{ID}/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda1 rw\n741 608 254:1 /docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda1 rw"
        );
        check(&docker, Some(ID));
        let sandbox = format!(
            "1 2 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw"
        );
        check(&sandbox, None);
        let podman = format!(
            "1 2 0:3 /containers/overlay-containers/{ID}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw"
        );
        check(&podman, Some(ID));
        check("1 2 8:1 /etc/hostname /etc/hostname rw - ext4 /dev/sda1 rw", None);
        check("short line", None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,400}") {
            let (cgroup, mount) = of_text(&text);
            for id in [cgroup, mount].into_iter().flatten() {
                prop_assert!(text.contains(id));
            }
        }
    }
}
