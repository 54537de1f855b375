//! A fold for tests: every row becomes a cell of its own, so that what cells and open rows say together is the list of
//! rows, whatever was settled when. Of a row's time a cell tells what a cell can.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;

use arrow::array::{Array as _, AsArray as _, DictionaryArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use async_trait::async_trait;
use meshlake_schema::{Table, TableBatch, TimeRange};
use object_store::ObjectStoreExt as _;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::minutes::{FOLDED, MICROS_PER_MINUTE, minute_of};
use crate::settle::{Settle, SettleError, SettleJob, SettledCells};
use crate::snapshot::Snapshot;
use crate::test_rows::{MIDNIGHT, rows};

/// Copies rows, and remembers what it was asked for.
#[derive(Default)]
pub(in crate::store::tests) struct Copy {
    /// Minutes after midnight, tables.
    pub asked: Mutex<Vec<(Range<i64>, Vec<Table>)>>,
    /// Minutes after midnight that cannot be folded.
    pub broken: Mutex<BTreeSet<i64>>,
    /// Minutes after midnight in which no row is a call.
    pub silent: Mutex<BTreeSet<i64>>,
    /// Of these minutes there are too many cells.
    pub cut: Mutex<BTreeSet<i64>>,
}

impl Copy {
    /// What was asked for since the last call, whatever the number of tenants.
    pub fn take_asked(&self) -> Vec<(Range<i64>, Vec<Table>)> {
        let mut asked = std::mem::take(&mut *self.asked.lock().expect("no panic"));
        asked.dedup();
        asked
    }
}

#[async_trait]
impl Settle for Copy {
    async fn settle(&self, job: SettleJob) -> Result<SettledCells, SettleError> {
        let minutes = minute(job.range.from.micros())..minute(job.range.to.micros());
        self.asked.lock().expect("no panic").push((minutes.clone(), job.tables.clone()));
        if minutes.clone().any(|minute| self.broken.lock().expect("no panic").contains(&minute)) {
            return Err(SettleError("as a test wants".to_owned()));
        }
        let mut times: Vec<i64> = Vec::new();
        for table in FOLDED {
            let all = owned_times(&job.snapshot, table).await.map_err(SettleError)?;
            times.extend(all.into_iter().filter(|(tenant, _)| *tenant == job.tenant).map(|(_, time)| time));
        }
        let is_call = |time: &i64| {
            let is_silent = self.silent.lock().expect("no panic").contains(&minute(*time));
            job.range.meets(*time, *time) && !is_silent
        };
        times.retain(is_call);
        times.sort_unstable();
        let batches = job.tables.iter().map(|table| cells(*table, &job.tenant, &times)).collect();
        let is_cut = |minute: &i64| self.cut.lock().expect("no panic").contains(minute);
        Ok(SettledCells { batches, cut_windows: minutes.filter(is_cut).count() as u64 })
    }
}

/// Minutes after midnight.
pub(super) fn minute(time_micros: i64) -> i64 {
    minute_of(time_micros - MIDNIGHT)
}

/// The start of the cell of `table` that a time is in.
pub(super) fn cell_of(table: Table, time: i64) -> i64 {
    let micros = i64::from(table.cell_seconds().expect("a table of cells")) * 1_000_000;
    time.div_euclid(micros) * micros
}

/// One cell per time, all of one tenant.
fn cells(table: Table, tenant: &str, times: &[i64]) -> TableBatch {
    let times: Vec<i64> = times.iter().map(|time| cell_of(table, *time)).collect();
    let filled = rows(table, &times);
    let place = table.schema().index_of("tenant").expect("a column");
    let mut columns = filled.rows().columns().to_vec();
    let same = std::iter::repeat_n(tenant, times.len()).collect::<DictionaryArray<Int32Type>>();
    columns[place] = std::sync::Arc::new(same);
    let rows = RecordBatch::try_new(table.schema().clone(), columns).expect("columns fit the schema");
    TableBatch::try_new(table, rows).expect("columns are the table's")
}

/// Tenant and time of all rows of a table.
async fn owned_times(snapshot: &Snapshot, table: Table) -> Result<Vec<(String, i64)>, String> {
    let mut owned = Vec::new();
    for file in snapshot.table(table).files.iter() {
        let object = snapshot.object_store().get(&file.path).await.map_err(|error| error.to_string())?;
        let bytes = object.bytes().await.map_err(|error| error.to_string())?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("Parquet");
        let only = ProjectionMask::columns(reader.parquet_schema(), ["tenant", "time"]);
        let reader = reader.with_projection(only).build().expect("a reader");
        owned.extend(reader.flat_map(|batch| owned_in(&batch.expect("readable"))));
    }
    owned.extend(snapshot.table(table).hot.iter().flat_map(|hot| owned_in(hot.batch.rows())));
    Ok(owned)
}

fn owned_in(rows: &RecordBatch) -> Vec<(String, i64)> {
    let column = |name: &str, data_type: &DataType| {
        cast(rows.column_by_name(name).expect("a column"), data_type).expect("a plain type")
    };
    let (tenants, times) = (column("tenant", &DataType::Utf8), column("time", &DataType::Int64));
    let tenants = tenants.as_string::<i32>().iter().map(|tenant| tenant.expect("set").to_owned());
    let times = times.as_primitive::<Int64Type>();
    assert_eq!(times.null_count(), 0);
    tenants.zip(times.values().iter().copied()).collect()
}

/// What is answered from `table`: cells of settled windows, rows of open ones, by the start of their cell; sorted.
pub(in crate::store::tests) async fn answer(snapshot: &Snapshot, table: Table) -> Vec<(String, i64)> {
    let open = snapshot.open(table, TimeRange::ALL);
    let is_open = |time: i64| open.iter().any(|range| range.meets(time, time));
    let mut answer = owned_times(snapshot, table).await.expect("readable");
    answer.retain(|(_, time)| !is_open(*time));
    for source in FOLDED {
        let rows = owned_times(snapshot, source).await.expect("readable");
        answer.extend(rows.into_iter().filter(|(_, time)| is_open(*time)));
    }
    answer.iter_mut().for_each(|(_, time)| *time = cell_of(table, *time));
    answer.sort();
    answer
}

/// All rows that calls are folded from, by the start of their cell in `table`; sorted.
pub(in crate::store::tests) async fn truth(snapshot: &Snapshot, table: Table) -> Vec<(String, i64)> {
    let mut truth = Vec::new();
    for source in FOLDED {
        truth.extend(owned_times(snapshot, source).await.expect("readable"));
    }
    truth.iter_mut().for_each(|(_, time)| *time = cell_of(table, *time));
    truth.sort();
    truth
}

/// The open windows of `table`, minutes after midnight: the first and the one after the last.
pub(super) fn open_minutes(snapshot: &Snapshot, table: Table) -> Vec<(i64, i64)> {
    let open = snapshot.open(table, TimeRange::ALL);
    open.iter().map(|range| (minute(range.from.micros()), minute(range.to.micros()))).collect()
}

pub(super) fn at(minute: i64) -> i64 {
    MIDNIGHT + minute * MICROS_PER_MINUTE
}
