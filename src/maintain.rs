//! `meshlake maintain`: merges every window's files, drops old rows, deletes unused files and settles calls, now; or
//! counts calls anew (`--rederive`).
//!
//! A data directory belongs to one process. When one runs on it, that one is asked through its admin port
//! and does the work; otherwise this process opens the directory itself. Either way the bar shows how far
//! the round of merges is; a second round may follow, for what the first has made.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use indicatif::{ProgressBar, ProgressStyle};
use meshlake_query::Engine;
use meshlake_schema::{SystemClock, TimeRange};
use meshlake_store::{DataDirError, Effort, Store, StoreError};

use crate::admin::MaintainStatus;
use crate::config::Config;
use crate::settling::Folds;
use crate::{serve, telemetry};

/// Between two looks at how far it is: as smooth as a bar needs to be.
const POLL: Duration = Duration::from_millis(200);

/// Runs one whole pass over the data directory of `config`; or counts the calls of `rederived` anew.
///
/// # Errors
/// The data directory cannot be used, the pass fails, or the process on the directory does not answer.
pub async fn run(config: &Config, rederived: Option<TimeRange>) -> Result<()> {
    let telemetry = telemetry::start(&config.telemetry)?;
    let ran = run_or_ask(config, rederived).await;
    telemetry.stop();
    ran
}

async fn run_or_ask(config: &Config, rederived: Option<TimeRange>) -> Result<()> {
    let data_dir = &config.store.data_dir;
    // Opening would make one, and say that nothing had to be merged where a name was misspelt.
    ensure!(data_dir.exists(), "there is no data directory {}", data_dir.display());
    let mut store_config = serve::store_config(config)?;
    store_config.maintain.is_automatic = false;
    match Store::open(store_config, Arc::new(SystemClock)).await {
        Ok(store) => by_hand(config, store, rederived).await,
        Err(StoreError::DataDir(DataDirError::InUse { pid, .. })) => {
            println!("asking the process on {} (pid {pid})", config.store.data_dir.display());
            ask(&config.admin.http, rederived).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn by_hand(config: &Config, mut store: Store, rederived: Option<TimeRange>) -> Result<()> {
    let engine = Engine::new(store.reader(), serve::engine_config(config, None)?, Arc::new(SystemClock))?;
    store.settle_with(Arc::new(Folds::new(engine))).context("start the thread that settles")?;
    let maintenance = store.maintenance();
    let bar = bar();
    let pass = async {
        store.flush_all().await.context("flush what the log holds")?;
        match rederived {
            Some(range) => maintenance.rederive(range).await.context("count calls anew"),
            None => maintenance.run(Effort::All).await.context("maintain tables"),
        }
    };
    let shown = async {
        loop {
            show(&bar, &MaintainStatus::of(&maintenance));
            tokio::time::sleep(POLL).await;
        }
    };
    let done = tokio::select! {
        done = pass => done,
        never = shown => never,
    };
    bar.finish_and_clear();
    store.close().await;
    done?;
    println!("{}", MaintainStatus::of(&maintenance).summary());
    Ok(())
}

async fn ask(admin: &str, rederived: Option<TimeRange>) -> Result<()> {
    let url = format!("http://{}/maintain", reachable(admin));
    let asked = rederived.map_or(url.clone(), |range| {
        format!("{url}?rederive_from={}&rederive_to={}", range.from.0, range.to.0)
    });
    let bar = bar();
    let shown = async {
        loop {
            if let Ok(status) = request("GET", &url).await {
                show(&bar, &status);
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let done = tokio::select! {
        done = request("POST", &asked) => done,
        never = shown => never,
    };
    bar.finish_and_clear();
    println!("{}", done?.summary());
    Ok(())
}

/// `:7071` listens on every address of the machine, the loopback one among them.
pub fn reachable(listening: &str) -> String {
    let host = if listening.starts_with(':') { "127.0.0.1" } else { "" };
    format!("{host}{listening}")
}

async fn request(method: &str, url: &str) -> Result<MaintainStatus> {
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = hyper::Request::builder().method(method).uri(url).body(Full::default())?;
    let response = client.request(request).await.with_context(|| {
        format!("no admin port answers at {url} (--config or MESHLAKE_ADMIN__HTTP names another)")
    })?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        bail!("{status}: {}", String::from_utf8_lossy(&body).trim());
    }
    serde_json::from_slice(&body).with_context(|| format!("{url} does not speak of maintenance"))
}

/// Draws nothing when standard error is no terminal.
fn bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg:24} {wide_bar} {percent:>3} %  {human_pos}/{human_len} rows");
    ProgressBar::new(0).with_style(style.expect("the template is well-formed"))
}

fn show(bar: &ProgressBar, status: &MaintainStatus) {
    bar.set_message(status.table.as_ref().map_or_else(String::new, |table| format!("merge {table}")));
    bar.set_length(status.rows_total);
    bar.set_position(status.rows_done);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_without_a_host_is_reached_on_loopback() {
        assert_eq!(reachable(":7071"), "127.0.0.1:7071");
        assert_eq!(reachable("localhost:7071"), "localhost:7071");
    }
}
