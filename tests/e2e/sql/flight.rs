//! Arrow Flight SQL by clients that its users have: ADBC and pyarrow (PyPI), the JDBC driver (Maven).
//!
//! `flight_clients.py` and `FlightJdbc.java` check what they read against what HTTP answers and against arithmetic.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::tools;
use crate::demo;
use crate::harness::Server;

/// A million rows are asked for at once.
const ENVIRONMENT: [(&str, &str); 2] =
    [("MESHLAKE_QUERY__ROWS_MAX", "2000000"), ("MESHLAKE_QUERY__TIMEOUT_SECONDS", "120")];

/// A server with the rows of a small mesh.
async fn filled(dir: &std::path::Path) -> Result<Server> {
    let data = dir.join("data");
    let (server, _) = demo::finished(&data, 100).await?;
    ensure!(server.terminate().await? == Some(0), "the stop fails");
    Server::start_with(&["run"], &data, &ENVIRONMENT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn adbc_and_pyarrow_read_bind_cancel_and_list() -> Result<()> {
    let Some(python) = tools::python(&["adbc_driver_flightsql", "pyarrow"])? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = filled(dir.path()).await?;
    let addresses = &server.addresses;
    let script = tools::beside("flight_clients.py").display().to_string();
    let said = tools::run(&python, [&script, &addresses.flight_sql, &addresses.query]).await?;
    print!("{said}");
    ensure!(said.trim().ends_with("all of it"), "{said}");
    server.check_for_panics()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jdbc_driver_reads_binds_and_lists() -> Result<()> {
    let Some(driver) = jdbc_driver()? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = filled(dir.path()).await?;
    let program = tools::beside("FlightJdbc.java").display().to_string();
    let arguments = [
        // What Arrow's memory asks of Java 17 and later. Source: arrow.apache.org/java, "Java Compatibility".
        "--add-opens=java.base/java.nio=ALL-UNNAMED",
        "-cp",
        &driver.display().to_string(),
        &program,
        &server.addresses.flight_sql,
    ];
    let said = tools::run(&PathBuf::from("java"), arguments).await?;
    ensure!(said.trim().ends_with("all of it"), "{said}");
    server.check_for_panics()
}

fn jdbc_driver() -> Result<Option<PathBuf>> {
    let driver = tools::directory()?.join("jars/flight-sql-jdbc-driver.jar");
    let how = "mvn -q dependency:copy -Dartifact=org.apache.arrow:flight-sql-jdbc-driver:18.3.0 -Dmdep.stripVersion=true \
               -DoutputDirectory=$HOME/.cache/meshlake/test-tools/jars";
    tools::available(
        driver.is_file().then_some(driver),
        &format!("the JDBC driver of Flight SQL is missing: {how}"),
    )
}
