//! What tells metrics apart: kind, name and tags, as one run of bytes that is compared and hashed once. The run is what the payload will
//! have: the fields of the name and of each tag, encoded. So a context that is known costs no allocation, and one that is sent is copied.

use crate::wire;

use super::sample::Kind;

/// A tag that is a resource of a series instead (spec: metrics-logs 3.1): `dd.internal.resource:<type>:<name>`.
const RESOURCE: &str = "dd.internal.resource:";

/// Which message the fields are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `MetricSeries`
    Series,
    /// `Sketch`
    Sketch,
}

impl Form {
    /// The message in which metrics of a kind are sent.
    pub(super) fn of(kind: Kind) -> Self {
        if kind == Kind::Distribution { Self::Sketch } else { Self::Series }
    }

    /// The tag byte of the name's field.
    pub(super) fn name(self) -> u8 {
        match self {
            Self::Series => 0x12,
            Self::Sketch => 0x0a,
        }
    }

    /// Appends a tag's field.
    fn tag(self, out: &mut Vec<u8>, tag: &str) {
        match (self, tag.strip_prefix(RESOURCE).and_then(|rest| rest.split_once(':'))) {
            (Self::Series, Some((kind, name))) => {
                let resource = wire::open(out, 0x0a);
                wire::bytes(out, 0x0a, kind.as_bytes());
                wire::bytes(out, 0x12, name.as_bytes());
                wire::close(out, resource);
            }
            (Self::Series, None) => wire::bytes(out, 0x1a, tag.as_bytes()),
            (Self::Sketch, _) => wire::bytes(out, 0x22, tag.as_bytes()),
        }
    }
}

/// Tags that every metric has beside its own: sorted, each once, encoded once.
#[derive(Debug, Default)]
pub(super) struct Shared {
    tags: Vec<String>,
    /// A bit for each of them, so that most other tags are told apart by one look.
    mask: u64,
    series: Vec<u8>,
    sketch: Vec<u8>,
}

impl Shared {
    pub(super) fn new(mut tags: Vec<String>) -> Self {
        tags.retain(|tag| !tag.is_empty());
        tags.sort_unstable();
        tags.dedup();
        let mut shared = Self::default();
        for tag in &tags {
            shared.mask |= bit(prefix(tag));
            Form::Series.tag(&mut shared.series, tag);
            Form::Sketch.tag(&mut shared.sketch, tag);
        }
        shared.tags = tags;
        shared
    }

    /// The fields of all of them.
    pub(super) fn fields(&self, form: Form) -> &[u8] {
        match form {
            Form::Series => &self.series,
            Form::Sketch => &self.sketch,
        }
    }

    /// These and the tags of a message, sorted, each once.
    pub(super) fn with<'a>(&'a self, tags: &[&'a str]) -> Vec<&'a str> {
        let mut all: Vec<&str> =
            self.tags.iter().map(String::as_str).chain(tags.iter().copied()).collect();
        all.retain(|tag| !tag.is_empty());
        all.sort_unstable();
        all.dedup();
        all
    }

    fn has(&self, prefix: u64, tag: &str) -> bool {
        self.mask & bit(prefix) != 0
            && self.tags.binary_search_by(|other| other.as_str().cmp(tag)).is_ok()
    }
}

/// One of 64 bits, chosen by all bits of a prefix.
fn bit(prefix: u64) -> u64 {
    1 << (prefix.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}

/// The first eight bytes of a text, so that numbers sort as the texts do, as far as they go.
fn prefix(text: &str) -> u64 {
    if let Some(first) = text.as_bytes().first_chunk() {
        return u64::from_be_bytes(*first);
    }
    text.bytes().fold(0, |bits, byte| bits << 8 | u64::from(byte))
        << (8 * (8 - text.len()) as u32 % 64)
}

/// The field of the name in a key, and those of the tags, which begin at `name_end`.
pub(super) fn fields(key: &[u8], name_end: usize) -> (&[u8], &[u8]) {
    (key.get(1..name_end).unwrap_or_default(), key.get(name_end..).unwrap_or_default())
}

/// What is looked up: written anew for every sample, in memory that stays.
#[derive(Debug, Default)]
pub(super) struct Key {
    bytes: Vec<u8>,
    name_end: usize,
    order: Vec<(u64, u32)>,
}

impl Key {
    /// Writes the key of a metric. Of tags that are there twice, or that all metrics have (`shared`), one is enough; empty ones say nothing.
    pub(super) fn write(&mut self, kind: Kind, name: &str, tags: &[&str], shared: Option<&Shared>) {
        let form = Form::of(kind);
        self.bytes.clear();
        self.bytes.push(kind as u8 | u8::from(shared.is_some()) << 7);
        wire::bytes(&mut self.bytes, form.name(), name.as_bytes());
        self.name_end = self.bytes.len();
        self.sort(tags);
        let mut before = "";
        for &(prefix, place) in &self.order {
            let Some(&tag) = tags.get(place as usize) else { continue };
            if tag != before && !shared.is_some_and(|shared| shared.has(prefix, tag)) {
                form.tag(&mut self.bytes, tag);
            }
            before = tag;
        }
    }

    /// Puts the places of the tags in the order of their texts.
    fn sort(&mut self, tags: &[&str]) {
        self.order.clear();
        let places = 0..u32::try_from(tags.len()).unwrap_or(u32::MAX);
        self.order.extend(tags.iter().zip(places).map(|(tag, place)| (prefix(tag), place)));
        let text = |place: u32| tags.get(place as usize);
        self.order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| text(a.1).cmp(&text(b.1))));
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The field of the name, and those of the tags.
    pub(super) fn fields(&self) -> (&[u8], &[u8]) {
        fields(&self.bytes, self.name_end)
    }

    /// Where the field of the name ends and those of the tags begin.
    pub(super) fn name_end(&self) -> usize {
        self.name_end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Key, Kind, Shared, prefix};

    fn key(kind: Kind, name: &str, tags: &[&str], shared: Option<&Shared>) -> Vec<u8> {
        let mut key = Key::default();
        key.write(kind, name, tags, shared);
        key.bytes().to_vec()
    }

    #[test]
    fn the_order_and_number_of_equal_tags_tell_nothing_apart() {
        let one = key(Kind::Gauge, "m", &["b:2", "a:1", "", "a:1"], None);
        assert_eq!(one, key(Kind::Gauge, "m", &["a:1", "b:2"], None));
        assert_eq!(one[1..], *b"\x12\x01m\x1a\x03a:1\x1a\x03b:2");
        for other in [
            key(Kind::Count, "m", &["a:1", "b:2"], None),
            key(Kind::Gauge, "n", &["a:1", "b:2"], None),
            key(Kind::Gauge, "m", &["a:1"], None),
            key(Kind::Gauge, "m", &["a:1", "b:3"], None),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_tag_that_all_metrics_have_is_left_out() {
        let shared = Shared::new(vec!["env:prod".to_owned(), "a:1".to_owned(), "a:1".to_owned()]);
        let with = |tags: &[&str]| key(Kind::Gauge, "m", tags, Some(&shared));
        assert_eq!(with(&["env:prod", "b:2"]), with(&["b:2"]));
        assert_ne!(with(&["env:prod2", "b:2"]), with(&["b:2"]));
        assert_eq!(shared.fields(super::Form::Series), b"\x1a\x03a:1\x1a\x08env:prod");
    }

    #[test]
    fn a_resource_is_no_tag_of_a_series_but_one_of_a_sketch() {
        let tags = ["dd.internal.resource:device:a:b", "z"];
        let series = key(Kind::Gauge, "m", &tags, None);
        assert_eq!(series[4..], *b"\x0a\x0d\x0a\x06device\x12\x03a:b\x1a\x01z");
        let sketch = key(Kind::Distribution, "m", &tags, None);
        assert_eq!(sketch[4..], *b"\x22\x1fdd.internal.resource:device:a:b\x22\x01z");
    }

    proptest! {
            #[test]
            fn prefixes_sort_as_their_texts(a in any::<String>(), b in any::<String>()) {
                if prefix(&a) != prefix(&b) {
                    assert_eq!(prefix(&a).cmp(&prefix(&b)), a.cmp(&b));
                }
    assert!(prefix(&format!("{a}{b}")) >= prefix(&a));
            }
        }
}
