//! `psql`: its statements, and what it asks by itself when somebody types a backslash.

use anyhow::{Result, ensure};
use tokio::process::Command;

use super::clients::{client, output};
use super::{SPANS, server_with_spans};
use crate::harness::Server;
use crate::sql::tools::program;

/// Everything that psql 15 can be asked to list or describe.
const BACKSLASHES: [&str; 60] = [
    r"\d",
    r"\d spans",
    r"\d+ spans",
    r"\dS pg_class",
    r"\d+ ledger",
    r"\da",
    r"\dA",
    r"\dAc",
    r"\dAf",
    r"\dAo",
    r"\dAp",
    r"\db",
    r"\dc",
    r"\dC",
    r"\dconfig",
    r"\dd",
    r"\dD",
    r"\ddp",
    r"\dE",
    r"\des",
    r"\det",
    r"\deu",
    r"\dew",
    r"\df",
    r"\df+ golden",
    r"\dfS abs",
    r"\dF",
    r"\dFd",
    r"\dFp",
    r"\dFt",
    r"\dg",
    r"\di",
    r"\dl",
    r"\dL",
    r"\dm",
    r"\dn",
    r"\dn+",
    r"\do",
    r"\dO",
    r"\dp",
    r"\dP",
    r"\drds",
    r"\dRp",
    r"\dRs",
    r"\ds",
    r"\dt",
    r"\dt+",
    r"\dT",
    r"\dTS text",
    r"\du",
    r"\du+",
    r"\dv",
    r"\dx",
    r"\dX",
    r"\dy",
    r"\l",
    r"\l+",
    r"\encoding",
    r"\conninfo",
    r"\z spans",
];

#[tokio::test(flavor = "multi_thread")]
async fn psql_asks_and_describes() -> Result<()> {
    let Some(psql) = program("psql", "postgresql-client")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = server_with_spans(&dir.path().join("data"), &[]).await?;
    let psql = || client(psql.clone(), &server);
    statements(&psql).await?;
    for backslash in BACKSLASHES {
        let listed = run(psql()?, &["-c", backslash]).await?;
        ensure!(!listed.contains("ERROR"), "{backslash}: {listed}");
    }
    let described = run(psql()?, &["-c", r"\d+ spans"]).await?;
    ensure!(
        described.contains("timestamp with time zone") && described.contains("W3C trace flags"),
        "{described}"
    );
    ensure!(run(psql()?, &["-At", "-c", r"\dt"]).await?.contains("public|spans|table|tester"));
    ensure!(run(psql()?, &["-c", r"\df"]).await?.contains("golden"));
    server.check_for_panics()
}

async fn statements(psql: &impl Fn() -> Result<Command>) -> Result<()> {
    let count = format!("{SPANS}\n");
    let cases: [(&[&str], &str); 11] = [
        (&["SELECT count(*) FROM spans"], &count),
        (&["SELECT 1 AS a; SELECT 'b', NULL"], "1\nb|∅\n"),
        (&[";"], ""),
        (
            &["SELECT 1.5::float8, true, 'a'::text, date '2026-11-29', interval '1 day 2 s'"],
            "1.5|t|a|2026-11-29|1 day 00:00:02\n",
        ),
        (&["SELECT to_timestamp(0.25)"], "1970-01-01 00:00:00.25+00\n"),
        (&["BEGIN", "SHOW TimeZone", "COMMIT"], "BEGIN\nUTC\nCOMMIT\n"),
        (&["SET statement_timeout = '5s'", "SHOW statement_timeout", "RESET ALL"], "SET\n5s\nRESET\n"),
        (
            &[
                "PREPARE q (int) AS SELECT $1 + 1, $2 || 'b', $2 IS NULL",
                "EXECUTE q(1, 'a')",
                "EXECUTE q(-1, NULL)",
                "DEALLOCATE q",
            ],
            "PREPARE\n2|ab|f\n0|∅|t\nDEALLOCATE\n",
        ),
        (
            &["BEGIN; TABLE ledger LIMIT 0; PREPARE q AS SELECT 1; EXECUTE q; COMMIT"],
            "BEGIN\nPREPARE\n1\nCOMMIT\n",
        ),
        (&["COPY (SELECT 'a\tb', NULL, 1) TO STDOUT"], "a\\tb\t\\N\t1\n"),
        (&["COPY (SELECT 'a,b', NULL, 1) TO STDOUT WITH (FORMAT csv)"], "\"a,b\",,1\n"),
    ];
    for (statements, want) in cases {
        let commands: Vec<&str> = statements.iter().flat_map(|statement| ["-c", *statement]).collect();
        let arguments = [&["-At", "-P", "null=∅"], commands.as_slice()].concat();
        let found = run(psql()?, &arguments).await?;
        ensure!(found == want, "{statements:?}: {found:?}");
    }
    // A failed statement shows where it went wrong, and ends a transaction that it is in.
    let failed = psql()?.args(["-X", "-c", "SELECT 1 FROM\n  spans WHRE kind"]).output().await?;
    let told = String::from_utf8_lossy(&failed.stderr).into_owned();
    ensure!(told.contains("LINE 2") && told.contains("^"), "{told}");
    Ok(())
}

/// `FETCH_COUNT` makes psql read by a cursor, a page at a time: nothing is cut and nothing comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn psql_pages_through_all_rows() -> Result<()> {
    let Some(psql) = program("psql", "postgresql-client")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = server_with_spans(&dir.path().join("data"), &[]).await?;
    let arguments = ["-At", "-v", "FETCH_COUNT=1000", "-c", "SELECT attributes['test.number'] FROM spans"];
    let rows = run(client(psql, &server)?, &arguments).await?;
    let mut numbers: Vec<u64> = rows.lines().map(str::parse).collect::<Result<_, _>>()?;
    numbers.sort_unstable();
    ensure!(numbers == (0..SPANS).collect::<Vec<_>>(), "{} rows", numbers.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_reading_is_allowed() -> Result<()> {
    let Some(psql) = program("psql", "postgresql-client")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    for statement in [
        "CREATE TABLE t (a int)",
        "DROP TABLE spans",
        "INSERT INTO spans SELECT * FROM spans",
        "DELETE FROM spans",
        "COPY spans TO '/tmp/spans'",
        "COPY spans FROM STDIN",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "SET datafusion.runtime.memory_limit = '100G'",
        "DECLARE c CURSOR WITH HOLD FOR DELETE FROM spans",
        "PREPARE q AS DELETE FROM spans",
        "PREPARE q AS COPY spans TO '/tmp/spans'",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM pg_class, spans",
        "EXPLAIN INSERT INTO spans SELECT * FROM spans",
    ] {
        let failed = client(psql.clone(), &server)?.args(["-X", "-c", statement]).output().await?;
        let told = String::from_utf8_lossy(&failed.stderr).into_owned();
        ensure!(told.contains("ERROR"), "{statement}: {told}");
    }
    server.check_for_panics()
}

async fn run(mut psql: Command, arguments: &[&str]) -> Result<String> {
    psql.arg("-X").args(arguments);
    output(psql).await
}
