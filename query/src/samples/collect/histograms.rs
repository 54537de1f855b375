//! Histograms with explicit bounds: as Prometheus's classic ones, whose buckets count all values up to their bound. Those
//! that came by remote write are native ones with custom buckets, which is what they were.

use std::sync::Arc;

use arrow::array::RecordBatch;
use meshlake_promql::{CUSTOM_BUCKETS, Histogram, ResetHint, stale_marker, value_text};
use meshlake_schema::Table;
use meshlake_schema::rows::{DoubleLists, Doubles, IntegerLists, Integers, Rows, RowsError};

use super::native::hint;
use super::{Collector, Keys, Place, Stamps, When};
use crate::samples::stems::Shape;

pub const COLUMNS: [&str; 7] = [
    "count",
    "count_double",
    "sum",
    "explicit_bounds",
    "bucket_counts",
    "bucket_counts_double",
    "reset_hint",
];

/// Where the samples of one stem go.
#[derive(Debug, Default)]
pub struct Buckets {
    bounds: Vec<f64>,
    /// As many as bounds, none for one that is infinite.
    places: Vec<Option<Place>>,
    infinite: Option<Place>,
    count: Option<Place>,
    sum: Option<Place>,
}

/// The numbers of one row.
struct Row<'a> {
    when: When,
    is_stale: bool,
    count: f64,
    sum: Option<f64>,
    bounds: &'a [f64],
    counts: &'a [i64],
    /// Where counts have fractions, as none of a classic one has.
    exact: Option<&'a [f64]>,
    hint: ResetHint,
}

impl Collector<'_> {
    pub(super) fn add_histograms(&mut self, batch: &RecordBatch) -> Result<(), RowsError> {
        let table = Table::MetricHistograms;
        let rows = Rows::of(table, batch);
        let stamps = Stamps::of(&rows)?;
        let counts: Integers<'_> = rows.read("count")?;
        let sums: Doubles<'_> = rows.read("sum")?;
        let bounds: DoubleLists<'_> = rows.read("explicit_bounds")?;
        let buckets: IntegerLists<'_> = rows.read("bucket_counts")?;
        let exact_counts: Doubles<'_> = rows.read("count_double")?;
        let exact_buckets: DoubleLists<'_> = rows.read("bucket_counts_double")?;
        let hints: Integers<'_> = rows.read("reset_hint")?;
        let mut keys = Keys::of(table, batch)?;
        for row in 0..batch.num_rows() {
            let Some(stem) = self.found.place(keys.get(row, &self.found.generation.variants)) else {
                continue;
            };
            let read = Row {
                when: stamps.when(row),
                is_stale: stamps.is_stale(row),
                // Lossless up to 2^53 values.
                count: exact_counts.get(row).unwrap_or(counts.or_zero(row) as f64),
                sum: sums.get(row),
                bounds: bounds.get(row),
                counts: buckets.get(row),
                exact: exact_counts.get(row).map(|_| exact_buckets.get(row)),
                hint: hint(hints.get(row)),
            };
            match self.found.stem(stem).shape {
                Shape::Native => self.add_custom(stem, &read),
                _ => self.add_classic(stem, &read),
            }
        }
        Ok(())
    }

    fn add_custom(&mut self, stem: usize, row: &Row<'_>) {
        let Some(place) = self.place_of_native(stem) else { return };
        let whole = row.counts.iter().map(|count| *count as f64);
        let counts = row.exact.map_or_else(|| whole.collect(), <[f64]>::to_vec);
        let filled = (0_i32..).zip(counts).filter(|(_, count)| *count != 0.0);
        let histogram = Histogram {
            schema: CUSTOM_BUCKETS,
            count: row.count,
            sum: if row.is_stale { stale_marker() } else { row.sum.unwrap_or(0.0) },
            positive: filled.collect(),
            hint: row.hint,
            custom_bounds: Arc::from(row.bounds),
            ..Histogram::default()
        };
        self.push_histogram(place, row.when, histogram);
    }

    fn add_classic(&mut self, stem: usize, row: &Row<'_>) {
        let mut buckets = match self.buckets.remove(&stem) {
            Some(known) if row.is_stale || known.bounds == row.bounds => known,
            _ => self.buckets_of(stem, row.bounds),
        };
        let value = |value: f64| if row.is_stale { stale_marker() } else { value };
        let mut so_far = 0.0;
        // A row may tell only the sum and the count, and a stale one nothing: its bounds are those of the row before.
        let counts = row.counts.iter().map(|count| *count as f64);
        let counts: Vec<f64> = if row.is_stale { vec![0.0; buckets.places.len()] } else { counts.collect() };
        for (place, count) in buckets.places.iter().zip(counts) {
            so_far += count;
            if let Some(place) = place {
                self.push(*place, row.when, value(so_far));
            }
        }
        for place in [buckets.infinite, buckets.count].into_iter().flatten() {
            self.push(place, row.when, value(row.count));
        }
        if let Some(sum) = row.sum {
            buckets.sum = buckets.sum.or_else(|| self.place(stem, "_sum", None));
            if let Some(place) = buckets.sum {
                self.push(place, row.when, value(sum));
            }
        } else if let Some(place) = buckets.sum.filter(|_| row.is_stale) {
            self.push(place, row.when, stale_marker());
        }
        self.buckets.insert(stem, buckets);
    }

    fn buckets_of(&mut self, stem: usize, bounds: &[f64]) -> Buckets {
        let place = |collector: &mut Self, bound: f64| {
            // The infinite one is made of the count.
            let text = Some(value_text(bound)).filter(|_| bound != f64::INFINITY)?;
            collector.place(stem, "_bucket", Some(("le", &text)))
        };
        Buckets {
            bounds: bounds.to_vec(),
            places: bounds.iter().map(|bound| place(self, *bound)).collect(),
            infinite: self.place(stem, "_bucket", Some(("le", "+Inf"))),
            count: self.place(stem, "_count", None),
            sum: None,
        }
    }
}
