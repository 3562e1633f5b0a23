//! Files of cgroups and of `/proc`: whatever is in them is read, or not understood.

use pillion::cgroup::parse_any;

pub(super) const TEXTS: &[&str] = &[
    "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 0\n",
    "150000 100000\n",
    "0-3,8,10-11\n",
    "low 0\nhigh 0\nmax 12\noom 2\noom_kill 3\noom_group_kill 0\n",
    "MemTotal:        2097152 kB\nMemFree: 5 kB\nMemAvailable:    1048576 kB\n",
    "7 (an) app) S 1 7 1 0 -1 0 0 0 0 0 300 20 0 0 20 0 4 0 1 0 0\n",
    "4:memory:/docker/a\n0::/a/../b\n",
    "0::/a\n31 23 0:28 /a /sys/fs/c\\040group ro,relatime - cgroup2 cgroup rw\n40 31 0:33 / /m ro master:11 - cgroup cgroup rw,memory\n",
];

pub(super) fn read(data: &[u8]) {
    parse_any(data);
}
