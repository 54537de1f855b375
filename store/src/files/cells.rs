//! Chooses rows of cells by the minute that they begin in.

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use meshlake_schema::TableBatch;

use super::FileError;
use super::window::times;
use crate::minutes::minute_of;

/// The rows of `batches` whose minute `is_wanted`.
///
/// # Errors
/// None in practice: Arrow has no reason to refuse.
pub(crate) fn cells_of(
    batches: &[TableBatch],
    is_wanted: impl Fn(i64) -> bool,
) -> Result<Vec<TableBatch>, FileError> {
    let mut wanted = Vec::new();
    for batch in batches {
        let mask: BooleanArray = times(batch).iter().map(|time| Some(is_wanted(minute_of(*time)))).collect();
        if mask.has_true() {
            let rows = filter_record_batch(batch.rows(), &mask)?;
            wanted.push(
                TableBatch::try_new(batch.table(), rows).expect("some rows of a batch have its columns"),
            );
        }
    }
    Ok(wanted)
}
