//! What the process is told by signals: to read its configuration again, or to stop.

use tokio::signal::unix::{Signal as UnixSignal, SignalKind, signal};

/// What the process was told.
pub enum Signal {
    Reload,
    /// By the signal of this name.
    Stop(&'static str),
}

/// What Ctrl-C means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupts {
    /// To stop.
    Stop,
    /// Something to whoever reads the keyboard, and nothing to the server beside it.
    Ignored,
}

pub struct Signals {
    hangup: UnixSignal,
    terminate: UnixSignal,
    interrupt: UnixSignal,
    interrupts: Interrupts,
}

impl Signals {
    pub fn listen(interrupts: Interrupts) -> std::io::Result<Signals> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            interrupts,
        })
    }

    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.terminate.recv() => Signal::Stop("SIGTERM"),
            _ = self.interrupt.recv(), if self.interrupts == Interrupts::Stop => Signal::Stop("SIGINT"),
        }
    }
}
