//! Buffered rows of one tenant, as they are asked for.
//!
//! What a derived table does not have in files yet is computed here, from its source's buffered rows, so that
//! who asks need not know which tables are derived. A flush commits derived rows before those that they come
//! from, so for a moment, and after a crash for longer, rows are still buffered whose derived rows are in files
//! already. The derived table's own watermark tells them apart; the buffer never joins batches across it.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::TimestampMicrosecondType;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use meshlake_schema::filter::{Place, Test, Value};
use meshlake_schema::{Derived, Filter, Table, TableBatch, TimeRange, derived};
use serde::{Deserialize, Serialize};

use super::own::refused;
use super::{HotBatch, Own, ReadError, Snapshot, TableSnapshot};
use crate::group::Lsn;

/// Which buffered rows are asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HotScan {
    pub table: Table,
    /// Columns of the table's schema in memory ([`Table::schema`]), in the order in which they are to come.
    pub columns: Vec<String>,
    /// Whose rows. No row of another tenant comes.
    pub tenant: String,
    /// Rows of other times may come all the same: batches are left out, not cut.
    pub range: TimeRange,
    /// Rows that do not pass may come all the same. Of use is the equality with a derived table's key, such as
    /// a trace id: without it, rows are derived of all that is buffered. Of other tables, that something be true: batches are left
    /// out of which it is true of no row.
    pub filter: Option<Filter>,
}

/// Batches in the order of their records, each with the columns asked for, typed as in memory: text that repeats
/// is a dictionary, a column that may not be null is not. None is empty.
pub type HotStream = BoxStream<'static, Result<RecordBatch, ReadError>>;

impl Snapshot {
    /// The rows of `scan.table` above [`Snapshot::watermark`] that are `scan.tenant`'s: together with those of
    /// the files each row of the snapshot once. Rows of a derived table are partial like those in its files.
    ///
    /// Work is done as the stream is read, a batch at a time. Nothing is copied of a batch that has no other
    /// tenant's rows. The rows of a derived table are computed at once when the first is asked for; for all that
    /// a full buffer holds that takes some 200 ms.
    ///
    /// The range and the filter only save work: who asks filters again. The tenant is exact.
    ///
    /// cancel: a stream that is dropped has no effect on anything.
    ///
    /// # Errors
    /// A column that the table does not have. The stream ends with an error only for a bug of ours, or when the rows are in
    /// another process that is gone.
    pub fn hot(&self, scan: &HotScan) -> Result<HotStream, ReadError> {
        let own = Own::new(scan.table, &scan.tenant, &scan.columns)?;
        if let Some(remote) = &self.remote {
            let may_be = self.may_be_buffered(scan.table);
            return Ok(if may_be { Arc::clone(&remote.rows).hot(scan) } else { stream::empty().boxed() });
        }
        match derived::of(scan.table) {
            Some(derived) => {
                let source = self.tables[derived.source()].clone();
                let (after, filter) = (self.watermark(scan.table), scan.filter.clone());
                let rows = async move { derive(derived, &source, after, &own, filter.as_ref()) };
                Ok(stream::once(rows).filter_map(async |rows| rows.transpose()).boxed())
            }
            None => {
                let (batches, range) = (self.tables[scan.table].hot.clone(), scan.range);
                let filter = scan.filter.clone();
                let rows = move |place| {
                    let hot: &HotBatch = &batches[place];
                    if !may_meet(range, &hot.batch)
                        || !filter.iter().all(|filter| may_pass(filter, &hot.batch))
                    {
                        return None;
                    }
                    own.rows(&hot.batch).transpose()
                };
                let count = self.tables[scan.table].hot.len();
                Ok(stream::iter((0..count).filter_map(rows)).boxed())
            }
        }
    }
}

/// The tenant's rows of a derived table that are not in its files.
fn derive(
    derived: &Derived,
    source: &TableSnapshot,
    after: Lsn,
    own: &Own,
    filter: Option<&Filter>,
) -> Result<Option<RecordBatch>, ReadError> {
    let mut wanted = Vec::new();
    for hot in source.hot.iter().filter(|hot| hot.lsn_last > after) {
        let (first, last) = (hot.lsn_first, hot.lsn_last);
        if first <= after {
            return Err(ReadError(format!("records {first}..={last} straddle watermark {after}")));
        }
        let Some(rows) = own.whole_rows(&hot.batch)? else { continue };
        let rows =
            filter.map_or(Ok(rows.clone()), |filter| derived.wanted(&rows, filter)).map_err(refused)?;
        if rows.row_count() > 0 {
            wanted.push(rows);
        }
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    own.rows(&derived.derive(&wanted).map_err(refused)?)
}

/// Whether rows of `batch` may pass, as far as what is true of some is asked for.
fn may_pass(filter: &Filter, batch: &TableBatch) -> bool {
    match filter {
        Filter::And(parts) => parts.iter().all(|part| may_pass(part, batch)),
        Filter::Is(Place::Column(name), Test::Equals(Value::Boolean(true))) => {
            let column = batch.rows().column_by_name(name);
            column.and_then(|column| column.as_boolean_opt()).is_none_or(BooleanArray::has_true)
        }
        _ => true,
    }
}

/// Whether rows of `batch` may be in `range`.
fn may_meet(range: TimeRange, batch: &TableBatch) -> bool {
    if range == TimeRange::ALL {
        return true;
    }
    let times = batch.rows().column_by_name("time").expect("every table has times");
    let times = times.as_primitive::<TimestampMicrosecondType>();
    match (min(times), max(times)) {
        (Some(first), Some(last)) if times.null_count() == 0 => range.meets(first, last),
        _ => true,
    }
}
