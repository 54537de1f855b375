//! How many series there are of what, as Prometheus's status of its database tells it.

use std::collections::{BTreeMap, BTreeSet};

use meshlake_promql::{Error, Labels, METRIC_NAME};

use super::asking::{Prometheus, asked};
use crate::series::Wanted;

/// How far back series are counted, milliseconds: two hours, as Prometheus's head holds.
const BACK: i64 = 2 * 3_600_000;

/// Series that are counted. Guess, not measured: a page that people look at now and then.
const SERIES_MAX: usize = 100_000;

/// Counts of series; the lists have the largest first, ties by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Milliseconds since the epoch.
    pub from: i64,
    pub to: i64,
    pub series: usize,
    /// Different pairs of a label's name and value.
    pub label_pairs: usize,
    pub series_of_metric: Vec<(String, usize)>,
    pub values_of_label: Vec<(String, usize)>,
    pub bytes_of_label: Vec<(String, usize)>,
    /// By `name=value`.
    pub series_of_pair: Vec<(String, usize)>,
}

/// Counts the series of the last two hours up to `now`, at most a hundred thousand; lists have `limit` entries.
///
/// # Errors
/// Those of the sources, and of time and places.
pub async fn statistics(
    prometheus: &Prometheus,
    tenant: &str,
    now: i64,
    limit: usize,
) -> Result<Statistics, Error> {
    asked(prometheus, tenant, None, move |at| {
        let wanted = Wanted { matchers: &[], from: now - BACK, to: now, limit: SERIES_MAX };
        let series = at.merged.series(&[], wanted)?.found;
        Ok(Statistics { from: wanted.from, to: wanted.to, ..counted(&series, limit) })
    })
    .await
}

fn counted(series: &BTreeSet<Labels>, limit: usize) -> Statistics {
    let mut metrics = BTreeMap::<&str, usize>::new();
    let mut pairs = BTreeMap::<(&str, &str), usize>::new();
    for labels in series {
        *metrics.entry(labels.get(METRIC_NAME)).or_default() += 1;
        for label in labels.iter() {
            *pairs.entry((&label.name, &label.value)).or_default() += 1;
        }
    }
    let mut values = BTreeMap::<&str, usize>::new();
    let mut bytes = BTreeMap::<&str, usize>::new();
    for (name, value) in pairs.keys() {
        *values.entry(name).or_default() += 1;
        *bytes.entry(name).or_default() += value.len();
    }
    let of_pairs = pairs.iter().map(|((name, value), count)| (format!("{name}={value}"), *count));
    Statistics {
        series: series.len(),
        label_pairs: pairs.len(),
        series_of_metric: largest(metrics.iter().map(|(name, count)| ((*name).to_owned(), *count)), limit),
        values_of_label: largest(values.iter().map(|(name, count)| ((*name).to_owned(), *count)), limit),
        bytes_of_label: largest(bytes.iter().map(|(name, count)| ((*name).to_owned(), *count)), limit),
        series_of_pair: largest(of_pairs, limit),
        ..Statistics::default()
    }
}

fn largest(counts: impl Iterator<Item = (String, usize)>, limit: usize) -> Vec<(String, usize)> {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
    counts.truncate(limit);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_counted_by_metric_label_and_pair() {
        let series = [("m", "aa"), ("m", "b"), ("n", "b")];
        let series = series.map(|(name, x)| Labels::from_pairs([("__name__", name), ("x", x)]));
        let counted = counted(&BTreeSet::from(series), 2);
        let list = |pairs: [(&str, usize); 2]| pairs.map(|(name, count)| (name.to_owned(), count)).to_vec();
        assert_eq!((counted.series, counted.label_pairs), (3, 4));
        assert_eq!(counted.series_of_metric, list([("m", 2), ("n", 1)]));
        assert_eq!(counted.values_of_label, list([("__name__", 2), ("x", 2)]));
        assert_eq!(counted.bytes_of_label, list([("x", 3), ("__name__", 2)]));
        assert_eq!(counted.series_of_pair, list([("__name__=m", 2), ("x=b", 2)]));
    }
}
