//! Series in memory, for tests: a name, a value of the label `x`, and floats by time in milliseconds.

use std::collections::BTreeSet;

use meshlake_promql::{Error, Labels, Matcher, Samples, Selected, Selection, SeriesSamples};

use crate::series::{Exemplar, Found, Metadata, Source, Wanted};

/// A metric's name, the label `x`, and samples.
pub type Given<'a> = (&'a str, &'a str, &'a [(i64, f64)]);

pub struct Memory(Vec<SeriesSamples>);

impl Memory {
    pub fn new(given: &[Given<'_>]) -> Self {
        let series = given.iter().map(|(name, x, samples)| {
            let labels = Labels::from_pairs([("__name__", *name), ("x", *x)]);
            let mut series = SeriesSamples { labels, ..SeriesSamples::default() };
            samples.iter().for_each(|(time, value)| series.floats.push(*time, *value));
            series
        });
        Memory(series.collect())
    }

    fn matching(&self, matchers: &[Matcher], after: i64, until: i64) -> Vec<SeriesSamples> {
        let is_asked = |series: &&SeriesSamples| {
            matchers.iter().all(|matcher| matcher.matches(series.labels.get(&matcher.name)))
        };
        let inside = |series: &SeriesSamples| {
            let mut cut = SeriesSamples { labels: series.labels.clone(), ..SeriesSamples::default() };
            let samples = series.floats.times.iter().zip(&series.floats.values);
            let samples = samples.filter(|(time, _)| (after + 1..=until).contains(*time));
            samples.for_each(|(time, value)| cut.floats.push(*time, *value));
            cut
        };
        let cut = self.0.iter().filter(is_asked).map(inside);
        cut.filter(|series| !series.floats.is_empty()).collect()
    }

    fn wanted(&self, wanted: &Wanted<'_>) -> Found<Vec<Labels>> {
        let mut found = self.matching(wanted.matchers, wanted.from - 1, wanted.to);
        let is_cut = found.len() > wanted.limit;
        found.truncate(wanted.limit);
        Found { found: found.into_iter().map(|series| series.labels).collect(), is_cut }
    }
}

impl Samples for Memory {
    fn select(&self, selection: &Selection<'_>) -> Result<Selected, Error> {
        let series = self.matching(selection.matchers, selection.after, selection.until);
        Ok(Selected { series, ..Selected::default() })
    }
}

impl Source for Memory {
    fn series(&self, wanted: &Wanted<'_>) -> Result<Found<Vec<Labels>>, Error> {
        Ok(self.wanted(wanted))
    }

    fn label_names(&self, wanted: &Wanted<'_>) -> Result<Found<BTreeSet<String>>, Error> {
        let names = |labels: &Labels| labels.iter().map(|label| label.name.to_string()).collect::<Vec<_>>();
        let every = Wanted { limit: usize::MAX, ..*wanted };
        let found = self.wanted(&every).found.iter().flat_map(names).collect();
        Ok(Found { found, is_cut: false })
    }

    fn label_values(&self, label: &str, wanted: &Wanted<'_>) -> Result<Found<BTreeSet<String>>, Error> {
        let every = Wanted { limit: usize::MAX, ..*wanted };
        let values = self.wanted(&every).found.into_iter().map(|labels| labels.get(label).to_owned());
        let mut found: BTreeSet<String> = values.filter(|value| !value.is_empty()).collect();
        let is_cut = found.len() > wanted.limit;
        while found.len() > wanted.limit {
            found.pop_last();
        }
        Ok(Found { found, is_cut })
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<Metadata>, Error> {
        let names: BTreeSet<&str> = self.0.iter().map(|series| series.labels.get("__name__")).collect();
        let names = names.into_iter().filter(|name| metric.is_none_or(|metric| metric == *name));
        let of = |name: &str| Metadata {
            metric: name.to_owned(),
            kind: "gauge",
            help: format!("What {name} is."),
            unit: String::new(),
        };
        Ok(names.map(of).collect())
    }

    /// Each sample is an exemplar.
    fn exemplars(&self, wanted: &Wanted<'_>) -> Result<Found<Vec<(Labels, Vec<Exemplar>)>>, Error> {
        let found = self.matching(wanted.matchers, wanted.from - 1, wanted.to).into_iter().map(|series| {
            let labels = Labels::from_pairs([("trace_id", "0af7651916cd43dd8448eb211c80319c")]);
            let samples = series.floats.times.into_iter().zip(series.floats.values);
            let exemplar = |(time, value)| Exemplar { labels: labels.clone(), value, time };
            (series.labels, samples.map(exemplar).collect())
        });
        Ok(Found { found: found.collect(), is_cut: false })
    }
}
