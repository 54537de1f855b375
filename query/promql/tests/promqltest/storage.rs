//! A source of samples in memory, which keeps histograms as Prometheus's storage gives them back.
//!
//! What is read there is hinted: of samples that follow each other in one chunk it is known that the counter did not
//! begin anew, of the first of a chunk nothing is known. A chunk ends where it did, or where the layout changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshlake_promql::{
    CUSTOM_BUCKETS, Error, Histogram, Labels, ResetHint, Run, Samples, Selected, Selection, SeriesSamples,
};

use crate::script::milliseconds;
use crate::values::{Item, labels, series};

#[derive(Default)]
pub(crate) struct Storage {
    series: BTreeMap<Labels, SeriesSamples>,
}

impl Samples for Storage {
    fn select(&self, selection: &Selection<'_>) -> Result<Selected, Error> {
        let is_match = |labels: &Labels| selection.matchers.iter().all(|m| m.matches(labels.get(&m.name)));
        let cut = |series: &SeriesSamples| SeriesSamples {
            labels: series.labels.clone(),
            floats: cut(&series.floats, selection),
            histograms: cut(&series.histograms, selection),
            events: None,
        };
        let series = self.series.values().filter(|series| is_match(&series.labels)).map(cut).collect();
        Ok(Selected { series, ..Selected::default() })
    }
}

fn cut<T: Clone>(run: &Run<T>, selection: &Selection<'_>) -> Run<T> {
    let from = run.times.partition_point(|time| *time <= selection.after);
    let to = run.times.partition_point(|time| *time <= selection.until).max(from);
    let starts = if run.starts.is_empty() { Vec::new() } else { run.starts[from..to].to_vec() };
    Run { times: run.times[from..to].to_vec(), values: run.values[from..to].to_vec(), starts }
}

impl Storage {
    /// Adds the samples of a `load`.
    pub(crate) fn load(
        &mut self,
        step: i64,
        lines: &[String],
        with_custom_buckets: bool,
    ) -> Result<(), String> {
        let mut starts: Vec<Option<i64>> = Vec::new();
        let mut loaded = Vec::new();
        for line in lines {
            let (name, values) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            if let Some(name) = name.strip_suffix("@st") {
                labels(name)?;
                starts = start_offsets(values)?;
                continue;
            }
            let (labels, items) = series(line)?;
            let places: Vec<(i64, i64, Item)> = (0..)
                .zip(items)
                .map(|(at, item)| {
                    let time = step * at;
                    let start = usize::try_from(at).ok().and_then(|at| *starts.get(at)?);
                    (time, start.map_or(0, |offset| time + offset), item)
                })
                .collect();
            starts.clear();
            loaded.push((labels, places));
        }
        if with_custom_buckets {
            for (labels, places) in custom_bucketed(&loaded) {
                self.append(labels, places);
            }
        }
        for (labels, places) in loaded {
            self.append(labels, places);
        }
        Ok(())
    }

    fn append(&mut self, labels: Labels, places: Vec<(i64, i64, Item)>) {
        let series = self.series.entry(labels.clone()).or_default();
        series.labels = labels;
        let mut before: Option<Arc<Histogram>> = None;
        for (time, start, item) in places {
            match item {
                Item::Omitted => {}
                Item::Float(value) => {
                    series.floats.push(time, value);
                    series.floats.starts.push(start);
                    before = None;
                }
                Item::Histogram(histogram, _) => {
                    let hint = stored_hint(before.as_deref(), &histogram);
                    let stored = Arc::new(Histogram { hint, ..(*histogram).clone() });
                    series.histograms.push(time, Arc::clone(&stored));
                    series.histograms.starts.push(start);
                    before = Some(histogram);
                }
            }
        }
    }
}

fn stored_hint(before: Option<&Histogram>, histogram: &Histogram) -> ResetHint {
    if histogram.hint == ResetHint::Gauge {
        return ResetHint::Gauge;
    }
    let follows = before.is_some_and(|before| {
        let layout = |h: &Histogram| (h.schema, h.zero_threshold.to_bits(), h.custom_bounds.to_vec());
        let hinted = Histogram {
            hint: if histogram.hint == ResetHint::Reset { ResetHint::Reset } else { ResetHint::Unknown },
            ..histogram.clone()
        };
        before.hint != ResetHint::Gauge
            && layout(before) == layout(histogram)
            && !hinted.is_reset_after(before)
    });
    if follows { ResetHint::NoReset } else { ResetHint::Unknown }
}

/// Offsets of counters' starts to their samples: `-1m`, `-30s-1mx2`, `_x3`.
fn start_offsets(values: &str) -> Result<Vec<Option<i64>>, String> {
    let mut offsets = Vec::new();
    for word in values.split_whitespace() {
        let (item, count) = word.split_once('x').map_or((word, None), |(item, count)| (item, Some(count)));
        let count =
            count.map(|count| count.parse::<usize>().map_err(|_| format!("no count: {word}"))).transpose()?;
        if item == "_" {
            offsets.extend(vec![None; count.unwrap_or(1)]);
            continue;
        }
        let split = item[1..].find(['+', '-']).map_or(item.len(), |at| at + 1);
        let (mut offset, growth) =
            (signed(&item[..split])?, if split < item.len() { signed(&item[split..])? } else { 0 });
        for _ in 0..=count.unwrap_or(0) {
            offsets.push(Some(offset));
            offset += growth;
        }
    }
    Ok(offsets)
}

fn signed(text: &str) -> Result<i64, String> {
    match text.strip_prefix('-') {
        Some(text) => Ok(-milliseconds(text)?),
        None => milliseconds(text.trim_start_matches('+')),
    }
}

/// What is known of one classic histogram at one time.
#[derive(Default)]
struct Classic {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

type Places = Vec<(i64, i64, Item)>;

/// Classic histograms as native ones with custom buckets, under the name without its suffix.
fn custom_bucketed(loaded: &[(Labels, Places)]) -> Vec<(Labels, Places)> {
    let mut found: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for (labels, places) in loaded {
        let name = labels.get("__name__");
        let suffix = ["_bucket", "_count", "_sum"].into_iter().find(|suffix| name.ends_with(suffix));
        let Some(suffix) = suffix else { continue };
        let base = &name[..name.len() - suffix.len()];
        let kept = labels.iter().filter(|label| !["__name__", "le"].contains(&&*label.name));
        let pairs = kept.map(|label| (label.name.to_string(), label.value.to_string()));
        let labels_of_base = Labels::from_pairs(pairs.chain([("__name__".to_owned(), base.to_owned())]));
        let bound = labels.get("le").parse::<f64>();
        for (time, _, item) in places {
            let Item::Float(value) = item else { continue };
            let classic = found.entry(labels_of_base.clone()).or_default().entry(*time).or_default();
            match (suffix, &bound) {
                ("_bucket", Ok(bound)) => classic.buckets.push((*bound, *value)),
                ("_count", _) => classic.count = Some(*value),
                ("_sum", _) => classic.sum = *value,
                _ => {}
            }
        }
    }
    let native = |classic: Classic| Item::Histogram(Arc::new(native(classic)), false);
    let places =
        |times: BTreeMap<i64, Classic>| times.into_iter().map(|(time, classic)| (time, 0, native(classic)));
    found.into_iter().map(|(labels, times)| (labels, places(times).collect())).collect()
}

fn native(mut classic: Classic) -> Histogram {
    classic.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let count = classic.count.unwrap_or(classic.buckets.last().map_or(0.0, |bucket| bucket.1));
    classic.buckets.retain(|(bound, _)| bound.is_finite());
    let mut below = 0.0;
    let mut positive = Vec::new();
    for (index, cumulative) in (0..).zip(classic.buckets.iter().map(|bucket| bucket.1).chain([count])) {
        if cumulative - below != 0.0 {
            positive.push((index, cumulative - below));
        }
        below = cumulative;
    }
    let custom_bounds = classic.buckets.iter().map(|bucket| bucket.0).collect();
    Histogram {
        schema: CUSTOM_BUCKETS,
        count,
        sum: classic.sum,
        positive,
        custom_bounds,
        ..Histogram::default()
    }
}
