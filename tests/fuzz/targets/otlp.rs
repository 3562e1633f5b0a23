//! Requests of OpenTelemetry's SDKs with metrics and logs: refused whole, or taken so that every point is counted and every entry is JSON.

use pillion::ledger::Ledger;
use pillion::logs::batch::Attributes;
use pillion::metrics::Writer;
use pillion::otlp::logs::Records;
use pillion::otlp::metrics::{FirstTotal, Histograms, Mapping, Settings};
use pillion::trace::decode::otlp::{Encoding, Signal, message};

pub(super) const METRICS: &[&str] = &[
    r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeMetrics":[{"scope":{"name":"l"},"metrics":[{"name":"g","gauge":{"dataPoints":[{"asInt":"5","timeUnixNano":"7"}]}},{"name":"s","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asDouble":1.5,"startTimeUnixNano":"1","timeUnixNano":"7"},{"asDouble":3,"startTimeUnixNano":"1","timeUnixNano":"9"}]}}]}]}]}"#,
    r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[{"count":"7","sum":5.5,"bucketCounts":["1","2","4"],"explicitBounds":[-1,2.5],"min":-3,"max":9}]}},{"name":"t","histogram":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE","dataPoints":[{"count":1,"bucketCounts":[1],"timeUnixNano":1},{"count":3,"bucketCounts":[3],"timeUnixNano":2}]}}]}]}]}"#,
    r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"e","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"count":9,"sum":5,"scale":-1,"zeroCount":2,"positive":{"offset":-3,"bucketCounts":["1","5"]},"negative":{"bucketCounts":[1]}}]}},{"name":"q","summary":{"dataPoints":[{"count":4,"sum":8,"quantileValues":[{"quantile":0.5,"value":2}]}]}}]}]}]}"#,
];

pub(super) const LOGS: &[&str] = &[
    r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"h"}}]},"scopeLogs":[{"scope":{"name":"l"},"logRecords":[{"timeUnixNano":"1700000000000000000","severityNumber":9,"severityText":"Info","body":{"stringValue":"text"},"traceId":"00000000000000000000000000000001","spanId":"0000000000000002","attributes":[{"key":"ddtags","value":{"stringValue":"a:b"}},{"key":"M","value":{"kvlistValue":{"values":[{"key":"K","value":{"doubleValue":"NaN"}}]}}}]}]}]}]}"#,
    r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"arrayValue":{"values":[{"intValue":1}]}},"attributes":[{"key":"level","value":{"stringValue":"fatal"}},{"key":"trace_id","value":{"stringValue":"x"}}]}]}]}]}"#,
];

/// The body as it came, and as protobuf where it is JSON.
fn forms(signal: Signal, data: &[u8]) -> Vec<Vec<u8>> {
    let as_json = message(signal, Encoding::Json, data);
    let as_protobuf = message(signal, Encoding::Protobuf, data);
    [as_json, as_protobuf].into_iter().flatten().map(std::borrow::Cow::into_owned).collect()
}

pub(super) fn metrics(data: &[u8]) {
    for body in forms(Signal::Metrics, data) {
        for histograms in [Histograms::Distributions, Histograms::Counters] {
            let settings = Settings {
                histograms,
                resource_as_tags: true,
                aggregations: true,
                first_total: FirstTotal::Keep,
                ..Settings::default()
            };
            let mut mapping = Mapping::new(settings, 1);
            let mut writer = Writer::new(pillion::metrics::Settings::default());
            for now_s in [1_700_000_000, 1_700_000_010] {
                let tally = mapping.take(&body, now_s, &mut writer);
                assert!(tally.rejected + tally.not_tracked <= tally.points, "{tally:?}");
            }
            let ledger = Ledger::default();
            writer.settle(&ledger);
            let mut points = 0;
            writer.flush(&mut |output| points += output.counts.points);
            assert_eq!(ledger.points.read().held(), points);
        }
    }
}

pub(super) fn logs(data: &[u8]) {
    for body in forms(Signal::Logs, data) {
        Records::new(Attributes::default()).take(&body, 1_700_000_000_000, &mut |entry| {
            let entry: serde_json::Value = serde_json::from_slice(entry).expect("JSON");
            assert!(entry["message"].is_string() && entry["timestamp"].is_u64(), "{entry}");
        });
    }
}
