//! Scans the tenant's rows of a table that the collector buffers.
//!
//! Rows come as the buffer holds them, shared and dictionary-encoded; the casts to what queries see are a
//! projection above them, so only the columns and batches that a query reaches are ever converted, one batch
//! at a time. Limits: all of them are taken while the scan is planned, as pointers within one process and as copies from
//! another; so batches of other times than a plain bound on `time` allows are not asked for, and the rest is pruned here,
//! by a predicate that understands more.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{max, min};
use arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, internal_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use futures::TryStreamExt;
use meshlake_schema::filter::Value;
use meshlake_schema::tables::DATE_COLUMN;
use meshlake_schema::{Filter, Table, TimeRange, UnixNanos};
use meshlake_store::snapshot::{HotScan, Snapshot};

use super::columns::{Seen, hot_schema, query_schema};
use super::prune::{Bounds, Pruner, nanos_are_time};
use crate::error::QueryError;

const TIME_COLUMN: &str = "time";
const NANOS_COLUMN: &str = "time_unix_nano";
const NANOS_PER_MICRO: i64 = 1_000;

/// The rows of `tenant` in memory that the query may want, with what `columns` of the query schema are made of.
pub async fn wanted_hot(
    table: Table,
    snapshot: &Snapshot,
    tenant: &str,
    columns: &[usize],
    filters: &[Expr],
    pruner: &Pruner,
) -> Result<Vec<RecordBatch>> {
    let names = columns.iter().map(|&column| source_of(query_schema(table).field(column).name()));
    let mut names: Vec<String> = names.chain([TIME_COLUMN]).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    let filter = Some(asked(filters));
    let range = times_asked(table, filters);
    let scan = HotScan { table, columns: names, tenant: tenant.to_owned(), range, filter };
    let rows = async { snapshot.hot(&scan)?.try_collect().await };
    let batches: Vec<RecordBatch> =
        rows.await.map_err(|error| DataFusionError::from(QueryError::from(error)))?;
    if !pruner.is_selective() {
        return Ok(batches);
    }
    let wanted = pruner.keep(batches.iter().map(bounds_of).collect())?;
    Ok(batches.into_iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(rows, _)| rows).collect())
}

/// The column in memory that a column of the query schema is made of.
fn source_of(column: &str) -> &str {
    if column == DATE_COLUMN { TIME_COLUMN } else { column }
}

/// What the filters say of texts that a column must equal, which rows of a derived table are chosen by before they are computed, and
/// of what a column must say that is true or not, without which batches are left out.
fn asked(filters: &[Expr]) -> Filter {
    Filter::And(
        filters.iter().filter_map(|filter| text_asked(filter).or_else(|| truth_asked(filter))).collect(),
    )
}

/// The times that a row must have: those that comparisons of `time` with an instant leave, or of its nanoseconds with a number.
fn times_asked(table: Table, filters: &[Expr]) -> TimeRange {
    let bounds = filters.iter().filter_map(|filter| bounds_asked(table, filter));
    bounds.fold(TimeRange::ALL, |all, asked| TimeRange {
        from: all.from.max(asked.from),
        to: all.to.min(asked.to),
    })
}

fn bounds_asked(table: Table, filter: &Expr) -> Option<TimeRange> {
    let Expr::BinaryExpr(binary) = filter else { return None };
    let (column, instant, op) = match (binary.left.try_as_col(), binary.right.try_as_col()) {
        (Some(column), None) => (column, &binary.right, binary.op),
        (None, Some(column)) => (column, &binary.left, binary.op.swap()?),
        _ => return None,
    };
    // The microsecond of the instant, and what comes after all that is before it, and after itself.
    let [at, before, past] = match column.name.as_str() {
        TIME_COLUMN => {
            let micros = micros_of(instant)?;
            [micros, micros, micros.saturating_add(1)]
        }
        NANOS_COLUMN if nanos_are_time(table) => {
            let nanos = nanos_of(instant)?;
            let micros = |nanos: i64| nanos.div_euclid(NANOS_PER_MICRO);
            [
                micros(nanos),
                micros(nanos.saturating_sub(1)).saturating_add(1),
                micros(nanos).saturating_add(1),
            ]
        }
        _ => return None,
    }
    .map(UnixNanos::from_micros);
    match op {
        Operator::Gt | Operator::GtEq => Some(TimeRange { from: at, ..TimeRange::ALL }),
        Operator::Lt => Some(TimeRange { to: before, ..TimeRange::ALL }),
        Operator::LtEq => Some(TimeRange { to: past, ..TimeRange::ALL }),
        Operator::Eq => Some(TimeRange { from: at, to: past }),
        _ => None,
    }
}

fn nanos_of(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::Int64(nanos), _) => *nanos,
        _ => None,
    }
}

fn micros_of(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::TimestampMicrosecond(micros, _), _) => *micros,
        _ => None,
    }
}

fn text_asked(filter: &Expr) -> Option<Filter> {
    let Expr::BinaryExpr(binary) = filter else { return None };
    let column = binary.left.try_as_col().or_else(|| binary.right.try_as_col())?;
    let text = text_of(&binary.left).or_else(|| text_of(&binary.right))?;
    (binary.op == Operator::Eq).then(|| Filter::equals(&column.name, Value::Text(text.to_owned())))
}

/// The optimiser makes a comparison of a column with true the column itself.
fn truth_asked(filter: &Expr) -> Option<Filter> {
    let column = filter.try_as_col()?;
    Some(Filter::equals(&column.name, Value::Boolean(true)))
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// A scan of `batches`, which came for `columns` of the query schema, with those columns in that order.
pub fn scan_hot(
    table: Table,
    seen: &Seen,
    batches: Vec<RecordBatch>,
    columns: &[usize],
    partitions: usize,
    batch_rows: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let (seen, stored) = (&seen.query, hot_schema(table));
    let Some(first) = batches.first() else { return internal_err!("there are no batches") };
    let came = first.schema();
    let came = came.fields().iter().map(|field| stored.index_of(field.name()));
    let stored = Arc::new(stored.project(&came.collect::<Result<Vec<_>, _>>()?)?);
    let sources: Vec<usize> = columns
        .iter()
        .map(|&column| stored.index_of(source_of(seen.field(column).name())))
        .collect::<Result<_, _>>()?;
    let batches = batches.into_iter().map(|batch| batch.with_schema(Arc::clone(&stored)));
    let groups = deal(&batches.collect::<Result<Vec<_>, _>>()?, partitions, batch_rows);
    let memory = MemorySourceConfig::try_new_exec(&groups, Arc::clone(&stored), Some(sources.clone()))?;
    let columns = columns.iter().zip(&sources).enumerate().map(|(position, (&column, &source))| {
        let field = seen.field(column);
        let input: Arc<dyn PhysicalExpr> = Arc::new(Column::new(stored.field(source).name(), position));
        let expr = if stored.field(source).data_type() == field.data_type() {
            input
        } else {
            Arc::new(CastExpr::new(input, field.data_type().clone(), None))
        };
        ProjectionExpr { expr, alias: field.name().clone() }
    });
    Ok(Arc::new(ProjectionExec::try_new(columns.collect::<Vec<_>>(), memory)?))
}

/// Cuts the batches into parts of at most `batch_rows` (flushes are rare, so one batch can hold 100,000) and
/// deals the parts out to at most `count` partitions, each to the one with the fewest rows.
fn deal(batches: &[RecordBatch], count: usize, batch_rows: usize) -> Vec<Vec<RecordBatch>> {
    let step = batch_rows.max(1);
    let parts = batches.iter().flat_map(|batch| {
        let starts = (0..batch.num_rows()).step_by(step);
        starts.map(move |start| batch.slice(start, step.min(batch.num_rows() - start)))
    });
    let parts: Vec<RecordBatch> = parts.collect();
    let mut groups: Vec<(usize, Vec<RecordBatch>)> =
        vec![(0, Vec::new()); count.clamp(1, parts.len().max(1))];
    for part in parts {
        let smallest = groups.iter_mut().min_by_key(|(rows, _)| *rows).expect("there is at least one group");
        smallest.0 += part.num_rows();
        smallest.1.push(part);
    }
    groups.into_iter().map(|(_, parts)| parts).collect()
}

/// The bounds of one batch; the widest there are if `time` cannot be read.
fn bounds_of(rows: &RecordBatch) -> Bounds {
    let time =
        rows.column_by_name(TIME_COLUMN).filter(|time| matches!(time.data_type(), DataType::Timestamp(..)));
    let time = time.and_then(|time| time.as_any().downcast_ref::<TimestampMicrosecondArray>());
    Bounds {
        rows: rows.num_rows() as u64,
        time_min_micros: time.and_then(min).unwrap_or(i64::MIN),
        time_max_micros: time.and_then(max).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};
    use meshlake_fixture::{batch, row};

    use super::*;

    /// Whatever is not understood asks for more, never for less.
    #[test]
    fn times_that_a_row_may_have_are_asked_for() {
        let at = |micros: i64| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
        let range = |from: Option<i64>, to: Option<i64>| TimeRange {
            from: from.map_or(TimeRange::ALL.from, UnixNanos::from_micros),
            to: to.map_or(TimeRange::ALL.to, UnixNanos::from_micros),
        };
        let time = || col("time");
        let nanos = || col("time_unix_nano");
        let nothing_known = lit(ScalarValue::TimestampMicrosecond(None, Some("UTC".into())));
        let cases = [
            (vec![time().gt_eq(at(5)), time().lt(at(9))], range(Some(5), Some(9))),
            (vec![time().gt(at(5)), time().lt_eq(at(9))], range(Some(5), Some(10))),
            (vec![at(5).lt_eq(time()), at(9).gt(time()), time().lt(at(20))], range(Some(5), Some(9))),
            (vec![time().eq(at(7))], range(Some(7), Some(8))),
            (vec![time().not_eq(at(7)), col("ingest_time").gt(at(7))], TimeRange::ALL),
            (vec![time().gt(at(5)).or(time().lt(at(3)))], TimeRange::ALL),
            (vec![time().gt(nothing_known), time().gt(lit(5))], TimeRange::ALL),
            // The microseconds that hold these nanoseconds: of those from 5,001 on the sixth, of those before 9,000 the ninth, of
            // those before 9,001 the tenth.
            (vec![nanos().gt_eq(lit(5_001_i64)), nanos().lt(lit(9_000_i64))], range(Some(5), Some(9))),
            (vec![nanos().lt(lit(9_001_i64))], range(None, Some(10))),
            (vec![nanos().gt(lit(5_999_i64)), lit(9_000_i64).gt_eq(nanos())], range(Some(5), Some(10))),
            (vec![nanos().gt(lit("5"))], TimeRange::ALL),
        ];
        for (filters, want) in cases {
            assert_eq!(times_asked(Table::Spans, &filters), want, "{filters:?}");
        }
        // A log entry may have been observed at another time than it tells.
        assert_eq!(times_asked(Table::Logs, &[nanos().gt(lit(5_000_i64))]), TimeRange::ALL);
    }

    #[test]
    fn what_every_row_must_say_is_asked_for() {
        let by_id = |text: &str| Filter::equals("trace_id", Value::Text(text.to_owned()));
        let view = lit(ScalarValue::Utf8View(Some("a".to_owned())));
        let cases = [
            (col("trace_id").eq(lit("a")), vec![by_id("a")]),
            (view.eq(col("trace_id")), vec![by_id("a")]),
            (col("trace_id").not_eq(lit("a")), vec![]),
            (col("span_count").eq(lit(1)), vec![]),
            (col("is_proxy"), vec![Filter::equals("is_proxy", Value::Boolean(true))]),
            (col("is_proxy").is_not_true(), vec![]),
            (col("trace_id").eq(lit("a")).or(col("trace_id").eq(lit("b"))), vec![]),
        ];
        for (filter, want) in cases {
            assert_eq!(asked(&[col("span_count").gt(lit(0)), filter]), Filter::And(want));
        }
    }

    #[test]
    fn parts_are_cut_to_size_and_dealt_evenly() {
        let rows: Vec<_> = (0..10).map(|nanos| row(nanos, [])).collect();
        let dealt = deal(&[batch(Table::Ledger, &rows).into_rows()], 2, 4);
        let sizes: Vec<Vec<usize>> =
            dealt.iter().map(|group| group.iter().map(RecordBatch::num_rows).collect()).collect();
        assert_eq!(sizes, [vec![4, 2], vec![4]]); // 10 = 4 + 4 + 2, the last to the first of equals
    }

    #[test]
    fn bounds_are_those_of_the_rows() {
        let rows = [row(5_000, []), row(2_000, []), row(9_999, [])];
        let bounds = bounds_of(batch(Table::Spans, &rows).rows());
        assert_eq!(bounds, Bounds { rows: 3, time_min_micros: 2, time_max_micros: 9 });
    }
}
