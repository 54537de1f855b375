//! How queries are evaluated, and how much they may take.
//!
//! Defaults are Prometheus's: a dashboard that was written for it sees the same.

/// How queries are evaluated; defaults are Prometheus's.
#[derive(Debug, Clone)]
pub struct Options {
    /// Milliseconds that a sample is the latest one for.
    pub lookback: i64,
    /// Milliseconds between the instants of a subquery that names no step.
    pub subquery_step: i64,
    /// Steps of a question.
    pub steps_max: usize,
    /// Samples that are in memory at once, those of histograms by their weight.
    pub samples_max: usize,
    /// Series that are read, over all selectors.
    pub series_max: usize,
    /// Whether names are dropped only from the answer, so that operators can still group by them (Prometheus's
    /// `promql-delayed-name-removal`).
    pub drops_names_last: bool,
    /// Whether metrics carry their type in `__type__` (Prometheus's `type-and-unit-labels`).
    pub has_type_labels: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            lookback: 5 * 60_000,
            subquery_step: 60_000,
            // A pixel each on the widest screens; Prometheus has the same.
            steps_max: 11_000,
            // 800 MB of floats; Prometheus has the same.
            samples_max: 50_000_000,
            series_max: 10_000,
            drops_names_last: false,
            has_type_labels: false,
        }
    }
}
