//! What data points of every shape have: times, flags, attributes, exemplars, the metric they belong to.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use meshlake_schema::{Table, TableBatch, UnixNanos};

use super::exemplars::ExemplarsColumn;
use super::{Metric, PointContext};
use crate::columns::attributes::AttributesColumn;
use crate::columns::{DictionaryColumn, NumberColumn};
use crate::decode::otlp::any_value::KeyValue;
use crate::decode::otlp::resource::{OriginColumns, Resource, Scope};
use crate::limits::ATTRIBUTES_MAX;
use crate::protobuf::wire::{Value, WireError, packed_fixed64};
use crate::tally::{Arrival, RejectReason, Warning};

/// Source: metrics.proto, `DataPointFlags`.
const NO_RECORDED_VALUE: u32 = 1;

/// The NaN with which Prometheus ends a series. Source: Prometheus `model/value/value.go`, `StaleNaN`.
const STALE_MARKER: u64 = 0x7ff0_0000_0000_0002;

/// The fields that points of every shape have, under whatever number.
#[derive(Debug, Default)]
pub(super) struct PointHead<'a> {
    pub(super) start_unix_nano: u64,
    pub(super) time_unix_nano: u64,
    pub(super) flags: u32,
    pub(super) attributes: Vec<KeyValue<'a>>,
    pub(super) exemplars: Vec<&'a [u8]>,
}

impl PointHead<'_> {
    /// Forgets everything but the memory.
    pub(super) fn clear(&mut self) {
        self.attributes.clear();
        self.exemplars.clear();
        *self = PointHead {
            attributes: std::mem::take(&mut self.attributes),
            exemplars: std::mem::take(&mut self.exemplars),
            ..PointHead::default()
        };
    }

    /// The time of a point that may be stored.
    pub(super) fn accepted_time(&self, arrival: &Arrival<'_>) -> Result<UnixNanos, RejectReason> {
        match self.time_unix_nano {
            0 => Err(RejectReason::MissingTime),
            time => arrival.accepted_time(time),
        }
    }

    /// Whether the series has stopped or nothing was measured, so that whatever stands in the fields of the value means
    /// nothing: bit 0 of the flags says so, and so does Prometheus' stale marker in `main`, the field that every point
    /// of the shape has. The bit is then set, so that a reader finds it in one place.
    pub(super) fn no_recorded_value(&mut self, main: Option<f64>) -> bool {
        if main.is_some_and(|value| value.to_bits() == STALE_MARKER) {
            self.flags |= NO_RECORDED_VALUE;
        }
        self.flags & NO_RECORDED_VALUE != 0
    }
}

/// What all histogram shapes say about their population.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Distribution {
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
}

impl Distribution {
    /// Refuses a count that no column can hold, and a sum of nothing that is not zero (metrics.proto: "if
    /// count is zero then this field must be zero").
    pub(super) fn check(&self) -> Result<(), RejectReason> {
        if i64::try_from(self.count).is_err() {
            return Err(RejectReason::CountOutOfRange);
        }
        if self.count == 0 && self.sum.is_some_and(|sum| sum != 0.0) {
            return Err(RejectReason::BadHistogramBuckets);
        }
        Ok(())
    }

    /// Whether bucket counts, which are unsigned on the wire, add up to the count.
    pub(super) fn is_total_of<'a>(&self, mut counts: impl Iterator<Item = &'a i64>) -> bool {
        counts.try_fold(0u64, |sum, count| sum.checked_add(*count as u64)) == Some(self.count)
    }
}

/// The columns of a [`Distribution`].
#[derive(Debug, Default)]
pub(super) struct DistributionColumns {
    count: NumberColumn<Int64Type>,
    sum: NumberColumn<Float64Type>,
    min: NumberColumn<Float64Type>,
    max: NumberColumn<Float64Type>,
}

impl DistributionColumns {
    pub(super) fn push(&mut self, distribution: &Distribution) {
        // `check` has refused what would not fit.
        self.count.push(distribution.count as i64);
        self.sum.push_option(distribution.sum);
        self.min.push_option(distribution.min);
        self.max.push_option(distribution.max);
    }

    pub(super) fn finish(&mut self) -> [ArrayRef; 4] {
        [self.count.finish(), self.sum.finish(), self.min.finish(), self.max.finish()]
    }
}

/// Adds a field of repeated 64-bit numbers to a list, packed or one by one (both are legal on the wire).
pub(super) fn extend_fixed64<T>(
    list: &mut Vec<T>,
    value: Value<'_>,
    field: u32,
    from: impl Fn(u64) -> T,
) -> Result<(), WireError> {
    match value {
        Value::Bytes(packed) => list.extend(packed_fixed64(packed)?.map(from)),
        single => list.push(from(single.fixed64(field)?)),
    }
    Ok(())
}

/// The columns that all metric tables share.
#[derive(Debug, Default)]
pub(super) struct PointColumns {
    origin: OriginColumns,
    time: NumberColumn<TimestampMicrosecondType>,
    time_unix_nano: NumberColumn<Int64Type>,
    start_time_unix_nano: NumberColumn<Int64Type>,
    /// Name, description, unit, metadata, types of metadata: the same for all points of a metric.
    metric: [DictionaryColumn; 5],
    series_id: NumberColumn<Int64Type>,
    flags: NumberColumn<Int64Type>,
    exemplars: ExemplarsColumn,
    attributes: AttributesColumn,
    attribute_types: DictionaryColumn,
}

impl PointColumns {
    pub(super) fn rows(&self) -> usize {
        self.time.len()
    }

    /// Pushes a point that was accepted with `time`; exemplars are null where `has_exemplars` is false.
    ///
    /// # Errors
    /// An attribute or exemplar that cannot be read.
    pub(super) fn push(
        &mut self,
        point: &mut PointHead<'_>,
        time: UnixNanos,
        has_exemplars: bool,
        context: &mut PointContext<'_>,
    ) -> Result<(), WireError> {
        self.time.push(time.micros());
        self.time_unix_nano.push(time.0);
        let start = point.start_unix_nano;
        self.start_time_unix_nano.push_option((start != 0).then(|| context.writer.time(start)));
        self.flags.push(i64::from(point.flags));
        for entry in point.attributes.iter().take(ATTRIBUTES_MAX) {
            let entry = context.writer.bounded(*entry);
            context.writer.push_entry(&mut self.attributes, entry)?;
        }
        let left_out = point.attributes.len().saturating_sub(ATTRIBUTES_MAX);
        context.writer.warn(Warning::AttributeDropped, left_out as u64);
        context.writer.end_row(&mut self.attributes, &mut self.attribute_types);
        self.series_id.push(context.series.series_id(&mut point.attributes)?);
        if has_exemplars {
            self.exemplars.push_row(&point.exemplars, context)
        } else {
            self.exemplars.push_null_row();
            Ok(())
        }
    }

    /// Begins another resource.
    pub(super) fn begin_resource(&mut self) {
        self.origin.begin_resource();
    }

    /// Pushes what the points since the last metric have in common.
    pub(super) fn end_metric(&mut self, metric: &Metric) {
        let rows = self.rows() - self.metric[0].len();
        if rows == 0 {
            return;
        }
        let texts = [
            Some(metric.name.as_str()),
            metric.description.as_deref(),
            metric.unit.as_deref(),
            metric.metadata.as_ref().map(|(json, _)| json.as_str()),
            metric.metadata.as_ref().map(|(_, types)| types.as_str()),
        ];
        for (column, text) in self.metric.iter_mut().zip(texts) {
            column.push_run(text, rows);
        }
    }

    /// Pushes what the points since the last scope have in common.
    pub(super) fn end_scope(&mut self, arrival: &Arrival<'_>, resource: &Resource, scope: &Scope) {
        self.origin.fill(arrival, resource, scope, self.time.len());
    }

    /// Takes all rows as a batch of `table`, whose own columns are `own`; `None` when there are none.
    pub(super) fn finish(&mut self, table: Table, own: impl FnOnce() -> Vec<ArrayRef>) -> Option<TableBatch> {
        if self.rows() == 0 {
            return None;
        }
        let mut columns = Vec::with_capacity(table.columns().len());
        columns.extend(self.origin.finish_arrival());
        columns.push(self.time.finish_utc());
        columns.push(self.time_unix_nano.finish());
        columns.push(self.start_time_unix_nano.finish());
        columns.extend(self.metric.iter_mut().map(DictionaryColumn::finish));
        columns.extend([self.series_id.finish(), self.flags.finish(), self.exemplars.finish()]);
        columns.extend(own());
        columns.extend(self.origin.finish_origin());
        columns.extend([self.attributes.finish(), self.attribute_types.finish()]);
        let batch = RecordBatch::try_new(Arc::clone(table.schema()), columns)
            .expect("every row is pushed to every column, in the order of the table");
        Some(TableBatch::try_new(table, batch).expect("the schema is the table's own"))
    }
}
