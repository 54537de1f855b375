//! Where series come from: what the questions of Prometheus's API ask of the world.
//!
//! There are two sources: metrics that were received, and metrics that are counted from calls. Both are asked for samples
//! by an evaluation, and for the names and labels of series without their samples by editors and browsers. A source
//! blocks the thread that asks while it reads, so it is asked from a thread that may wait.

use std::collections::BTreeSet;

use meshlake_engine::QueryError;
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

/// Labels of a series, and events of it.
pub type Exemplified = (Labels, Vec<Exemplar>);

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
    fn exemplars(&self, wanted: &Wanted<'_>) -> Result<Found<Vec<Exemplified>>, Error>;
}

/// What an evaluation is told when a source cannot read its rows, in Prometheus's kinds. What is ours or the disk's is
/// logged whole here and told without details.
pub fn unread(error: &QueryError) -> Error {
    match error {
        QueryError::TimedOut(_) => Error::Timeout("expression evaluation".to_owned()),
        QueryError::Busy => Error::Timeout("query queue".to_owned()),
        QueryError::Snapshot(_) | QueryError::Storage(_) | QueryError::Internal(_) => {
            tracing::warn!(%error, "read series");
            Error::Internal(error.told())
        }
        QueryError::Invalid(_)
        | QueryError::Refused(_)
        | QueryError::TooManyRows(_)
        | QueryError::TooManyBytes(_)
        | QueryError::Memory(_) => Error::Execution(error.told()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_ours_is_told_without_details_and_what_is_the_askers_with() {
        let cases = [
            (
                QueryError::TimedOut(Duration::from_secs(1)),
                Error::Timeout("expression evaluation".to_owned()),
            ),
            (QueryError::Busy, Error::Timeout("query queue".to_owned())),
            (QueryError::Invalid("no column x".to_owned()), Error::Execution("no column x".to_owned())),
            (
                QueryError::Storage("/var/lib".to_owned()),
                Error::Internal("stored data could not be read".to_owned()),
            ),
            (
                QueryError::Internal("bug".to_owned()),
                Error::Internal("the server failed; its log says more".to_owned()),
            ),
        ];
        for (error, want) in cases {
            assert_eq!(unread(&error), want, "{error:?}");
        }
    }
}
