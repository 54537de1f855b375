//! Histograms with explicit bounds: `HistogramDataPoint` to rows of `metric_histograms`.

use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use meshlake_schema::{Table, TableBatch, UnixNanos};

use super::PointContext;
use super::point::{Distribution, DistributionColumns, PointColumns, PointHead, extend_fixed64};
use crate::columns::NumberColumn;
use crate::columns::rows::NumberListColumn;
use crate::decode::otlp::any_value::KeyValue;
use crate::protobuf::wire::{Fields, WireError};
use crate::tally::{Arrival, RejectReason};

/// A `HistogramDataPoint` message as it lies in the payload.
#[derive(Debug, Default)]
struct HistogramPoint<'a> {
    head: PointHead<'a>,
    distribution: Distribution,
    bounds: Vec<f64>,
    /// Unsigned on the wire; read as such until they are proven to fit.
    bucket_counts: Vec<i64>,
}

impl<'a> HistogramPoint<'a> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        self.head.clear();
        self.distribution = Distribution::default();
        self.bounds.clear();
        self.bucket_counts.clear();
        for field in Fields::new(message) {
            match field? {
                (2, value) => self.head.start_unix_nano = value.fixed64(2)?,
                (3, value) => self.head.time_unix_nano = value.fixed64(3)?,
                (4, value) => self.distribution.count = value.fixed64(4)?,
                (5, value) => self.distribution.sum = Some(value.double(5)?),
                (6, value) => extend_fixed64(&mut self.bucket_counts, value, 6, |bits| bits as i64)?,
                (7, value) => extend_fixed64(&mut self.bounds, value, 7, f64::from_bits)?,
                (8, value) => self.head.exemplars.push(value.bytes(8)?),
                (9, value) => self.head.attributes.push(KeyValue::read(value.bytes(9)?)?),
                (10, value) => self.head.flags = value.varint(10)? as u32,
                (11, value) => self.distribution.min = Some(value.double(11)?),
                (12, value) => self.distribution.max = Some(value.double(12)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn accepted_time(&mut self, arrival: &Arrival<'_>) -> Result<UnixNanos, RejectReason> {
        if self.head.no_recorded_value(self.distribution.sum) {
            self.distribution = Distribution::default();
            self.bounds.clear();
            self.bucket_counts.clear();
        }
        self.distribution.check()?;
        if !self.buckets_agree() {
            return Err(RejectReason::BadHistogramBuckets);
        }
        self.head.accepted_time(arrival)
    }

    /// Bounds ascend strictly, there is one bucket more than bounds, and the buckets add up to the count;
    /// or there are neither bounds nor buckets. Source: metrics.proto, `HistogramDataPoint`.
    fn buckets_agree(&self) -> bool {
        if self.bounds.is_empty() && self.bucket_counts.is_empty() {
            return true;
        }
        let ascending =
            self.bounds.is_sorted_by(|a, b| a < b) && !self.bounds.iter().any(|bound| bound.is_nan());
        ascending
            && self.bucket_counts.len() == self.bounds.len() + 1
            && self.distribution.is_total_of(self.bucket_counts.iter())
    }
}

/// Rows of `metric_histograms` being built; keeps its memory from one batch to the next.
#[derive(Debug, Default)]
pub struct HistogramBuilder {
    pub(super) columns: PointColumns,
    temporality: NumberColumn<Int32Type>,
    distribution: DistributionColumns,
    bounds: NumberListColumn<Float64Type>,
    bucket_counts: NumberListColumn<Int64Type>,
}

impl HistogramBuilder {
    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.columns.rows()
    }

    /// Takes all rows as a batch; `None` when there are none.
    pub fn finish(&mut self) -> Option<TableBatch> {
        let (temporality, distribution) = (&mut self.temporality, &mut self.distribution);
        let (bounds, bucket_counts) = (&mut self.bounds, &mut self.bucket_counts);
        let own = || -> Vec<ArrayRef> {
            let [count, sum, min, max] = distribution.finish();
            vec![temporality.finish(), count, sum, min, max, bounds.finish(), bucket_counts.finish()]
        };
        self.columns.finish(Table::MetricHistograms, own)
    }

    /// Decodes the points of one metric.
    pub(super) fn decode<'a>(
        &mut self,
        points: impl Iterator<Item = Result<&'a [u8], WireError>>,
        temporality: i32,
        context: &mut PointContext<'_>,
    ) -> Result<(), WireError> {
        let mut point = HistogramPoint::default();
        for message in points {
            point.read(message?)?;
            let accepted = point.accepted_time(context.arrival);
            if let Ok(time) = accepted {
                self.temporality.push(temporality);
                self.distribution.push(&point.distribution);
                self.bounds.push(&point.bounds);
                self.bucket_counts.push(&point.bucket_counts);
                self.columns.push(&mut point.head, time, true, context)?;
            }
            context.tally.count(accepted.map(drop));
        }
        Ok(())
    }
}
