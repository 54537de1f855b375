//! Runs maintenance by itself: merges every few seconds, drops and deletes every few minutes.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Effort, MaintainError, Maintenance};

/// Between two looks for something to merge. A look is a walk over the file list; a flush, at most one a
/// second and table, is what can give it something to do.
const COMPACT_EVERY: Duration = Duration::from_secs(10);

/// Between two rounds of dropping and deleting. Both work in steps of a date and an hour.
const CLEAN_EVERY: Duration = Duration::from_secs(600);

/// The running task.
pub(crate) struct Background {
    maintenance: Maintenance,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Background {
    /// Starts on the current runtime.
    pub fn start(maintenance: Maintenance) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(maintenance.clone(), stopped));
        Background { maintenance, stop, task }
    }

    /// Ends a merge that runs at its next slice, and waits for the end.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.maintenance.stop();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "stop maintenance");
        }
    }
}

async fn run(maintenance: Maintenance, mut stopped: watch::Receiver<bool>) {
    let mut ticks = interval(COMPACT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut cleaned: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            _ = ticks.tick() => {}
        }
        let is_clean_due = cleaned.is_none_or(|at| at.elapsed() >= CLEAN_EVERY);
        if is_clean_due {
            cleaned = Some(Instant::now());
        }
        if let Err(error) = tick(&maintenance, is_clean_due).await {
            tracing::error!(%error, "maintain tables");
        }
    }
}

async fn tick(maintenance: &Maintenance, is_clean_due: bool) -> Result<(), MaintainError> {
    if is_clean_due {
        return maintenance.run(Effort::Due).await;
    }
    let _pass = maintenance.shared.pass.lock().await;
    maintenance.shared.compact(Effort::Due).await
}
