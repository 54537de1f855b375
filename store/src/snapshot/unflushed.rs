//! What the ledger counts of rows that are durable and not in files yet.

use meshlake_schema::rows::{Integers, Text};
use meshlake_schema::{Table, read_columns};
use serde::{Deserialize, Serialize};

use super::{ReadError, Snapshot};
use crate::group::Lsn;

read_columns! {
    /// What of the ledger is summed.
    struct Ledger of Table::Ledger {
        tenant: Text,
        signal: Text,
        source: Text,
        event: Text,
        records: Integers,
    }
}

/// Accepted records of one change in the ledger that are in the WAL and not in files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unflushed {
    pub signal: String,
    pub source: String,
    pub records: u64,
}

impl Snapshot {
    /// The accepted records of `tenant` that are durable and not all in files, change by change; several may be
    /// of one signal and source. A record is in files when every table of its signal has its rows in files. A
    /// change of the ledger that is buffered with others counts as not flushed until all of them are.
    ///
    /// # Errors
    /// A bug of ours, or the buffered rows are in another process that is gone.
    pub async fn unflushed(&self, tenant: &str) -> Result<Vec<Unflushed>, ReadError> {
        if let Some(remote) = &self.remote {
            return remote.rows.unflushed(tenant).await;
        }
        let mut unflushed = Vec::new();
        for hot in self.tables[Table::Ledger].hot.iter() {
            let ledger = Ledger::of(hot.batch.rows()).map_err(|error| ReadError(error.to_string()))?;
            for row in 0..hot.batch.row_count() {
                if ledger.tenant.get(row) != Some(tenant) || ledger.event.get(row) != Some("accepted") {
                    continue;
                }
                let signal = ledger.signal.get(row).unwrap_or_default();
                if hot.lsn_last <= self.flushed_through(signal) {
                    continue;
                }
                unflushed.push(Unflushed {
                    signal: signal.to_owned(),
                    source: ledger.source.get(row).unwrap_or_default().to_owned(),
                    records: u64::try_from(ledger.records.or_zero(row)).unwrap_or_default(),
                });
            }
        }
        Ok(unflushed)
    }

    /// The LSN up to which all records of a signal are in files: a table with nothing buffered holds none back.
    fn flushed_through(&self, signal: &str) -> Lsn {
        let buffered = tables_of(signal).iter().flat_map(|table| self.tables[*table].hot.iter());
        let first = buffered.filter(|hot| hot.batch.row_count() > 0).map(|hot| hot.lsn_first).min();
        first.map_or(Lsn::MAX, |first| first.saturating_sub(1))
    }
}

/// The tables that records of a signal become rows of.
fn tables_of(signal: &str) -> &'static [Table] {
    match signal {
        "traces" => &[Table::Spans],
        // Access logs that came as log records become requests.
        "logs" => &[Table::Logs, Table::Requests],
        "metrics" => &[
            Table::MetricPoints,
            Table::MetricHistograms,
            Table::MetricExpHistograms,
            Table::MetricSummaries,
        ],
        "requests" => &[Table::Requests],
        _ => &Table::ALL,
    }
}
