//! A Jaeger, all in one process, that keeps spans in memory.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::process;
use crate::server::{Place, free_address, get};

const START_TIME_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);
/// What was sent waits in a queue there, of spans that one run may send; when it works on none it is idle.
const QUEUE_SPANS: usize = 20_000_000;
const IDLE_CPU_MAX: Duration = Duration::from_millis(40);
const IDLE_TIME_MAX: Duration = Duration::from_secs(300);

/// Killed when dropped.
pub struct Jaeger {
    child: Child,
    pub query: String,
    pub otlp_grpc: String,
}

impl Drop for Jaeger {
    fn drop(&mut self) {
        // It may have ended already; nothing is left to be done about either.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Jaeger {
    /// # Errors
    /// When it cannot be started, or does not answer.
    pub async fn start(program: &Path, place: &Place) -> anyhow::Result<Jaeger> {
        let [query, otlp_grpc] = [free_address()?, free_address()?];
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &place.cpus]).arg(program);
        command.arg(format!("--query.http-server.host-port={query}"));
        command.arg(format!("--collector.otlp.grpc.host-port={otlp_grpc}"));
        command.arg(format!("--collector.queue-size={QUEUE_SPANS}"));
        for other in [
            "query.grpc-server",
            "collector.otlp.http",
            "collector.grpc-server",
            "collector.http-server",
            "admin.http",
        ] {
            command.arg(format!("--{other}.host-port={}", free_address()?));
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.with_context(|| format!("start {} by taskset", program.display()))?;
        let jaeger = Jaeger { child, query, otlp_grpc };
        let begin = Instant::now();
        while !matches!(tokio::time::timeout(POLL, get(&jaeger.query, "/api/services")).await, Ok(Ok(_))) {
            ensure!(begin.elapsed() < START_TIME_MAX, "Jaeger does not answer");
            tokio::time::sleep(POLL).await;
        }
        Ok(jaeger)
    }

    /// Waits until it has stored what it was sent.
    ///
    /// # Errors
    /// When it does not rest.
    pub async fn settle(&self) -> anyhow::Result<()> {
        let begin = Instant::now();
        let mut before = process::cpu_time(self.child.id())?;
        loop {
            tokio::time::sleep(5 * POLL).await;
            let now = process::cpu_time(self.child.id())?;
            if now.saturating_sub(before) < IDLE_CPU_MAX {
                return Ok(());
            }
            before = now;
            ensure!(begin.elapsed() < IDLE_TIME_MAX, "Jaeger still works on what it was sent");
        }
    }
}
