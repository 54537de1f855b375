//! Tells those who serve that it is time to end.
//!
//! A watch channel and not a cancellation that drops futures: what is being answered is answered to its end, and
//! each connection says goodbye in its own protocol.

use tokio::sync::watch;

/// Becomes true once, and stays so. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// The word and those who listen to it.
    pub fn channel() -> (watch::Sender<bool>, Stopping) {
        let (stop, stopping) = watch::channel(false);
        (stop, Stopping(stopping))
    }

    /// Whether it is time to end.
    pub fn has_begun(&self) -> bool {
        // Whoever is gone cannot say any more that it is not.
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns when it is time to end, or when whoever could say so is gone.
    ///
    /// Cancel: nothing is lost.
    pub async fn wait(&mut self) {
        // An error is a sender that is gone.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}
