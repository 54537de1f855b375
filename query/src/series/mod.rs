//! Where series come from: what the questions of Prometheus's API ask of the world.
//!
//! There are two sources: metrics that were received, and metrics that are counted from calls. Both are asked for samples
//! by an evaluation, and for the names and labels of series without their samples by editors and browsers. A source
//! blocks the thread that asks while it reads, so it is asked from a thread that may wait.

use std::collections::BTreeSet;

use meshlake_promql::{Error, Labels, Matcher, Samples};

/// Which series are asked for: those with a sample at `from` or later and at the latest at `to`, both in
/// milliseconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// All have to match; none means every series.
    pub matchers: &'a [Matcher],
    pub from: i64,
    pub to: i64,
    /// So many at most.
    pub limit: usize,
}

/// What was found, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found<T> {
    pub found: T,
    /// Whether there are more than were asked for.
    pub is_cut: bool,
}

/// What is known of a metric beside its samples. Type and unit are Prometheus's words: `counter`, `gauge`, `histogram`,
/// `summary`, `unknown`; `seconds`, `bytes`, or none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Metadata {
    pub metric: String,
    pub kind: &'static str,
    pub help: String,
    pub unit: String,
}

/// One measured event of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// `trace_id`, `span_id` and what else was told of it.
    pub labels: Labels,
    pub value: f64,
    /// Milliseconds since the epoch.
    pub time: i64,
}

/// A source of series.
pub trait Source: Samples + Send + Sync {
    /// Label sets of series, in any order.
    ///
    /// # Errors
    /// As [`Samples::select`].
    fn series(&self, wanted: &Wanted<'_>) -> Result<Found<Vec<Labels>>, Error>;

    /// Names of the labels that series have.
    ///
    /// # Errors
    /// As [`Samples::select`].
    fn label_names(&self, wanted: &Wanted<'_>) -> Result<Found<BTreeSet<String>>, Error>;

    /// Values of one label. The names of all metrics (`__name__`, no matchers) are answered without a scan.
    ///
    /// # Errors
    /// As [`Samples::select`].
    fn label_values(&self, label: &str, wanted: &Wanted<'_>) -> Result<Found<BTreeSet<String>>, Error>;

    /// What is known of metrics; of all, or of the one named.
    ///
    /// # Errors
    /// As [`Samples::select`].
    fn metadata(&self, metric: Option<&str>) -> Result<Vec<Metadata>, Error>;

    /// Events whose traces are stored, of the series that match, each series once.
    ///
    /// # Errors
    /// As [`Samples::select`].
    fn exemplars(&self, wanted: &Wanted<'_>) -> Result<Found<Vec<(Labels, Vec<Exemplar>)>>, Error>;
}
