//! Rows of a derived table that are not in its files yet: computed from its source's buffered batches.
//!
//! A flush commits derived rows before those that they come from, so for a moment, and after a crash for
//! longer, batches are still buffered whose derived rows are in files already. The derived table's own
//! watermark tells them apart; the buffer never joins two batches across it. The rows are made while the scan
//! is planned, and only for a table that the query really reads. Limits: all new batches are derived from,
//! whatever the query's times; only a trace id asked for is looked at first, which makes a look-up a
//! comparison per buffered span.

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::compute::kernels::cmp::eq;
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, Operator};
use meshlake_schema::{Table, TableBatch, traces};
use meshlake_store::group::Lsn;
use meshlake_store::snapshot::HotBatch;

const TRACE_ID_COLUMN: &str = "trace_id";

/// Rows of `traces` that `spans` above `watermark` make, at least those that pass `filters`.
pub fn derive_traces(spans: &[HotBatch], watermark: Lsn, filters: &[Expr]) -> Result<Vec<RecordBatch>> {
    let asked = filters.iter().find_map(trace_id_asked);
    let mut batches = Vec::new();
    for hot in spans.iter().filter(|hot| hot.lsn_last > watermark) {
        if hot.lsn_first <= watermark {
            return internal_err!(
                "records {}..={} straddle watermark {watermark}",
                hot.lsn_first,
                hot.lsn_last
            );
        }
        batches.push(match asked {
            Some(trace_id) => of_trace(&hot.batch, trace_id)?,
            None => hot.batch.clone(),
        });
    }
    batches.retain(|batch| batch.row_count() > 0);
    if batches.is_empty() {
        return Ok(Vec::new());
    }
    let rows = traces::derive(&batches).map_err(|error| DataFusionError::External(Box::new(error)))?;
    Ok(vec![rows.into_rows()])
}

/// The one trace id that rows must have to pass `filter`.
fn trace_id_asked(filter: &Expr) -> Option<&str> {
    let Expr::BinaryExpr(binary) = filter else { return None };
    let column = binary.left.try_as_col().or_else(|| binary.right.try_as_col())?;
    let value = text_of(&binary.left).or_else(|| text_of(&binary.right))?;
    (binary.op == Operator::Eq && column.name == TRACE_ID_COLUMN).then_some(value)
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

fn of_trace(spans: &TableBatch, trace_id: &str) -> Result<TableBatch> {
    let rows = spans.rows();
    let ids = rows.column_by_name(TRACE_ID_COLUMN).expect("spans have a trace id").as_string::<i32>();
    let wanted = eq(ids, &StringArray::new_scalar(trace_id))?;
    let rows = if wanted.has_true() { filter_record_batch(rows, &wanted)? } else { rows.slice(0, 0) };
    TableBatch::try_new(Table::Spans, rows).map_err(|error| DataFusionError::External(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Int64Type;
    use datafusion::common::ScalarValue;
    use datafusion::logical_expr::{col, lit};

    use super::*;
    use meshlake_fixture::{batch, row};

    /// One batch per record from LSN 1 on, with these spans' trace ids.
    fn hot(batches: &[&[&str]]) -> Vec<HotBatch> {
        let spans = |ids: &[&str]| {
            let rows: Vec<_> = ids.iter().map(|id| row(1_000, [(TRACE_ID_COLUMN, (*id).into())])).collect();
            batch(Table::Spans, &rows)
        };
        let hot = |(i, ids): (usize, &&[&str])| {
            let lsn = i as Lsn + 1;
            HotBatch { lsn_first: lsn, lsn_last: lsn, batch: spans(ids) }
        };
        batches.iter().enumerate().map(hot).collect()
    }

    /// Trace ids with their numbers of spans.
    fn counts(rows: &[RecordBatch]) -> Vec<(String, i64)> {
        let of = |rows: &RecordBatch| {
            let ids = rows.column_by_name("trace_id").expect("a column").as_string::<i32>().clone();
            let counts =
                rows.column_by_name("span_count").expect("a column").as_primitive::<Int64Type>().clone();
            let pairs = ids.iter().flatten().map(str::to_owned).zip(counts.values().to_vec());
            pairs.collect::<Vec<_>>()
        };
        rows.iter().flat_map(of).collect()
    }

    #[test]
    fn only_records_above_the_watermark_are_derived() {
        let hot = hot(&[&["a", "a"], &["a", "b"], &["b"]]);
        let derived = |watermark| counts(&derive_traces(&hot, watermark, &[]).expect("whole batches"));
        assert_eq!(derived(0), [("a".to_owned(), 3), ("b".to_owned(), 2)]);
        assert_eq!(derived(1), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        assert_eq!(derived(2), [("b".to_owned(), 1)]);
        assert_eq!(derived(3), []);
    }

    #[test]
    fn a_trace_asked_for_comes_alone_and_whole() {
        let hot = hot(&[&["a", "b", "a"], &["b"], &["c", "a"]]);
        let view = lit(ScalarValue::Utf8View(Some("a".to_owned())));
        for filter in [col("trace_id").eq(lit("a")), view.eq(col("trace_id"))] {
            let rows =
                derive_traces(&hot, 0, &[col("span_count").gt(lit(0)), filter]).expect("whole batches");
            assert_eq!(counts(&rows), [("a".to_owned(), 3)]);
        }
        let absent = derive_traces(&hot, 0, &[col("trace_id").eq(lit("x"))]).expect("whole batches");
        assert!(absent.is_empty());
        for other in [col("trace_id").not_eq(lit("a")), col("root_name").eq(lit("a"))] {
            assert_eq!(counts(&derive_traces(&hot, 0, &[other]).expect("whole batches")).len(), 3);
        }
    }

    #[test]
    fn a_batch_on_both_sides_of_the_watermark_is_refused() {
        let mut hot = hot(&[&["a"]]);
        hot[0].lsn_last = 2;
        let error = derive_traces(&hot, 1, &[]).expect_err("half of it is in files");
        assert!(error.to_string().contains("straddle"), "{error}");
    }
}
