//! Gauges and sums: `NumberDataPoint` to rows of `metric_points`.

use meshlake_schema::UnixNanos;

use super::point::{self, PointHead};
use super::{Number, PointContext};
use crate::decode::otlp::any_value::KeyValue;
use crate::metric_rows::PointBuilder;
use crate::metric_rows::numbers::{NumberShape, NumberValue};
use crate::protobuf::wire::{Fields, WireError};
use crate::tally::{Arrival, RejectReason};

/// A `NumberDataPoint` message as it lies in the payload.
#[derive(Debug, Default)]
struct NumberPoint<'a> {
    head: PointHead<'a>,
    number: Option<Number>,
}

impl<'a> NumberPoint<'a> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        self.head.clear();
        self.number = None;
        for field in Fields::new(message) {
            match field? {
                (2, value) => self.head.start_unix_nano = value.fixed64(2)?,
                (3, value) => self.head.time_unix_nano = value.fixed64(3)?,
                (4, value) => self.number = Some(Number::Double(value.double(4)?)),
                (5, value) => self.head.exemplars.push(value.bytes(5)?),
                (6, value) => self.number = Some(Number::Int(value.fixed64(6)? as i64)),
                (7, value) => self.head.attributes.push(KeyValue::read(value.bytes(7)?)?),
                (8, value) => self.head.flags = value.varint(8)? as u32,
                _ => {}
            }
        }
        Ok(())
    }

    fn accepted_time(&mut self, arrival: &Arrival<'_>) -> Result<UnixNanos, RejectReason> {
        if self.head.no_recorded_value(self.number.map(Number::as_double)) {
            self.number = None;
        } else if self.number.is_none() {
            return Err(RejectReason::NoValue);
        }
        self.head.accepted_time(arrival)
    }
}

impl PointBuilder {
    /// Decodes the points of one metric.
    pub(super) fn decode<'a>(
        &mut self,
        points: impl Iterator<Item = Result<&'a [u8], WireError>>,
        shape: NumberShape,
        context: &mut PointContext<'_>,
    ) -> Result<(), WireError> {
        let mut point = NumberPoint::default();
        for message in points {
            point.read(message?)?;
            let accepted = point.accepted_time(context.arrival);
            if let Ok(time) = accepted {
                self.push(&mut point, time, shape, context)?;
            }
            context.tally.count(accepted.map(drop));
        }
        Ok(())
    }

    fn push(
        &mut self,
        point: &mut NumberPoint<'_>,
        time: UnixNanos,
        shape: NumberShape,
        context: &mut PointContext<'_>,
    ) -> Result<(), WireError> {
        let value = point.number.map(Number::as_double);
        let value_int = point.number.and_then(Number::as_int);
        self.push_own(shape, NumberValue { value, value_int });
        point::push(&mut self.columns, &mut point.head, time, true, context)
    }
}
