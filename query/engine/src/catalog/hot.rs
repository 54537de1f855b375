//! Scans a table's buffered batches.
//!
//! Batches stay as the buffer holds them, shared and dictionary-encoded; the casts to what queries see are a
//! projection above them, so only the columns and batches that a query reaches are ever converted, one batch
//! at a time.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{max, min};
use arrow::datatypes::DataType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use meshlake_schema::Table;
use meshlake_schema::tables::DATE_COLUMN;
use meshlake_store::snapshot::HotBatch;

use super::columns::{hot_schema, query_schema};
use super::prune::{Bounds, Pruner};

/// The batches that may hold rows the query wants.
pub fn prune_hot(hot: &[HotBatch], pruner: &Pruner) -> Result<Vec<RecordBatch>> {
    let rows = || hot.iter().map(|hot| hot.batch.rows());
    let wanted = if pruner.is_selective() {
        pruner.keep(rows().map(bounds_of).collect())?
    } else {
        vec![true; hot.len()]
    };
    Ok(rows()
        .zip(wanted)
        .filter(|(rows, wanted)| *wanted && rows.num_rows() > 0)
        .map(|(rows, _)| rows.clone())
        .collect())
}

/// A scan of `batches` (in the hot schema) with the columns `projection` of the query schema, in that order.
pub fn scan_hot(
    table: Table,
    batches: Vec<RecordBatch>,
    projection: &[usize],
    partitions: usize,
    batch_rows: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let (seen, stored) = (query_schema(table), hot_schema(table));
    let sources: Vec<usize> = projection
        .iter()
        .map(|&column| match seen.field(column).name().as_str() {
            DATE_COLUMN => stored.index_of("time"),
            name => stored.index_of(name),
        })
        .collect::<Result<_, _>>()?;
    let batches = batches.into_iter().map(|batch| batch.with_schema(Arc::clone(stored)));
    let groups = deal(&batches.collect::<Result<Vec<_>, _>>()?, partitions, batch_rows);
    let memory = MemorySourceConfig::try_new_exec(&groups, Arc::clone(stored), Some(sources.clone()))?;
    let columns = projection.iter().zip(&sources).enumerate().map(|(position, (&column, &source))| {
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
    let time = rows.column_by_name("time").filter(|time| matches!(time.data_type(), DataType::Timestamp(..)));
    let time = time.and_then(|time| time.as_any().downcast_ref::<TimestampMicrosecondArray>());
    Bounds {
        rows: rows.num_rows() as u64,
        time_min_micros: time.and_then(min).unwrap_or(i64::MIN),
        time_max_micros: time.and_then(max).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshlake_fixture::{batch, row};

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
