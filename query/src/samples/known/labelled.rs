//! What makes the labels of the series of one batch's rows, which are points or parts of series.

use arrow::array::RecordBatch;
use meshlake_schema::Table;
use meshlake_schema::rows::{Attributes, DoubleLists, Doubles, Integers, Quantiles, Rows, RowsError, Text};

use crate::samples::names::Names;
use crate::samples::naming::value;
use crate::samples::stems::{Scope, optional};

/// What tells when a row's series had points, and into which series it grows: all that is read of a series that is known.
pub struct Marked<'a> {
    times: Integers<'a>,
    last_times: Integers<'a>,
    bounds: DoubleLists<'a>,
    quantiles: Quantiles<'a>,
    marks: DoubleLists<'a>,
    sum: Doubles<'a>,
    sum_counts: Integers<'a>,
}

impl<'a> Marked<'a> {
    pub fn of(table: Table, batch: &'a RecordBatch) -> Result<Self, RowsError> {
        let rows = Rows::of(table, batch);
        Ok(Marked {
            times: rows.read("time_unix_nano")?,
            last_times: optional(table, &rows, "last_time_unix_nano")?,
            bounds: optional(table, &rows, "explicit_bounds")?,
            quantiles: optional(table, &rows, "quantiles")?,
            marks: optional(table, &rows, "marks")?,
            sum: optional(table, &rows, "sum")?,
            sum_counts: optional(table, &rows, "sum_count")?,
        })
    }

    pub fn first_time(&self, row: usize) -> i64 {
        self.times.or_zero(row)
    }

    /// The latest time that a row tells of.
    pub fn last_time(&self, row: usize) -> i64 {
        self.last_times.get(row).unwrap_or(self.times.or_zero(row))
    }

    pub fn has_sum(&self, row: usize) -> bool {
        self.sum.get(row).is_some() || self.sum_counts.or_zero(row) > 0
    }

    /// What tells apart the series of a row's stem.
    pub fn marks(&self, row: usize) -> Vec<f64> {
        let quantiles = self.quantiles.places(row).filter_map(|place| self.quantiles.quantile.get(place));
        let lists = self.bounds.get(row).iter().chain(self.marks.get(row)).copied();
        lists.chain(quantiles).collect()
    }
}

/// What makes the labels of a row's series.
pub struct Labelled<'a> {
    pub names: Names<'a>,
    pub temporality: Integers<'a>,
    pub resource_id: Integers<'a>,
    pub resource: Text<'a>,
    pub resource_types: Text<'a>,
    version: Text<'a>,
    schema_url: Text<'a>,
    scope_attributes: Text<'a>,
    scope_attribute_types: Text<'a>,
    attributes: Attributes<'a>,
    attribute_types: Text<'a>,
    pub marked: Marked<'a>,
}

impl<'a> Labelled<'a> {
    pub fn of(table: Table, batch: &'a RecordBatch) -> Result<Self, RowsError> {
        let rows = Rows::of(table, batch);
        Ok(Labelled {
            names: Names::of(table, batch)?,
            temporality: optional(table, &rows, "aggregation_temporality")?,
            resource_id: rows.read("resource_id")?,
            resource: rows.read("resource")?,
            resource_types: rows.read("resource_types")?,
            version: rows.read("scope_version")?,
            schema_url: rows.read("scope_schema_url")?,
            scope_attributes: rows.read("scope_attributes")?,
            scope_attribute_types: rows.read("scope_attribute_types")?,
            attributes: rows.read("attributes")?,
            attribute_types: rows.read("attribute_types")?,
            marked: Marked::of(table, batch)?,
        })
    }

    pub fn scope(&self, row: usize) -> Scope<'a> {
        let text = |text: Text<'a>| text.get(row).unwrap_or_default();
        Scope {
            name: text(self.names.scope),
            version: text(self.version),
            schema_url: text(self.schema_url),
            attributes: text(self.scope_attributes),
            attribute_types: text(self.scope_attribute_types),
        }
    }

    pub fn own_attributes(&self, row: usize) -> Vec<(String, String)> {
        let types = self.attribute_types.get(row).unwrap_or_default();
        let mut types = meshlake_schema::attributes::Types::new(types);
        let entries = self.attributes.entries(row);
        entries
            .map(|(key, text)| (key.to_owned(), value::of_attribute(text, types.next().unwrap_or("s"))))
            .collect()
    }
}
