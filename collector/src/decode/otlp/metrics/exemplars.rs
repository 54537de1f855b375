//! Exemplars of data points: a list of structs, built field by field.

use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int64Type};
use meshlake_schema::Kind;

use super::{Number, PointContext};
use crate::columns::attributes::AttributesColumn;
use crate::columns::rows::ListEnds;
use crate::columns::{NumberColumn, TextColumn};
use crate::decode::otlp::{SPAN_ID_BYTES, TRACE_ID_BYTES, push_id};
use crate::protobuf::wire::{Fields, WireError};
use crate::tally::Warning;

/// The column `exemplars`.
#[derive(Debug, Default)]
pub(super) struct ExemplarsColumn {
    rows: ListEnds,
    time_unix_nano: NumberColumn<Int64Type>,
    value: NumberColumn<Float64Type>,
    value_int: NumberColumn<Int64Type>,
    trace_id: TextColumn,
    span_id: TextColumn,
    attributes: AttributesColumn,
    attribute_types: TextColumn,
}

impl ExemplarsColumn {
    /// Pushes the exemplars of one point, each an `Exemplar` message. One without a value is left out and
    /// counted, as is an invalid id.
    ///
    /// # Errors
    /// Bytes that are no such message.
    pub(super) fn push_row(
        &mut self,
        exemplars: &[&[u8]],
        context: &mut PointContext<'_>,
    ) -> Result<(), WireError> {
        for exemplar in exemplars {
            self.push_exemplar(exemplar, context)?;
        }
        self.rows.end_row(self.trace_id.len());
        Ok(())
    }

    /// Pushes the row of a point whose shape has no exemplars.
    pub(super) fn push_null_row(&mut self) {
        self.rows.end_null_row();
    }

    fn push_exemplar(&mut self, message: &[u8], context: &mut PointContext<'_>) -> Result<(), WireError> {
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
        self.time_unix_nano.push(context.writer.time(time));
        self.value.push(number.as_double());
        self.value_int.push_option(number.as_int());
        push_id::<TRACE_ID_BYTES>(&mut self.trace_id, trace_id, &mut context.writer);
        push_id::<SPAN_ID_BYTES>(&mut self.span_id, span_id, &mut context.writer);
        for field in Fields::new(message) {
            if let (7, value) = field? {
                context.writer.push_sent(&mut self.attributes, value.bytes(7)?)?;
            }
        }
        context.writer.end_list_row(&mut self.attributes, &mut self.attribute_types);
        Ok(())
    }

    /// Takes all rows as an array and leaves the column empty.
    pub(super) fn finish(&mut self) -> ArrayRef {
        let fields = vec![
            self.time_unix_nano.finish(),
            self.value.finish(),
            self.value_int.finish(),
            self.trace_id.finish(),
            self.span_id.finish(),
            self.attributes.finish(),
            self.attribute_types.finish(),
        ];
        self.rows.finish_structs(Kind::Exemplars, fields)
    }
}
