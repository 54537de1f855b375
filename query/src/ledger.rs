//! What became of every record that came in.
//!
//! ```text
//! received = accepted + sum(rejected)      accepted = durable + in_flight      flushed <= durable
//! ```
//! Durable figures are sums of the ledger's rows in one snapshot; what is in flight is asked of the collector
//! right after, so a record that becomes durable in between may be missing from one answer, never counted
//! twice, and the sums hold in each. A durable record is flushed when every table of its signal is flushed up
//! to its LSN; a buffered ledger batch that spans that LSN counts as not flushed yet.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt;
use meshlake_engine::{Engine, QueryError};
use meshlake_schema::Table;
use meshlake_store::group::Lsn;
use meshlake_store::snapshot::Snapshot;

const TOTALS_SQL: &str = "SELECT tenant, signal, source, event, reason, CAST(sum(records) AS BIGINT) \
                          FROM ledger GROUP BY 1, 2, 3, 4, 5";

/// What became of the records of one signal from one source; the names are those of the ledger's events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    pub tenant: String,
    /// traces, logs, metrics or requests.
    pub signal: String,
    pub source: String,
    pub received: u64,
    pub accepted: u64,
    /// Records by reason.
    pub rejected: BTreeMap<String, u64>,
    pub durable: u64,
    pub in_flight: u64,
    pub deduplicated: u64,
    pub flushed: u64,
}

/// Records that were accepted and are not durable yet, as the collector counts them in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    pub tenant: String,
    /// traces, logs, metrics or requests.
    pub signal: String,
    pub source: String,
    pub records: u64,
}

/// (signal, source); the tenant is the one that asks.
type Accounts = BTreeMap<(String, String), Account>;

/// One account per signal and source of the tenant, sorted by them. `in_flight` is asked after the snapshot is taken.
///
/// # Errors
/// Those of [`Engine::begin`] and [`meshlake_engine::Query::sql`].
pub async fn accounts(
    engine: &Engine,
    tenant: &str,
    in_flight: impl FnOnce() -> Vec<InFlight>,
) -> Result<Vec<Account>, QueryError> {
    let query = engine.begin(tenant).await?;
    let totals = query.sql(TOTALS_SQL).await?.stream;
    let totals: Vec<RecordBatch> = totals.try_collect().await.map_err(QueryError::from)?;
    let in_flight = in_flight();

    let mut accounts = Accounts::new();
    for batch in &totals {
        add_totals(&mut accounts, tenant, batch)?;
    }
    for (signal, source, records) in unflushed(query.snapshot(), tenant)? {
        let account = account(&mut accounts, tenant, &signal, &source);
        account.flushed = account.flushed.saturating_sub(records);
    }
    for waiting in in_flight.into_iter().filter(|waiting| waiting.tenant == tenant) {
        let account = account(&mut accounts, tenant, &waiting.signal, &waiting.source);
        account.in_flight += waiting.records;
        account.accepted += waiting.records;
        account.received += waiting.records;
    }
    Ok(accounts.into_values().collect())
}

fn account<'a>(accounts: &'a mut Accounts, tenant: &str, signal: &str, source: &str) -> &'a mut Account {
    accounts.entry((signal.to_owned(), source.to_owned())).or_insert_with(|| Account {
        tenant: tenant.to_owned(),
        signal: signal.to_owned(),
        source: source.to_owned(),
        ..Account::default()
    })
}

fn add_totals(accounts: &mut Accounts, tenant: &str, batch: &RecordBatch) -> Result<(), QueryError> {
    for row in events(batch)? {
        let account = account(accounts, tenant, &row.signal, &row.source);
        match row.event.as_str() {
            "received" => account.received += row.records,
            "accepted" => {
                account.accepted += row.records;
                account.durable += row.records;
                account.flushed += row.records;
            }
            "rejected" => *account.rejected.entry(row.reason).or_default() += row.records,
            "deduplicated" => account.deduplicated += row.records,
            other => return Err(QueryError::Internal(format!("the ledger has an event {other}"))),
        }
    }
    Ok(())
}

/// Durable accepted records of the tenant that are not in files yet, by signal and source.
fn unflushed(snapshot: &Snapshot, tenant: &str) -> Result<Vec<(String, String, u64)>, QueryError> {
    let mut records = Vec::new();
    for hot in snapshot.table(Table::Ledger).hot.iter() {
        for row in events(hot.batch.rows())? {
            let waiting = hot.lsn_last > flushed_up_to(snapshot, &row.signal);
            if waiting && row.tenant == tenant && row.event == "accepted" {
                records.push((row.signal, row.source, row.records));
            }
        }
    }
    Ok(records)
}

/// The LSN up to which all records of a signal are in files: a table with nothing buffered holds none back.
fn flushed_up_to(snapshot: &Snapshot, signal: &str) -> Lsn {
    let tables: &[Table] = match signal {
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
    };
    let buffered = tables.iter().flat_map(|table| snapshot.table(*table).hot.iter());
    let first = buffered.filter(|hot| hot.batch.row_count() > 0).map(|hot| hot.lsn_first).min();
    first.map_or(Lsn::MAX, |first| first.saturating_sub(1))
}

/// One row of the ledger, or a sum of such rows.
struct Event {
    tenant: String,
    signal: String,
    source: String,
    event: String,
    reason: String,
    records: u64,
}

/// The rows of a batch with the columns tenant, signal, source, event, reason in any string form, and the
/// records last.
fn events(batch: &RecordBatch) -> Result<Vec<Event>, QueryError> {
    let internal = |what: &str| QueryError::Internal(format!("the ledger has no column {what}"));
    let texts = |name: &str| {
        let column = batch.column_by_name(name).ok_or_else(|| internal(name))?;
        cast(column, &DataType::Utf8View).map_err(|error| QueryError::Internal(error.to_string()))
    };
    let columns = ["tenant", "signal", "source", "event", "reason"];
    let columns = columns.into_iter().map(texts).collect::<Result<Vec<_>, _>>()?;
    let records = batch.columns().last().and_then(|column| column.as_primitive_opt::<Int64Type>());
    let records = records.ok_or_else(|| internal("records"))?;
    let text = |column: usize, row: usize| {
        let column = columns[column].as_string_view();
        if column.is_valid(row) { column.value(row).to_owned() } else { String::new() }
    };
    let rows = (0..batch.num_rows()).map(|row| Event {
        tenant: text(0, row),
        signal: text(1, row),
        source: text(2, row),
        event: text(3, row),
        reason: text(4, row),
        records: u64::try_from(records.value(row)).unwrap_or_default(),
    });
    Ok(rows.collect())
}
