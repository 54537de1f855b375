//! Gauges and sums: a sample a row.

use arrow::array::RecordBatch;
use meshlake_promql::stale_marker;
use meshlake_schema::Table;
use meshlake_schema::rows::{Doubles, Rows, RowsError};

use super::{Collector, Keys, Place, Single, Stamps};

pub const COLUMNS: [&str; 1] = ["value"];

impl Collector<'_> {
    pub(super) fn add_points(&mut self, batch: &RecordBatch) -> Result<(), RowsError> {
        let table = Table::MetricPoints;
        let rows = Rows::of(table, batch);
        let stamps = Stamps::of(&rows)?;
        let values: Doubles<'_> = rows.read("value")?;
        let mut keys = Keys::of(table, batch)?;
        let mut last = None;
        for row in 0..batch.num_rows() {
            let key = keys.get(row, &self.found.generation.variants);
            let place = match last {
                Some((known, place)) if known == key => place,
                _ => self.place_of_number(key),
            };
            last = Some((key, place));
            let Some(place) = place else { continue };
            let value = match values.get(row) {
                _ if stamps.is_stale(row) => stale_marker(),
                Some(value) => value,
                None => continue,
            };
            self.push(place, stamps.when(row), value);
        }
        Ok(())
    }

    fn place_of_number(&mut self, key: crate::samples::stems::StemKey) -> Option<Place> {
        let stem = self.found.place(key)?;
        if let Some(known) = self.single[stem].known() {
            return known;
        }
        let place = self.place(stem, "", None);
        self.single[stem] = Single::of(place);
        place
    }
}
