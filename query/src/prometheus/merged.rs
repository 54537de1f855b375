//! All sources as one.
//!
//! A metric can come from two: stored by its sender, and counted from calls. All series of both are answered; where both
//! have the same labels the first source is believed, as two values of one series at one time are none, and the answer
//! says so.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use meshlake_promql::{Error, Labels, METRIC_NAME, Matcher, Samples, Selected, Selection, SeriesSamples};

use super::{EARLIEST, LATEST};
use crate::series::{Exemplar, Found, Metadata, Source, Wanted};

/// Sources, and how much was read of them.
pub struct Merged {
    sources: Vec<Box<dyn Source>>,
    counts: Cell<Counts>,
}

/// Series with their exemplars.
pub type SeriesExemplars = Vec<(Labels, Vec<Exemplar>)>;

/// What selectors were given, each time that they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub series: usize,
    /// Floats and histograms.
    pub samples: usize,
}

impl Merged {
    pub fn new(sources: Vec<Box<dyn Source>>) -> Self {
        Merged { sources, counts: Cell::default() }
    }

    pub fn counts(&self) -> Counts {
        self.counts.get()
    }

    fn count(&self, series: &[SeriesSamples]) {
        let Counts { series: known, samples } = self.counts.get();
        let read: usize = series.iter().map(|series| series.floats.len() + series.histograms.len()).sum();
        self.counts.set(Counts { series: known + series.len(), samples: samples + read });
    }

    /// Label sets of series that match any of `sets`; without sets, of all.
    pub fn series(
        &self,
        sets: &[Vec<Matcher>],
        wanted: Wanted<'_>,
    ) -> Result<Found<BTreeSet<Labels>>, Error> {
        self.union(sets, wanted, |source, wanted| {
            let Found { found, is_cut } = source.series(wanted)?;
            Ok(Found { found: found.into_iter().collect(), is_cut })
        })
    }

    /// Names of their labels.
    pub fn label_names(
        &self,
        sets: &[Vec<Matcher>],
        wanted: Wanted<'_>,
    ) -> Result<Found<BTreeSet<String>>, Error> {
        self.union(sets, wanted, |source, wanted| source.label_names(wanted))
    }

    /// Values of one of them.
    pub fn label_values(
        &self,
        label: &str,
        sets: &[Vec<Matcher>],
        wanted: Wanted<'_>,
    ) -> Result<Found<BTreeSet<String>>, Error> {
        self.union(sets, wanted, |source, wanted| source.label_values(label, wanted))
    }

    /// What is known of metrics, each thing once.
    pub fn metadata(&self, metric: Option<&str>) -> Result<BTreeSet<Metadata>, Error> {
        let mut all = BTreeSet::new();
        for source in &self.sources {
            all.extend(source.metadata(metric)?);
        }
        Ok(all)
    }

    /// Exemplars of series that match any of `sets`, each series once, ordered by labels, its exemplars by time.
    pub fn exemplars(
        &self,
        sets: &[Vec<Matcher>],
        wanted: Wanted<'_>,
    ) -> Result<Found<SeriesExemplars>, Error> {
        let mut all = BTreeMap::<Labels, Vec<Exemplar>>::new();
        let mut is_cut = false;
        for matchers in sets {
            for source in &self.sources {
                let found = source.exemplars(&Wanted { matchers, ..wanted })?;
                is_cut |= found.is_cut;
                for (labels, exemplars) in found.found {
                    let known = all.entry(labels).or_default();
                    let is_new = |exemplar: &Exemplar| !known.contains(exemplar);
                    let mut new: Vec<Exemplar> = exemplars.into_iter().filter(is_new).collect();
                    known.append(&mut new);
                    known.sort_by_key(|exemplar| exemplar.time);
                }
            }
        }
        Ok(Found { found: all.into_iter().collect(), is_cut })
    }

    fn union<T: Ord>(
        &self,
        sets: &[Vec<Matcher>],
        wanted: Wanted<'_>,
        ask: impl Fn(&dyn Source, &Wanted<'_>) -> Result<Found<BTreeSet<T>>, Error>,
    ) -> Result<Found<BTreeSet<T>>, Error> {
        let every_series = [Vec::new()];
        let sets = if sets.is_empty() { &every_series } else { sets };
        let mut all = Found { found: BTreeSet::new(), is_cut: false };
        for matchers in sets {
            for source in &self.sources {
                let Found { mut found, is_cut } = ask(source.as_ref(), &Wanted { matchers, ..wanted })?;
                all.is_cut |= is_cut;
                all.found.append(&mut found);
            }
        }
        while all.found.len() > wanted.limit {
            all.found.pop_last();
            all.is_cut = true;
        }
        Ok(all)
    }
}

impl Samples for Merged {
    /// Times beyond what sources can hold are moved to its ends, where there is nothing either.
    fn select(&self, selection: &Selection<'_>) -> Result<Selected, Error> {
        let (after, until) =
            (selection.after.clamp(EARLIEST, LATEST), selection.until.clamp(EARLIEST, LATEST));
        let selection = Selection { after, until, ..*selection };
        let mut all = Selected::default();
        for source in &self.sources {
            let mut found = source.select(&selection)?;
            all.warnings.append(&mut found.warnings);
            all.infos.append(&mut found.infos);
            if let Some(warning) = add(&mut all.series, found.series) {
                all.warnings.push(warning);
            }
        }
        self.count(&all.series);
        Ok(all)
    }
}

/// Adds series whose labels are not there yet; tells of those that are.
fn add(all: &mut Vec<SeriesSamples>, mut more: Vec<SeriesSamples>) -> Option<String> {
    if all.is_empty() {
        all.append(&mut more);
        return None;
    }
    let known: HashSet<Labels> = all.iter().map(|series| series.labels.clone()).collect();
    let (twice, mut new): (Vec<_>, Vec<_>) =
        more.into_iter().partition(|series| known.contains(&series.labels));
    all.append(&mut new);
    let names: BTreeSet<&str> = twice.iter().map(|series| series.labels.get(METRIC_NAME)).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    (!twice.is_empty()).then(|| {
        let count = twice.len();
        format!(
            "{count} series are stored and also counted from calls, the stored ones are answered: {names}"
        )
    })
}

#[cfg(test)]
mod tests {
    use meshlake_promql::{Comparison, Hints, Matcher};

    use super::super::fixture::Memory;
    use super::*;

    fn wanted(limit: usize) -> Wanted<'static> {
        Wanted { matchers: &[], from: 0, to: 10_000, limit }
    }

    fn two() -> Merged {
        let stored = Memory::new(&[("m", "a", &[(1_000, 1.0)]), ("m", "b", &[(1_000, 2.0)])]);
        let counted = Memory::new(&[("m", "b", &[(1_000, 3.0)]), ("n", "c", &[(1_000, 4.0)])]);
        Merged::new(vec![Box::new(stored), Box::new(counted)])
    }

    fn all_series(merged: &Merged, after: i64, until: i64) -> Selected {
        let matchers = [Matcher::new("__name__", Comparison::Regex, ".+").expect("it is an expression")];
        let selection = Selection { matchers: &matchers, after, until, hints: Hints::default() };
        merged.select(&selection).expect("memory is read")
    }

    #[test]
    fn of_two_series_with_the_same_labels_the_stored_one_is_answered() {
        let merged = two();
        let selected = all_series(&merged, 0, 5_000);
        let values = selected.series.iter().map(|series| (series.labels.get("x"), series.floats.values[0]));
        assert_eq!(values.collect::<Vec<_>>(), [("a", 1.0), ("b", 2.0), ("c", 4.0)]);
        let warning = "1 series are stored and also counted from calls, the stored ones are answered: m";
        assert_eq!(selected.warnings, [warning]);
        assert_eq!(merged.counts(), Counts { series: 3, samples: 3 });
    }

    #[test]
    fn sources_are_asked_for_times_that_they_can_hold() {
        assert_eq!(all_series(&two(), i64::MIN, i64::MAX).series.len(), 3);
        assert!(all_series(&two(), i64::MAX - 1, i64::MAX).series.is_empty());
    }

    #[test]
    fn what_several_selectors_find_is_answered_once_up_to_the_limit() {
        let sets = [vec![Matcher::equal("x", "b")], vec![Matcher::equal("__name__", "m")]];
        let values = |limit| two().label_values("x", &sets, wanted(limit)).expect("memory is read");
        let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(values(2), Found { found: set(&["a", "b"]), is_cut: false });
        assert_eq!(values(1), Found { found: set(&["a"]), is_cut: true });
        assert_eq!(two().series(&[], wanted(3)).expect("memory is read").found.len(), 3);
        let names = two().label_names(&[], wanted(9)).expect("memory is read");
        assert_eq!(names.found, set(&["__name__", "x"]));
    }
}
