//! The registry of derived tables: what makes the rows of each out of its source's.
//!
//! Three ask it and must agree to the bit: a flush derives rows of the batches that it writes, a snapshot derives
//! rows of the batches that are not flushed yet, a merge of files merges rows of several flushes. None of them
//! knows a derived table by name, so a new one is a [`Table`] whose origin names its source, and one entry here.
//!
//! What each entry promises, for any batches `a` and `b` of the source, in any order and grouping:
//! `derive(a and b) = merge(derive(a), derive(b))`. Hence rows in files may be parts: readers group by key.
//!
//! Only tables that are made row by row at a flush are here. One whose rows need both sides of a call is settled
//! by maintenance when a window is over, and is another kind of [`Origin`](crate::tables::Origin).

use arrow::array::{AsArray as _, StringArray};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{filter_record_batch, sum};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use thiserror::Error;

use crate::batch::TableBatch;
use crate::filter::Filter;
use crate::series::{self, SeriesError};
use crate::tables::Table;
use crate::traces::{self, TracesError};

/// Why there are no rows.
#[derive(Debug, Error)]
pub enum DeriveError {
    #[error(transparent)]
    Traces(#[from] TracesError),
    #[error(transparent)]
    Series(#[from] SeriesError),
    #[error("choose rows to derive from: {0}")]
    Arrow(#[from] ArrowError),
}

/// How the rows of one table come out of another's.
#[derive(Debug, Clone, Copy)]
pub struct Derived {
    pub table: Table,
    /// A column of both tables: a row is made of source rows with the same value alone. Rows are sorted by it, or by what
    /// follows from it and then by it, so rows to be merged follow one another in a file.
    pub key: &'static str,
    /// The first of the sort key, text in both tables; it follows from the key, and is what look-ups ask for.
    pub asked: &'static str,
    /// How many source rows each row stands for: the sum is the same before and after a merge.
    pub count: &'static str,
    derive: fn(Table, &[TableBatch]) -> Result<TableBatch, DeriveError>,
    merge: fn(Table, &[TableBatch]) -> Result<TableBatch, DeriveError>,
}

static DERIVED: [Derived; 5] = [
    Derived {
        table: Table::Traces,
        key: "trace_id",
        asked: "trace_id",
        count: "span_count",
        derive: |_, spans| Ok(traces::derive(spans)?),
        merge: |_, rows| Ok(traces::merge(rows)?),
    },
    series_in(Table::MetricPointsSeries),
    series_in(Table::MetricHistogramsSeries),
    series_in(Table::MetricExpHistogramsSeries),
    series_in(Table::MetricSummariesSeries),
];

const fn series_in(table: Table) -> Derived {
    Derived {
        table,
        key: "series_id",
        asked: "metric_name",
        count: "point_count",
        derive: |table, points| Ok(series::derive(table, points)?),
        merge: |table, rows| Ok(series::merge(table, rows)?),
    }
}

/// How the rows of `table` are made; none for a table that is not derived at a flush.
pub fn of(table: Table) -> Option<&'static Derived> {
    DERIVED.iter().find(|derived| derived.table == table)
}

impl Derived {
    /// The table that rows are derived from.
    pub fn source(&self) -> Table {
        self.table.source().expect("every entry is of a table with a source; tested")
    }

    /// The rows that these batches of the source make, sorted by the table's sort key.
    ///
    /// # Errors
    /// When more comes out than a batch can hold, which takes more rows than a buffer holds.
    ///
    /// # Panics
    /// When a batch is of another table.
    pub fn derive(&self, source: &[TableBatch]) -> Result<TableBatch, DeriveError> {
        (self.derive)(self.table, source)
    }

    /// These rows of the table with those that belong together made one, sorted by the table's sort key.
    ///
    /// # Errors
    /// When more comes out than a batch can hold; half as many rows at a time will do.
    ///
    /// # Panics
    /// When a batch is of another table.
    pub fn merge(&self, rows: &[TableBatch]) -> Result<TableBatch, DeriveError> {
        (self.merge)(self.table, rows)
    }

    /// How many source rows `rows` stand for.
    pub fn source_rows(&self, rows: &TableBatch) -> i64 {
        let counts = rows.rows().column_by_name(self.count).expect("the table has this column; tested");
        sum(counts.as_primitive::<Int64Type>()).unwrap_or_default()
    }

    /// The rows of `source` that derived rows which pass `filter` can be made of; all of them where the filter
    /// does not ask for one trace or metric. Makes a look-up a comparison per row.
    ///
    /// # Errors
    /// None in practice: what is asked for is text.
    pub fn wanted(&self, source: &TableBatch, filter: &Filter) -> Result<TableBatch, DeriveError> {
        let Some(asked) = filter.only_text(self.asked) else { return Ok(source.clone()) };
        let rows = source.rows();
        let texts = rows.column_by_name(self.asked).expect("both tables have it; tested");
        let wanted = eq(texts, &StringArray::new_scalar(asked))?;
        let rows = if wanted.has_true() { filter_record_batch(rows, &wanted)? } else { rows.slice(0, 0) };
        Ok(TableBatch::try_new(source.table(), rows).expect("some rows of a batch have its columns"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Value;
    use crate::tables::Kind;

    fn kind(table: Table, column: &str) -> Option<Kind> {
        table.columns().iter().find(|declared| declared.name == column).map(|declared| declared.kind)
    }

    #[test]
    fn every_table_derived_at_a_flush_has_one_entry_that_fits_its_columns() {
        for table in Table::ALL {
            let entries = DERIVED.iter().filter(|derived| derived.table == table).count();
            assert_eq!(entries, usize::from(table.source().is_some()), "{}", table.name());
        }
        for derived in &DERIVED {
            for table in [derived.table, derived.source()] {
                assert!(kind(table, derived.key).is_some(), "{}", table.name());
                let asked = kind(table, derived.asked);
                assert!(matches!(asked, Some(Kind::Text | Kind::Dictionary)), "{}", table.name());
            }
            let sort_key = derived.table.sort_key();
            assert_eq!(sort_key[0], derived.asked);
            assert!(sort_key[..2].contains(&derived.key), "{}", derived.table.name());
            assert_eq!(kind(derived.table, derived.count), Some(Kind::Int64));
        }
    }

    #[test]
    fn only_rows_with_the_key_asked_for_are_derived_from() {
        let traces = of(Table::Traces).expect("it is derived");
        let spans = crate::traces::tests::spans(&["a", "b", "a"]);
        let by_id = |id: &str| Filter::equals("trace_id", Value::Text(id.to_owned()));
        let other = Filter::equals("root_name", Value::Text("x".to_owned()));
        let cases = [(by_id("a"), 2), (other.clone().and(by_id("b")), 1), (by_id("x"), 0), (other, 3)];
        for (filter, want) in cases {
            let wanted = traces.wanted(&spans, &filter).expect("text compares");
            assert_eq!(wanted.row_count(), want, "{filter:?}");
            let rows = traces.derive(&[wanted]).expect("few spans");
            assert_eq!(traces.source_rows(&rows), want as i64, "{filter:?}");
        }
    }

    #[test]
    fn only_points_of_the_metric_asked_for_are_derived_from() {
        let series = of(Table::MetricPointsSeries).expect("it is derived");
        let points = crate::series::tests::points(&["a", "b", "a"]);
        let wanted = |name: &str| {
            let filter = Filter::equals("metric_name", Value::Text(name.to_owned()));
            series.wanted(&points, &filter).expect("text compares").row_count()
        };
        assert_eq!([wanted("a"), wanted("b"), wanted("x")], [2, 1, 0]);
    }
}
