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
        let Signals { hangup, terminate, interrupt, interrupts } = self;
        tokio::select! {
            _ = hangup.recv() => Signal::Reload,
            signal = stop(terminate, interrupt, *interrupts) => Signal::Stop(signal),
        }
    }

    /// The next signal to stop, by its name. What else comes is kept for [`Signals::next`].
    pub async fn stop(&mut self) -> &'static str {
        stop(&mut self.terminate, &mut self.interrupt, self.interrupts).await
    }
}

async fn stop(
    terminate: &mut UnixSignal,
    interrupt: &mut UnixSignal,
    interrupts: Interrupts,
) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv(), if interrupts == Interrupts::Stop => "SIGINT",
    }
}
