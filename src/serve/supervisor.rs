//! Starts the query process, and starts it again whenever it ends, for as long as this one runs.
//!
//! A statement can end the process that runs it, so the query side runs in one of its own, and this one, which
//! acknowledges, only watches. It keeps the sockets that the other serves: while there is no query process, whoever
//! connects waits in the socket's queue and is answered by the next one. The new process is of the file that this one was
//! started from, also when that was replaced in the meantime.
//!
//! Limits: a client whose answer was being written sees its connection end. The first start after a death waits for
//! [`PAUSE_MIN`], and each that follows soon for twice as long, up to [`PAUSE_MAX`].

use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use meshlake_listen::{Connections, Listener, ListenerStats, Stopping};
use meshlake_remote::Server as RemoteServer;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_seqpacket::UnixSeqpacket;

use super::answering::QUERY_STOP_TIME_MAX;
use super::handover::{Handover, Said, Told, counted_of, hear, say};
use super::listening::{Addresses, Port};
use super::spill;
use crate::config::Config;
use crate::query_process::{Ask, QueryProcess};

/// The subcommand that the query process is started by; nobody types it.
pub const SUBCOMMAND: &str = "query-process";

/// This process's own file, whatever has become of its name (proc(5)).
const OWN_FILE: &str = "/proc/self/exe";

/// Before a start that follows a death. A stop that kills all processes of a group reaches this one in less.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// With the start itself, some 200 ms, ports answer again within a second.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Who has run for so long did not die of being started: the next pause is the shortest again.
const STEADY_TIME: Duration = Duration::from_secs(10);

/// What the query process needs beyond the time of its answers, to end.
const END_TIME: Duration = Duration::from_millis(500);

/// A query process takes at most this long to stop.
pub const STOP_TIME_MAX: Duration = QUERY_STOP_TIME_MAX.saturating_add(END_TIME);

/// Watches the query process.
pub struct Supervisor {
    stop: watch::Sender<bool>,
    watching: JoinHandle<()>,
}

/// What every start needs.
struct Starts {
    handover: Handover,
    sockets: Vec<(Port, Listener)>,
    listeners: Vec<ListenerStats>,
    remote: Arc<RemoteServer>,
    process: QueryProcess,
    asked: mpsc::Receiver<Ask>,
    stop: Stopping,
    /// What a dead process spilled is removed before the next start, and the directory with this.
    spill: TempDir,
}

/// How one query process came to its end.
enum End {
    /// It was told to.
    Stopped,
    Died(String),
}

impl Supervisor {
    /// Starts the query process on `sockets`, in the runtime that this is called in. `process` tells how it is, and
    /// `asked` is its other end.
    ///
    /// # Errors
    /// There is no room for a directory to spill to.
    pub fn start(
        config: &Config,
        addresses: &Addresses,
        sockets: Vec<(Port, Listener)>,
        remote: Arc<RemoteServer>,
        (process, asked): (QueryProcess, mpsc::Receiver<Ask>),
    ) -> Result<Supervisor> {
        let spill = spill::make(&config.store.data_dir)?;
        let handover = Handover {
            config: config.clone(),
            otlp_grpc: addresses.of(Port::OtlpGrpc).to_string(),
            otlp_http: addresses.of(Port::OtlpHttp).to_string(),
            ports: sockets.iter().map(|(port, _)| *port).collect(),
            spill_dir: spill.path().to_owned(),
        };
        let listeners = sockets.iter().map(|(_, listener)| listener.stats()).collect();
        let (stop, stopped) = Stopping::channel();
        let starts = Starts { handover, sockets, listeners, remote, process, asked, stop: stopped, spill };
        Ok(Supervisor { stop, watching: tokio::spawn(starts.again_and_again()) })
    }

    /// Stops the query process: its answers have their time, and then it is killed. False when it had to be.
    pub async fn stop(mut self) -> bool {
        self.stop.send_replace(true);
        let deadline = Instant::now() + STOP_TIME_MAX;
        let in_time = timeout_at(deadline, &mut self.watching).await.is_ok();
        if !in_time {
            // The child is killed when its handle is dropped.
            self.watching.abort();
            self.watching.await.ok();
        }
        in_time
    }
}

impl Starts {
    async fn again_and_again(mut self) {
        let mut pause = PAUSE_MIN;
        loop {
            let began = Instant::now();
            let end = match self.one().await {
                Ok(end) => end,
                Err(error) => End::Died(format!("{error:#}")),
            };
            let End::Died(how) = end else { return };
            if began.elapsed() >= STEADY_TIME {
                pause = PAUSE_MIN;
            }
            tracing::warn!(
                how,
                pause_ms = pause.as_millis(),
                "the query process has ended and is started again"
            );
            self.process.died(how);
            self.listeners.iter().for_each(|listener| listener.set(Connections::default()));
            tokio::select! {
                () = sleep(pause) => pause = PAUSE_MAX.min(2 * pause),
                () = self.stop.wait() => return,
            }
        }
    }

    /// One query process, from its start to its end.
    async fn one(&mut self) -> Result<End> {
        let (ours, theirs) = UnixSeqpacket::pair().context("make two sockets")?;
        spill::empty(self.spill.path());
        let mut child = spawn(theirs.into()).context("start the query process")?;
        self.process.started(child.id());
        let connection = self.remote.connection().await.context("connect it to the collector")?;
        self.handover.send(&ours, &connection, &self.sockets).await.context("hand down the sockets")?;
        drop(connection);
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            tokio::select! {
                ended = child.wait() => return Ok(End::Died(how(ended?))),
                said = hear(&ours) => match said? {
                    Some(Said::Serving { confinement }) => self.process.serves(confinement),
                    Some(Said::Counted(counts)) => {
                        let counted = self.listeners.iter().zip(counts);
                        counted.for_each(|(listener, counts)| listener.set(counted_of(counts)));
                        waiting.drain(..).for_each(|waiting| _ = waiting.send(()));
                    }
                    // It is ending.
                    None => return Ok(End::Died(how(child.wait().await?))),
                },
                Some(ask) = self.asked.recv() => {
                    waiting.push(ask.0);
                    say(&ours, &Told::Count).await.context("ask it for its counts")?;
                }
                () = self.stop.wait() => break,
            }
        }
        // From now on nobody waits for a next process.
        self.sockets.clear();
        // An error is a process that has ended by itself.
        say(&ours, &Told::Stop).await.ok();
        child.wait().await.context("wait for the query process")?;
        Ok(End::Stopped)
    }
}

/// Its log goes where this one's goes.
fn spawn(standard_input: OwnedFd) -> std::io::Result<Child> {
    let mut command = Command::new(OWN_FILE);
    command.arg0("meshlake").arg(SUBCOMMAND).stdin(Stdio::from(standard_input)).stdout(Stdio::null());
    command.kill_on_drop(true).spawn()
}

fn how(status: ExitStatus) -> String {
    status.to_string()
}
