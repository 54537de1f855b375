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

/// Rows of one statement, from where they have been read to.
pub struct Rows {
    columns: Vec<Column>,
    batches: BoxStream<'static, Result<RecordBatch, QueryError>>,
    /// The batch that is being read, and its next row.
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
        Rows { columns, batches, current: None, deadline }
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
            let Some(batch) = self.batches.next().await.transpose()? else { return Ok(false) };
            self.current = Some((laid_out(&batch, &self.columns)?, 0, batch.num_rows()));
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
