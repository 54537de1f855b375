//! Merges rows of `traces` that are parts of one trace, slice by slice.
//!
//! Rows come sorted by trace id, so the parts of a trace follow one another, but a slice may end among them.
//! Hence the rows of a slice's last trace are held back until a later slice has another one.

use arrow::array::AsArray as _;
use arrow::compute::max;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use meshlake_schema::{Table, TableBatch, traces};

use crate::files::FileError;

/// The merge of one file's rows under way.
#[derive(Default)]
pub(super) struct Parts {
    /// Rows of the last trace so far, merged.
    held: Option<TableBatch>,
    /// Spans that the rows taken count and the rows given do not yet.
    spans_due: i64,
    time_max_micros: Option<i64>,
}

impl Parts {
    /// Takes the next rows in order; gives those that are complete.
    pub fn push(&mut self, rows: TableBatch) -> Result<TableBatch, FileError> {
        self.spans_due += span_count(&rows);
        let rows: Vec<TableBatch> = self.held.take().into_iter().chain([rows]).collect();
        let merged = traces::merge(&rows)?;
        let ids = merged.rows().column_by_name("trace_id").expect("traces have ids").as_string::<i32>();
        let last = ids.iter().next_back();
        let complete = ids.iter().take_while(|id| Some(*id) != last).count();
        self.held = Some(slice(&merged, complete, merged.row_count()));
        Ok(self.given(slice(&merged, 0, complete)))
    }

    /// The rows that were held back.
    ///
    /// # Errors
    /// [`FileError::Rows`] when the rows given count other spans than those taken, a bug.
    pub fn end(&mut self) -> Result<Option<TableBatch>, FileError> {
        let last = self.held.take().map(|held| self.given(held));
        match self.spans_due {
            0 => Ok(last),
            due => Err(FileError::Rows(format!("{due} spans are missing in merged traces"))),
        }
    }

    /// The latest `time` of the rows given: parts that are merged stand at the earliest of theirs.
    pub fn time_max_micros(&self) -> Option<i64> {
        self.time_max_micros
    }

    fn given(&mut self, rows: TableBatch) -> TableBatch {
        self.spans_due -= span_count(&rows);
        let times = rows.rows().column_by_name("time").expect("traces have times");
        self.time_max_micros =
            self.time_max_micros.max(max(times.as_primitive::<TimestampMicrosecondType>()));
        rows
    }
}

fn slice(rows: &TableBatch, start: usize, end: usize) -> TableBatch {
    let slice = rows.rows().slice(start, end - start);
    TableBatch::try_new(Table::Traces, slice).expect("a slice has the same columns")
}

fn span_count(rows: &TableBatch) -> i64 {
    let counts = rows.rows().column_by_name("span_count").expect("traces have counts");
    counts.as_primitive::<Int64Type>().values().iter().sum()
}
