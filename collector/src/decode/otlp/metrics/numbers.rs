//! Gauges and sums: `NumberDataPoint` to rows of `metric_points`.

use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use meshlake_schema::{Table, TableBatch, UnixNanos};

use super::point::{PointColumns, PointHead};
use super::{Number, PointContext};
use crate::columns::{BooleanColumn, DictionaryColumn, NumberColumn};
use crate::decode::otlp::any_value::KeyValue;
use crate::protobuf::wire::{Fields, WireError};
use crate::tally::{Arrival, RejectReason};

/// What a metric says about all its number points.
#[derive(Debug, Clone, Copy)]
pub(super) enum NumberShape {
    Gauge,
    Sum { temporality: i32, is_monotonic: bool },
}

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

/// Rows of `metric_points` being built; keeps its memory from one batch to the next.
#[derive(Debug, Default)]
pub struct PointBuilder {
    pub(super) columns: PointColumns,
    metric_type: DictionaryColumn,
    temporality: NumberColumn<Int32Type>,
    is_monotonic: BooleanColumn,
    value: NumberColumn<Float64Type>,
    value_int: NumberColumn<Int64Type>,
}

impl PointBuilder {
    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.columns.rows()
    }

    /// Takes all rows as a batch; `None` when there are none.
    pub fn finish(&mut self) -> Option<TableBatch> {
        let (metric_type, temporality) = (&mut self.metric_type, &mut self.temporality);
        let (is_monotonic, value, value_int) = (&mut self.is_monotonic, &mut self.value, &mut self.value_int);
        let own = || -> Vec<ArrayRef> {
            vec![
                metric_type.finish(),
                temporality.finish(),
                is_monotonic.finish(),
                value.finish(),
                value_int.finish(),
            ]
        };
        self.columns.finish(Table::MetricPoints, own)
    }

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
        match shape {
            NumberShape::Gauge => {
                self.metric_type.push("gauge");
                self.temporality.push_option(None);
                self.is_monotonic.push_option(None);
            }
            NumberShape::Sum { temporality, is_monotonic } => {
                self.metric_type.push("sum");
                self.temporality.push(temporality);
                self.is_monotonic.push(is_monotonic);
            }
        }
        self.value.push_option(point.number.map(Number::as_double));
        self.value_int.push_option(point.number.and_then(Number::as_int));
        self.columns.push(&mut point.head, time, true, context)
    }
}
