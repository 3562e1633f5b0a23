//! What an intake reads in a body: messages written from their description (spec: metrics-logs 3.1), decoded by `prost`.

use std::collections::BTreeMap;

use prost::Message as _;

use crate::metrics::{BodyKind, Output};

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MetricPayload {
    #[prost(message, repeated, tag = "1")]
    pub(crate) series: Vec<MetricSeries>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MetricSeries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) resources: Vec<Resource>,
    #[prost(string, tag = "2")]
    pub(crate) metric: String,
    #[prost(string, repeated, tag = "3")]
    pub(crate) tags: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) points: Vec<MetricPoint>,
    #[prost(int32, tag = "5")]
    pub(crate) kind: i32,
    #[prost(string, tag = "6")]
    pub(crate) unit: String,
    #[prost(string, tag = "7")]
    pub(crate) source_type_name: String,
    #[prost(int64, tag = "8")]
    pub(crate) interval: i64,
    #[prost(message, optional, tag = "9")]
    pub(crate) metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Resource {
    #[prost(string, tag = "1")]
    pub(crate) kind: String,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MetricPoint {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Metadata {
    #[prost(message, optional, tag = "1")]
    pub(crate) origin: Option<Origin>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Origin {
    #[prost(uint32, tag = "4")]
    pub(crate) product: u32,
    #[prost(uint32, tag = "5")]
    pub(crate) category: u32,
    #[prost(uint32, tag = "6")]
    pub(crate) service: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SketchPayload {
    #[prost(message, repeated, tag = "1")]
    pub(crate) sketches: Vec<Sketch>,
    #[prost(message, optional, tag = "2")]
    pub(crate) metadata: Option<CommonMetadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CommonMetadata {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Sketch {
    #[prost(string, tag = "1")]
    pub(crate) metric: String,
    #[prost(string, tag = "2")]
    pub(crate) host: String,
    #[prost(string, repeated, tag = "4")]
    pub(crate) tags: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) dogsketches: Vec<Dogsketch>,
    #[prost(message, optional, tag = "8")]
    pub(crate) metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Dogsketch {
    #[prost(int64, tag = "1")]
    pub(crate) ts: i64,
    #[prost(int64, tag = "2")]
    pub(crate) cnt: i64,
    #[prost(double, tag = "3")]
    pub(crate) min: f64,
    #[prost(double, tag = "4")]
    pub(crate) max: f64,
    #[prost(double, tag = "5")]
    pub(crate) avg: f64,
    #[prost(double, tag = "6")]
    pub(crate) sum: f64,
    #[prost(sint32, repeated, tag = "7")]
    pub(crate) k: Vec<i32>,
    #[prost(uint32, repeated, tag = "8")]
    pub(crate) n: Vec<u32>,
}

/// A series by name and tags, and its points in the order in which they came.
pub(crate) type SeriesByName = BTreeMap<(String, Vec<String>), Vec<(i64, f64)>>;

/// All that an intake got.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    pub(crate) series: Vec<MetricSeries>,
    pub(crate) sketches: Vec<Sketch>,
    pub(crate) outputs: Vec<Output>,
}

impl Intake {
    /// Takes a body, and checks what holds for every one: its counts, and that its parts are whole items.
    pub(crate) fn take(&mut self, output: Output) {
        let body = output.body.as_slice();
        let points = match output.kind {
            BodyKind::Series => {
                let payload = MetricPayload::decode(body).unwrap();
                let points = payload.series.iter().map(|series| series.points.len()).sum::<usize>();
                self.series.extend(payload.series);
                points
            }
            BodyKind::Sketches => {
                let payload = SketchPayload::decode(body).unwrap();
                assert_eq!(payload.metadata, Some(CommonMetadata {}));
                let points =
                    payload.sketches.iter().map(|sketch| sketch.dogsketches.len()).sum::<usize>();
                self.sketches.extend(payload.sketches);
                points
            }
            BodyKind::Checks | BodyKind::Events => 0,
        };
        assert_eq!(output.counts.points, points as u64);
        for part in &output.parts {
            let bytes = &body[part.bytes.clone()];
            match output.kind {
                BodyKind::Series => {
                    let part_of = MetricPayload::decode(bytes).unwrap().series;
                    let points = part_of.iter().map(|series| series.points.len()).sum::<usize>();
                    assert_eq!(part.counts.points, points as u64);
                }
                BodyKind::Sketches => drop(SketchPayload::decode(bytes).unwrap()),
                BodyKind::Checks | BodyKind::Events => {
                    // A message, or a list of events with its name.
                    let text = std::str::from_utf8(bytes).unwrap();
                    let text =
                        if text.starts_with('"') { format!("{{{text}}}") } else { text.into() };
                    drop(serde_json::from_str::<serde_json::Value>(&text).unwrap());
                }
            }
        }
        self.outputs.push(output);
    }

    pub(crate) fn by_name(&self) -> SeriesByName {
        let mut all = SeriesByName::new();
        for series in &self.series {
            let points = series.points.iter().map(|point| (point.timestamp, point.value));
            all.entry((series.metric.clone(), series.tags.clone())).or_default().extend(points);
        }
        all
    }

    /// The points of the series of a name, whatever its tags.
    pub(crate) fn points(&self, name: &str) -> Vec<(i64, f64)> {
        let named = self.series.iter().filter(|series| series.metric == name);
        named
            .flat_map(|series| &series.points)
            .map(|point| (point.timestamp, point.value))
            .collect()
    }

    /// The JSON of all bodies of a kind.
    pub(crate) fn json(&self, kind: BodyKind) -> Vec<serde_json::Value> {
        let bodies = self.outputs.iter().filter(|output| output.kind == kind);
        bodies.map(|output| serde_json::from_slice(&output.body).unwrap()).collect()
    }
}
