//! How the store asks for cells, of which it knows nothing but where they belong.
//!
//! The store knows when a window is over, what it saw and how to replace it. What its calls are is known on the query
//! side, which the store does not know; so the fold comes in as a trait object, wired where both are known. Work comes
//! and goes as plain values, so that a fold can be simulated, and could run in another process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use meshlake_schema::budget::Allowance;
use meshlake_schema::{Budget, Spent, Table, TableBatch, TimeRange};
use thiserror::Error;

use crate::snapshot::Snapshot;

/// Makes cells out of rows.
#[async_trait]
pub trait Settle: Send + Sync + 'static {
    /// The cells of `job.tables` in `job.range`: one row per key and time of a cell, each with a `time` in the range and
    /// the tenant of the job, in any order and any number of batches. The same snapshot gives the same cells.
    ///
    /// Called on a runtime of low priority, on whose threads everything has to run. Cancel: the call is dropped when the
    /// store stops, and the job comes again after the next start.
    ///
    /// # Errors
    /// The job is tried again later, window by window.
    async fn settle(&self, job: SettleJob) -> Result<SettledCells, SettleError>;
}

/// Windows of one tenant to be made cells of.
#[derive(Debug, Clone)]
pub struct SettleJob {
    /// What there is: the rows, and cells that were made earlier. Cells of windows that are not open in a finer table
    /// ([`Snapshot::open`]) may be added up instead of folding rows.
    pub snapshot: Snapshot,
    pub tenant: String,
    /// Tables of cells, all with windows of one length: `calls_10s` and `calls_1m` together, or `calls_10m`.
    pub tables: Vec<Table>,
    /// Consecutive whole windows. Rows around them tell what their calls are, but count in other windows.
    pub range: TimeRange,
    /// For memory that grows with the rows, and for an end of the job in the middle.
    pub budget: Arc<dyn Budget>,
}

/// What a fold made.
#[derive(Debug, Clone, Default)]
pub struct SettledCells {
    pub batches: Vec<TableBatch>,
    /// Windows in which some cells are summed up in others, as there were too many.
    pub cut_windows: u64,
}

/// Why there are no cells. The windows stay open.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct SettleError(pub String);

/// Memory that a fold may take: with a full buffer of the default size and the rest of the process some 640 MiB. Cells take half of
/// it at most (`SETTLED_BYTES_MAX` of the fold). A fold of more rows than find room beside them reads them once more for each
/// such part; but a trace has to be whole, and by the sizes of its parts one of a million spans takes this.
const FOLD_BYTES_MAX: usize = 256 << 20;

/// Longest fold. A job has rows of a few seconds' work; and files that leave their tables in the meantime stay for an
/// hour.
const FOLD_TIME_MAX: Duration = Duration::from_secs(600);

/// What a fold may take. It is over at once when the store stops.
#[derive(Debug)]
pub(super) struct FoldBudget {
    allowance: Allowance,
    is_stopping: Arc<AtomicBool>,
}

impl FoldBudget {
    pub fn new(is_stopping: Arc<AtomicBool>) -> Self {
        FoldBudget { allowance: Allowance::new(FOLD_BYTES_MAX, Some(FOLD_TIME_MAX)), is_stopping }
    }
}

impl Budget for FoldBudget {
    fn grow(&self, bytes: usize) -> Result<(), Spent> {
        self.allowance.grow(bytes)
    }

    fn shrink(&self, bytes: usize) {
        self.allowance.shrink(bytes);
    }

    fn check_time(&self) -> Result<(), Spent> {
        if self.is_stopping.load(Ordering::Acquire) { Err(Spent::Time) } else { self.allowance.check_time() }
    }
}
