//! The rows of one page.
//!
//! Rows of one instant are sorted by what tells them apart, so that the same question has the same pages whatever order the
//! threads of a scan bring rows in. Rows that are alike in all of it may change places, and nobody could tell.

use std::cmp::Reverse;
use std::ops::Bound;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use futures::TryStreamExt;
use meshlake_engine::{Query, QueryError, Scan};
use meshlake_schema::filter::{Place, Test, Value};
use meshlake_schema::rows::{Integers, RowsError, Text};
use meshlake_schema::{Filter, Table, TimeRange, UnixNanos, read_columns};

use super::{Asked, Narrowing};
use crate::explore::cursor::Cursor;

/// Rows that are held beyond those of the page before the page is cut out of them. Guess, not measured.
const HELD_MAX: usize = 16_384;

read_columns! {
    /// What rows are sorted and looked at by.
    struct Keys of Table::Requests {
        time_unix_nano: Integers,
        duration_nano: Integers,
        response_flags: Integers,
        stream_id: Text,
        request_id: Text,
        span_id: Text,
        observer: Text,
        proxy_id: Text,
        destination_service: Text,
        downstream_remote_address: Text,
        path: Text,
    }
}

/// Rows of `reach` that pass, from the cursor on, with the place of each, and where the next page begins.
pub async fn rows(
    query: &Query,
    asked: &Asked<'_>,
    reach: TimeRange,
    rows_max: usize,
) -> Result<(RecordBatch, Vec<Cursor>, Option<Cursor>), QueryError> {
    let mut columns: Vec<&str> = Keys::NAMES.to_vec();
    columns.extend(asked.columns.iter().filter(|column| !Keys::NAMES.contains(column)));
    let wanted = asked.cursor.skip + rows_max + 1;
    let found = newest(query, asked.narrowing, (reach, asked.cursor.time), Some(&columns), wanted).await?;
    let times = times(&found)?;
    let skipped = times.iter().take(asked.cursor.skip).take_while(|time| **time == asked.cursor.time).count();
    let count = (times.len() - skipped).min(rows_max);
    let places = asked.cursor.places(times[skipped..skipped + count].iter().copied());
    let has_more = times.len() > skipped + count;
    let next = places.last().filter(|_| has_more).map(|place| place.next());
    Ok((found.slice(skipped, count), places, next))
}

/// All columns of the row at the cursor; no row if there is none.
///
/// It is found by few columns first. Where it has an id, files then decode the many others of its row alone.
pub async fn whole_row(query: &Query, asked: &Asked<'_>) -> Result<RecordBatch, QueryError> {
    let Cursor { time, skip } = asked.cursor;
    let reach = (asked.range, time);
    let found = newest(query, asked.narrowing, reach, Some(Keys::NAMES), skip + 1).await?;
    if found.num_rows() <= skip {
        return Ok(found.slice(0, 0));
    }
    let keys = Keys::of(&found).map_err(|error| unread(&error))?;
    let (mut narrowing, mut before) = (asked.narrowing.clone(), skip);
    if let Some(id) = keys.request_id.named(skip) {
        narrowing.of_request(id);
        before = (0..skip).filter(|row| keys.request_id.get(*row) == Some(id)).count();
    }
    let found = newest(query, &narrowing, reach, None, before + 1).await?;
    Ok(found.slice(before.min(found.num_rows()), usize::from(found.num_rows() > before)))
}

/// The newest rows of `reach`, none later than `last`, newest first.
async fn newest(
    query: &Query,
    narrowing: &Narrowing,
    (reach, last): (TimeRange, UnixNanos),
    columns: Option<&[&str]>,
    rows_max: usize,
) -> Result<RecordBatch, QueryError> {
    // The range is of microseconds.
    let nanos = Test::IsWithin(
        Bound::Included(Value::Integer(reach.from.0)),
        Bound::Included(Value::Integer(last.0.min(reach.to.0.saturating_sub(1)))),
    );
    let exact = Filter::Is(Place::Column("time_unix_nano".to_owned()), nanos);
    let range = TimeRange { from: reach.from, to: UnixNanos(reach.to.0.saturating_add(999)) };
    let filter = narrowing.filter().and(exact);
    let scan = Scan { columns, filter, range, ..Scan::of(Table::Requests) };
    let mut stream = query.scan(&scan).await?;
    let mut held: Vec<RecordBatch> = Vec::new();
    let mut count = 0;
    while let Some(batch) = stream.try_next().await? {
        let batch = passing(&batch, narrowing)?;
        count += batch.num_rows();
        held.push(batch);
        if count > rows_max + HELD_MAX {
            held = vec![sorted(&held, rows_max)?];
            count = held[0].num_rows();
        }
    }
    if held.is_empty() {
        return Ok(RecordBatch::new_empty(stream.schema().clone()));
    }
    sorted(&held, rows_max)
}

fn passing(batch: &RecordBatch, narrowing: &Narrowing) -> Result<RecordBatch, QueryError> {
    let keys = Keys::of(batch).map_err(|error| unread(&error))?;
    let passes = |row: &usize| narrowing.passes(keys.response_flags.or_zero(*row), keys.path.get(*row));
    let rows: Vec<usize> = (0..batch.num_rows()).filter(passes).collect();
    if rows.len() == batch.num_rows() { Ok(batch.clone()) } else { taken(batch, rows) }
}

/// The first rows of all.
fn sorted(held: &[RecordBatch], rows_max: usize) -> Result<RecordBatch, QueryError> {
    let whole = concat_batches(held[0].schema_ref(), held).map_err(|error| bug(&error))?;
    let keys = Keys::of(&whole).map_err(|error| unread(&error))?;
    let mut rows: Vec<usize> = (0..whole.num_rows()).collect();
    rows.sort_by_cached_key(|row| keys.of_row(*row));
    rows.truncate(rows_max);
    taken(&whole, rows)
}

fn taken(batch: &RecordBatch, rows: Vec<usize>) -> Result<RecordBatch, QueryError> {
    let rows: UInt32Array = rows.into_iter().map(|row| row as u32).collect();
    take_record_batch(batch, &rows).map_err(|error| bug(&error))
}

impl<'a> Keys<'a> {
    fn of_row(&self, row: usize) -> (Reverse<i64>, [Option<&'a str>; 7], i64) {
        let texts = [
            self.stream_id,
            self.request_id,
            self.span_id,
            self.observer,
            self.proxy_id,
            self.destination_service,
            self.downstream_remote_address,
        ];
        let time = Reverse(self.time_unix_nano.or_zero(row));
        (time, texts.map(|text| text.get(row)), self.duration_nano.or_zero(row))
    }
}

fn times(batch: &RecordBatch) -> Result<Vec<UnixNanos>, QueryError> {
    let keys = Keys::of(batch).map_err(|error| unread(&error))?;
    Ok((0..batch.num_rows()).map(|row| UnixNanos(keys.time_unix_nano.or_zero(row))).collect())
}

fn unread(error: &RowsError) -> QueryError {
    QueryError::Internal(format!("read requests: {error}"))
}

fn bug(error: &dyn std::error::Error) -> QueryError {
    QueryError::Internal(format!("sort requests: {error}"))
}
