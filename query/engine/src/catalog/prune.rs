//! Decides from bounds alone which files and buffered batches a query cannot need.
//!
//! The filters go through DataFusion's pruning predicate, which understands casts, AND, OR and IN, instead of
//! a matcher of our own for `time >= x`. Bounds are known for `time`, for `date`, and for `time_unix_nano`
//! where it is by definition the exact form of `time`.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use meshlake_schema::tables::DATE_COLUMN;
use meshlake_schema::{Table, UnixNanos};

const NANOS_PER_MICRO: i64 = 1_000;

/// What is known of one file or batch without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub rows: u64,
    /// Bounds of `time`, microseconds since the epoch, both inclusive.
    pub time_min_micros: i64,
    pub time_max_micros: i64,
}

/// A query's filters on one table, ready to be held against bounds.
#[derive(Debug)]
pub struct Pruner {
    table: Table,
    predicate: Option<Arc<PruningPredicate>>,
}

impl Pruner {
    /// `filters` are over `schema`, as which the table is seen. Those that cannot be judged by bounds keep everything.
    pub fn new(table: Table, schema: &SchemaRef, filters: &[Expr], session: &dyn Session) -> Result<Self> {
        let Some(filter) = conjunction(filters.iter().cloned()) else {
            return Ok(Pruner { table, predicate: None });
        };
        let physical = session.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(schema))?)?;
        let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).build(physical);
        Ok(Pruner { table, predicate })
    }

    /// Whether any filter can be judged by bounds at all.
    pub fn is_selective(&self) -> bool {
        self.predicate.is_some()
    }

    /// For each of `bounds`, whether it may hold rows that pass the filters.
    pub fn keep(&self, bounds: Vec<Bounds>) -> Result<Vec<bool>> {
        match &self.predicate {
            Some(predicate) => predicate.prune(&Statistics { table: self.table, bounds }),
            None => Ok(vec![true; bounds.len()]),
        }
    }
}

struct Statistics {
    table: Table,
    bounds: Vec<Bounds>,
}

impl Statistics {
    fn column(&self, column: &Column, micros: impl Fn(&Bounds) -> i64, past_micro: i64) -> Option<ArrayRef> {
        let micros = self.bounds.iter().map(micros);
        match column.name.as_str() {
            "time" => {
                Some(Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC")))
            }
            "time_unix_nano" if nanos_are_time(self.table) => Some(Arc::new(Int64Array::from_iter_values(
                micros.map(|micros| micros.saturating_mul(NANOS_PER_MICRO).saturating_add(past_micro)),
            ))),
            DATE_COLUMN => Some(Arc::new(Date32Array::from_iter_values(
                micros.map(|micros| UnixNanos(micros.saturating_mul(NANOS_PER_MICRO)).days()),
            ))),
            _ => None,
        }
    }
}

/// Whether `time` is always `time_unix_nano` in microseconds: not so for logs, which may lack it.
pub fn nanos_are_time(table: Table) -> bool {
    !matches!(table, Table::Logs | Table::Ledger)
}

impl PruningStatistics for Statistics {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column, |bounds| bounds.time_min_micros, 0)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column, |bounds| bounds.time_max_micros, NANOS_PER_MICRO - 1)
    }

    fn num_containers(&self) -> usize {
        self.bounds.len()
    }

    fn null_counts(&self, _: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.bounds.iter().map(|bounds| bounds.rows))))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{and, col, lit, or};
    use datafusion::prelude::SessionContext;

    use super::super::columns::query_schema;
    use super::*;

    /// Three batches: [0 s, 9 s], [10 s, 19 s], and a day later.
    fn kept(table: Table, filter: Expr) -> Vec<bool> {
        let second = 1_000_000;
        let day = 86_400 * second;
        let bounds = [(0, 9 * second), (10 * second, 19 * second), (day, day + second)]
            .map(|(time_min_micros, time_max_micros)| Bounds { rows: 1, time_min_micros, time_max_micros });
        let session = SessionContext::new().state();
        let pruner =
            Pruner::new(table, query_schema(table), &[filter], &session).expect("the filter is well typed");
        pruner.keep(bounds.to_vec()).expect("the bounds are well typed")
    }

    fn micros(value: i64) -> Expr {
        lit(ScalarValue::TimestampMicrosecond(Some(value), Some("UTC".into())))
    }

    #[test]
    fn time_bounds_prune_and_include_their_ends() {
        assert_eq!(kept(Table::Spans, col("time").gt_eq(micros(9_000_000))), [true, true, true]);
        assert_eq!(kept(Table::Spans, col("time").gt_eq(micros(9_000_001))), [false, true, true]);
        assert_eq!(kept(Table::Spans, col("time").lt(micros(10_000_000))), [true, false, false]);
        let either = or(col("time").lt(micros(1)), col("time").gt(micros(86_400_000_000)));
        assert_eq!(kept(Table::Spans, either), [true, false, true]);
    }

    #[test]
    fn date_and_exact_nanoseconds_prune() {
        assert_eq!(
            kept(Table::Spans, col("date").eq(lit(ScalarValue::Date32(Some(1))))),
            [false, false, true]
        );
        // The last nanosecond of the microsecond that ends the first batch, and the one after.
        assert_eq!(kept(Table::Spans, col("time_unix_nano").gt(lit(9_000_000_998_i64))), [true, true, true]);
        assert_eq!(kept(Table::Spans, col("time_unix_nano").gt(lit(9_000_000_999_i64))), [false, true, true]);
        // A log's time may come from elsewhere.
        assert_eq!(kept(Table::Logs, col("time_unix_nano").lt(lit(0_i64))), [true, true, true]);
    }

    #[test]
    fn what_bounds_cannot_judge_keeps_everything() {
        assert_eq!(kept(Table::Spans, col("name").eq(lit("x"))), [true, true, true]);
        let both = and(col("name").eq(lit("x")), col("time").lt(micros(0)));
        assert_eq!(kept(Table::Spans, both), [false, false, false]);
    }
}
