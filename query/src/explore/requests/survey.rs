//! All requests of a range in one pass over the columns that are counted; of files that lie in it as a whole, what was kept of them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use meshlake_engine::{DataFile, Lean, Part, Query, QueryError, Scan};
use meshlake_schema::rows::{Interned, RowsError};
use meshlake_schema::{Outcome, Table, TimeRange, UnixNanos};

use super::counts::{Columns, Counts, NUMBERS, PATH};
use super::kept::{self, OfFile};
use super::narrowing::{OUTCOMES, band};
use super::{Asked, Dimension, Narrowing};
use crate::explore::bars::Bars;
use crate::explore::facets::Facet;
use crate::explore::newest::Newest;
use crate::explore::reading::fold;

/// What one thread has counted.
pub struct Survey {
    pub bars: Bars<{ OUTCOMES.len() }>,
    newest: Newest,
    /// Where rows of files begin of which only this is known, and that some are near the last time that is looked for.
    near_last: Option<UnixNanos>,
    counts: Counts,
}

/// Reads the range.
pub async fn survey(query: &Query, asked: &Asked<'_>, newest: usize) -> Result<Survey, QueryError> {
    let (range, last) = (asked.range, asked.cursor.time);
    let new = || Survey {
        bars: Bars::new(range.from, range.to),
        newest: Newest::new(newest, last),
        near_last: None,
        counts: Counts::default(),
    };
    let mut whole = new();
    let is_met = |file: &&DataFile| range.meets(file.time_min_micros, file.time_max_micros);
    let files = query.files(Table::Requests).iter().filter(is_met);
    let (inside, cut): (Vec<&DataFile>, Vec<&DataFile>) =
        files.partition(|file| kept::fits(&whole.bars, range, file));
    for of_file in kept::of(query, asked.narrowing, &inside).await? {
        whole.add_file(&of_file, last);
    }
    let narrowing = Arc::new(asked.narrowing.clone());
    for part in [Part::Files(&cut), Part::Buffered] {
        if matches!(part, Part::Files([])) {
            continue;
        }
        let narrowing = Arc::clone(&narrowing);
        let each = move |survey: &mut Survey, batch: &RecordBatch| survey.add(batch, &narrowing);
        let parts = scanned(query, asked.narrowing, (part, range), new, each).await?;
        parts.into_iter().for_each(|part| whole.merge(part));
    }
    Ok(whole)
}

/// What threads make of the columns that are counted, of the rows there that the scan's filter passes.
pub async fn scanned<S: Send + 'static>(
    query: &Query,
    narrowing: &Narrowing,
    (part, range): (Part<'_>, TimeRange),
    new: impl Fn() -> S,
    each: impl Fn(&mut S, &RecordBatch) -> Result<(), RowsError> + Send + Sync + 'static,
) -> Result<Vec<S>, QueryError> {
    let columns = if narrowing.needs_path() { Columns::NAMES } else { &Columns::NAMES[..PATH] };
    let lean = Some(Lean { dictionaries: &Columns::NAMES[NUMBERS..PATH], nested: &[] });
    let filter = narrowing.filter();
    let scan = Scan { columns: Some(columns), filter, range, lean, part, ..Scan::of(Table::Requests) };
    let each = move |state: &mut S, batch: &RecordBatch| {
        each(state, batch).map_err(|error| QueryError::Internal(format!("read requests: {error}")))
    };
    fold(query, &scan, new, each).await
}

/// Counts the rows of a batch that pass, and gives time and band of each.
pub fn read(
    batch: &RecordBatch,
    narrowing: &Narrowing,
    counts: &mut Counts,
    mut each: impl FnMut(UnixNanos, usize),
) -> Result<(), RowsError> {
    let columns = Columns::of(batch)?;
    let passes = |row: &usize| narrowing.passes(columns.response_flags.or_zero(*row), columns.path.get(*row));
    let rows: Vec<usize> = (0..batch.num_rows()).filter(passes).collect();
    let mut outcomes = Interned::new(columns.outcome);
    for row in &rows {
        let time = columns.time_unix_nano.or_zero(*row);
        let known = outcomes.get(*row, |text| band(text).unwrap_or(Outcome::Ok));
        let outcome = known.unwrap_or(Outcome::Ok);
        let place = OUTCOMES.iter().position(|known| *known == outcome).unwrap_or_default();
        each(UnixNanos(time), place);
    }
    counts.add(&columns, &rows);
    Ok(())
}

impl Survey {
    fn add(&mut self, batch: &RecordBatch, narrowing: &Narrowing) -> Result<(), RowsError> {
        let Survey { bars, newest, counts, .. } = self;
        read(batch, narrowing, counts, |time, band| {
            bars.add(time, band);
            newest.offer(time);
        })
    }

    /// Adds what a file says. Of its rows only the slices are known that they start in: each is taken for as old as it can be, so
    /// that the newest reach far enough back. Those of the slice of `last` may be later and count for none, but are looked through.
    fn add_file(&mut self, of_file: &OfFile, last: UnixNanos) {
        for (start, rows) in of_file.slices() {
            for (band, rows) in rows.iter().enumerate() {
                self.bars.add_many(start, band, *rows);
            }
            if start.plus(kept::SLICE) <= last {
                self.newest.offer_many(start, rows.iter().sum());
            } else if start <= last {
                self.near_last = self.near_last.into_iter().chain([start]).min();
            }
        }
        self.counts.merge(&of_file.counts);
    }

    fn merge(&mut self, other: Survey) {
        self.bars.merge(&other.bars);
        self.newest.merge(other.newest);
        self.counts.merge(&other.counts);
    }

    /// How far back the newest rows reach; none without any.
    pub fn reach(&self) -> Option<UnixNanos> {
        self.newest.oldest().into_iter().chain(self.near_last).min()
    }

    /// In the order of [`Dimension::ALL`].
    pub fn facets(self, most: usize) -> Vec<(Dimension, Facet)> {
        self.counts.facets(most)
    }
}
