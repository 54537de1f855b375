//! Collects the points of rows into series.
//!
//! What is asked once a stem (is the series wanted, where does it go) is remembered there, so that a row costs its numbers
//! alone. Points of one label set come together whoever sent them: two senders with the same labels, or two stored series whose
//! attributes have one name in Prometheus, are one series, in order of time, with a warning.
//!
//! Modules are in the order that rows take: one for each table, then how points become samples.

mod points;
mod histograms;
mod native;
mod summaries;
mod joined;
mod deltas;
mod gathered;
mod strand;
mod stamps;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use hashbrown::HashMap;
use meshlake_promql::{Error, Histogram, Labels, Selected, SeriesSamples};
use meshlake_schema::Table;
use meshlake_schema::budget::Holding;
use meshlake_schema::rows::RowsError;

use super::asked::Asked;
use super::error::{of_rows, too_many_samples};
use super::reading::Stems;
use super::stems::Keys;
use gathered::Gathered;
use histograms::Buckets;
use joined::{Join, join};
use stamps::{Stamps, When};
use strand::Strand;
use summaries::QuantilePlaces;

pub use deltas::counts_from;
pub use joined::Window;

/// Bytes of one sample on its way: time, start, value, and what vectors keep in reserve.
const SAMPLE_BYTES: usize = 40;

/// Labels that a warning names as an example.
const EXAMPLES_MAX: usize = 1;

/// Where samples of one stem go: a series, and the stem's strand of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    series: usize,
    strand: usize,
}

/// Where the samples of a stem go that is one series.
#[derive(Debug, Clone, Copy)]
enum Single {
    /// No row of it was met yet.
    Unmet,
    /// It is not asked for.
    Unasked,
    At(Place),
}

impl Single {
    fn of(place: Option<Place>) -> Self {
        place.map_or(Single::Unasked, Single::At)
    }

    /// None before it was met.
    fn known(self) -> Option<Option<Place>> {
        match self {
            Single::Unmet => None,
            Single::Unasked => Some(None),
            Single::At(place) => Some(Some(place)),
        }
    }
}

/// A series that is being collected.
#[derive(Debug)]
struct Collecting {
    labels: Labels,
    floats: Vec<Strand<f64>>,
    histograms: Vec<Strand<Arc<Histogram>>>,
}

impl Collecting {
    fn first_stem(&self) -> usize {
        let floats = self.floats.first().map(|strand| strand.stem);
        floats.or_else(|| Some(self.histograms.first()?.stem)).unwrap_or(usize::MAX)
    }
}

/// Collects what matchers ask for.
pub struct Collector<'a> {
    asked: &'a Asked<'a>,
    found: &'a Stems,
    series: Vec<Collecting>,
    by_labels: HashMap<Labels, usize>,
    /// Points that the series do not have yet.
    gathered: Gathered,
    /// By stem: the series of a number, the native histogram.
    single: Vec<Single>,
    buckets: HashMap<usize, Buckets>,
    quantiles: HashMap<usize, QuantilePlaces>,
    samples: usize,
    samples_max: usize,
    /// Histograms that no schema of Prometheus's is coarse enough for.
    too_coarse: usize,
}

impl<'a> Collector<'a> {
    pub fn new(asked: &'a Asked<'a>, found: &'a Stems, samples_max: usize) -> Self {
        Collector {
            asked,
            found,
            series: Vec::new(),
            by_labels: HashMap::new(),
            gathered: Gathered::default(),
            single: vec![Single::Unmet; found.found.len()],
            buckets: HashMap::new(),
            quantiles: HashMap::new(),
            samples: 0,
            samples_max,
            too_coarse: 0,
        }
    }

    /// The columns of `table` that points are made of.
    pub fn columns(table: Table) -> Vec<&'static str> {
        let own: &[&str] = match table {
            Table::MetricHistograms => &histograms::COLUMNS,
            Table::MetricExpHistograms => &native::COLUMNS,
            Table::MetricSummaries => &summaries::COLUMNS,
            _ => &points::COLUMNS,
        };
        stamps::COLUMNS.into_iter().chain(Keys::columns(table)).chain(own.iter().copied()).collect()
    }

    /// Adds the points of rows. What they take is held by `held`.
    ///
    /// # Errors
    /// [`Error::Execution`] when there are more samples than a question may hold, or the budget ends.
    pub fn add(&mut self, table: Table, batch: &RecordBatch, held: &mut Holding<'_>) -> Result<(), Error> {
        let added: Result<(), RowsError> = match table {
            Table::MetricHistograms => self.add_histograms(batch),
            Table::MetricExpHistograms => self.add_exponential(batch),
            Table::MetricSummaries => self.add_summaries(batch),
            _ => self.add_points(batch),
        };
        added.map_err(|error| of_rows(&error))?;
        if self.samples > self.samples_max {
            return Err(too_many_samples());
        }
        Ok(held.resize(self.samples.saturating_mul(SAMPLE_BYTES))?)
    }

    /// Adds samples of a series that no stem has, all of the value 1.
    pub fn add_ones(&mut self, labels: Labels, times: impl IntoIterator<Item = i64>) {
        let series = self.series_of(labels);
        let strand = Strand::new(usize::MAX, false);
        self.series[series].floats.push(strand);
        let place = Place { series, strand: self.series[series].floats.len() - 1 };
        for time in times {
            self.push(place, When { time, start: 0 }, 1.0);
        }
    }

    /// What was collected.
    pub fn finish(mut self, window: Window) -> Selected {
        self.gathered.give(&mut self.series);
        // Stems are in the order of their labels, which is what who asks puts series in.
        self.series.sort_by_key(Collecting::first_stem);
        let mut selected = Selected::default();
        let (mut joined, mut examples) = (0_usize, Vec::new());
        for collecting in self.series {
            let floats = join(collecting.floats, window);
            let histograms = join(collecting.histograms, window);
            if floats.is_interleaved || histograms.is_interleaved {
                joined += 1;
                if examples.len() < EXAMPLES_MAX {
                    examples.push(collecting.labels.to_string());
                }
            }
            if floats.run.is_empty() && histograms.run.is_empty() {
                continue;
            }
            let Join { run, events, .. } = floats;
            let events = events.filter(|_| window.has_events);
            let labels = collecting.labels;
            selected.series.push(SeriesSamples { labels, floats: run, histograms: histograms.run, events });
        }
        if joined > 0 {
            selected.warnings.push(format!(
                "{joined} series have samples of several senders with the same labels, in order of time, such as {}",
                examples.join(", ")
            ));
        }
        if self.too_coarse > 0 {
            let count = self.too_coarse;
            selected
                .warnings
                .push(format!("{count} exponential histograms of a scale below -4 are left out"));
        }
        let collisions: BTreeSet<&String> =
            self.found.found.iter().flat_map(|found| &found.stem.collisions).collect();
        selected.warnings.extend(collisions.into_iter().map(|label| {
            format!("several attributes collide as label {label:?} after name sanitization, values are concatenated with ';'")
        }));
        selected
    }

    fn series_of(&mut self, labels: Labels) -> usize {
        let next = self.series.len();
        let series = *self.by_labels.entry(labels.clone()).or_insert(next);
        if series == next {
            self.series.push(Collecting { labels, floats: Vec::new(), histograms: Vec::new() });
        }
        series
    }

    /// Where floats of a stem go, those with that ending and label; none if they are not asked for.
    fn place(&mut self, stem_at: usize, ending: &str, more: Option<(&str, &str)>) -> Option<Place> {
        let stem = self.found.stem(stem_at);
        if !self.asked.has_series(stem, ending, more) {
            return None;
        }
        let series = self.series_of(stem.labels(ending, more));
        let strand = strand_of(&mut self.series[series].floats, stem_at, stem.is_delta);
        Some(Place { series, strand })
    }

    /// Where the histograms of a stem go.
    fn place_of_native(&mut self, stem_at: usize) -> Option<Place> {
        if let Some(known) = self.single[stem_at].known() {
            return known;
        }
        let stem = self.found.stem(stem_at);
        let place = self.asked.has_series(stem, "", None).then(|| {
            let series = self.series_of(stem.labels("", None));
            Place { series, strand: strand_of(&mut self.series[series].histograms, stem_at, stem.is_delta) }
        });
        self.single[stem_at] = Single::of(place);
        place
    }

    fn push(&mut self, place: Place, when: When, value: f64) {
        self.samples += 1;
        self.series[place.series].floats[place.strand].push(when, value);
    }

    fn push_histogram(&mut self, place: Place, when: When, histogram: Histogram) {
        // A bucket is as large as a float sample; ten more are Prometheus's reckoning of the rest.
        self.samples += 10 + histogram.positive.len() + histogram.negative.len();
        self.series[place.series].histograms[place.strand].push(when, Arc::new(histogram));
    }
}

fn strand_of<T>(strands: &mut Vec<Strand<T>>, stem: usize, is_delta: bool) -> usize {
    let known = strands.iter().position(|strand| strand.stem == stem);
    known.unwrap_or_else(|| {
        strands.push(Strand::new(stem, is_delta));
        strands.len() - 1
    })
}
