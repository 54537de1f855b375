//! Merges rows of a derived table that belong together, slice by slice.
//!
//! Rows come sorted by key, so the parts of a key follow one another, but a slice may end among them. Hence the
//! rows of a slice's last key are held back until a later slice has another one.

use arrow::array::{Array as _, AsArray as _, Scalar};
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::max;
use arrow::datatypes::TimestampMicrosecondType;
use meshlake_schema::{Derived, TableBatch};

use crate::files::FileError;

/// The merge of one file's rows under way.
pub(super) struct Parts {
    derived: &'static Derived,
    /// Rows of the last key so far, merged.
    held: Option<TableBatch>,
    /// InputBytes rows that the rows taken count and the rows given do not yet.
    due: i64,
    time_max_micros: Option<i64>,
}

impl Parts {
    pub fn of(derived: &'static Derived) -> Self {
        Parts { derived, held: None, due: 0, time_max_micros: None }
    }

    /// Takes the next rows in order; gives those that are complete.
    pub fn push(&mut self, rows: TableBatch) -> Result<TableBatch, FileError> {
        self.due += self.derived.source_rows(&rows);
        let rows: Vec<TableBatch> = self.held.take().into_iter().chain([rows]).collect();
        let merged = self.derived.merge(&rows)?;
        let complete = merged.row_count() - self.of_last_key(&merged)?;
        self.held = Some(slice(&merged, complete, merged.row_count()));
        Ok(self.given(slice(&merged, 0, complete)))
    }

    /// How many rows at the end have one key.
    fn of_last_key(&self, rows: &TableBatch) -> Result<usize, FileError> {
        let keys = rows.rows().column_by_name(self.derived.key).expect("a derived table has its key");
        let Some(last) = keys.len().checked_sub(1) else { return Ok(0) };
        let is_other = distinct(keys, &Scalar::new(keys.slice(last, 1)))?;
        Ok(is_other.values().iter().rev().take_while(|is_other| !is_other).count())
    }

    /// The rows that were held back.
    ///
    /// # Errors
    /// [`FileError::Rows`] when the rows given count other source rows than those taken, a bug.
    pub fn end(&mut self) -> Result<Option<TableBatch>, FileError> {
        let last = self.held.take().map(|held| self.given(held));
        match self.due {
            0 => Ok(last),
            due => {
                let (rows, table) = (self.derived.source().name(), self.derived.table.name());
                Err(FileError::Rows(format!("{due} {rows} are missing in merged {table}")))
            }
        }
    }

    /// The latest `time` of the rows given: parts that are merged stand at the earliest of theirs.
    pub fn time_max_micros(&self) -> Option<i64> {
        self.time_max_micros
    }

    fn given(&mut self, rows: TableBatch) -> TableBatch {
        self.due -= self.derived.source_rows(&rows);
        let times = rows.rows().column_by_name("time").expect("every table has times");
        self.time_max_micros =
            self.time_max_micros.max(max(times.as_primitive::<TimestampMicrosecondType>()));
        rows
    }
}

fn slice(rows: &TableBatch, start: usize, end: usize) -> TableBatch {
    let slice = rows.rows().slice(start, end - start);
    TableBatch::try_new(rows.table(), slice).expect("a slice has the same columns")
}
