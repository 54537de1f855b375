//! Results as Markdown: what was measured on which machine by which command, one row a run.
//!
//! What is measured is named by its commit, so that a figure can be held against the code that it belongs to.

use std::time::Duration;

use crate::load::{Outcome, Sending};
use crate::measure::Measurement;
use crate::payload::{Protocol, Shape};
use crate::process;
use crate::server::Server;

const MILLION: f64 = 1_000_000.0;
pub const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// The beginning of every result: machine, commit, command.
pub fn head() -> String {
    let command: Vec<_> = std::env::args().map(|argument| shown(&argument)).collect();
    format!(
        "Machine: {}\n\nCommit: {}\n\nCommand: `{}`\n\n",
        process::machine(),
        process::commit(),
        command.join(" ")
    )
}

/// Where things lie on this machine is nobody's business: of an absolute path, the last component.
fn shown(argument: &str) -> String {
    let last = argument.rsplit('/').next().filter(|_| argument.starts_with('/'));
    last.unwrap_or(argument).to_owned()
}

/// A table in Markdown.
pub fn table(columns: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut table = line(columns.to_vec());
    table.push_str(&format!("|{}\n", "---|".repeat(columns.len())));
    for row in rows {
        table.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    table
}

/// The page of [`measure`](crate::measure).
pub fn page(shape: &Shape, sending: &Sending, measurements: &[Measurement]) -> String {
    let record = shape.signal.record();
    let mut page = format!(
        "{}{}\n\n\
         | {record}s/s acknowledged | CPU s per million at ack | with the flush | peak RSS MiB | table bytes/{record} \
         | WAL bytes at the end | ack p50 / p99 ms | sent again | errors | rejected | in files by the ledger |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
        head(),
        load_line(shape, sending, measurements)
    );
    for measurement in measurements {
        page.push_str(&row(measurement));
    }
    page
}

pub fn load_line(shape: &Shape, sending: &Sending, measurements: &[Measurement]) -> String {
    let record = shape.signal.record();
    let records = (shape.requests * shape.records_per_request) as u64;
    let bytes = measurements.first().map_or(0, |m| m.outcome.message_bytes);
    let in_flight = sending.in_flight.max(sending.connections);
    format!(
        "Load: {records} {record}s as {} requests of {}, {} bytes each before compression, {}, {}; {} requests in flight over \
         {} connections; seed {}.",
        shape.requests,
        shape.records_per_request,
        bytes / records.max(1),
        shape.protocol.name(),
        shape.compression.name(),
        in_flight,
        if shape.protocol == Protocol::Grpc { sending.connections } else { in_flight },
        shape.seed
    )
}

fn row(measurement: &Measurement) -> String {
    let Measurement { outcome, cpu_at_ack, cpu_settled, peak_memory, table_bytes, wal_bytes, ledger } =
        measurement;
    let per_million = |cpu: &Duration| cpu.as_secs_f64() * MILLION / (outcome.accepted.max(1) as f64);
    format!(
        "| {:.0} | {:.1} | {:.1} | {:.0} | {:.1} | {wal_bytes} | {} | {} | {} | {} | {} of {} |\n",
        outcome.records_per_second(),
        per_million(cpu_at_ack),
        per_million(cpu_settled),
        *peak_memory as f64 / MEBIBYTE,
        *table_bytes as f64 / outcome.accepted.max(1) as f64,
        acknowledgements(outcome),
        outcome.retries,
        outcome.errors,
        outcome.rejected,
        ledger.1,
        ledger.0,
    )
}

/// The lines that `load` prints about a receiver of which nothing else is known.
pub fn summary(shape: &Shape, outcome: &Outcome) -> String {
    let record = shape.signal.record();
    let mut summary = format!(
        "{:.0} {record}s/s acknowledged ({} {record}s in {:.2} s, {:.1} MB/s before compression)\n\
         ack p50 / p99: {} ms\nsent again: {}, errors: {}, rejected {record}s: {}\n",
        outcome.records_per_second(),
        outcome.accepted,
        outcome.elapsed.as_secs_f64(),
        outcome.message_bytes as f64 / 1e6 / outcome.elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
        acknowledgements(outcome),
        outcome.retries,
        outcome.errors,
        outcome.rejected,
    );
    if let Some(error) = &outcome.first_error {
        summary.push_str(&format!("first error: {error}\n"));
    }
    summary
}

/// The most memory that each process of the server has had in RAM at once.
///
/// # Errors
/// When one is gone.
pub fn peak_memory(server: &Server) -> anyhow::Result<String> {
    let mebibytes = |pid| anyhow::Ok(process::peak_memory(pid)? as f64 / MEBIBYTE);
    let (own, questions) = (mebibytes(server.pid())?, mebibytes(server.questions_pid()?)?);
    Ok(format!("peak RSS {own:.0} MiB of the collector and {questions:.0} MiB of the process that answers"))
}

/// Median and 99th percentile, milliseconds.
pub fn acknowledgements(outcome: &Outcome) -> String {
    let ms = |ratio| outcome.acknowledgement(ratio).as_secs_f64() * 1_000.0;
    format!("{:.1} / {:.1}", ms(0.5), ms(0.99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_this_machine_are_not_shown() {
        assert_eq!(["/x/y/meshlake", "target/z", "--gib"].map(shown), ["meshlake", "target/z", "--gib"]);
    }

    #[test]
    fn a_table_has_a_line_for_each_row() {
        let rows = [vec!["1".to_owned(), "2".to_owned()]];
        assert_eq!(table(&["a", "b"], &rows), "| a | b |\n|---|---|\n| 1 | 2 |\n");
    }

    #[test]
    fn a_row_is_per_accepted_record() {
        let outcome = Outcome {
            requests: 2,
            accepted: 2_000_000,
            elapsed: Duration::from_secs(4),
            acknowledgements: vec![Duration::from_millis(10), Duration::from_millis(30)],
            ..Outcome::default()
        };
        let measurement = Measurement {
            outcome,
            cpu_at_ack: Duration::from_secs(6),
            cpu_settled: Duration::from_secs(9),
            peak_memory: 300 << 20,
            table_bytes: 90_000_000,
            wal_bytes: 67_108_864,
            ledger: (2_000_000, 1_999_000),
        };
        // 2,000,000 in 4 s; 6 s and 9 s for two million; 90,000,000 bytes / 2,000,000.
        let want =
            "| 500000 | 3.0 | 4.5 | 300 | 45.0 | 67108864 | 10.0 / 30.0 | 0 | 0 | 0 | 1999000 of 2000000 |\n";
        assert_eq!(row(&measurement), want);
    }
}
