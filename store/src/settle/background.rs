//! Settles by itself: what is over once a minute, what late rows reached every five.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{RoundError, Settler, Wanted};

/// Between two rounds: a minute is over once a minute.
const ROUND_EVERY: Duration = Duration::from_secs(60);

/// Between two rounds that settle anew what late rows reached. A sender whose rows are an hour late reaches another
/// minute each minute, and each touches those of its margin: settled together, five late minutes are nine folds, one by
/// one they would be twenty-five. Until then questions fold a few minutes more.
const LATE_EVERY: Duration = Duration::from_secs(300);

/// The running task.
pub(crate) struct SettleTask {
    settler: Arc<Settler>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl SettleTask {
    /// Starts on the current runtime; folds run on their own.
    pub fn start(settler: Arc<Settler>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(Arc::clone(&settler), stopped));
        SettleTask { settler, stop, task }
    }

    /// Ends the round that runs at its next fold or commit, and waits for the end.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.settler.stop().await;
        if let Err(error) = self.task.await {
            tracing::error!(%error, "stop settling");
        }
    }
}

async fn run(settler: Arc<Settler>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = interval(ROUND_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut late_settled: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            _ = ticks.tick() => {}
        }
        let with_late = late_settled.is_none_or(|at| at.elapsed() >= LATE_EVERY);
        if with_late {
            late_settled = Some(Instant::now());
        }
        match settler.settle(Wanted::Round { with_late }).await {
            Ok(()) | Err(RoundError::Stopping) => {}
            Err(error) => tracing::error!(%error, "settle calls"),
        }
    }
}
