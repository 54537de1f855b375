//! The thread on which files are encoded.
//!
//! One for all of them instead of the runtime's pool for blocking work: an encoder takes and gives back some
//! hundred megabytes, which an allocator keeps for the thread that had them, and on a pool they are kept once for
//! each thread that an encoding ever ran on. Limits: one piece of work at a time, in the order handed over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;

use thiserror::Error;
use tokio::sync::oneshot;

/// The work did not end: it panicked, which is a bug of ours, or the thread is gone.
#[derive(Debug, Error)]
#[error("encoding ended in a panic")]
pub(crate) struct Panicked;

type Work = Box<dyn FnOnce() + Send>;

/// Ends with its last piece of work once it is dropped.
pub(crate) struct EncodingThread {
    work: mpsc::Sender<Work>,
}

impl EncodingThread {
    /// # Errors
    /// When the system refuses a thread.
    pub fn start() -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Work>();
        thread::Builder::new().name("flush".to_owned()).spawn(move || {
            for work in receiver {
                work();
            }
        })?;
        Ok(EncodingThread { work: sender })
    }

    /// What `work` returns.
    ///
    /// cancel: the work is done all the same, and what it returns is dropped.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let (sender, receiver) = oneshot::channel();
        let work = Box::new(move || {
            // What a panic leaves half done is dropped with the work.
            if let Ok(value) = catch_unwind(AssertUnwindSafe(work)) {
                let _ = sender.send(value);
            }
        });
        self.work.send(work).map_err(|_| Panicked)?;
        receiver.await.map_err(|_| Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_on_one_thread_also_after_a_panic() {
        let thread = EncodingThread::start().expect("a thread");
        let first = thread.run(|| thread::current().id()).await.expect("done");
        thread.run(|| panic!("as a test wants")).await.expect_err("panicked");
        let last = thread.run(|| thread::current().id()).await.expect("done");
        assert_eq!(first, last);
        assert_ne!(first, thread::current().id());
    }
}
