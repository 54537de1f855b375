//! Finds whom to ask: the server that was named, one that runs, or this process itself on a data directory.
//!
//! A data directory belongs to one process. When one runs on it, that one is asked; otherwise this process serves the
//! directory for as long as somebody asks, with its log replayed, so that no acknowledged row is missing.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Result, ensure};
use meshlake_store::{DataDirError, StoreError};

use crate::cli::SqlArgs;
use crate::config::Config;
use crate::maintain::reachable;
use crate::serve::{self, Interrupts};

/// A server of this machine or the next takes a connection in milliseconds.
const CONNECT_TIME_MAX: Duration = Duration::from_millis(500);

/// Runs `work` with the `host:port` that is asked, and whether this process answers there.
///
/// # Errors
/// That of `work`; a data directory that is not there or cannot be used.
pub fn with_server<W>(
    config: &Config,
    args: &SqlArgs,
    interrupts: Interrupts,
    work: impl FnOnce(String, bool) -> W,
) -> Result<()>
where
    W: Future<Output = Result<()>> + Send + 'static,
{
    if let Some(server) = &args.server {
        return beside(work(server.clone(), false));
    }
    let (address, data_dir) = (reachable(&config.query.http), &config.store.data_dir);
    let is_named = args.serve.data_dir.is_some();
    ensure!(!is_named || data_dir.is_dir(), "there is no data directory {}", data_dir.display());
    if !is_named && (answers(&address) || !data_dir.is_dir()) {
        return beside(work(address, false));
    }
    let mut work = Some(work);
    let alone = serve::alone(config, interrupts, |_, query| {
        eprintln!("asking {} itself: no meshlake runs on it", data_dir.display());
        (work.take().expect("a server is started once"))(query.to_string(), true)
    });
    let Err(error) = alone else { return Ok(()) };
    match (error.downcast_ref(), work) {
        (Some(StoreError::DataDir(DataDirError::InUse { pid, .. })), Some(work)) => {
            eprintln!("asking the process on {} (pid {pid}) at {address}", data_dir.display());
            beside(work(address, false))
        }
        _ => Err(error),
    }
}

/// Whether somebody listens at `address`.
fn answers(address: &str) -> bool {
    let addresses = address.to_socket_addrs();
    addresses
        .into_iter()
        .flatten()
        .any(|address| TcpStream::connect_timeout(&address, CONNECT_TIME_MAX).is_ok())
}

fn beside(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(work)
}
