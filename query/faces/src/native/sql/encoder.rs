//! What every format of an answer must be able to do.

use arrow::array::RecordBatch;

use meshlake_query::QueryError;

/// Turns batches into the bytes of one answer, in order.
pub trait Encoder: Send {
    /// The bytes that follow from these rows; may be none.
    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, QueryError>;

    /// The last bytes. `truncated_at` is the row cap if there were more rows than it.
    ///
    /// # Errors
    /// [`QueryError::TooManyRows`] where the format cannot say that rows are missing.
    fn end(self: Box<Self>, truncated_at: Option<usize>) -> Result<Vec<u8>, QueryError>;
}
