//! One series or one metric's sketches as a field of their payload (spec: metrics-logs 3.1).

use crate::wire;

use super::key::{Form, Shared};
use super::sample::Origin;
use super::sketch::Sketch;

/// How the intake understands the points of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// So many since the point before.
    Count = 1,
    /// Per second, over an interval of 10 seconds.
    Rate = 2,
    /// As they are.
    Gauge = 3,
}

/// A point: the start of its bucket, or the time that the client gave, and a finite value.
pub(super) type Point = (u64, f64);

/// `origin_product` of all serverless agents.
const PRODUCT: u64 = 1;

/// The fields that are the same for all metrics.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) shared: Shared,
    /// The host of everything that names none.
    pub(super) hostname: String,
    category: u32,
}

impl Fields {
    pub(super) fn new(shared: Shared, hostname: String, category: u32) -> Self {
        Self { shared, hostname, category }
    }

    /// Appends a series whose name has `suffix` at its end. `name` and `tags` are fields as [`super::key::Key`] has them.
    pub(super) fn series(
        &self,
        out: &mut Vec<u8>,
        metric: Metric<'_>,
        suffix: &str,
        of: Type,
        points: impl Iterator<Item = Point>,
    ) {
        let series = wire::open(out, 0x0a);
        let host = wire::open(out, 0x0a);
        wire::bytes(out, 0x0a, b"host");
        wire::bytes(out, 0x12, self.hostname.as_bytes());
        wire::close(out, host);
        metric.name_with(out, Form::Series, suffix);
        self.tags(out, Form::Series, metric);
        for (time_s, value) in points {
            let point = wire::open(out, 0x22);
            wire::double(out, 0x09, value);
            wire::number(out, 0x10, time_s);
            wire::close(out, point);
        }
        wire::number(out, 0x28, of as u64);
        if of == Type::Rate {
            wire::number(out, 0x40, super::BUCKET_S);
        }
        self.origin(out, 0x4a, metric.origin);
        wire::close(out, series);
    }

    /// Appends the sketches of a metric, with the starts of their buckets.
    pub(super) fn sketches<'a>(
        &self,
        out: &mut Vec<u8>,
        metric: Metric<'_>,
        sketches: impl Iterator<Item = (u64, &'a Sketch)>,
    ) {
        let field = wire::open(out, 0x0a);
        metric.name_with(out, Form::Sketch, "");
        wire::bytes(out, 0x12, self.hostname.as_bytes());
        self.tags(out, Form::Sketch, metric);
        for (bucket_s, sketch) in sketches {
            sketch.encode(out, bucket_s);
        }
        self.origin(out, 0x42, metric.origin);
        wire::close(out, field);
    }

    fn tags(&self, out: &mut Vec<u8>, form: Form, metric: Metric<'_>) {
        out.extend_from_slice(metric.tags);
        if metric.is_shared {
            out.extend_from_slice(self.shared.fields(form));
        }
    }

    fn origin(&self, out: &mut Vec<u8>, tag: u8, origin: Origin) {
        let service = match origin {
            Origin::None => return,
            Origin::Custom => 472,
            Origin::Enhanced => 473,
            Origin::Runtime => 474,
        };
        let metadata = wire::open(out, tag);
        let field = wire::open(out, 0x0a);
        wire::number(out, 0x20, PRODUCT);
        wire::number(out, 0x28, u64::from(self.category));
        wire::number(out, 0x30, service);
        wire::close(out, field);
        wire::close(out, metadata);
    }
}

/// What is sent of a metric beside its values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric<'a> {
    /// The field of its name.
    pub(super) name: &'a [u8],
    /// The fields of its own tags.
    pub(super) tags: &'a [u8],
    /// Whether it has the tags of all metrics, too.
    pub(super) is_shared: bool,
    pub(super) origin: Origin,
}

impl Metric<'_> {
    /// The name with `suffix` at its end, as it is sent.
    pub(super) fn name_text(&self, suffix: &str) -> String {
        let mut text = String::from_utf8_lossy(self.plain_name()).into_owned();
        text.push_str(suffix);
        text
    }

    /// The name without what makes a field of it.
    fn plain_name(&self) -> &[u8] {
        // Behind the tag byte there is a varint: one byte with a clear top bit ends it.
        let length_end =
            self.name.iter().skip(1).position(|byte| byte & 0x80 == 0).unwrap_or_default();
        self.name.get(length_end + 2..).unwrap_or_default()
    }

    fn name_with(&self, out: &mut Vec<u8>, form: Form, suffix: &str) {
        if suffix.is_empty() {
            return out.extend_from_slice(self.name);
        }
        let name = wire::open(out, form.name());
        out.extend_from_slice(self.plain_name());
        out.extend_from_slice(suffix.as_bytes());
        wire::close(out, name);
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, Form, Metric, Origin, Shared, Sketch, Type};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn metric<'a>(name: &'a [u8], tags: &'a [u8]) -> Metric<'a> {
        Metric { name, tags, is_shared: true, origin: Origin::None }
    }

    #[test]
    fn a_series_has_the_golden_bytes() {
        let fields = Fields::new(Shared::default(), "h".to_owned(), 36);
        let mut out = Vec::new();
        let views = metric(b"\x12\x0apage.views", b"\x1a\x08env:prod");
        let views = Metric { origin: Origin::Custom, ..views };
        fields.series(&mut out, views, "", Type::Rate, [(1_700_000_000, 0.5)].into_iter());
        assert_eq!(
            hex(&out),
            "0a410a090a04686f7374120168120a706167652e76696577731a08656e763a70726f64220f09000000000000e03f1080e2cfaa062802400a4a090a0720\
             01282430d803"
        );
    }

    #[test]
    fn a_sketch_has_the_golden_bytes() {
        let fields = Fields::new(Shared::default(), "h".to_owned(), 36);
        let mut sketch = Sketch::default();
        for value in [1.0, 2.0, 3.0, 4.0, 5.0] {
            assert!(sketch.add(value, 1.0, 1, usize::MAX));
        }
        let mut out = Vec::new();
        let latency = metric(b"\x0a\x07latency", b"\x22\x08env:prod");
        fields.sketches(&mut out, latency, [(1_700_000_000, &sketch)].into_iter());
        out.extend_from_slice(&[0x12, 0]);
        assert_eq!(
            hex(&out),
            "0a570a076c6174656e63791201682208656e763a70726f643a3f0880e2cfaa06100519000000000000f03f2100000000000014402900000000000008403100\
             00000000002e403a0af414ce158216a616c416420501010101011200"
        );
    }

    #[test]
    fn a_suffix_belongs_to_the_name_however_long_that_is() {
        for length in [0, 1, 100, 125, 126, 127, 128, 200, 20_000] {
            let name = "n".repeat(length);
            let mut field = Vec::new();
            crate::wire::bytes(&mut field, Form::Series.name(), name.as_bytes());
            if field.is_empty() {
                continue;
            }
            let mut out = Vec::new();
            metric(&field, b"").name_with(&mut out, Form::Series, ".avg");
            let mut expect = Vec::new();
            crate::wire::bytes(&mut expect, Form::Series.name(), format!("{name}.avg").as_bytes());
            assert!(out == expect, "{length}");
        }
    }
}
