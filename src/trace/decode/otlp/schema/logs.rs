//! The messages of logs.

use super::{ANY_VALUE, KEY_VALUE, Kind, Message, RESOURCE, SCOPE, list, one};

/// The body of a logs request.
pub(crate) static EXPORT_LOGS_REQUEST: Message = Message {
    name: "ExportLogsServiceRequest",
    fields: &[list("resourceLogs", 1, &RESOURCE_LOGS)],
};

/// Records of one resource.
static RESOURCE_LOGS: Message = Message {
    name: "ResourceLogs",
    fields: &[one("resource", 1, Kind::Message(&RESOURCE)), list("scopeLogs", 2, &SCOPE_LOGS)],
};

/// Records of one instrumentation library.
static SCOPE_LOGS: Message = Message {
    name: "ScopeLogs",
    fields: &[one("scope", 1, Kind::Message(&SCOPE)), list("logRecords", 2, &LOG_RECORD)],
};

/// A record.
static LOG_RECORD: Message = Message {
    name: "LogRecord",
    fields: &[
        one("timeUnixNano", 1, Kind::Time),
        one("severityNumber", 2, Kind::Enum(&SEVERITIES)),
        one("severityText", 3, Kind::Text),
        one("body", 5, Kind::Message(&ANY_VALUE)),
        list("attributes", 6, &KEY_VALUE),
        one("flags", 8, Kind::Word),
        one("traceId", 9, Kind::Id(16)),
        one("spanId", 10, Kind::Id(8)),
        one("observedTimeUnixNano", 11, Kind::Time),
    ],
};

const SEVERITIES: [&str; 25] = [
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];
