//! The pages in Chromium, over the demo mesh: every link and every choice, light, dark and on a phone, with scripts and without,
//! what axe says of them, an operator's tasks by clicks, and names that are markup. The programs that drive the browser are in
//! `javascript/`; what they print is checked here.
//!
//! `MESHLAKE_TEST_PICTURES=DIR` keeps a picture of each page; those under `docs/pages` are made so.

mod hostile;
mod large;
mod looks;
mod scripts;
mod tasks;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::postgres::clients::output_within;
use crate::sql::tools::{available, directory};

/// How long a browser may take over all that one program does: three minutes on a machine of its own, far more beside other tests.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Where the packages of `javascript/package.json` are installed; None where this machine may do without.
fn modules() -> Result<Option<PathBuf>> {
    let modules = directory()?.join("pages/node_modules");
    let how = "cp -r tests/e2e/pages/javascript ~/.cache/meshlake/test-tools/pages && \
               npm ci --prefix ~/.cache/meshlake/test-tools/pages, and Chromium by apt";
    let is_there = modules.join("playwright-core").exists() && Path::new("/usr/bin/chromium").exists();
    available(is_there.then_some(modules), how)
}

/// What a program of `javascript/` prints, as JSON.
async fn told(modules: &Path, script: &str, arguments: &[&str]) -> Result<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/pages/javascript").join(script);
    let mut node = Command::new("node");
    node.env("NODE_PATH", modules).arg(script).args(arguments);
    let told = output_within(node, TIMEOUT).await?;
    serde_json::from_str(&told).with_context(|| told.clone())
}

/// Texts of a list, none of which is expected.
fn lines(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(Value::to_string).collect()
}
