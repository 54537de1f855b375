//! Exponential histograms: `ExponentialHistogramDataPoint` to rows of `metric_exp_histograms`.

use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use meshlake_schema::{Table, TableBatch, UnixNanos};

use super::PointContext;
use super::point::{Distribution, DistributionColumns, PointColumns, PointHead};
use crate::columns::NumberColumn;
use crate::columns::rows::NumberListColumn;
use crate::decode::otlp::any_value::KeyValue;
use crate::protobuf::wire::{Fields, Value, WireError, packed_varints, zigzag};
use crate::tally::{Arrival, RejectReason};

/// A `Buckets` message.
#[derive(Debug, Default)]
struct Buckets {
    offset: i32,
    /// Unsigned on the wire; read as such until they are proven to fit.
    counts: Vec<i64>,
}

impl Buckets {
    fn clear(&mut self) {
        self.offset = 0;
        self.counts.clear();
    }

    fn read(&mut self, message: &[u8]) -> Result<(), WireError> {
        self.clear();
        for field in Fields::new(message) {
            match field? {
                (1, value) => self.offset = zigzag(value.varint(1)?),
                (2, Value::Bytes(packed)) => {
                    for count in packed_varints(packed) {
                        self.counts.push(count? as i64);
                    }
                }
                (2, value) => self.counts.push(value.varint(2)? as i64),
                _ => {}
            }
        }
        Ok(())
    }
}

/// An `ExponentialHistogramDataPoint` message as it lies in the payload.
#[derive(Debug, Default)]
struct ExpHistogramPoint<'a> {
    head: PointHead<'a>,
    distribution: Distribution,
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    positive: Buckets,
    negative: Buckets,
}

impl<'a> ExpHistogramPoint<'a> {
    fn clear_value(&mut self) {
        self.distribution = Distribution::default();
        (self.scale, self.zero_count, self.zero_threshold) = (0, 0, 0.0);
        self.positive.clear();
        self.negative.clear();
    }

    fn read(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        self.head.clear();
        self.clear_value();
        for field in Fields::new(message) {
            match field? {
                (1, value) => self.head.attributes.push(KeyValue::read(value.bytes(1)?)?),
                (2, value) => self.head.start_unix_nano = value.fixed64(2)?,
                (3, value) => self.head.time_unix_nano = value.fixed64(3)?,
                (4, value) => self.distribution.count = value.fixed64(4)?,
                (5, value) => self.distribution.sum = Some(value.double(5)?),
                (6, value) => self.scale = zigzag(value.varint(6)?),
                (7, value) => self.zero_count = value.fixed64(7)?,
                (8, value) => self.positive.read(value.bytes(8)?)?,
                (9, value) => self.negative.read(value.bytes(9)?)?,
                (10, value) => self.head.flags = value.varint(10)? as u32,
                (11, value) => self.head.exemplars.push(value.bytes(11)?),
                (12, value) => self.distribution.min = Some(value.double(12)?),
                (13, value) => self.distribution.max = Some(value.double(13)?),
                (14, value) => self.zero_threshold = value.double(14)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The time of a point that may be stored: its buckets and the zero count must add up to its count.
    /// Source: metrics.proto, `ExponentialHistogramDataPoint.count`.
    fn accepted_time(&mut self, arrival: &Arrival<'_>) -> Result<UnixNanos, RejectReason> {
        if self.head.no_recorded_value(self.distribution.sum) {
            self.clear_value();
        }
        self.distribution.check()?;
        let zero_count = self.zero_count as i64;
        let counts = self.positive.counts.iter().chain(&self.negative.counts).chain([&zero_count]);
        if !self.distribution.is_total_of(counts) {
            return Err(RejectReason::BadHistogramBuckets);
        }
        self.head.accepted_time(arrival)
    }
}

/// Rows of `metric_exp_histograms` being built; keeps its memory from one batch to the next.
#[derive(Debug, Default)]
pub struct ExpHistogramBuilder {
    pub(super) columns: PointColumns,
    temporality: NumberColumn<Int32Type>,
    distribution: DistributionColumns,
    scale: NumberColumn<Int32Type>,
    zero_count: NumberColumn<Int64Type>,
    zero_threshold: NumberColumn<Float64Type>,
    positive: BucketsColumns,
    negative: BucketsColumns,
}

#[derive(Debug, Default)]
struct BucketsColumns {
    offset: NumberColumn<Int32Type>,
    counts: NumberListColumn<Int64Type>,
}

impl BucketsColumns {
    fn push(&mut self, buckets: &Buckets) {
        self.offset.push(buckets.offset);
        self.counts.push(&buckets.counts);
    }
}

impl ExpHistogramBuilder {
    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.columns.rows()
    }

    /// Takes all rows as a batch; `None` when there are none.
    pub fn finish(&mut self) -> Option<TableBatch> {
        let (temporality, distribution) = (&mut self.temporality, &mut self.distribution);
        let (scale, zero_count, zero_threshold) =
            (&mut self.scale, &mut self.zero_count, &mut self.zero_threshold);
        let (positive, negative) = (&mut self.positive, &mut self.negative);
        let own = || -> Vec<ArrayRef> {
            let [count, sum, min, max] = distribution.finish();
            vec![
                temporality.finish(),
                count,
                sum,
                min,
                max,
                scale.finish(),
                zero_count.finish(),
                zero_threshold.finish(),
                positive.offset.finish(),
                positive.counts.finish(),
                negative.offset.finish(),
                negative.counts.finish(),
            ]
        };
        self.columns.finish(Table::MetricExpHistograms, own)
    }

    /// Decodes the points of one metric.
    pub(super) fn decode<'a>(
        &mut self,
        points: impl Iterator<Item = Result<&'a [u8], WireError>>,
        temporality: i32,
        context: &mut PointContext<'_>,
    ) -> Result<(), WireError> {
        let mut point = ExpHistogramPoint::default();
        for message in points {
            point.read(message?)?;
            let accepted = point.accepted_time(context.arrival);
            if let Ok(time) = accepted {
                self.temporality.push(temporality);
                self.distribution.push(&point.distribution);
                self.scale.push(point.scale);
                self.zero_count.push(point.zero_count as i64);
                self.zero_threshold.push(point.zero_threshold);
                self.positive.push(&point.positive);
                self.negative.push(&point.negative);
                self.columns.push(&mut point.head, time, true, context)?;
            }
            context.tally.count(accepted.map(drop));
        }
        Ok(())
    }
}
