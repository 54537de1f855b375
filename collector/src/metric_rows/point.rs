//! What rows of every metric table have: times, flags, attributes, exemplars, the metric they belong to.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use meshlake_schema::{Table, TableBatch, UnixNanos};

use super::Metric;
use super::exemplars::ExemplarsColumn;
use crate::columns::attributes::AttributesColumn;
use crate::columns::origin::{OriginColumns, Resource, Scope};
use crate::columns::{DictionaryColumn, NumberColumn};
use crate::tally::{Arrival, RejectReason};

/// Source: metrics.proto, `DataPointFlags`.
pub(crate) const NO_RECORDED_VALUE: u32 = 1;

/// The NaN with which Prometheus ends a series. Source: Prometheus `model/value/value.go`, `StaleNaN`.
pub(crate) const STALE_MARKER: u64 = 0x7ff0_0000_0000_0002;

/// What all histogram shapes say about their population.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Distribution {
    pub(crate) count: u64,
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
}

impl Distribution {
    /// Refuses a count that no column can hold, and a sum of nothing that is not zero (metrics.proto: "if
    /// count is zero then this field must be zero").
    pub(crate) fn check(&self) -> Result<(), RejectReason> {
        if i64::try_from(self.count).is_err() {
            return Err(RejectReason::CountOutOfRange);
        }
        if self.count == 0 && self.sum.is_some_and(|sum| sum != 0.0) {
            return Err(RejectReason::BadHistogramBuckets);
        }
        Ok(())
    }

    /// Whether bucket counts, which are unsigned on the wire, add up to the count.
    pub(crate) fn is_total_of<'a>(&self, mut counts: impl Iterator<Item = &'a i64>) -> bool {
        counts.try_fold(0u64, |sum, count| sum.checked_add(*count as u64)) == Some(self.count)
    }
}

/// The columns of a [`Distribution`].
#[derive(Debug, Default)]
pub(crate) struct DistributionColumns {
    count: NumberColumn<Int64Type>,
    sum: NumberColumn<Float64Type>,
    min: NumberColumn<Float64Type>,
    max: NumberColumn<Float64Type>,
}

impl DistributionColumns {
    pub(crate) fn push(&mut self, distribution: &Distribution) {
        // `check` has refused what would not fit.
        self.count.push(distribution.count as i64);
        self.sum.push_option(distribution.sum);
        self.min.push_option(distribution.min);
        self.max.push_option(distribution.max);
    }

    pub(crate) fn finish(&mut self) -> [ArrayRef; 4] {
        [self.count.finish(), self.sum.finish(), self.min.finish(), self.max.finish()]
    }
}

/// The columns that all metric tables share.
#[derive(Debug, Default)]
pub(crate) struct PointColumns {
    origin: OriginColumns,
    time: NumberColumn<TimestampMicrosecondType>,
    time_unix_nano: NumberColumn<Int64Type>,
    start_time_unix_nano: NumberColumn<Int64Type>,
    /// Name, description, unit, metadata, types of metadata: the same for all points of a metric.
    metric: [DictionaryColumn; 5],
    pub(crate) series_id: NumberColumn<Int64Type>,
    flags: NumberColumn<Int64Type>,
    pub(crate) exemplars: ExemplarsColumn,
    pub(crate) attributes: AttributesColumn,
    pub(crate) attribute_types: DictionaryColumn,
}

impl PointColumns {
    pub(crate) fn rows(&self) -> usize {
        self.time.len()
    }

    /// Pushes when a point was taken, when its interval began, where it says so, and its flags. What else a point has is
    /// pushed to its columns by whoever reads it.
    pub(crate) fn push_head(&mut self, time: UnixNanos, start_unix_nano: Option<i64>, flags: i64) {
        self.time.push(time.micros());
        self.time_unix_nano.push(time.0);
        self.start_time_unix_nano.push_option(start_unix_nano);
        self.flags.push(flags);
    }

    /// Begins another resource.
    pub(crate) fn begin_resource(&mut self) {
        self.origin.begin_resource();
    }

    /// Pushes what the points since the last metric have in common.
    pub(crate) fn end_metric(&mut self, metric: &Metric<'_>) {
        let rows = self.rows() - self.metric[0].len();
        if rows == 0 {
            return;
        }
        let (json, types) = metric.metadata.unzip();
        let texts = [Some(metric.name), metric.description, metric.unit, json, types];
        for (column, text) in self.metric.iter_mut().zip(texts) {
            column.push_run(text, rows);
        }
    }

    /// Pushes what the points since the last scope have in common.
    pub(crate) fn end_scope(&mut self, arrival: &Arrival<'_>, resource: &Resource, scope: &Scope) {
        self.origin.fill(arrival, resource, scope, self.time.len());
    }

    /// Takes all rows as a batch of `table`, whose own columns are `own`; `None` when there are none.
    pub(crate) fn finish(&mut self, table: Table, own: impl FnOnce() -> Vec<ArrayRef>) -> Option<TableBatch> {
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
