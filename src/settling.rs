//! Folds calls for the store, which knows when a window of them is over and nothing of what a call is.
//!
//! The one place where both are known: a job of the store becomes a query over the job's snapshot, and the fold that
//! answers questions answers it.

use std::time::Duration;

use async_trait::async_trait;
use meshlake_query::{Engine, settling};
use meshlake_store::{Settle, SettleError, SettleJob, SettledCells};

/// Longest fold; the job's own budget ends it earlier.
const FOLD_TIME_MAX: Duration = Duration::from_secs(900);

/// What settles calls.
pub struct Folds {
    engine: Engine,
}

impl Folds {
    pub fn new(engine: Engine) -> Folds {
        Folds { engine }
    }
}

#[async_trait]
impl Settle for Folds {
    async fn settle(&self, job: SettleJob) -> Result<SettledCells, SettleError> {
        let SettleJob { snapshot, tenant, tables, range, budget } = job;
        let query = self.engine.begin_on(snapshot, &tenant, FOLD_TIME_MAX);
        let query = query.map_err(|error| SettleError(error.to_string()))?;
        let cells = settling::settle(&query, &tables, range, budget).await;
        let settling::Cells { batches, cut_windows } =
            cells.map_err(|error| SettleError(error.to_string()))?;
        Ok(SettledCells { batches, cut_windows })
    }
}
