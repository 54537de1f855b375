//! Samples as they are, for other programs that evaluate or keep them: remote read and federation.
//!
//! Nothing of an evaluation bounds these, so what was read is charged here, and bounded as an answer is.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshlake_promql::{
    Error, Hints, Labels, Matcher, Options, Point, Samples as _, Selection, SeriesSamples, is_stale,
};
use meshlake_schema::Budget;
use meshlake_schema::budget::Holding;

use super::asking::{At, Prometheus, asked};
use super::bounds::{label_bytes, point_bytes};
use super::selectors::{Condition, any_sets_of, matchers_of};

/// One selection: all conditions, later than `after` and at the latest at `until`, milliseconds since the epoch.
#[derive(Debug, Clone)]
pub struct Read {
    pub conditions: Vec<Condition>,
    pub after: i64,
    pub until: i64,
}

/// What was read, whose memory stays charged until this is dropped.
#[derive(Debug)]
pub struct ReadSeries {
    /// One list a selection, each sorted by labels.
    pub lists: Vec<Vec<SeriesSamples>>,
    _budget: Arc<dyn Budget>,
}

/// The latest sample of a series and its time in milliseconds since the epoch.
pub type Latest = (Labels, i64, Point);

/// All samples of the selections.
///
/// # Errors
/// Those of the sources; [`Error::Execution`] for more than `query.answer_bytes_max`.
pub async fn read(prometheus: &Prometheus, tenant: &str, reads: Vec<Read>) -> Result<ReadSeries, Error> {
    asked(prometheus, tenant, None, move |at| {
        let mut left = at.answer_bytes_max;
        let mut lists = Vec::with_capacity(reads.len());
        for Read { conditions, after, until } in &reads {
            let mut held = Holding::new(at.budget.as_ref());
            let matchers = matchers_of(conditions, &mut held)?;
            lists.push(selected(at, &matchers, (*after, *until), &mut left)?);
        }
        Ok(ReadSeries { lists, _budget: Arc::clone(&at.budget) })
    })
    .await
}

/// The latest samples, not older than Prometheus's lookback at `now`, of the series that match any of `selectors`, sorted
/// by labels. Series that ended have none.
///
/// # Errors
/// As [`read`].
pub async fn latest(
    prometheus: &Prometheus,
    tenant: &str,
    selectors: Vec<String>,
    now: i64,
) -> Result<Vec<Latest>, Error> {
    asked(prometheus, tenant, None, move |at| {
        let mut held = Holding::new(at.budget.as_ref());
        let sets = any_sets_of(&selectors, &mut held)?;
        let after = now.saturating_sub(Options::default().lookback);
        let mut left = at.answer_bytes_max;
        let mut all = BTreeMap::new();
        for matchers in &sets {
            for series in selected(at, matchers, (after, now), &mut left)? {
                if let Some((time, point)) = latest_of(&series) {
                    all.insert(series.labels, (time, point));
                }
            }
        }
        Ok(all.into_iter().map(|(labels, (time, point))| (labels, time, point)).collect())
    })
    .await
}

fn selected(
    at: &At,
    matchers: &[Matcher],
    (after, until): (i64, i64),
    left: &mut usize,
) -> Result<Vec<SeriesSamples>, Error> {
    let selection = Selection { matchers, after, until, hints: Hints::default() };
    let mut series = at.merged.select(&selection)?.series;
    let bytes: usize = series.iter().map(bytes).sum();
    *left = left.checked_sub(bytes).ok_or_else(|| {
        Error::Execution(format!("the samples are more than {} bytes: ask for less", at.answer_bytes_max))
    })?;
    at.budget.grow(bytes)?;
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(series)
}

fn bytes(series: &SeriesSamples) -> usize {
    let histograms = series.histograms.values.iter();
    let histograms = histograms.map(|histogram| point_bytes(&Point::Histogram(Arc::clone(histogram))));
    label_bytes(&series.labels) + series.floats.len() * point_bytes(&Point::None) + histograms.sum::<usize>()
}

/// The last sample, unless it says that the series ended.
fn latest_of(series: &SeriesSamples) -> Option<(i64, Point)> {
    let float = series.floats.times.last().zip(series.floats.values.last());
    let histogram = series.histograms.times.last().zip(series.histograms.values.last());
    let (time, point) = match (float, histogram) {
        (Some((at, value)), histogram) if histogram.is_none_or(|(later, _)| later <= at) => {
            (*at, Point::Float(*value))
        }
        (_, Some((at, histogram))) => (*at, Point::Histogram(Arc::clone(histogram))),
        _ => return None,
    };
    let has_ended = match &point {
        Point::Float(value) => is_stale(*value),
        Point::Histogram(histogram) => is_stale(histogram.sum),
        Point::None => true,
    };
    (!has_ended).then_some((time, point))
}

#[cfg(test)]
mod tests {
    use meshlake_promql::{Histogram, stale_marker};
    use meshlake_schema::budget::Allowance;

    use super::super::fixture::Memory;
    use super::super::merged::Merged;
    use super::*;

    fn at(answer_bytes_max: usize) -> At {
        let memory = Memory::new(&[("m", "b", &[(0, 1.0), (1_000, 2.0)]), ("m", "a", &[(500, 3.0)])]);
        let budget = Arc::new(Allowance::new(1 << 20, None));
        At { merged: Merged::new(vec![Box::new(memory)]), budget, answer_bytes_max }
    }

    #[test]
    fn samples_are_sorted_by_labels_and_bounded_together() {
        let matchers = [Matcher::equal("__name__", "m")];
        let read = |at: &At, left: &mut usize| selected(at, &matchers, (-1, 1_000), left);
        let mut left = 1_000;
        let series = read(&at(1_000), &mut left).expect("there is room");
        assert_eq!(series.iter().map(|series| series.labels.get("x")).collect::<Vec<_>>(), ["a", "b"]);
        let used = 1_000 - left;
        let mut exact = used;
        assert!(read(&at(used), &mut exact).is_ok());
        let mut short = used - 1;
        assert!(matches!(read(&at(used), &mut short), Err(Error::Execution(_))));
    }

    #[test]
    fn the_latest_sample_counts_unless_it_is_an_end() {
        let mut series = SeriesSamples::default();
        assert_eq!(latest_of(&series), None);
        series.floats.push(1, 5.0);
        assert_eq!(latest_of(&series), Some((1, Point::Float(5.0))));
        let histogram = Arc::new(Histogram { count: 2.0, ..Histogram::default() });
        series.histograms.push(2, Arc::clone(&histogram));
        assert_eq!(latest_of(&series), Some((2, Point::Histogram(histogram))));
        series.floats.push(3, stale_marker());
        assert_eq!(latest_of(&series), None);
    }
}
