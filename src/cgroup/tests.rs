//! Trees of files as kernels and runtimes show them.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{Cgroup, parse_any};

const ID: &str = "3e74d3fd9db4c9dd921ae05c2502fb984d0cde1b36e581b13f79c639da4518a1";

/// A file system of these files.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        write(root.path(), path, text);
    }
    root
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn open(root: &TempDir) -> Cgroup {
    Cgroup::open_under(root.path())
}

/// CPU time and limit, memory and limit, kills.
type Figures = (Option<u64>, Option<u64>, Option<u64>, Option<u64>, Option<u64>);

fn figures(cgroup: &Cgroup) -> Figures {
    (
        cgroup.cpu_ns(),
        cgroup.cpu_limit_nanocores(),
        cgroup.memory_bytes(),
        cgroup.memory_limit_bytes(),
        cgroup.oom_kills(),
    )
}

const ONLINE: (&str, &str) = ("sys/devices/system/cpu/online", "0-7\n");
const V2_MOUNT: &str = "31 23 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate,memory_recursiveprot\n";
const V2_STAT: &str = "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 0\n";
const V2_MEMORY: &str =
    "anon 1000\nfile 9000\ninactive_anon 0\ninactive_file 4096\nactive_file 1\n";
const V2_EVENTS: &str = "low 0\nhigh 0\nmax 12\noom 2\noom_kill 3\noom_group_kill 0\n";

/// A container of version 2 with a namespace of its own, as docker and containerd make it.
fn v2() -> TempDir {
    tree(&[
        ONLINE,
        ("proc/self/cgroup", "0::/\n"),
        ("proc/self/mountinfo", V2_MOUNT),
        ("sys/fs/cgroup/cpu.stat", V2_STAT),
        ("sys/fs/cgroup/cpu.max", "150000 100000\n"),
        ("sys/fs/cgroup/cpuset.cpus.effective", "0-7\n"),
        ("sys/fs/cgroup/memory.current", "10485760\n"),
        ("sys/fs/cgroup/memory.stat", V2_MEMORY),
        ("sys/fs/cgroup/memory.max", "536870912\n"),
        ("sys/fs/cgroup/memory.events", V2_EVENTS),
    ])
}

#[test]
fn version_2_with_a_namespace() {
    let expect = (
        Some(2_500_000_000),
        Some(1_500_000_000),
        Some(10_485_760 - 4096),
        Some(512 << 20),
        Some(3),
    );
    assert_eq!(figures(&open(&v2())), expect);
}

#[test]
fn what_changes_is_read_anew() {
    let root = v2();
    let cgroup = open(&root);
    write(root.path(), "sys/fs/cgroup/cpu.max", "max 100000\n");
    write(root.path(), "sys/fs/cgroup/memory.max", "max\n");
    write(root.path(), "sys/fs/cgroup/memory.events", "oom 3\noom_kill 4\n");
    let (_, cpus, _, limit, kills) = figures(&cgroup);
    assert_eq!((cpus, limit, kills), (Some(8_000_000_000), None, Some(4)));
}

#[test]
fn version_2_without_a_namespace_has_the_least_of_all_visible_limits() {
    let pod = "sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice";
    let own = format!("{pod}/cri-{ID}.scope");
    let group = format!("0::/kubepods.slice/kubepods-pod1.slice/cri-{ID}.scope\n");
    let root = tree(&[
        ONLINE,
        ("proc/self/cgroup", &group),
        ("proc/self/mountinfo", V2_MOUNT),
        // The machine's own root group has neither limits nor figures of memory.
        ("sys/fs/cgroup/cpu.stat", "usage_usec 1\n"),
        (&format!("{pod}/cpu.max"), "50000 100000\n"),
        (&format!("{pod}/memory.max"), "268435456\n"),
        (&format!("{pod}/memory.current"), "99999999\n"),
        (&format!("{own}/cpu.stat"), V2_STAT),
        (&format!("{own}/cpu.max"), "max 100000\n"),
        (&format!("{own}/memory.current"), "10485760\n"),
        (&format!("{own}/memory.max"), "536870912\n"),
        (&format!("{own}/cpuset.cpus.effective"), "2-3\n"),
    ]);
    let expect = (Some(2_500_000_000), Some(500_000_000), Some(10_485_760), Some(256 << 20), None);
    assert_eq!(figures(&open(&root)), expect);
    // Without quotas the CPUs are what it may run on, not what the machine has.
    write(root.path(), &format!("{pod}/cpu.max"), "max 100000\n");
    assert_eq!(open(&root).cpu_limit_nanocores(), Some(2_000_000_000));
}

/// A line of mountinfo of version 1.
fn v1_mount(root: &str, controllers: &str) -> String {
    format!(
        "40 31 0:33 {root} /sys/fs/cgroup/{controllers} ro,nosuid,nodev,noexec,relatime master:11 - cgroup cgroup rw,{controllers}\n"
    )
}

const V1_MEMORY: &str = "cache 1\ninactive_file 1\nhierarchical_memory_limit 134217728\nhierarchical_memsw_limit 9223372036854771712\ntotal_inactive_file 8192\n";

/// A container of version 1 without a namespace: its paths are the machine's, but only its own part is mounted.
fn v1() -> TempDir {
    let mounts = ["cpu,cpuacct", "cpuset", "memory"];
    let mounts = mounts.map(|controllers| v1_mount(&format!("/docker/{ID}"), controllers));
    tree(&[
        ONLINE,
        (
            "proc/self/cgroup",
            &format!(
                "5:cpuset:/docker/{ID}\n4:memory:/docker/{ID}\n3:cpu,cpuacct:/docker/{ID}\n1:name=systemd:/docker/{ID}\n"
            ),
        ),
        ("proc/self/mountinfo", &mounts.concat()),
        ("sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", "2500000123\n"),
        ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "25000\n"),
        ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/cpuset/cpuset.cpus", "0-7\n"),
        ("sys/fs/cgroup/memory/memory.usage_in_bytes", "10485760\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ("sys/fs/cgroup/memory/memory.stat", V1_MEMORY),
        (
            "sys/fs/cgroup/memory/memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        ),
    ])
}

#[test]
fn version_1_with_a_limit_that_only_its_statistics_tell() {
    let expect =
        (Some(2_500_000_123), Some(250_000_000), Some(10_485_760 - 8192), Some(128 << 20), Some(2));
    assert_eq!(figures(&open(&v1())), expect);
}

#[test]
fn version_1_without_limits_has_the_cpus_and_no_limit_of_memory() {
    let root = v1();
    let folder = "sys/fs/cgroup/cpu,cpuacct";
    write(root.path(), &format!("{folder}/cpu.cfs_quota_us"), "-1\n");
    let stat = "hierarchical_memory_limit 9223372036854771712\ntotal_inactive_file 8192\n";
    write(root.path(), "sys/fs/cgroup/memory/memory.stat", stat);
    // A kernel before 4.13 doesn't count kills.
    write(
        root.path(),
        "sys/fs/cgroup/memory/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\n",
    );
    let (_, cpus, _, limit, kills) = figures(&open(&root));
    assert_eq!((cpus, limit, kills), (Some(8_000_000_000), None, None));
    write(root.path(), "sys/fs/cgroup/cpuset/cpuset.effective_cpus", "5\n");
    assert_eq!(open(&root).cpu_limit_nanocores(), Some(1_000_000_000));
}

#[test]
fn a_hybrid_machine_has_each_controller_where_it_is() {
    let mounts = format!(
        "{}{}",
        v1_mount("/", "memory"),
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
    );
    let root = tree(&[
        ONLINE,
        ("proc/self/cgroup", "4:memory:/app/one\n3:cpu:/not/mounted\n0::/two\n"),
        ("proc/self/mountinfo", &mounts),
        ("sys/fs/cgroup/memory/app/one/memory.usage_in_bytes", "1000\n"),
        ("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "4096\n"),
        ("sys/fs/cgroup/unified/two/cpu.stat", V2_STAT),
        ("sys/fs/cgroup/unified/cpu.max", "100000 100000\n"),
        ("sys/fs/cgroup/unified/two/memory.current", "7\n"),
    ]);
    let expect = (Some(2_500_000_000), Some(1_000_000_000), Some(1000), Some(4096), None);
    assert_eq!(figures(&open(&root)), expect);
}

#[test]
fn a_path_that_is_not_visible_means_the_mount_itself() {
    for group in ["0::/../other\n", "0::/gone/long/ago\n"] {
        let root = v2();
        write(root.path(), "proc/self/cgroup", group);
        assert_eq!(open(&root).cpu_ns(), Some(2_500_000_000), "{group}");
    }
}

#[test]
fn without_cgroups_the_machine_is_ours() {
    // What gVisor shows: no cgroups, and a `/proc/stat` of zeros.
    let root = tree(&[
        ("proc/self/cgroup", ""),
        ("proc/stat", "cpu 0 0 0 0 0 0 0 0 0 0\n"),
        ("proc/self/mountinfo", "1 0 0:1 / / rw - 9p none rw\n"),
        (
            "proc/meminfo",
            "MemTotal:        2097152 kB\nMemFree: 5 kB\nMemAvailable:    1048576 kB\n",
        ),
        ("proc/1/stat", "1 (pillion) S 0 1 1 0 -1 0 0 0 0 0 10 5 2 1 20 0 4 0 1 0 0\n"),
        ("proc/7/stat", "7 (an) app) S 1 7 1 0 -1 0 0 0 0 0 300 20 0 0 20 0 4 0 1 0 0\n"),
        ("proc/8/comm", "ended in between\n"),
        (ONLINE.0, "0-1\n"),
    ]);
    let expect = (Some(3_380_000_000), Some(2_000_000_000), Some(1 << 30), Some(2 << 30), None);
    assert_eq!(figures(&open(&root)), expect);
    // The kernel has cgroups that we don't see: the machine may be others', too.
    write(root.path(), "proc/self/cgroup", "0::/docker/x\n");
    let (cpu, _, memory, limit, _) = figures(&open(&root));
    assert_eq!((cpu, memory, limit), (Some(3_380_000_000), None, None));
}

#[test]
fn where_there_is_nothing_nothing_is_known() {
    let root = tree(&[]);
    let (cpu, cpus, memory, limit, kills) = figures(&open(&root));
    assert_eq!((cpu, memory, limit, kills), (None, None, None, None));
    assert!(cpus.is_some_and(|cpus| cpus >= 1_000_000_000));
}

#[test]
fn this_process_has_used_cpu() {
    let cgroup = Cgroup::open();
    assert!(cgroup.cpu_ns().is_some_and(|ns| ns > 0));
    assert!(cgroup.cpu_limit_nanocores().is_some_and(|cores| cores > 0));
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let words = "(0::/|[0-9]{1,20}|max|-1| |:|\n|,|-|/|\\.\\.|memory|cgroup2?|oom_kill|usage_usec| - |\\)){0,24}";
    prop_oneof![prop::collection::vec(any::<u8>(), 0..600), words.prop_map(String::into_bytes)]
}

proptest! {
    // A tree of files for each is what takes time.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_parsed_without_a_panic(bytes in any_bytes()) {
        parse_any(&bytes);
    }

    #[test]
    fn any_bytes_in_any_file_are_read_without_a_panic(
        bytes in any_bytes(), file in 0_usize..24
    ) {
        let root = if file < 12 { v2() } else { v1() };
        let mut files = Vec::new();
        list(root.path(), &mut files);
        files.sort();
        let path = &files[file % files.len()];
        fs::write(path, &bytes).unwrap();
        figures(&open(&root));
    }
}

fn list(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            list(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}
