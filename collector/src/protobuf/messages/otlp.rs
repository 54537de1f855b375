//! The messages of OTLP: traces, logs and metrics with all that they hold.
//!
//! Source: opentelemetry-proto 1.9, the files named above each group. The `*Strindex` fields belong to
//! profiles only; they are declared so that their JSON form is checked, and no decoder reads them.

use super::FieldType::{
    Bool, Bytes, Double, Enum, Fixed32, Fixed64, HexId, Int32, Int64, Message as Of, Sfixed64, Sint32, Text,
    Uint32, Uint64,
};
use super::{Field, Message, many, one};

// opentelemetry/proto/collector/*/v1

pub static EXPORT_TRACES: Message =
    Message::new("ExportTraceServiceRequest", false, &[many(1, "resourceSpans", Of(&RESOURCE_SPANS))]);

pub static EXPORT_LOGS: Message =
    Message::new("ExportLogsServiceRequest", false, &[many(1, "resourceLogs", Of(&RESOURCE_LOGS))]);

pub static EXPORT_METRICS: Message =
    Message::new("ExportMetricsServiceRequest", false, &[many(1, "resourceMetrics", Of(&RESOURCE_METRICS))]);

// opentelemetry/proto/common/v1 and resource/v1

pub static DOUBLE_VALUE: Field = one(4, "doubleValue", Double);

static ANY_VALUE: Message = Message::new(
    "AnyValue",
    true,
    &[
        one(1, "stringValue", Text),
        one(2, "boolValue", Bool),
        one(3, "intValue", Int64),
        DOUBLE_VALUE,
        one(5, "arrayValue", Of(&ARRAY_VALUE)),
        one(6, "kvlistValue", Of(&KEY_VALUE_LIST)),
        one(7, "bytesValue", Bytes),
        one(8, "stringValueStrindex", Int32),
    ],
);

static ARRAY_VALUE: Message = Message::new("ArrayValue", false, &[many(1, "values", Of(&ANY_VALUE))]);

static KEY_VALUE_LIST: Message = Message::new("KeyValueList", false, &[many(1, "values", Of(&KEY_VALUE))]);

static KEY_VALUE: Message = Message::new(
    "KeyValue",
    false,
    &[one(1, "key", Text), one(2, "value", Of(&ANY_VALUE)), one(3, "keyStrindex", Int32)],
);

static SCOPE: Message = Message::new(
    "InstrumentationScope",
    false,
    &[
        one(1, "name", Text),
        one(2, "version", Text),
        many(3, "attributes", Of(&KEY_VALUE)),
        one(4, "droppedAttributesCount", Uint32),
    ],
);

static RESOURCE: Message = Message::new(
    "Resource",
    false,
    &[
        many(1, "attributes", Of(&KEY_VALUE)),
        one(2, "droppedAttributesCount", Uint32),
        many(3, "entityRefs", Of(&ENTITY_REF)),
    ],
);

static ENTITY_REF: Message = Message::new(
    "EntityRef",
    false,
    &[
        one(1, "schemaUrl", Text),
        one(2, "type", Text),
        many(3, "idKeys", Text),
        many(4, "descriptionKeys", Text),
    ],
);

// opentelemetry/proto/trace/v1

static RESOURCE_SPANS: Message = Message::new(
    "ResourceSpans",
    false,
    &[one(1, "resource", Of(&RESOURCE)), many(2, "scopeSpans", Of(&SCOPE_SPANS)), one(3, "schemaUrl", Text)],
);

static SCOPE_SPANS: Message = Message::new(
    "ScopeSpans",
    false,
    &[one(1, "scope", Of(&SCOPE)), many(2, "spans", Of(&SPAN)), one(3, "schemaUrl", Text)],
);

static SPAN: Message = Message::new(
    "Span",
    false,
    &[
        one(1, "traceId", HexId),
        one(2, "spanId", HexId),
        one(3, "traceState", Text),
        one(4, "parentSpanId", HexId),
        one(5, "name", Text),
        one(6, "kind", Enum),
        one(7, "startTimeUnixNano", Fixed64),
        one(8, "endTimeUnixNano", Fixed64),
        many(9, "attributes", Of(&KEY_VALUE)),
        one(10, "droppedAttributesCount", Uint32),
        many(11, "events", Of(&EVENT)),
        one(12, "droppedEventsCount", Uint32),
        many(13, "links", Of(&LINK)),
        one(14, "droppedLinksCount", Uint32),
        one(15, "status", Of(&STATUS)),
        one(16, "flags", Fixed32),
    ],
)
.with_columns(320);

static EVENT: Message = Message::new(
    "Event",
    false,
    &[
        one(1, "timeUnixNano", Fixed64),
        one(2, "name", Text),
        many(3, "attributes", Of(&KEY_VALUE)),
        one(4, "droppedAttributesCount", Uint32),
    ],
)
.with_columns(32);

static LINK: Message = Message::new(
    "Link",
    false,
    &[
        one(1, "traceId", HexId),
        one(2, "spanId", HexId),
        one(3, "traceState", Text),
        many(4, "attributes", Of(&KEY_VALUE)),
        one(5, "droppedAttributesCount", Uint32),
        one(6, "flags", Fixed32),
    ],
)
.with_columns(36);

static STATUS: Message = Message::new("Status", false, &[one(2, "message", Text), one(3, "code", Enum)]);

// opentelemetry/proto/logs/v1

static RESOURCE_LOGS: Message = Message::new(
    "ResourceLogs",
    false,
    &[one(1, "resource", Of(&RESOURCE)), many(2, "scopeLogs", Of(&SCOPE_LOGS)), one(3, "schemaUrl", Text)],
);

static SCOPE_LOGS: Message = Message::new(
    "ScopeLogs",
    false,
    &[one(1, "scope", Of(&SCOPE)), many(2, "logRecords", Of(&LOG_RECORD)), one(3, "schemaUrl", Text)],
);

static LOG_RECORD: Message = Message::new(
    "LogRecord",
    false,
    &[
        one(1, "timeUnixNano", Fixed64),
        one(2, "severityNumber", Enum),
        one(3, "severityText", Text),
        one(5, "body", Of(&ANY_VALUE)),
        many(6, "attributes", Of(&KEY_VALUE)),
        one(7, "droppedAttributesCount", Uint32),
        one(8, "flags", Fixed32),
        one(9, "traceId", HexId),
        one(10, "spanId", HexId),
        one(11, "observedTimeUnixNano", Fixed64),
        one(12, "eventName", Text),
    ],
)
.with_columns(180);

// opentelemetry/proto/metrics/v1

static RESOURCE_METRICS: Message = Message::new(
    "ResourceMetrics",
    false,
    &[
        one(1, "resource", Of(&RESOURCE)),
        many(2, "scopeMetrics", Of(&SCOPE_METRICS)),
        one(3, "schemaUrl", Text),
    ],
);

static SCOPE_METRICS: Message = Message::new(
    "ScopeMetrics",
    false,
    &[one(1, "scope", Of(&SCOPE)), many(2, "metrics", Of(&METRIC)), one(3, "schemaUrl", Text)],
);

static METRIC: Message = Message::new(
    "Metric",
    false,
    &[
        one(1, "name", Text),
        one(2, "description", Text),
        one(3, "unit", Text),
        one(5, "gauge", Of(&GAUGE)),
        one(7, "sum", Of(&SUM)),
        one(9, "histogram", Of(&HISTOGRAM)),
        one(10, "exponentialHistogram", Of(&EXPONENTIAL_HISTOGRAM)),
        one(11, "summary", Of(&SUMMARY)),
        many(12, "metadata", Of(&KEY_VALUE)),
    ],
);

static GAUGE: Message = Message::new("Gauge", false, &[many(1, "dataPoints", Of(&NUMBER_DATA_POINT))]);

static SUM: Message = Message::new(
    "Sum",
    false,
    &[
        many(1, "dataPoints", Of(&NUMBER_DATA_POINT)),
        one(2, "aggregationTemporality", Enum),
        one(3, "isMonotonic", Bool),
    ],
);

static HISTOGRAM: Message = Message::new(
    "Histogram",
    false,
    &[many(1, "dataPoints", Of(&HISTOGRAM_DATA_POINT)), one(2, "aggregationTemporality", Enum)],
);

static EXPONENTIAL_HISTOGRAM: Message = Message::new(
    "ExponentialHistogram",
    false,
    &[many(1, "dataPoints", Of(&EXPONENTIAL_HISTOGRAM_DATA_POINT)), one(2, "aggregationTemporality", Enum)],
);

static SUMMARY: Message = Message::new("Summary", false, &[many(1, "dataPoints", Of(&SUMMARY_DATA_POINT))]);

static NUMBER_DATA_POINT: Message = Message::new(
    "NumberDataPoint",
    false,
    &[
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "asDouble", Double),
        many(5, "exemplars", Of(&EXEMPLAR)),
        one(6, "asInt", Sfixed64),
        many(7, "attributes", Of(&KEY_VALUE)),
        one(8, "flags", Uint32),
    ],
)
.with_columns(196);

static HISTOGRAM_DATA_POINT: Message = Message::new(
    "HistogramDataPoint",
    false,
    &[
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "bucketCounts", Fixed64),
        many(7, "explicitBounds", Double),
        many(8, "exemplars", Of(&EXEMPLAR)),
        many(9, "attributes", Of(&KEY_VALUE)),
        one(10, "flags", Uint32),
        one(11, "min", Double),
        one(12, "max", Double),
    ],
)
.with_columns(214);

static EXPONENTIAL_HISTOGRAM_DATA_POINT: Message = Message::new(
    "ExponentialHistogramDataPoint",
    false,
    &[
        many(1, "attributes", Of(&KEY_VALUE)),
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        one(6, "scale", Sint32),
        one(7, "zeroCount", Fixed64),
        one(8, "positive", Of(&BUCKETS)),
        one(9, "negative", Of(&BUCKETS)),
        one(10, "flags", Uint32),
        many(11, "exemplars", Of(&EXEMPLAR)),
        one(12, "min", Double),
        one(13, "max", Double),
        one(14, "zeroThreshold", Double),
    ],
)
.with_columns(242);

static BUCKETS: Message =
    Message::new("Buckets", false, &[one(1, "offset", Sint32), many(2, "bucketCounts", Uint64)]);

static SUMMARY_DATA_POINT: Message = Message::new(
    "SummaryDataPoint",
    false,
    &[
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "quantileValues", Of(&VALUE_AT_QUANTILE)),
        many(7, "attributes", Of(&KEY_VALUE)),
        one(8, "flags", Uint32),
    ],
)
.with_columns(190);

static VALUE_AT_QUANTILE: Message =
    Message::new("ValueAtQuantile", false, &[one(1, "quantile", Double), one(2, "value", Double)])
        .with_columns(16);

static EXEMPLAR: Message = Message::new(
    "Exemplar",
    false,
    &[
        one(2, "timeUnixNano", Fixed64),
        one(3, "asDouble", Double),
        one(4, "spanId", HexId),
        one(5, "traceId", HexId),
        one(6, "asInt", Sfixed64),
        many(7, "filteredAttributes", Of(&KEY_VALUE)),
    ],
)
.with_columns(40);
