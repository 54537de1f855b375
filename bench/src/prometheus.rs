//! A Prometheus, or what is asked like one, beside the server that is measured: on the same CPUs, with a directory of its own.
//!
//! It scrapes nothing and takes remote write, so that it has what the server under measurement has. Limit: it is told apart
//! from VictoriaMetrics by what the caller says it is, since both have options of their own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::server::{Place, free_address, get};

const READY_TIME_MAX: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);

/// Samples may come in any order, as far as benchmarks mix it.
const CONFIGURATION: &str = "scrape_configs: []\nstorage:\n  tsdb:\n    out_of_order_time_window: 2h\n";

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Prometheus,
    VictoriaMetrics,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Prometheus => "Prometheus",
            Kind::VictoriaMetrics => "VictoriaMetrics",
        }
    }

    /// Where a fresh one says that it is there.
    fn ready_path(self) -> &'static str {
        match self {
            Kind::Prometheus => "/-/ready",
            Kind::VictoriaMetrics => "/health",
        }
    }
}

/// A running one; killed when dropped.
pub struct Prometheus {
    child: Child,
    address: String,
    directory: TempDir,
}

impl Prometheus {
    /// Starts one on the CPUs of the place, with nothing to scrape.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start(place: &Place, kind: Kind, program: &Path) -> anyhow::Result<Prometheus> {
        let directory = place.fresh_directory()?;
        let address = free_address()?;
        let data = directory.path().join("data");
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &place.cpus]).arg(program).stdout(Stdio::null());
        match kind {
            Kind::Prometheus => {
                let configuration = directory.path().join("prometheus.yml");
                std::fs::write(&configuration, CONFIGURATION).context("write its configuration")?;
                command
                    .arg(format!("--config.file={}", configuration.display()))
                    .arg(format!("--storage.tsdb.path={}", data.display()))
                    .arg(format!("--web.listen-address={address}"))
                    .args(["--web.enable-remote-write-receiver", "--log.level=error"]);
            }
            Kind::VictoriaMetrics => {
                command
                    .arg(format!("-storageDataPath={}", data.display()))
                    .arg(format!("-httpListenAddr={address}"))
                    .args(["-loggerLevel=ERROR", "-search.disableCache", "-search.latencyOffset=0s"]);
            }
        }
        let child = command.spawn().with_context(|| format!("start {} by taskset", program.display()))?;
        let prometheus = Prometheus { child, address, directory };
        let begin = Instant::now();
        while get(&prometheus.address, kind.ready_path()).await.is_err() {
            ensure!(
                begin.elapsed() < READY_TIME_MAX,
                "{} is not ready after {READY_TIME_MAX:?}",
                kind.name()
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(prometheus)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where all that it keeps is.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Both fail only when it has ended, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
