//! Every requirement that OTLP has for a server, against the running binary; the results are `docs/conformance.md`.
//!
//! Requirements and cases are data (`tests/cases/conformance`); here they meet. A requirement without a check, or
//! a check without a requirement, fails, and so does a page that says something else than was found. Requirements
//! for senders are listed there and not checked here: our own sender is the OpenTelemetry SDK.

mod page;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::exchange::judge::StatusMap;
use crate::exchange::run::{Check, Runner};
use crate::exchange::{case, cases_dir, overload};
use crate::harness::Server;

/// Set to write the page instead of comparing it.
const WRITE_VARIABLE: &str = "MESHLAKE_TEST_WRITE";

/// A warning is counted where the operator looks too. Row C24 has values that were cut.
const WARNED: &str = r#"meshlake_warnings_total{signal="logs",source="otlp_grpc",warning="value_cut"}"#;

const FILES: [&str; 4] = ["transport.toml", "answers.toml", "json.toml", "data.toml"];

/// One row of the page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    id: String,
    level: String,
    requirement: String,
    /// What we answer.
    #[serde(default)]
    answer: String,
    #[serde(default)]
    side: Side,
}

/// Of whom something is required.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    #[default]
    Server,
    Client,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequirementsFile {
    row: Vec<Requirement>,
}

#[tokio::test(flavor = "multi_thread")]
async fn conformance_is_what_its_page_says() -> Result<()> {
    let directory = cases_dir().join("conformance");
    let text = std::fs::read_to_string(directory.join("requirements.toml"))?;
    let RequirementsFile { row: requirements } = toml::from_str(&text).context("requirements.toml")?;

    let data = tempfile::tempdir()?;
    let server = Server::start_with(&["run"], &data.path().join("data"), &overload::ENVIRONMENT).await?;
    let mut runner = Runner::new(&server)?;
    for file in FILES {
        runner.send(&case::read(&directory.join(file))?).await?;
    }
    let checks = runner.finish().await?;
    let warned = server.metric(WARNED).await?;
    ensure!(warned >= 1.0, "{WARNED} is {warned}");
    server.check_for_panics()?;

    let complaints: Vec<String> = checks.iter().flat_map(Check::complaints).collect();
    ensure!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    let required: BTreeSet<&str> =
        requirements.iter().filter(|row| row.side == Side::Server).map(|row| row.id.as_str()).collect();
    let checked: BTreeSet<&str> = checks.iter().map(|check| check.row.as_str()).collect();
    ensure!(required == checked, "requirements {required:?} are not what is checked: {checked:?}");

    let page = page::write(&requirements, &checks, &StatusMap::read()?);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md");
    if std::env::var_os(WRITE_VARIABLE).is_some() {
        std::fs::write(&path, &page)?;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    ensure!(
        found == page,
        "docs/conformance.md says something else than was found; {WRITE_VARIABLE}=1 writes it anew"
    );
    Ok(())
}
