//! Access logs by every way in, through the built binary: posted, imported, followed in files, sent by syslog.

mod endless;
mod import;
mod kill;
mod syslog;
mod tail;

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use crate::harness::Server;

/// Lines in nginx's `combined`, one for each of `numbers`, which is in its path. All are of one hour of 2024.
fn lines(numbers: std::ops::Range<u64>) -> String {
    let mut text = String::new();
    for number in numbers {
        let (minute, second) = (number / 60 % 60, number % 60);
        let status = if number % 10 == 0 { 500 } else { 200 };
        let _ = writeln!(
            text,
            "10.0.0.1 - - [01/Mar/2024:12:{minute:02}:{second:02} +0000] \"GET /n/{number} HTTP/1.1\" {status} 12 \"-\" \"curl/8\""
        );
    }
    text
}

/// Rows of `requests`, and how many paths they have.
async fn rows_and_paths(server: &Server) -> Result<[i64; 2]> {
    let rows = server.sql("SELECT count(*), count(DISTINCT path) FROM requests").await?;
    let row = rows.first().context("one row")?;
    let number =
        |at: usize| row.get(at).and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok()));
    number(0).zip(number(1)).map(|(rows, paths)| [rows, paths]).context("two numbers")
}

/// Waits until there are `rows` rows.
async fn wait_for_rows(server: &Server, rows: i64) -> Result<()> {
    let mut there = 0;
    let waiting = async {
        while there < rows {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            there = server.number("SELECT count(*) FROM requests").await?;
        }
        anyhow::Ok(())
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await;
    waited.with_context(|| format!("{there} of {rows} rows came"))?
}
