//! Quantiles and fractions of histograms, native ones and classic ones.
//!
//! The series of a classic histogram's buckets belong together by all labels but `le`. If at one step there are a
//! classic and a native histogram of the same labels, neither is answered for.

use std::collections::HashMap;

use super::relabel::text;
use super::{Columns, Evaluator};
use crate::error::Error;
use crate::histogram::classic::{self, Cumulative};
use crate::histogram::{Histogram, Skew};
use crate::labels::{BUCKET_BOUND, Labels};
use crate::notes::Note;
use crate::plan::Plan;
use crate::series::{Grid, Point, Series};
use crate::text::open_metrics;
use crate::tree::Kind;

/// One histogram: its labels, and the columns that it is made of.
struct Source {
    labels: Labels,
    /// Columns of bounded counts, with their bounds.
    classic: Vec<(usize, f64)>,
    /// The column of native histograms.
    native: Option<usize>,
}

/// What is asked of each histogram.
enum Question {
    Quantile { shares: Vec<f64>, label: Option<String> },
    Fraction { lower: Vec<f64>, upper: Vec<f64> },
}

/// Answers under their labels.
struct Answers {
    columns: Vec<Series>,
    places: HashMap<Labels, usize>,
    count: usize,
}

impl Answers {
    fn put(&mut self, labels: &Labels, step: usize, value: f64) -> Result<(), Error> {
        let count = self.count;
        let place = *self.places.entry(labels.clone()).or_insert_with(|| {
            let points = vec![Point::None; count];
            self.columns.push(Series { labels: labels.clone(), drops_name: false, points });
            self.columns.len() - 1
        });
        let slot = &mut self.columns[place].points[step];
        if !slot.is_none() {
            return Err(Error::execution("vector cannot contain metrics with the same labelset"));
        }
        *slot = Point::Float(value);
        Ok(())
    }
}

impl Evaluator<'_> {
    pub(super) fn of_buckets(&self, name: &str, arguments: &[Plan], grid: Grid) -> Columns<'_> {
        let scalars = |plan: &Plan| self.scalars(plan, grid);
        let is_vector = |argument: &&Plan| argument.kind == Kind::Vector;
        let vector = arguments.iter().find(is_vector).ok_or_else(|| Error::execution("no vector"))?;
        let mut questions = Vec::new();
        if name == "histogram_fraction" {
            let (lower, upper) = (scalars(&arguments[0])?, scalars(&arguments[1])?);
            questions.push(Question::Fraction { lower, upper });
        } else {
            let label = (name == "histogram_quantiles").then(|| text(arguments, 1).to_owned());
            for argument in arguments.iter().filter(|argument| argument.kind == Kind::Scalar) {
                let shares = scalars(argument)?;
                for share in shares.iter().filter(|share| !(0.0..=1.0).contains(*share)) {
                    self.notes.tell(Note::InvalidQuantile(*share), argument.at);
                }
                questions.push(Question::Quantile { shares, label: label.clone() });
            }
        }
        let (columns, _held) = self.columns(vector, grid)?;
        let sources = self.sources(&columns, vector.at);
        let held = self.meter.hold_columns(sources.len() * questions.len(), grid.count)?;
        let mut answers = Answers { columns: Vec::new(), places: HashMap::new(), count: grid.count };
        for question in &questions {
            for source in &sources {
                self.meter.check_time()?;
                for (step, time) in grid.times().enumerate() {
                    self.answer(source, question, &columns, (step, time), vector.at, &mut answers)?;
                }
            }
        }
        Ok((self.renamed(answers.columns)?, held))
    }

    fn answer(
        &self,
        source: &Source,
        question: &Question,
        columns: &[Series],
        (step, time): (usize, i64),
        at: usize,
        answers: &mut Answers,
    ) -> Result<(), Error> {
        let native = source.native.and_then(|column| match &columns[column].points[step] {
            Point::Histogram(histogram) => Some(histogram),
            _ => None,
        });
        let counts = source.classic.iter().filter_map(|(column, upper)| {
            columns[*column].points[step].float().map(|count| Cumulative { upper: *upper, count })
        });
        let mut counts: Vec<Cumulative> = counts.collect();
        let metric = self.metric_for_notes(&source.labels);
        let value = match (native, counts.is_empty()) {
            (None, true) => return Ok(()),
            (Some(_), false) => {
                self.notes.tell(Note::MixedClassicNative { metric }, at);
                return Ok(());
            }
            (Some(histogram), true) => self.of_native(histogram, question, step, &source.labels, at),
            (None, false) => match question {
                Question::Fraction { lower, upper } => {
                    classic::fraction(lower[step], upper[step], &mut counts)
                }
                Question::Quantile { shares, .. } => {
                    let (value, lifted) = classic::quantile(shares[step], &mut counts);
                    if let Some(lifted) = lifted {
                        self.notes.tell(Note::Lifted { metric, time, lifted }, at);
                    }
                    value
                }
            },
        };
        match question {
            Question::Quantile { shares, label: Some(label) } => {
                let share = open_metrics(shares[step]);
                answers.put(&source.labels.with(label, &share), step, value)
            }
            _ => answers.put(&source.labels, step, value),
        }
    }

    fn of_native(
        &self,
        histogram: &Histogram,
        question: &Question,
        step: usize,
        labels: &Labels,
        at: usize,
    ) -> f64 {
        let metric = || self.metric_for_notes(labels);
        match question {
            Question::Fraction { lower, upper } => {
                let (value, excludes_nan) = histogram.fraction(lower[step], upper[step]);
                if excludes_nan {
                    self.notes.tell(Note::FractionWithoutNan { metric: metric() }, at);
                }
                value
            }
            Question::Quantile { shares, .. } => {
                let (value, skew) = histogram.quantile(shares[step]);
                match skew {
                    Skew::None => {}
                    Skew::Higher => self.notes.tell(Note::QuantileIsSkewed { metric: metric() }, at),
                    Skew::IsNan => self.notes.tell(Note::QuantileIsNan { metric: metric() }, at),
                }
                value
            }
        }
    }

    /// A metric's name, which Prometheus does not know any more once it drops names early.
    fn metric_for_notes(&self, labels: &Labels) -> String {
        if self.options.drops_names_last { labels.metric_name().to_owned() } else { String::new() }
    }

    fn sources(&self, columns: &[Series], at: usize) -> Vec<Source> {
        let mut sources: Vec<Source> = Vec::new();
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut place = |labels: Labels| {
            *places.entry(labels.clone()).or_insert_with(|| {
                sources.push(Source { labels, classic: Vec::new(), native: None });
                sources.len() - 1
            })
        };
        let mut found = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            if column.points.iter().any(Point::is_histogram) {
                found.push((place(column.labels.clone()), index, None));
            }
            if column.points.iter().all(|point| point.float().is_none()) {
                continue;
            }
            let bound = column.labels.get(BUCKET_BOUND);
            match bound.parse::<f64>() {
                Ok(upper) if !upper.is_nan() => {
                    found.push((place(column.labels.with(BUCKET_BOUND, "")), index, Some(upper)));
                }
                _ => {
                    let (metric, bound) = (self.metric_for_notes(&column.labels), bound.to_owned());
                    self.notes.tell(Note::BadBucketBound { metric, bound }, at);
                }
            }
        }
        for (place, index, upper) in found {
            match upper {
                Some(upper) => sources[place].classic.push((index, upper)),
                None => sources[place].native = Some(index),
            }
        }
        sources
    }
}
