//! What the platform says of itself: files of the kernel and answers of ECS. A container's id is a part of the text, no tag is empty.

use pillion::platform::{container_ids_of, tags_of_ecs};

pub(super) const TEXTS: &[&str] = &[
    "9:perf_event:/ecs/classic/5a0d5ceddf6c44c1928d367a815d890f/38fac3e99302b3622be089dd41e7ccf38aff368a86cc339972075136ee2710ce\n0::/\n",
    "741 608 254:1 /docker/containers/3e74d3fd9db4c9dd921ae05c2502fb984d0cde1b36e581b13f79c639da4518a1/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n",
    r#"{"Cluster":"default","TaskARN":"arn:aws:ecs:us-west-2:111122223333:task/default/158d","Family":"curltest","Revision":"26","DockerId":"cd18-24","Image":"r:5000/a/b:1@sha256:2","Name":"curl"}"#,
];

pub(super) fn read(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (of_cgroup, of_mounts) = container_ids_of(&text);
    for id in [of_cgroup, of_mounts].into_iter().flatten() {
        assert!(text.contains(id) && id.len() >= 28, "{id}");
    }
    for tag in tags_of_ecs(data, data) {
        assert!(!tag.value.is_empty() && !tag.value.contains(','), "{tag:?}");
    }
}
