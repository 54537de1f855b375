//! The messages of both versions for another encoder, written down from the specifications, and their rows read back.

use std::collections::HashMap;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use bytes::Bytes;
use meshlake_schema::{Table, UnixNanos};
use prost::Message;

use super::{VERSION_1, VERSION_2};
use crate::decode::{Builders, Format, Sender};
use crate::tally::{Arrival, RejectReason, Tally};

/// 2026-11-23T07:00:00Z (`date -d 2026-11-23T07:00:00Z +%s%3N`).
pub(crate) const NOW_MILLIS: i64 = 1_795_417_200_000;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricMetadata {
    #[prost(uint64, tag = "1")]
    pub(crate) metric_type: u64,
    #[prost(string, tag = "2")]
    pub(crate) metric_family_name: String,
    #[prost(string, tag = "4")]
    pub(crate) help: String,
    #[prost(string, tag = "5")]
    pub(crate) unit: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) histograms: Vec<Histogram>,
}

/// Names and values are bytes here, so that what is no text can be sent.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Label {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Sample {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
    #[prost(int64, tag = "3")]
    pub(crate) start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(double, tag = "2")]
    pub(crate) value: f64,
    #[prost(int64, tag = "3")]
    pub(crate) timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request2 {
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub(crate) symbols: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) timeseries: Vec<TimeSeries2>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries2 {
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) histograms: Vec<Histogram>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) exemplars: Vec<Exemplar2>,
    #[prost(message, optional, tag = "5")]
    pub(crate) metadata: Option<Metadata2>,
    #[prost(int64, tag = "6")]
    pub(crate) created_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar2 {
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) labels_refs: Vec<u32>,
    #[prost(double, tag = "2")]
    pub(crate) value: f64,
    #[prost(int64, tag = "3")]
    pub(crate) timestamp: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Metadata2 {
    #[prost(uint64, tag = "1")]
    pub(crate) metric_type: u64,
    #[prost(uint32, tag = "3")]
    pub(crate) help_ref: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) unit_ref: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) count_int: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(crate) count_float: Option<f64>,
    #[prost(double, tag = "3")]
    pub(crate) sum: f64,
    #[prost(sint32, tag = "4")]
    pub(crate) schema: i32,
    #[prost(double, tag = "5")]
    pub(crate) zero_threshold: f64,
    #[prost(uint64, optional, tag = "6")]
    pub(crate) zero_count_int: Option<u64>,
    #[prost(double, optional, tag = "7")]
    pub(crate) zero_count_float: Option<f64>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) negative_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "9")]
    pub(crate) negative_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "10")]
    pub(crate) negative_counts: Vec<f64>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) positive_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "12")]
    pub(crate) positive_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "13")]
    pub(crate) positive_counts: Vec<f64>,
    #[prost(uint64, tag = "14")]
    pub(crate) reset_hint: u64,
    #[prost(int64, tag = "15")]
    pub(crate) timestamp: i64,
    #[prost(double, repeated, tag = "16")]
    pub(crate) custom_values: Vec<f64>,
    #[prost(int64, tag = "17")]
    pub(crate) start_timestamp: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct BucketSpan {
    #[prost(sint32, tag = "1")]
    pub(crate) offset: i32,
    #[prost(uint32, tag = "2")]
    pub(crate) length: u32,
}

pub(crate) fn spans(spans: &[(i32, u32)]) -> Vec<BucketSpan> {
    spans.iter().map(|(offset, length)| BucketSpan { offset: *offset, length: *length }).collect()
}

pub(crate) fn labels(labels: &[(&str, &str)]) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label { name: (*name).into(), value: (*value).into() }).collect()
}

pub(crate) fn sample(value: f64) -> Sample {
    Sample { value, timestamp: NOW_MILLIS, start_timestamp: 0 }
}

pub(crate) fn series(names: &[(&str, &str)], samples: &[Sample]) -> TimeSeries {
    TimeSeries { labels: labels(names), samples: samples.to_vec(), ..TimeSeries::default() }
}

pub(crate) fn histogram_series(histogram: Histogram) -> TimeSeries {
    let histograms = vec![Histogram { timestamp: NOW_MILLIS, ..histogram }];
    TimeSeries { labels: labels(&[("__name__", "h")]), histograms, ..TimeSeries::default() }
}

/// The same series in the message of 2.0, each text a symbol once.
pub(crate) fn to_2(request: &WriteRequest) -> Request2 {
    let mut symbols = vec![Vec::new()];
    let mut known = HashMap::from([(Vec::new(), 0)]);
    let mut refs = |labels: &[Label]| {
        let texts = labels.iter().flat_map(|label| [&label.name, &label.value]);
        let at = |text: &Vec<u8>| {
            *known.entry(text.clone()).or_insert_with(|| {
                symbols.push(text.clone());
                symbols.len() as u32 - 1
            })
        };
        texts.map(at).collect::<Vec<_>>()
    };
    let mut timeseries = Vec::new();
    for series in &request.timeseries {
        let labels_refs = refs(&series.labels);
        let exemplars = series.exemplars.iter().map(|exemplar| Exemplar2 {
            labels_refs: refs(&exemplar.labels),
            value: exemplar.value,
            timestamp: exemplar.timestamp,
        });
        let (exemplars, samples) = (exemplars.collect(), series.samples.clone());
        let histograms = series.histograms.clone();
        timeseries.push(TimeSeries2 { labels_refs, samples, histograms, exemplars, ..Default::default() });
    }
    Request2 { symbols, timeseries }
}

/// Both encodings of the same, with their formats.
pub(crate) fn encodings(request: &WriteRequest) -> [(&'static Format, Vec<u8>); 2] {
    [(&VERSION_1, request.encode_to_vec()), (&VERSION_2, to_2(request).encode_to_vec())]
}

/// A payload taken in at [`NOW_MILLIS`] with a window of an hour either side.
pub(crate) fn arrival() -> Arrival<'static> {
    let at = |hours: i64| UnixNanos((NOW_MILLIS + hours * 3_600_000) * 1_000_000);
    Arrival { tenant: "acme", ingest_time: at(0), earliest: at(-1), latest: at(1) }
}

/// What became of a payload: the tally, and batches by table.
pub(crate) struct Decoded {
    pub(crate) tally: Tally,
    batches: Vec<(Table, RecordBatch)>,
}

pub(crate) fn decoded(format: &Format, payload: &[u8]) -> Decoded {
    decoded_by(format, payload, None, &arrival())
}

pub(crate) fn decoded_by(
    format: &Format,
    payload: &[u8],
    sender: Option<&Sender>,
    arrival: &Arrival<'_>,
) -> Decoded {
    let valid = (format.unpack)(Bytes::copy_from_slice(payload)).expect("valid");
    let mut out = Builders::default();
    let tally = (format.decode)(&valid.bytes, sender, arrival, &mut out).expect("valid bytes are decoded");
    assert_eq!(tally.received, tally.accepted + tally.rejected_count());
    assert_eq!(tally.accepted, out.rows().iter().sum::<usize>() as u64);
    let batches = out.finish().into_iter().map(|batch| (batch.table(), batch.rows().clone())).collect();
    Decoded { tally, batches }
}

/// The reasons for which the one series of a request is rejected, the same in both messages.
pub(crate) fn rejected(series: TimeSeries) -> Vec<(RejectReason, u64)> {
    let request = WriteRequest { timeseries: vec![series], ..WriteRequest::default() };
    let [first, second] = encodings(&request).map(|(format, payload)| decoded(format, &payload).tally);
    assert_eq!(first.rejected, second.rejected);
    first.rejected
}

impl Decoded {
    /// The rows of a table, in the order sent.
    pub(crate) fn rows(&self, table: Table) -> Vec<Row> {
        let batch = self.batches.iter().find(|(of, _)| *of == table).map(|(_, batch)| batch);
        let rows = batch.map(|batch| StructArray::from(batch.clone()));
        rows.iter().flat_map(|rows| (0..rows.len()).map(|row| Row { rows: rows.clone(), row })).collect()
    }
}

/// One row, read by the names of columns.
pub(crate) struct Row {
    rows: StructArray,
    row: usize,
}

impl Row {
    fn valid(&self, name: &str) -> Option<&ArrayRef> {
        let column = self.rows.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
        column.is_valid(self.row).then_some(column)
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let column = cast(self.valid(name)?, &DataType::Utf8).expect("text");
        Some(column.as_string::<i32>().value(self.row).to_owned())
    }

    pub(crate) fn double(&self, name: &str) -> Option<f64> {
        Some(self.valid(name)?.as_primitive::<Float64Type>().value(self.row))
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        Some(self.valid(name)?.as_primitive::<Int64Type>().value(self.row))
    }

    pub(crate) fn int32(&self, name: &str) -> Option<i32> {
        Some(self.valid(name)?.as_primitive::<Int32Type>().value(self.row))
    }

    pub(crate) fn ints(&self, name: &str) -> Option<Vec<i64>> {
        let list = self.valid(name)?.as_list::<i32>().value(self.row);
        Some(list.as_primitive::<Int64Type>().values().to_vec())
    }

    pub(crate) fn doubles(&self, name: &str) -> Option<Vec<f64>> {
        let list = self.valid(name)?.as_list::<i32>().value(self.row);
        Some(list.as_primitive::<Float64Type>().values().to_vec())
    }

    /// The entries of the column `attributes`, which are all strings.
    pub(crate) fn attributes(&self) -> Vec<(String, String)> {
        let entries = self.valid("attributes").expect("never null").as_map().value(self.row);
        let text = |column: usize, at: usize| entries.column(column).as_string::<i32>().value(at).to_owned();
        let entries: Vec<_> = (0..entries.len()).map(|at| (text(0, at), text(1, at))).collect();
        assert_eq!(self.text("attribute_types"), Some("s".repeat(entries.len())));
        entries
    }

    pub(crate) fn exemplars(&self) -> Vec<Row> {
        let list = self.valid("exemplars").expect("points have exemplars").as_list::<i32>().value(self.row);
        let rows = list.as_struct().clone();
        (0..rows.len()).map(|row| Row { rows: rows.clone(), row }).collect()
    }
}
