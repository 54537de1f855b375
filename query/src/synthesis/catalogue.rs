//! Names, labels and label sets without samples, out of what is kept of the cells.
//!
//! Editors and browsers ask for them over any range, also all of time; they are told of the last day of it. Names of
//! metrics are told without a look at any cell: Kiali takes what is missing among them for what it must not ask.

use std::collections::BTreeSet;
use std::sync::Arc;

use meshlake_calls::series::metrics::{BUCKET_BOUND, Histogram, METRICS, Metric, Reading};
use meshlake_promql::{Error, Labels, METRIC_NAME, Matcher};

use super::Counted;
use super::grid::{DAY, GRID, floor};
use super::index::Index;
use super::loading::has_calls;
use super::select::{Indexed, indexes, named};
use crate::series::{Found, Wanted};

const NANOS_PER_MILLI: i64 = 1_000_000;

/// Most series that examples are looked for: a panel draws no more.
const EXEMPLIFIED_MAX: usize = 10_000;

/// The range that label sets are told of, on the grid.
fn range(counted: &Counted, wanted: &Wanted<'_>) -> (i64, i64) {
    let now = counted.query.began().0.div_euclid(NANOS_PER_MILLI);
    // What begins now is in the ten seconds that begin now.
    let until = floor(wanted.to.min(now), GRID).saturating_add(GRID);
    (floor(wanted.from, GRID).max(until.saturating_sub(DAY)), until)
}

/// Calls `take` for each label set that matches, with its metric and the bounds that match, until it gives false.
fn each(
    counted: &Counted,
    wanted: &Wanted<'_>,
    mut take: impl FnMut(&Index, usize, &'static Metric, &[Option<Arc<str>>]) -> bool,
) -> Result<(), Error> {
    let metrics = named(wanted.matchers);
    let (from, until) = range(counted, wanted);
    let budget = counted.query.budget();
    for Indexed { family, index, .. } in indexes(counted, &metrics, (from, until), 600)? {
        let sets = index.matching(wanted.matchers, budget.as_ref())?;
        let sets = sets.into_iter().filter(|set| index.set(*set).is_in(from, until));
        let of_family = metrics.iter().filter(|metric| metric.family == family);
        let bounded: Vec<_> = of_family.map(|metric| (*metric, bounds(metric, wanted.matchers))).collect();
        for set in sets {
            budget.check_time()?;
            for (metric, bounds) in bounded.iter().filter(|(_, bounds)| !bounds.is_empty()) {
                let has = |histogram: &Histogram| {
                    index.has_counts(set, histogram.fields_up_to(histogram.bounds.len()))
                };
                let is_there = match metric.reading {
                    Reading::Amount { .. } | Reading::One => true,
                    Reading::Buckets(h) | Reading::Sum(h) | Reading::Count(h) => has(h),
                };
                if is_there && !take(&index, set, metric, bounds) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// The bounds of buckets that a metric has and that match; of one without buckets, none, once.
fn bounds(metric: &Metric, matchers: &[Matcher]) -> Vec<Option<Arc<str>>> {
    let matches = |bound: &str| {
        matchers.iter().filter(|matcher| matcher.name == BUCKET_BOUND).all(|matcher| matcher.matches(bound))
    };
    match metric.reading {
        Reading::Buckets(histogram) => {
            let texts = (0..=histogram.bounds.len()).map(|place| histogram.bound_text(place));
            texts.filter(|text| matches(text)).map(|text| Some(text.into())).collect()
        }
        _ => {
            if matches("") {
                vec![None]
            } else {
                Vec::new()
            }
        }
    }
}

pub fn series(counted: &Counted, wanted: &Wanted<'_>) -> Result<Found<Vec<Labels>>, Error> {
    let mut found: Found<Vec<Labels>> = Found::default();
    each(counted, wanted, |index, set, metric, bounds| {
        let name: Arc<str> = metric.name.into();
        for bound in bounds {
            if found.found.len() == wanted.limit {
                found.is_cut = true;
                return false;
            }
            found.found.push(index.labels_of(set, &name, bound.as_ref()));
        }
        true
    })?;
    Ok(found)
}

/// Labels of the series that match, of those that differ in the bounds of their buckets one each.
pub fn first_of_each(counted: &Counted, wanted: &Wanted<'_>) -> Result<Vec<(Labels, Reading)>, Error> {
    let mut found = Vec::new();
    each(counted, wanted, |index, set, metric, bounds| {
        let name: Arc<str> = metric.name.into();
        let first = bounds.first().and_then(Option::as_ref);
        found.push((index.labels_of(set, &name, first), metric.reading));
        found.len() < EXEMPLIFIED_MAX
    })?;
    Ok(found)
}

pub fn label_names(counted: &Counted, wanted: &Wanted<'_>) -> Result<Found<BTreeSet<String>>, Error> {
    let mut names = BTreeSet::new();
    each(counted, wanted, |index, set, metric, _| {
        names.insert(METRIC_NAME.to_owned());
        if matches!(metric.reading, Reading::Buckets(_)) {
            names.insert(BUCKET_BOUND.to_owned());
        }
        let own =
            index.labels(set).filter(|(name, _)| !names.contains(&***name)).map(|(name, _)| name.to_string());
        let own: Vec<String> = own.collect();
        names.extend(own);
        true
    })?;
    Ok(cut(names, wanted.limit))
}

pub fn label_values(
    counted: &Counted,
    label: &str,
    wanted: &Wanted<'_>,
) -> Result<Found<BTreeSet<String>>, Error> {
    let is_of_names = |matcher: &Matcher| matcher.name == METRIC_NAME;
    if label == METRIC_NAME && wanted.matchers.iter().all(is_of_names) {
        let has_calls = counted.wait(has_calls(&counted.query))?;
        let named = if has_calls { named(wanted.matchers) } else { Vec::new() };
        return Ok(cut(named.iter().map(|metric| metric.name.to_owned()).collect(), wanted.limit));
    }
    let mut values: BTreeSet<Arc<str>> = BTreeSet::new();
    let is_known = [METRIC_NAME, BUCKET_BOUND].contains(&label)
        || METRICS.iter().any(|metric| metric.family.labels().contains(&label));
    if is_known {
        each(counted, wanted, |index, set, metric, bounds| {
            match label {
                METRIC_NAME => {
                    values.insert(metric.name.into());
                }
                BUCKET_BOUND => values.extend(bounds.iter().flatten().cloned()),
                _ => {
                    let value = index.labels(set).find(|(name, _)| &***name == label).map(|(_, value)| value);
                    values.extend(value.cloned());
                }
            }
            true
        })?;
    }
    Ok(cut(values.iter().map(ToString::to_string).collect(), wanted.limit))
}

fn cut(found: BTreeSet<String>, limit: usize) -> Found<BTreeSet<String>> {
    let is_cut = found.len() > limit;
    Found { found: found.into_iter().take(limit).collect(), is_cut }
}
