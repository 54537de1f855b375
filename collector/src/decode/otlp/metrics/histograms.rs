//! Histograms with explicit bounds: `HistogramDataPoint` to rows of `metric_histograms`.

use meshlake_schema::UnixNanos;

use super::PointContext;
use super::point::{self, PointHead, extend_fixed64};
use crate::decode::otlp::any_value::KeyValue;
use crate::metric_rows::HistogramBuilder;
use crate::metric_rows::histograms::ExplicitHistogram;
use crate::protobuf::wire::{Fields, WireError};
use crate::tally::{Arrival, RejectReason};

/// A `HistogramDataPoint` message as it lies in the payload.
#[derive(Debug, Default)]
struct HistogramPoint<'a> {
    head: PointHead<'a>,
    histogram: ExplicitHistogram,
}

impl<'a> HistogramPoint<'a> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        self.head.clear();
        self.histogram.clear();
        let ExplicitHistogram { distribution, bounds, bucket_counts, .. } = &mut self.histogram;
        for field in Fields::new(message) {
            match field? {
                (2, value) => self.head.start_unix_nano = value.fixed64(2)?,
                (3, value) => self.head.time_unix_nano = value.fixed64(3)?,
                (4, value) => distribution.count = value.fixed64(4)?,
                (5, value) => distribution.sum = Some(value.double(5)?),
                (6, value) => extend_fixed64(bucket_counts, value, 6, |bits| bits as i64)?,
                (7, value) => extend_fixed64(bounds, value, 7, f64::from_bits)?,
                (8, value) => self.head.exemplars.push(value.bytes(8)?),
                (9, value) => self.head.attributes.push(KeyValue::read(value.bytes(9)?)?),
                (10, value) => self.head.flags = value.varint(10)? as u32,
                (11, value) => distribution.min = Some(value.double(11)?),
                (12, value) => distribution.max = Some(value.double(12)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn accepted_time(&mut self, arrival: &Arrival<'_>) -> Result<UnixNanos, RejectReason> {
        if self.head.no_recorded_value(self.histogram.distribution.sum) {
            self.histogram.clear();
        }
        self.histogram.distribution.check()?;
        if !self.histogram.buckets_agree() {
            return Err(RejectReason::BadHistogramBuckets);
        }
        self.head.accepted_time(arrival)
    }
}

impl ExplicitHistogram {
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

impl HistogramBuilder {
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
                self.push_own(Some(temporality), &point.histogram);
                point::push(&mut self.columns, &mut point.head, time, true, context)?;
            }
            context.tally.count(accepted.map(drop));
        }
        Ok(())
    }
}
