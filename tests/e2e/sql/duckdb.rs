//! What SQL answers is what DuckDB answers over the same files, for statements over every table.
//!
//! The rows are those of the demo mesh, put into files by a clean stop; the server that is asked takes in nothing more.
//! `tests/cases/sql/duckdb.sql` has the statements, `compare.py` asks both. `nested.py` makes statements by chance, of
//! queries within queries; those need no rows but their own.

use anyhow::{Result, ensure};

use super::tools;
use crate::demo;
use crate::harness::Server;

#[tokio::test(flavor = "multi_thread")]
async fn statements_give_what_duckdb_gives_over_the_same_files() -> Result<()> {
    let Some(python) = tools::python(&["deltalake", "duckdb", "pyarrow"])? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let (server, _) = demo::finished(&data, 150).await?;
    ensure!(server.terminate().await? == Some(0), "the stop fails");
    let server = Server::start_with(&["run"], &data, &[("MESHLAKE_MAINTAIN__ENABLED", "false")]).await?;
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/sql/duckdb.sql");
    let tables = data.join("tables").display().to_string();
    let url = format!("http://{}", server.addresses.query);
    let script = tools::beside("compare.py").display().to_string();
    let said = tools::run(&python, [script.as_str(), &tables, &url, cases]).await?;
    ensure!(said.trim().ends_with(" statements, 0 differ"), "{said}");
    server.check_for_panics()
}

/// Statements of nested queries.
const NESTED: u32 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn queries_within_queries_give_what_duckdb_gives() -> Result<()> {
    let Some(python) = tools::python(&["deltalake", "duckdb", "pyarrow"])? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let number = |name, otherwise| std::env::var(name).map_or(Ok(otherwise), |number| number.parse::<u32>());
    let [count, seed] = [number("MESHLAKE_TEST_STATEMENTS", NESTED)?, number("MESHLAKE_TEST_SEED", 7)?];
    let script = tools::beside("nested.py").display().to_string();
    let url = format!("http://{}", server.addresses.query);
    let said = tools::run(&python, [script, url, count.to_string(), seed.to_string()]).await?;
    ensure!(said.trim().ends_with(" statements, 0 differ"), "{said}");
    server.check_for_panics()
}
