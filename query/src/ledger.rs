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
use meshlake_calls::Range;
use meshlake_calls::operate::troubles::Lost;
use meshlake_engine::{Engine, Query, QueryError, Scan};
use meshlake_schema::{Table, TimeRange};

const TOTALS_SQL: &str = "SELECT signal, source, event, reason, CAST(sum(records) AS BIGINT) FROM ledger \
                          GROUP BY 1, 2, 3, 4";

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

/// (signal, source); the tenant is the one that asks.
type Accounts = BTreeMap<(String, String), Account>;

/// One account per signal and source of the tenant, sorted by them.
///
/// # Errors
/// Those of [`Engine::begin`], [`meshlake_engine::Query::sql`] and [`Engine::status`].
pub async fn accounts(engine: &Engine, tenant: &str) -> Result<Vec<Account>, QueryError> {
    let query = engine.begin(tenant).await?;
    let totals: Vec<RecordBatch> = query.sql(TOTALS_SQL).await?.try_collect().await?;
    // After the snapshot: see above.
    let in_flight = engine.status().await?.intake.unwrap_or_default().in_flight;

    let mut accounts = Accounts::new();
    for batch in &totals {
        add_totals(&mut accounts, tenant, batch)?;
    }
    for waiting in query.unflushed().await? {
        let account = account(&mut accounts, tenant, &waiting.signal, &waiting.source);
        account.flushed = account.flushed.saturating_sub(waiting.records);
    }
    for waiting in in_flight.into_iter().filter(|waiting| waiting.tenant == tenant) {
        let account = account(&mut accounts, tenant, &waiting.signal, &waiting.source);
        account.in_flight += waiting.records;
        account.accepted += waiting.records;
        account.received += waiting.records;
    }
    Ok(accounts.into_values().collect())
}

/// What was rejected in a range, by the collector's clock: one row per signal, way in and reason, sorted by them.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn lost(query: &Query, range: Range) -> Result<Vec<Lost>, QueryError> {
    let columns = Some(["signal", "source", "event", "reason", "records"].as_slice());
    let range = TimeRange { from: range.from(), to: range.to() };
    let mut rows = query.scan(&Scan { columns, range, ..Scan::of(Table::Ledger) }).await?;
    let mut received: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut rejected: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    while let Some(batch) = rows.try_next().await? {
        for row in events(&batch)? {
            match row.event.as_str() {
                "received" => *received.entry((row.signal, row.source)).or_default() += row.records,
                "rejected" => {
                    *rejected.entry((row.signal, row.source, row.reason)).or_default() += row.records;
                }
                _ => {}
            }
        }
    }
    let lost = rejected.into_iter().map(|((signal, source, reason), records)| {
        let of_way = (signal, source);
        let received = received.get(&of_way).copied().unwrap_or_default().max(records);
        let (signal, source) = of_way;
        Lost { signal, source, reason, records, received }
    });
    Ok(lost.collect())
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

/// A sum of rows of the ledger.
struct Event {
    signal: String,
    source: String,
    event: String,
    reason: String,
    records: u64,
}

/// The rows of a batch with the columns signal, source, event, reason in any string form, and the
/// records last.
fn events(batch: &RecordBatch) -> Result<Vec<Event>, QueryError> {
    let internal = |what: &str| QueryError::Internal(format!("the ledger has no column {what}"));
    let texts = |name: &str| {
        let column = batch.column_by_name(name).ok_or_else(|| internal(name))?;
        cast(column, &DataType::Utf8View).map_err(|error| QueryError::Internal(error.to_string()))
    };
    let columns = ["signal", "source", "event", "reason"];
    let columns = columns.into_iter().map(texts).collect::<Result<Vec<_>, _>>()?;
    let records = batch.columns().last().and_then(|column| column.as_primitive_opt::<Int64Type>());
    let records = records.ok_or_else(|| internal("records"))?;
    let text = |column: usize, row: usize| {
        let column = columns[column].as_string_view();
        if column.is_valid(row) { column.value(row).to_owned() } else { String::new() }
    };
    let rows = (0..batch.num_rows()).map(|row| Event {
        signal: text(0, row),
        source: text(1, row),
        event: text(2, row),
        reason: text(3, row),
        records: u64::try_from(records.value(row)).unwrap_or_default(),
    });
    Ok(rows.collect())
}
