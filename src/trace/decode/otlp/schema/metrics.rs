//! The messages of metrics.

use super::{KEY_VALUE, Kind, Message, RESOURCE, SCOPE, list, numbers, one};

/// The body of a metrics request.
pub(crate) static EXPORT_METRICS_REQUEST: Message = Message {
    name: "ExportMetricsServiceRequest",
    fields: &[list("resourceMetrics", 1, &RESOURCE_METRICS)],
};

/// Metrics of one resource.
static RESOURCE_METRICS: Message = Message {
    name: "ResourceMetrics",
    fields: &[
        one("resource", 1, Kind::Message(&RESOURCE)),
        list("scopeMetrics", 2, &SCOPE_METRICS),
    ],
};

/// Metrics of one instrumentation library.
static SCOPE_METRICS: Message = Message {
    name: "ScopeMetrics",
    fields: &[one("scope", 1, Kind::Message(&SCOPE)), list("metrics", 2, &METRIC)],
};

/// A metric: one of five sorts of points.
static METRIC: Message = Message {
    name: "Metric",
    fields: &[
        one("name", 1, Kind::Text),
        one("gauge", 5, Kind::Message(&GAUGE)),
        one("sum", 7, Kind::Message(&SUM)),
        one("histogram", 9, Kind::Message(&HISTOGRAM)),
        one("exponentialHistogram", 10, Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        one("summary", 11, Kind::Message(&SUMMARY)),
    ],
};

static GAUGE: Message =
    Message { name: "Gauge", fields: &[list("dataPoints", 1, &NUMBER_DATA_POINT)] };

const TEMPORALITIES: [&str; 3] = [
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];

static SUM: Message = Message {
    name: "Sum",
    fields: &[
        list("dataPoints", 1, &NUMBER_DATA_POINT),
        one("aggregationTemporality", 2, Kind::Enum(&TEMPORALITIES)),
        one("isMonotonic", 3, Kind::Bool),
    ],
};

static HISTOGRAM: Message = Message {
    name: "Histogram",
    fields: &[
        list("dataPoints", 1, &HISTOGRAM_DATA_POINT),
        one("aggregationTemporality", 2, Kind::Enum(&TEMPORALITIES)),
    ],
};

static EXPONENTIAL_HISTOGRAM: Message = Message {
    name: "ExponentialHistogram",
    fields: &[
        list("dataPoints", 1, &EXPONENTIAL_DATA_POINT),
        one("aggregationTemporality", 2, Kind::Enum(&TEMPORALITIES)),
    ],
};

static SUMMARY: Message =
    Message { name: "Summary", fields: &[list("dataPoints", 1, &SUMMARY_DATA_POINT)] };

static NUMBER_DATA_POINT: Message = Message {
    name: "NumberDataPoint",
    fields: &[
        one("startTimeUnixNano", 2, Kind::Time),
        one("timeUnixNano", 3, Kind::Time),
        one("asDouble", 4, Kind::Double),
        one("asInt", 6, Kind::Long),
        list("attributes", 7, &KEY_VALUE),
        one("flags", 8, Kind::Int),
    ],
};

static HISTOGRAM_DATA_POINT: Message = Message {
    name: "HistogramDataPoint",
    fields: &[
        one("startTimeUnixNano", 2, Kind::Time),
        one("timeUnixNano", 3, Kind::Time),
        one("count", 4, Kind::Time),
        one("sum", 5, Kind::Double),
        numbers("bucketCounts", 6, Kind::Time),
        numbers("explicitBounds", 7, Kind::Double),
        list("attributes", 9, &KEY_VALUE),
        one("flags", 10, Kind::Int),
        one("min", 11, Kind::Double),
        one("max", 12, Kind::Double),
    ],
};

static EXPONENTIAL_DATA_POINT: Message = Message {
    name: "ExponentialHistogramDataPoint",
    fields: &[
        list("attributes", 1, &KEY_VALUE),
        one("startTimeUnixNano", 2, Kind::Time),
        one("timeUnixNano", 3, Kind::Time),
        one("count", 4, Kind::Time),
        one("sum", 5, Kind::Double),
        one("scale", 6, Kind::Signed),
        one("zeroCount", 7, Kind::Time),
        one("positive", 8, Kind::Message(&BUCKETS)),
        one("negative", 9, Kind::Message(&BUCKETS)),
        one("flags", 10, Kind::Int),
        one("min", 12, Kind::Double),
        one("max", 13, Kind::Double),
    ],
};

static BUCKETS: Message = Message {
    name: "Buckets",
    fields: &[one("offset", 1, Kind::Signed), numbers("bucketCounts", 2, Kind::Int)],
};

static SUMMARY_DATA_POINT: Message = Message {
    name: "SummaryDataPoint",
    fields: &[
        one("startTimeUnixNano", 2, Kind::Time),
        one("timeUnixNano", 3, Kind::Time),
        one("count", 4, Kind::Time),
        one("sum", 5, Kind::Double),
        list("quantileValues", 6, &VALUE_AT_QUANTILE),
        list("attributes", 7, &KEY_VALUE),
        one("flags", 8, Kind::Int),
    ],
};

static VALUE_AT_QUANTILE: Message = Message {
    name: "ValueAtQuantile",
    fields: &[one("quantile", 1, Kind::Double), one("value", 2, Kind::Double)],
};
