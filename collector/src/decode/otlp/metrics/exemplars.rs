//! Exemplars of data points.

use super::{Number, PointContext};
use crate::decode::otlp::{SPAN_ID_BYTES, TRACE_ID_BYTES, push_id};
use crate::metric_rows::exemplars::ExemplarsColumn;
use crate::protobuf::wire::{Fields, WireError};
use crate::tally::Warning;

/// Pushes the exemplars of one point, each an `Exemplar` message. One without a value is left out and
/// counted, as is an invalid id.
///
/// # Errors
/// Bytes that are no such message.
pub(super) fn push_row(
    column: &mut ExemplarsColumn,
    exemplars: &[&[u8]],
    context: &mut PointContext<'_>,
) -> Result<(), WireError> {
    for exemplar in exemplars {
        push_exemplar(column, exemplar, context)?;
    }
    column.end_row();
    Ok(())
}

fn push_exemplar(
    column: &mut ExemplarsColumn,
    message: &[u8],
    context: &mut PointContext<'_>,
) -> Result<(), WireError> {
    let (mut time, mut number) = (0, None);
    let (mut trace_id, mut span_id) = ([].as_slice(), [].as_slice());
    for field in Fields::new(message) {
        match field? {
            (2, value) => time = value.fixed64(2)?,
            (3, value) => number = Some(Number::Double(value.double(3)?)),
            (4, value) => span_id = value.bytes(4)?,
            (5, value) => trace_id = value.bytes(5)?,
            (6, value) => number = Some(Number::Int(value.fixed64(6)? as i64)),
            _ => {}
        }
    }
    let Some(number) = number else {
        context.writer.warn(Warning::ExemplarDropped, 1);
        return Ok(());
    };
    column.time_unix_nano.push(context.writer.time(time));
    column.value.push(number.as_double());
    column.value_int.push_option(number.as_int());
    push_id::<TRACE_ID_BYTES>(&mut column.trace_id, trace_id, &mut context.writer);
    push_id::<SPAN_ID_BYTES>(&mut column.span_id, span_id, &mut context.writer);
    for field in Fields::new(message) {
        if let (7, value) = field? {
            context.writer.push_sent(&mut column.attributes, value.bytes(7)?)?;
        }
    }
    context.writer.end_list_row(&mut column.attributes, &mut column.attribute_types);
    Ok(())
}
