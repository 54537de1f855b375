//! Disk bytes a span, after the flushes and after compaction, and which columns they are in.
//!
//! The load is sent to a fresh server; the data directory may be kept, to ask it questions afterwards. `meshlake
//! maintain` is run when the binary has it, until then the second row is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::load::Sending;
use crate::measure::{self, Measurement, start_fresh};
use crate::payload::Shape;
use crate::process;
use crate::report;
use crate::server::Place;
use crate::stored::{self, Stored};

/// Columns that are listed; the others are summed.
const COLUMNS_SHOWN: usize = 16;

/// What becomes of the data directory.
#[derive(Debug, Clone, Args)]
pub struct SizeArgs {
    /// Directory that the data is left in; it must not exist. A temporary one when not given.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Seconds after which the server writes rows to files at the latest.
    #[arg(long, default_value_t = 60)]
    pub flush_age: u64,
}

/// Sends the load, waits for the files, compacts, and writes the page.
///
/// # Errors
/// When a server cannot be started or stopped, or spans are missing in the files.
pub async fn page(
    place: &Place,
    args: &SizeArgs,
    sending: &Sending,
    shape: &Shape,
) -> anyhow::Result<String> {
    let temporary = place.fresh_directory()?;
    let directory = args.data_dir.clone().unwrap_or_else(|| temporary.path().join("data"));
    ensure!(!directory.exists(), "{} exists already", directory.display());
    let flush_age = Duration::from_secs(args.flush_age);
    let server = start_fresh(place, &directory, flush_age).await?;
    let measurement = measure::measure(&server, flush_age, sending, shape).await?;
    server.stop().await?;

    let mut rows = Vec::new();
    let mut last = measured_row("after the flushes", &directory, &measurement, &mut rows)?;
    let mut compaction = "This binary has no `maintain` command.".to_owned();
    if has_maintain(place) {
        let begin = Instant::now();
        maintain(place, &directory)?;
        compaction = format!("`meshlake maintain` took {:.1} s.", begin.elapsed().as_secs_f64());
        last = measured_row("after `meshlake maintain`", &directory, &measurement, &mut rows)?;
    }
    let columns =
        ["", "files", "rows", "MiB", "bytes a span", "with every other table", "with what is on disk in all"];
    Ok(format!(
        "# Disk bytes a span\n\n\
         By the files that the Delta log names, their footers included. \"Every other table\" adds the tables derived from\n\
         spans, the ledger and the Delta logs; \"on disk in all\" adds files that are replaced and not yet removed.\n\n\
         {}{}\n\n{}\n{compaction}\n\nBytes a span by column:\n\n{}",
        report::head(),
        report::load_line(shape, sending, std::slice::from_ref(&measurement)),
        report::table(&columns, &rows),
        report::table(&["column", "bytes a span"], &by_column(&last)),
    ))
}

/// Adds a row about the files of the moment; returns those of `spans`.
fn measured_row(
    label: &str,
    directory: &Path,
    measurement: &Measurement,
    rows: &mut Vec<Vec<String>>,
) -> anyhow::Result<Stored> {
    let tables = directory.join("tables");
    let spans = stored::table(&tables.join("spans"))?;
    let accepted = measurement.outcome.accepted;
    ensure!(spans.rows == accepted, "{accepted} spans were accepted and {} are in files", spans.rows);
    let mut every = 0;
    for entry in std::fs::read_dir(&tables).with_context(|| format!("list {}", tables.display()))? {
        let path = entry.with_context(|| format!("list {}", tables.display()))?.path();
        // A table that was never written has no log yet.
        if path.join("_delta_log").is_dir() {
            every += stored::table(&path)?.bytes + process::bytes_below(&path.join("_delta_log"))?;
        }
    }
    let a_span = |bytes: u64| format!("{:.1}", bytes as f64 / accepted.max(1) as f64);
    rows.push(vec![
        label.to_owned(),
        spans.files.to_string(),
        spans.rows.to_string(),
        format!("{:.1}", spans.bytes as f64 / report::MEBIBYTE),
        a_span(spans.bytes),
        a_span(every),
        a_span(process::bytes_below(&tables)?),
    ]);
    Ok(spans)
}

fn by_column(stored: &Stored) -> Vec<Vec<String>> {
    let mut columns: Vec<_> = stored.columns.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    columns.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let rest = columns.split_off(COLUMNS_SHOWN.min(columns.len()));
    columns.push(("the others", rest.iter().map(|(_, bytes)| bytes).sum()));
    let in_columns: u64 = columns.iter().map(|(_, bytes)| bytes).sum();
    columns.push(("footers, page indexes, bloom filters", stored.bytes.saturating_sub(in_columns)));
    let rows = stored.rows.max(1) as f64;
    columns
        .iter()
        .map(|(name, bytes)| vec![(*name).to_owned(), format!("{:.2}", *bytes as f64 / rows)])
        .collect()
}

fn has_maintain(place: &Place) -> bool {
    let mut help = Command::new(&place.binary);
    let asked = help.args(["maintain", "--help"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

fn maintain(place: &Place, directory: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(&place.binary);
    let status = command.args(["maintain", "--data-dir"]).arg(directory).stdout(Stdio::null()).status();
    ensure!(status.context("run meshlake maintain")?.success(), "meshlake maintain failed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_what_is_around_them_add_up_to_the_files() {
        let columns = (0..20).map(|n| (format!("c{n:02}"), 10 * (n + 1))).collect();
        let stored = Stored { files: 1, rows: 10, bytes: 2_500, columns };
        let rows = by_column(&stored);
        // 10 + 20 + 30 + 40 bytes are in the four smallest of 20; 2,100 in all of them.
        assert_eq!(rows.len(), COLUMNS_SHOWN + 2);
        assert_eq!(rows[0], ["c19", "20.00"]);
        assert_eq!(rows[16], ["the others", "10.00"]);
        assert_eq!(rows[17], ["footers, page indexes, bloom filters", "40.00"]);
    }
}
