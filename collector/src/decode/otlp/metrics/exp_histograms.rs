//! Exponential histograms: `ExponentialHistogramDataPoint` to rows of `metric_exp_histograms`.

use meshlake_schema::UnixNanos;

use super::PointContext;
use super::point::{self, PointHead};
use crate::decode::otlp::any_value::KeyValue;
use crate::metric_rows::ExpHistogramBuilder;
use crate::metric_rows::exp_histograms::{Buckets, ExpHistogram};
use crate::protobuf::wire::{Fields, Value, WireError, packed_varints, zigzag};
use crate::tally::{Arrival, RejectReason};

impl Buckets {
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
    histogram: ExpHistogram,
}

impl<'a> ExpHistogramPoint<'a> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        self.head.clear();
        self.histogram.clear();
        let histogram = &mut self.histogram;
        for field in Fields::new(message) {
            match field? {
                (1, value) => self.head.attributes.push(KeyValue::read(value.bytes(1)?)?),
                (2, value) => self.head.start_unix_nano = value.fixed64(2)?,
                (3, value) => self.head.time_unix_nano = value.fixed64(3)?,
                (4, value) => histogram.distribution.count = value.fixed64(4)?,
                (5, value) => histogram.distribution.sum = Some(value.double(5)?),
                (6, value) => histogram.scale = zigzag(value.varint(6)?),
                (7, value) => histogram.zero_count = value.fixed64(7)?,
                (8, value) => histogram.positive.read(value.bytes(8)?)?,
                (9, value) => histogram.negative.read(value.bytes(9)?)?,
                (10, value) => self.head.flags = value.varint(10)? as u32,
                (11, value) => self.head.exemplars.push(value.bytes(11)?),
                (12, value) => histogram.distribution.min = Some(value.double(12)?),
                (13, value) => histogram.distribution.max = Some(value.double(13)?),
                (14, value) => histogram.zero_threshold = value.double(14)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The time of a point that may be stored: its buckets and the zero count must add up to its count.
    /// Source: metrics.proto, `ExponentialHistogramDataPoint.count`.
    fn accepted_time(&mut self, arrival: &Arrival<'_>) -> Result<UnixNanos, RejectReason> {
        if self.head.no_recorded_value(self.histogram.distribution.sum) {
            self.histogram.clear();
        }
        let ExpHistogram { distribution, zero_count, positive, negative, .. } = &self.histogram;
        distribution.check()?;
        let zero_count = *zero_count as i64;
        let counts = positive.counts.iter().chain(&negative.counts).chain([&zero_count]);
        if !distribution.is_total_of(counts) {
            return Err(RejectReason::BadHistogramBuckets);
        }
        self.head.accepted_time(arrival)
    }
}

impl ExpHistogramBuilder {
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
                self.push_own(Some(temporality), &point.histogram);
                point::push(&mut self.columns, &mut point.head, time, true, context)?;
            }
            context.tally.count(accepted.map(drop));
        }
        Ok(())
    }
}
