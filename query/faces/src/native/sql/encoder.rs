//! What every format of an answer must be able to do.

use arrow::array::RecordBatch;

use meshlake_query::QueryError;

/// Turns batches into the bytes of one answer, in order.
pub trait Encoder: Send {
    /// The bytes that follow from these rows; may be none.
    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, QueryError>;

    /// The last bytes. `cut` is the cap that the answer outgrew, if it did.
    ///
    /// # Errors
    /// That same error where the format cannot say that rows are missing.
    fn end(self: Box<Self>, cut: Option<QueryError>) -> Result<Vec<u8>, QueryError>;
}
