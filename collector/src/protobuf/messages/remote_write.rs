//! The messages of Prometheus remote write: `prometheus.WriteRequest` of 1.0, `io.prometheus.write.v2.Request` of 2.0.
//!
//! Samples and histograms of both have the same numbers, but for start timestamps, which 1.0 does not have and which a
//! sender of it therefore never writes. Nobody sends them as JSON, so names here serve error messages only, and
//! `sint64`, which differs from `int64` in its meaning and not in its bytes, is declared as that.
//!
//! Source: prometheus/prompb/{remote,types}.proto and prompb/io/prometheus/write/v2/types.proto of Prometheus 3.

use super::FieldType::{Double, Enum, Int64, Message as Of, Sint32, Text, Uint32, Uint64};
use super::{Message, many, one};

pub static WRITE_REQUEST: Message = Message::new(
    "prometheus.WriteRequest",
    false,
    &[many(1, "timeseries", Of(&TIME_SERIES_1)), many(3, "metadata", Of(&METRIC_METADATA))],
);

pub static WRITE_REQUEST_2: Message = Message::new(
    "io.prometheus.write.v2.Request",
    false,
    &[many(4, "symbols", Text), many(5, "timeseries", Of(&TIME_SERIES_2))],
);

static METRIC_METADATA: Message = Message::new(
    "MetricMetadata",
    false,
    &[one(1, "type", Enum), one(2, "metricFamilyName", Text), one(4, "help", Text), one(5, "unit", Text)],
);

static TIME_SERIES_1: Message = Message::new(
    "TimeSeries",
    false,
    &[
        many(1, "labels", Of(&LABEL)),
        many(2, "samples", Of(&SAMPLE)),
        many(3, "exemplars", Of(&EXEMPLAR_1)),
        many(4, "histograms", Of(&HISTOGRAM)),
    ],
);

/// Field 6 was the start timestamp of all samples in release candidates of 2.0, which Prometheus 2.54 to 3.6 sends.
static TIME_SERIES_2: Message = Message::new(
    "TimeSeries",
    false,
    &[
        many(1, "labelsRefs", Uint32),
        many(2, "samples", Of(&SAMPLE)),
        many(3, "histograms", Of(&HISTOGRAM)),
        many(4, "exemplars", Of(&EXEMPLAR_2)),
        one(5, "metadata", Of(&METADATA)),
        one(6, "createdTimestamp", Int64),
    ],
);

static LABEL: Message = Message::new("Label", false, &[one(1, "name", Text), one(2, "value", Text)]);

static SAMPLE: Message = Message::new(
    "Sample",
    false,
    &[one(1, "value", Double), one(2, "timestamp", Int64), one(3, "startTimestamp", Int64)],
)
.with_columns(196);

static EXEMPLAR_1: Message = Message::new(
    "Exemplar",
    false,
    &[many(1, "labels", Of(&LABEL)), one(2, "value", Double), one(3, "timestamp", Int64)],
)
.with_columns(40);

static EXEMPLAR_2: Message = Message::new(
    "Exemplar",
    false,
    &[many(1, "labelsRefs", Uint32), one(2, "value", Double), one(3, "timestamp", Int64)],
)
.with_columns(40);

static METADATA: Message = Message::new(
    "Metadata",
    false,
    &[one(1, "type", Enum), one(3, "helpRef", Uint32), one(4, "unitRef", Uint32)],
);

static HISTOGRAM: Message = Message::new(
    "Histogram",
    false,
    &[
        one(1, "countInt", Uint64),
        one(2, "countFloat", Double),
        one(3, "sum", Double),
        one(4, "schema", Sint32),
        one(5, "zeroThreshold", Double),
        one(6, "zeroCountInt", Uint64),
        one(7, "zeroCountFloat", Double),
        many(8, "negativeSpans", Of(&BUCKET_SPAN)),
        many(9, "negativeDeltas", Int64),
        many(10, "negativeCounts", Double),
        many(11, "positiveSpans", Of(&BUCKET_SPAN)),
        many(12, "positiveDeltas", Int64),
        many(13, "positiveCounts", Double),
        one(14, "resetHint", Enum),
        one(15, "timestamp", Int64),
        many(16, "customValues", Double),
        one(17, "startTimestamp", Int64),
    ],
)
.with_columns(280);

static BUCKET_SPAN: Message =
    Message::new("BucketSpan", false, &[one(1, "offset", Sint32), one(2, "length", Uint32)]).with_columns(8);
