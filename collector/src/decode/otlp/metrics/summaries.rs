//! Summaries: `SummaryDataPoint` to rows of `metric_summaries`.

use meshlake_schema::UnixNanos;

use super::PointContext;
use super::point::{self, PointHead};
use crate::decode::otlp::any_value::KeyValue;
use crate::metric_rows::SummaryBuilder;
use crate::protobuf::wire::{Fields, WireError};
use crate::tally::{Arrival, RejectReason};

/// A `SummaryDataPoint` message as it lies in the payload.
#[derive(Debug, Default)]
struct SummaryPoint<'a> {
    head: PointHead<'a>,
    count: u64,
    sum: f64,
    /// Quantile and value.
    quantiles: Vec<(f64, f64)>,
}

impl<'a> SummaryPoint<'a> {
    fn clear_value(&mut self) {
        (self.count, self.sum) = (0, 0.0);
        self.quantiles.clear();
    }

    fn read(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        self.head.clear();
        self.clear_value();
        for field in Fields::new(message) {
            match field? {
                (2, value) => self.head.start_unix_nano = value.fixed64(2)?,
                (3, value) => self.head.time_unix_nano = value.fixed64(3)?,
                (4, value) => self.count = value.fixed64(4)?,
                (5, value) => self.sum = value.double(5)?,
                (6, value) => self.quantiles.push(read_quantile(value.bytes(6)?)?),
                (7, value) => self.head.attributes.push(KeyValue::read(value.bytes(7)?)?),
                (8, value) => self.head.flags = value.varint(8)? as u32,
                _ => {}
            }
        }
        Ok(())
    }

    fn accepted_time(&mut self, arrival: &Arrival<'_>) -> Result<UnixNanos, RejectReason> {
        if self.head.no_recorded_value(Some(self.sum)) {
            self.clear_value();
        }
        if i64::try_from(self.count).is_err() {
            return Err(RejectReason::CountOutOfRange);
        }
        self.head.accepted_time(arrival)
    }
}

fn read_quantile(message: &[u8]) -> Result<(f64, f64), WireError> {
    let (mut quantile, mut at_quantile) = (0.0, 0.0);
    for field in Fields::new(message) {
        match field? {
            (1, value) => quantile = value.double(1)?,
            (2, value) => at_quantile = value.double(2)?,
            _ => {}
        }
    }
    Ok((quantile, at_quantile))
}

impl SummaryBuilder {
    /// Decodes the points of one metric.
    pub(super) fn decode<'a>(
        &mut self,
        points: impl Iterator<Item = Result<&'a [u8], WireError>>,
        context: &mut PointContext<'_>,
    ) -> Result<(), WireError> {
        let mut point = SummaryPoint::default();
        for message in points {
            point.read(message?)?;
            let accepted = point.accepted_time(context.arrival);
            if let Ok(time) = accepted {
                self.push_own(point.count as i64, point.sum, &point.quantiles);
                point::push(&mut self.columns, &mut point.head, time, false, context)?;
            }
            context.tally.count(accepted.map(drop));
        }
        Ok(())
    }
}
