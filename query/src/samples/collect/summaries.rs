//! Summaries: a series a quantile, the sum and the count.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use meshlake_promql::{stale_marker, value_text};
use meshlake_schema::Table;
use meshlake_schema::rows::{Doubles, Integers, Quantiles, Rows, RowsError};

use super::{Collector, Keys, Place, Stamps};

pub const COLUMNS: [&str; 3] = ["count", "sum", "quantiles"];

/// Where the samples of one stem go.
#[derive(Debug)]
pub struct QuantilePlaces {
    sum: Option<Place>,
    count: Option<Place>,
    /// By the bits of the quantile.
    quantiles: HashMap<u64, Option<Place>>,
}

impl Collector<'_> {
    pub(super) fn add_summaries(&mut self, batch: &RecordBatch) -> Result<(), RowsError> {
        let table = Table::MetricSummaries;
        let rows = Rows::of(table, batch);
        let stamps = Stamps::of(&rows)?;
        let counts: Integers<'_> = rows.read("count")?;
        let sums: Doubles<'_> = rows.read("sum")?;
        let quantiles: Quantiles<'_> = rows.read("quantiles")?;
        let mut keys = Keys::of(table, batch)?;
        for row in 0..batch.num_rows() {
            let Some(stem) = self.found.place(keys.get(row, &self.found.generation.variants)) else {
                continue;
            };
            let mut places = self.quantiles.remove(&stem).unwrap_or_else(|| QuantilePlaces {
                sum: self.place(stem, "_sum", None),
                count: self.place(stem, "_count", None),
                quantiles: HashMap::new(),
            });
            let when = stamps.when(row);
            let is_stale = stamps.is_stale(row);
            let value = |value: f64| if is_stale { stale_marker() } else { value };
            for at in quantiles.places(row) {
                let (Some(quantile), Some(told)) = (quantiles.quantile.get(at), quantiles.value.get(at))
                else {
                    continue;
                };
                let place = *places
                    .quantiles
                    .entry(quantile.to_bits())
                    .or_insert_with(|| self.place(stem, "", Some(("quantile", &value_text(quantile)))));
                if let Some(place) = place.filter(|_| !is_stale) {
                    self.push(place, when, told);
                }
            }
            // A stale row may have no quantiles: all that there were have ended.
            if is_stale {
                for place in places.quantiles.values().flatten() {
                    self.push(*place, when, stale_marker());
                }
            }
            for (place, told) in
                [(places.sum, sums.get(row)), (places.count, Some(counts.or_zero(row) as f64))]
            {
                if let (Some(place), Some(told)) = (place, told) {
                    self.push(place, when, value(told));
                }
            }
            self.quantiles.insert(stem, places);
        }
        Ok(())
    }
}
