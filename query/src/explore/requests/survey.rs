//! All requests of a range in one pass over the columns that are counted; of files that lie in it as a whole, what was kept of them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use meshlake_engine::{DataFile, Part, Query, QueryError};
use meshlake_schema::rows::RowsError;
use meshlake_schema::{Table, TimeRange, UnixNanos};

use super::counting::{read, scanned};
use super::counts::Counts;
use super::kept::{self, OfFile};
use super::narrowing::OUTCOMES;
use super::{Asked, Dimension, Narrowing};
use crate::explore::bars::Bars;
use crate::explore::facets::Facet;
use crate::explore::newest::Newest;

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
    let files: Vec<&DataFile> = query.files(Table::Requests).iter().filter(is_met).collect();
    let is_worth = kept::are_worth(&whole.bars, asked.narrowing, &files);
    let (inside, cut): (Vec<&DataFile>, Vec<&DataFile>) =
        files.into_iter().partition(|file| is_worth && is_inside(range, file));
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

fn is_inside(range: TimeRange, file: &DataFile) -> bool {
    file.time_min_micros >= range.from.micros() && file.time_max_micros < range.to.micros()
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
