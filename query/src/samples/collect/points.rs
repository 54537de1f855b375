//! Gauges and sums: a sample a row.

use std::ops::Range;

use arrow::array::RecordBatch;
use meshlake_promql::stale_marker;
use meshlake_schema::Table;
use meshlake_schema::rows::{Doubles, Rows, RowsError};

use super::gathered::Columns;
use super::{Collector, Keys, Place, Single, Stamps};
use crate::samples::stems::StemKey;

pub const COLUMNS: [&str; 1] = ["value"];

/// What rows tell of their points.
struct Told<'a> {
    stamps: Stamps<'a>,
    values: Doubles<'a>,
    /// Where each row tells a number at a time.
    all: Option<Columns<'a>>,
}

impl<'a> Told<'a> {
    fn of(rows: &Rows<'a>) -> Result<Self, RowsError> {
        let (stamps, values): (_, Doubles<'_>) = (Stamps::of(rows)?, rows.read("value")?);
        let all = stamps.all().zip(values.all());
        let all = all.map(|((times, starts), values)| Columns { times, starts, values });
        Ok(Told { stamps, values, all })
    }
}

impl Collector<'_> {
    pub(super) fn add_points(&mut self, batch: &RecordBatch) -> Result<(), RowsError> {
        let table = Table::MetricPoints;
        let told = Told::of(&Rows::of(table, batch))?;
        let mut keys = Keys::of(table, batch)?;
        let variants = &self.found.generation.variants;
        let mut from = 0;
        while from < batch.num_rows() {
            let key = keys.get(from, variants);
            let is_other = |row: &usize| keys.get(*row, variants) != key;
            let to = (from + 1..batch.num_rows()).find(is_other).unwrap_or(batch.num_rows());
            if let Some(place) = self.place_of_number(key) {
                self.gather(place, from..to, &told);
            }
            from = to;
        }
        Ok(())
    }

    fn gather(&mut self, place: Place, rows: Range<usize>, told: &Told<'_>) {
        if let Some(Columns { times, starts, values }) = told.all {
            self.samples += rows.len();
            let starts = starts.map(|starts| &starts[rows.clone()]);
            let columns = Columns { times: &times[rows.clone()], starts, values: &values[rows] };
            return self.gathered.add(place, columns);
        }
        for row in rows {
            let value = if told.stamps.is_stale(row) { Some(stale_marker()) } else { told.values.get(row) };
            if let Some(value) = value {
                self.samples += 1;
                self.gathered.push(place, told.stamps.when(row), value);
            }
        }
    }

    fn place_of_number(&mut self, key: StemKey) -> Option<Place> {
        let stem = self.found.place(key)?;
        if let Some(known) = self.single[stem].known() {
            return known;
        }
        let place = self.place(stem, "", None);
        self.single[stem] = Single::of(place);
        place
    }
}
