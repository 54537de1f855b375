//! Why samples could not be collected, in the kinds of Prometheus's API.

use meshlake_engine::QueryError;
use meshlake_promql::Error;
use meshlake_schema::rows::RowsError;

use crate::series::unread;

/// A scan that failed.
pub fn of_query(error: &QueryError) -> Error {
    unread(error)
}

/// A column that is not what it should be: a bug of ours.
pub fn of_rows(error: &RowsError) -> Error {
    unread(&QueryError::Internal(format!("read metrics: {error}")))
}

/// More samples than a question may hold.
pub fn too_many_samples() -> Error {
    let text = "query processing would load too many samples into memory in expression evaluation";
    Error::Execution(text.to_owned())
}
