//! Rows that are on their way to a client, a part at a time.
//!
//! The rows of a cursor wait in the engine until they are fetched: what is held here is one batch. While they wait they
//! hold a place among the running queries, so they wait no longer than a query may run.

use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use meshlake_query::QueryError;
use tokio::time::Instant;

use super::values::{Column, laid_out};

/// What is added to a statement's time until a client that does not read is left.
const LATE_SEND_TIME: Duration = Duration::from_secs(1);

/// Rows that are laid out at once: half of what a statement that is cancelled may go on for was spent on batches of 8,192 rows of
/// eighty columns, and twice their texts are held meanwhile.
const LAID_OUT_ROWS: usize = 512;

/// Rows of one statement, from where they have been read to.
pub struct Rows {
    columns: Vec<Column>,
    batches: BoxStream<'static, Result<RecordBatch, QueryError>>,
    /// What is left of a batch that has come.
    rest: Option<RecordBatch>,
    /// The rows that are laid out, and the next of them.
    current: Option<(Vec<ArrayRef>, usize, usize)>,
    /// When they are no longer to be had.
    pub deadline: Instant,
}

impl Rows {
    pub fn new(
        columns: Vec<Column>,
        batches: BoxStream<'static, Result<RecordBatch, QueryError>>,
        deadline: Instant,
    ) -> Self {
        Rows { columns, batches, rest: None, current: None, deadline }
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Until when a client may take to read what is sent of them. Rows that come late have time to be read as well: a
    /// plan may notice its deadline late, and then its client is not at fault.
    pub fn send_deadline(&self) -> Instant {
        self.deadline.max(Instant::now()) + LATE_SEND_TIME
    }

    /// From now on all values go in the binary format.
    pub fn send_binary(&mut self) {
        self.columns.iter_mut().for_each(|column| column.is_binary = true);
    }

    /// From now on values go in the formats of `columns`, which are these.
    pub fn send_as(&mut self, columns: &[Column]) {
        for (column, wanted) in self.columns.iter_mut().zip(columns) {
            column.is_binary = wanted.is_binary;
        }
    }

    /// Reads until there is a row to be taken; false at the end. Cancel: nothing is lost.
    ///
    /// # Errors
    /// Those of the query; there are no rows after one.
    pub async fn advance(&mut self) -> Result<bool, QueryError> {
        while self.current.as_ref().is_none_or(|(_, next, rows)| next >= rows) {
            self.current = None;
            let batch = match self.rest.take() {
                Some(rest) => rest,
                None => match self.batches.next().await.transpose()? {
                    Some(batch) => batch,
                    None => return Ok(false),
                },
            };
            let (all, rows) = (batch.num_rows(), batch.num_rows().min(LAID_OUT_ROWS));
            self.rest = (rows < all).then(|| batch.slice(rows, all - rows));
            self.current = Some((laid_out(&batch.slice(0, rows), &self.columns)?, 0, rows));
        }
        Ok(true)
    }

    /// Takes up to `rows_max` of the rows that have been read, for as long as `push` says so; returns how many.
    pub fn take(
        &mut self,
        rows_max: usize,
        mut push: impl FnMut(&[ArrayRef], &[Column], usize) -> bool,
    ) -> usize {
        let Some((arrays, next, rows)) = &mut self.current else { return 0 };
        let start = *next;
        let end = rows.saturating_sub(start).min(rows_max) + start;
        while *next < end {
            *next += 1;
            if !push(arrays, &self.columns, *next - 1) {
                break;
            }
        }
        *next - start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_row_of_a_long_batch_is_taken_once() {
        let count = 2 * LAID_OUT_ROWS + 1;
        let column: ArrayRef = std::sync::Arc::new(arrow::array::Int64Array::from(vec![7; count]));
        let batch = RecordBatch::try_from_iter([("n", column)]).expect("a column");
        let batches = futures::stream::iter([Ok(batch)]).boxed();
        let mut rows = Rows::new(Vec::new(), batches, Instant::now());
        let mut taken = Vec::new();
        while rows.advance().await.expect("no error") {
            taken.push(rows.take(usize::MAX, |_, _, _| true));
        }
        assert_eq!(taken, [LAID_OUT_ROWS, LAID_OUT_ROWS, 1]);
    }

    #[test]
    fn rows_that_come_after_their_deadline_have_time_to_be_read() {
        let late = Instant::now() - Duration::from_secs(10);
        let rows = Rows::new(Vec::new(), futures::stream::empty().boxed(), late);
        assert!(rows.send_deadline() > Instant::now());
        let soon = Instant::now() + Duration::from_secs(10);
        let rows = Rows::new(Vec::new(), futures::stream::empty().boxed(), soon);
        assert_eq!(rows.send_deadline(), soon + LATE_SEND_TIME);
    }
}
