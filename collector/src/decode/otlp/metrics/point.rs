//! What data points of every shape have: times, flags, attributes, exemplars.

use meshlake_schema::UnixNanos;

use super::{PointContext, exemplars};
use crate::decode::otlp::any_value::KeyValue;
use crate::limits::ATTRIBUTES_MAX;
use crate::metric_rows::point::{NO_RECORDED_VALUE, PointColumns, STALE_MARKER};
use crate::protobuf::wire::{Value, WireError, packed_fixed64};
use crate::tally::{Arrival, RejectReason, Warning};

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

/// Pushes a point that was accepted with `time`; exemplars are null where `has_exemplars` is false.
///
/// # Errors
/// An attribute or exemplar that cannot be read.
pub(super) fn push(
    columns: &mut PointColumns,
    point: &mut PointHead<'_>,
    time: UnixNanos,
    has_exemplars: bool,
    context: &mut PointContext<'_>,
) -> Result<(), WireError> {
    let start = point.start_unix_nano;
    let start = (start != 0).then(|| context.writer.time(start));
    columns.push_head(time, start, i64::from(point.flags));
    for entry in point.attributes.iter().take(ATTRIBUTES_MAX) {
        let entry = context.writer.bounded(*entry);
        context.writer.push_entry(&mut columns.attributes, entry)?;
    }
    let left_out = point.attributes.len().saturating_sub(ATTRIBUTES_MAX);
    context.writer.warn(Warning::AttributeDropped, left_out as u64);
    context.writer.end_row(&mut columns.attributes, &mut columns.attribute_types);
    columns.series_id.push(context.series.series_id(&mut point.attributes)?);
    if has_exemplars {
        exemplars::push_row(&mut columns.exemplars, &point.exemplars, context)
    } else {
        columns.exemplars.push_null_row();
        Ok(())
    }
}
