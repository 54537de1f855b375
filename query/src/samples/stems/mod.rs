//! What stored series are called in Prometheus: one stem a stored series, from which its series there grow.
//!
//! A gauge is one series, a histogram of ten buckets is twelve, and they have all labels in common but one. So labels are
//! made once a stem, when the first of its rows is met, and rows are told apart by numbers.
//!
//! The id of a stored series does not cover what a sender may change without beginning a new one: unit, shape,
//! temporality, the version and attributes of its scope. Rows that differ there are stems of their own.

mod key;
mod labels;

use std::sync::Arc;

use meshlake_promql::{Label, Labels, METRIC_NAME};
use meshlake_schema::Table;

pub use key::{Keys, StemKey, Variants, has, optional, points_of};
pub use labels::{PROMOTED, Promoted, ResourceLabels, Scope, labels};

/// How a remote-written row is marked: labels and names of such rows are stored as they were sent, and are given back so.
pub const REMOTE_WRITTEN: &str = "prometheus.remote_write";

/// Into which series a stem grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One series of floats.
    Number,
    /// `_bucket` with one `le` each, `_count` and `_sum`.
    Classic,
    /// One series of native histograms, exponential or with custom buckets.
    Native,
    /// One series a quantile, `_count` and `_sum`.
    Summary,
}

impl Shape {
    /// The shape of rows of a metric table. Bounds that came by remote write were a native histogram's.
    pub fn of(table: Table, is_remote_written: bool) -> Shape {
        match (table, is_remote_written) {
            (Table::MetricHistograms, false) => Shape::Classic,
            (Table::MetricHistograms, true) | (Table::MetricExpHistograms, _) => Shape::Native,
            (Table::MetricSummaries, _) => Shape::Summary,
            _ => Shape::Number,
        }
    }

    /// Whether it grows into several series.
    pub fn is_spread(self) -> bool {
        matches!(self, Shape::Classic | Shape::Summary)
    }

    /// What is put behind the family's name.
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Shape::Number | Shape::Native => &[""],
            Shape::Classic => &["_bucket", "_sum", "_count"],
            Shape::Summary => &["", "_sum", "_count"],
        }
    }
}

/// A stored series, as Prometheus sees it.
#[derive(Debug)]
pub struct Stem {
    /// The metric as it is stored.
    pub metric: Arc<str>,
    /// The name of its series, without an ending.
    pub family: Arc<str>,
    /// With the family for the name, without the one that tells its series apart.
    pub labels: Labels,
    pub shape: Shape,
    /// Whether each point tells of the time since the one before, not since the counter began.
    pub is_delta: bool,
    pub is_remote_written: bool,
    /// Labels whose values several attributes made.
    pub collisions: Vec<String>,
}

impl Stem {
    /// The labels of the series with that ending, and a label more.
    pub fn labels(&self, ending: &str, more: Option<(&str, &str)>) -> Labels {
        if ending.is_empty() && more.is_none() {
            return self.labels.clone();
        }
        let whole = |label: &Label| {
            let is_name = *label.name == *METRIC_NAME && !ending.is_empty();
            let value =
                if is_name { format!("{}{ending}", self.family).into() } else { Arc::clone(&label.value) };
            (Arc::clone(&label.name), value)
        };
        let more = more.map(|(name, value)| (Arc::from(name), Arc::from(value)));
        Labels::from_pairs::<Arc<str>, Arc<str>>(self.labels.iter().map(whole).chain(more))
    }

    /// The value of a label; empty without it.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name)
    }
}
