//! Functions of SQL over histograms of settled calls: merged, counted, and asked for quantiles.
//!
//! ```text
//! merge    hist_merge: many histograms -> one
//! told     hist_quantile, hist_count, hist_count_below: one histogram -> a number
//! column   a histogram as arguments and as a value
//! ```
//! Cells keep histograms as columns of lists, which any reader understands and which SQL cannot add up or rank. These
//! functions do it by [`meshlake_schema::LatencyHistogram`], which the APIs use as well, so that a percentile here is
//! theirs to the last bit. Values are nanoseconds there and milliseconds here, counts are thousandths there and calls
//! here.

mod merge;
mod told;
mod column;

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

/// Those that add up.
pub fn aggregates() -> impl Iterator<Item = Arc<AggregateUDF>> {
    std::iter::once(Arc::new(AggregateUDF::from(merge::Merge::default())))
}

/// Those that tell of one histogram.
pub fn scalars() -> impl Iterator<Item = Arc<ScalarUDF>> {
    told::Told::all().map(|function| Arc::new(ScalarUDF::from(function)))
}
