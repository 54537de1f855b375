//! Exemplars of data points: a list of structs, built field by field.

use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int64Type};
use meshlake_schema::Kind;

use crate::columns::attributes::AttributesColumn;
use crate::columns::rows::ListEnds;
use crate::columns::{NumberColumn, TextColumn};

/// The column `exemplars`. Whoever reads exemplars pushes one value to each of its fields an exemplar, then ends the row.
#[derive(Debug, Default)]
pub(crate) struct ExemplarsColumn {
    rows: ListEnds,
    pub(crate) time_unix_nano: NumberColumn<Int64Type>,
    pub(crate) value: NumberColumn<Float64Type>,
    pub(crate) value_int: NumberColumn<Int64Type>,
    pub(crate) trace_id: TextColumn,
    pub(crate) span_id: TextColumn,
    pub(crate) attributes: AttributesColumn,
    pub(crate) attribute_types: TextColumn,
}

impl ExemplarsColumn {
    /// Ends the row of a point; the exemplars pushed since the last row are its own.
    pub(crate) fn end_row(&mut self) {
        self.rows.end_row(self.trace_id.len());
    }

    /// Pushes the row of a point whose shape has no exemplars.
    pub(crate) fn push_null_row(&mut self) {
        self.rows.end_null_row();
    }

    /// Takes all rows as an array and leaves the column empty.
    pub(crate) fn finish(&mut self) -> ArrayRef {
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
