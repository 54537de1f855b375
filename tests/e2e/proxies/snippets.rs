//! Every configuration of meshlake in `deploy/` is one that it takes, whether its proxy can be run here or not.

use std::path::Path;

use anyhow::{Result, ensure};
use tokio::process::Command;

use crate::harness::BINARY;

#[tokio::test(flavor = "multi_thread")]
async fn every_configuration_in_deploy_is_taken() -> Result<()> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let mut checked = 0;
    for entry in std::fs::read_dir(deploy)? {
        let file = entry?.path().join("meshlake.toml");
        if !file.exists() {
            continue;
        }
        let output = Command::new(BINARY).arg("check-config").arg("--config").arg(&file).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {said}", file.display());
        checked += 1;
    }
    ensure!(checked > 0, "there are none");
    Ok(())
}
