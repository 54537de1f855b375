//! Why there is no picture.

use meshlake_schema::Spent;
use meshlake_schema::rows::RowsError;
use thiserror::Error;

use crate::cells::CELLS_MAX;

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FoldError {
    /// A shorter range, a wider step or a coarser grouping helps.
    #[error(
        "the answer needs more than {CELLS_MAX} cells: shorten the range, widen `step`, name a `service` or group by service"
    )]
    TooManyCells,
    /// A shorter range helps, or asking again when less is going on.
    #[error(transparent)]
    Spent(#[from] Spent),
    /// A bug of ours.
    #[error(transparent)]
    Rows(#[from] RowsError),
}
