//! How much memory the server has, as the kernel counts it.
//!
//! Anonymous memory alone (`RssAnon`): pages of the program's own file stay resident once a query has used them, and
//! a debug build has many.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// How much more than at the start is no leak: what caches and the allocator keep of requests of 64 MiB.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

/// Rows that were stored are flushed, and pages given back, some time after the last request.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The resident memory of a server, and what it was.
pub struct Memory {
    pid: u32,
    start_bytes: u64,
}

impl Memory {
    /// # Errors
    /// When no server runs on `data_dir`.
    pub fn of(data_dir: &Path) -> Result<Memory> {
        // The lock file holds the process id of whoever runs on the directory.
        let pid = std::fs::read_to_string(data_dir.join("LOCK"))?.trim().parse().context("a process id")?;
        Memory::of_process(pid)
    }

    /// # Errors
    /// There is no such process.
    pub fn of_process(pid: u32) -> Result<Memory> {
        Ok(Memory { pid, start_bytes: resident_bytes(pid)? })
    }

    /// # Errors
    /// It has grown beyond what is no leak.
    pub fn check_bounded(&self) -> Result<()> {
        let (now, start) = (resident_bytes(self.pid)? >> 20, self.start_bytes >> 20);
        ensure!(now <= start + (GROWTH_BYTES_MAX >> 20), "{now} MiB resident, {start} MiB at the start");
        Ok(())
    }

    /// Returns when the memory is about what it was at the start.
    ///
    /// # Errors
    /// When it does not become that.
    pub async fn check_given_back(&self) -> Result<()> {
        let most = self.start_bytes + GROWTH_BYTES_MAX;
        let settling = async {
            while resident_bytes(self.pid)? > most {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            Ok::<(), anyhow::Error>(())
        };
        let settled = tokio::time::timeout(SETTLE_TIMEOUT, settling).await;
        let mib = |bytes: u64| bytes >> 20;
        let (now, start) = (resident_bytes(self.pid)?, self.start_bytes);
        ensure!(settled.is_ok(), "{} MiB resident, {} MiB at the start", mib(now), mib(start));
        settled?
    }
}

fn resident_bytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("RssAnon")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().context("a number of kB")?;
    Ok(kib << 10)
}
