//! What an answer says beside its values: warnings and infos, in Prometheus's words.
//!
//! Each is told once, with the place in the query that it belongs to; where steps and series differ only in numbers,
//! as how far counts had to be lifted, the widest are told.
//!
//! Source: answers of a Prometheus 3, and <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::histogram::classic::Lifted;
use crate::text::{position, quoted, short, two_digits};

/// What is done with two histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    Addition,
    Subtraction,
    Aggregation,
}

impl Doing {
    fn text(self) -> &'static str {
        match self {
            Doing::Addition => "addition",
            Doing::Subtraction => "subtraction",
            Doing::Aggregation => "aggregation",
        }
    }
}

/// Something to tell, without its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Note {
    InvalidQuantile(f64),
    InvalidRatio { got: f64, capped: f64 },
    InvalidIntegralStrategy(f64),
    BadBucketBound { metric: String, bound: String },
    MixedFloatsHistograms { metric: String },
    MixedInAggregation,
    MixedClassicNative { metric: String },
    NotCounter { metric: String },
    NotGauge { metric: String },
    MixedSchemas { metric: String },
    IncompatibleLayout { operator: &'static str },
    SortInRange,
    CollidingHints(Doing),
    PossiblyNoCounter { metric: String },
    TypeIsNoCounter { metric: String, kind: String },
    Lifted { metric: String, time: i64, lifted: Lifted },
    IncompatibleTypes { left: &'static str, operator: &'static str, right: &'static str },
    IgnoredInAggregation { aggregation: &'static str },
    IgnoredInRange { metric: String },
    QuantileIsNan { metric: String },
    QuantileIsSkewed { metric: String },
    FractionWithoutNan { metric: String },
    ReconciledBounds(Doing),
    StartOverlap { metric: String },
}

impl Note {
    fn is_warning(&self) -> bool {
        use Note::{
            BadBucketBound, CollidingHints, IncompatibleLayout, InvalidIntegralStrategy, InvalidQuantile,
            InvalidRatio, MixedClassicNative, MixedFloatsHistograms, MixedInAggregation, MixedSchemas,
            NotCounter, NotGauge, SortInRange, StartOverlap,
        };
        matches!(
            self,
            InvalidQuantile(_)
                | InvalidRatio { .. }
                | InvalidIntegralStrategy(_)
                | BadBucketBound { .. }
                | MixedFloatsHistograms { .. }
                | MixedInAggregation
                | MixedClassicNative { .. }
                | NotCounter { .. }
                | NotGauge { .. }
                | MixedSchemas { .. }
                | IncompatibleLayout { .. }
                | SortInRange
                | CollidingHints(_)
                | StartOverlap { .. }
        )
    }

    /// What two notes share that are told as one.
    fn text(&self) -> String {
        match self {
            Note::InvalidQuantile(got) => {
                format!("quantile value should be between 0 and 1, got {}", short(*got))
            }
            Note::InvalidRatio { got, capped } => {
                let (got, capped) = (short(*got), short(*capped));
                format!("ratio value should be between -1 and 1, got {got}, capping to {capped}")
            }
            Note::InvalidIntegralStrategy(got) => {
                format!("strategy should be 0, 1, or 2 (default), using 2, got {}", short(*got))
            }
            Note::BadBucketBound { metric, bound } => {
                let bound = quoted(bound);
                named(format!("bucket label \"le\" is missing or has a malformed value of {bound}"), metric)
            }
            Note::MixedFloatsHistograms { metric } => {
                format!("encountered a mix of histograms and floats for metric name {}", quoted(metric))
            }
            Note::MixedInAggregation => {
                "encountered a mix of histograms and floats for aggregation".to_owned()
            }
            Note::MixedClassicNative { metric } => {
                named("vector contains a mix of classic and native histograms".to_owned(), metric)
            }
            Note::NotCounter { metric } => {
                format!("this native histogram metric is not a counter: {}", quoted(metric))
            }
            Note::NotGauge { metric } => {
                format!("this native histogram metric is not a gauge: {}", quoted(metric))
            }
            Note::MixedSchemas { metric } => {
                let what = "vector contains a mix of histograms with exponential and custom buckets schemas";
                format!("{what} for metric name {}", quoted(metric))
            }
            Note::IncompatibleLayout { operator } => {
                format!("incompatible bucket layout encountered for binary operator {operator}")
            }
            Note::SortInRange => {
                "sort is ineffective for range queries since results are always ordered by labels".to_owned()
            }
            Note::CollidingHints(doing) => {
                format!("conflicting counter resets during histogram {}", doing.text())
            }
            Note::ReconciledBounds(doing) => {
                format!("mismatched custom buckets were reconciled during {}", doing.text())
            }
            Note::StartOverlap { metric } => {
                let what = "sample has start time that overlaps with previous sample timestamp";
                format!("{what} for metric {}", quoted(metric))
            }
            info => info.info_text(),
        }
    }

    fn info_text(&self) -> String {
        match self {
            Note::PossiblyNoCounter { metric } => {
                let metric = quoted(metric);
                let what = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
                format!("{what} {metric}")
            }
            Note::TypeIsNoCounter { metric, kind } => {
                let what = "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\"";
                format!("{what}, got {}: {}", quoted(kind), quoted(metric))
            }
            Note::Lifted { metric, .. } => {
                let see =
                    "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile";
                let what = "input to histogram_quantile needed to be fixed for monotonicity";
                named(format!("{what} (see {see})"), metric)
            }
            Note::IncompatibleTypes { left, operator, right } => {
                let what = "incompatible sample types encountered for binary operator";
                format!("{what} {}: {left} {operator} {right}", quoted(operator))
            }
            Note::IgnoredInAggregation { aggregation } => {
                format!("ignored histogram in {aggregation} aggregation")
            }
            Note::IgnoredInRange { metric } => {
                let what =
                    "ignored histograms in a range containing both floats and histograms for metric name";
                format!("{what} {}", quoted(metric))
            }
            Note::QuantileIsNan { metric } => {
                named("input to histogram_quantile has NaN observations, result is NaN".to_owned(), metric)
            }
            Note::QuantileIsSkewed { metric } => {
                let what = "input to histogram_quantile has NaN observations, result is skewed higher";
                named(what.to_owned(), metric)
            }
            Note::FractionWithoutNan { metric } => {
                let what =
                    "input to histogram_fraction has NaN observations, which are excluded from all fractions";
                named(what.to_owned(), metric)
            }
            warning => unreachable!("{warning:?} is a warning"),
        }
    }
}

fn named(text: String, metric: &str) -> String {
    if metric.is_empty() { text } else { format!("{text} for metric name {}", quoted(metric)) }
}

/// A note, where it belongs, and how often it came.
#[derive(Debug, Clone)]
struct Told {
    note: Note,
    at: usize,
    times: usize,
    /// First and last instant, in milliseconds.
    during: (i64, i64),
}

/// Notes as they come; shared by all parts of one evaluation.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    told: RefCell<BTreeMap<String, Told>>,
    foreign: RefCell<(Vec<String>, Vec<String>)>,
}

impl Notes {
    /// Tells a note about what stands at a byte of the query.
    pub(crate) fn tell(&self, note: Note, at: usize) {
        let time = if let Note::Lifted { time, .. } = note { time } else { 0 };
        let mut told = self.told.borrow_mut();
        let key = note.text();
        let Some(before) = told.get_mut(&key) else {
            told.insert(key, Told { note, at, times: 1, during: (time, time) });
            return;
        };
        before.times += 1;
        before.at = at;
        before.during = (before.during.0.min(time), before.during.1.max(time));
        if let (Note::Lifted { lifted: widest, .. }, Note::Lifted { lifted, .. }) = (&mut before.note, note) {
            widest.lowest = widest.lowest.min(lifted.lowest);
            widest.highest = widest.highest.max(lifted.highest);
            widest.by = widest.by.max(lifted.by);
        }
    }

    /// Takes over what a source of samples has to say.
    pub(crate) fn add_foreign(&self, warnings: Vec<String>, infos: Vec<String>) {
        let mut foreign = self.foreign.borrow_mut();
        foreign.0.extend(warnings);
        foreign.1.extend(infos);
    }

    /// Warnings and infos as text, with places in the query.
    pub(crate) fn texts(self, query: &str) -> (Vec<String>, Vec<String>) {
        let (mut warnings, mut infos) = self.foreign.into_inner();
        for (text, told) in self.told.into_inner() {
            let place = position(query, told.at);
            let more = told.more();
            if told.note.is_warning() {
                warnings.push(format!("PromQL warning: {text}{more} ({place})"));
            } else {
                infos.push(format!("PromQL info: {text}{more} ({place})"));
            }
        }
        (warnings, infos)
    }
}

impl Told {
    /// The numbers of a note that was told more than once.
    fn more(&self) -> String {
        match &self.note {
            Note::Lifted { lifted, .. } => {
                let Lifted { lowest, highest, by } = *lifted;
                let (from, to) = (seconds_text(self.during.0), seconds_text(self.during.1));
                let (lowest, highest, by) = (short(lowest), short(highest), two_digits(by));
                let times = self.times;
                format!(
                    ", from buckets {lowest} to {highest}, with a max diff of {by}, over {times} samples from {from} to {to}"
                )
            }
            Note::StartOverlap { .. } if self.times > 1 => format!(" ({} occurrences)", self.times),
            _ => String::new(),
        }
    }
}

/// A time to the second, as RFC 3339 has it.
fn seconds_text(milliseconds: i64) -> String {
    let seconds = milliseconds / 1_000;
    let date = crate::calendar::Date::of(seconds.into());
    let second = seconds.rem_euclid(60);
    let (year, month, day) = (date.year, date.month, date.day);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{second:02}Z", date.hour, date.minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_told_once_with_its_place() {
        let notes = Notes::default();
        notes.tell(Note::MixedInAggregation, 0);
        notes.tell(Note::MixedInAggregation, 4);
        let lifted = |lowest, by| Lifted { lowest, highest: 5.0, by };
        let metric = || "m".to_owned();
        notes.tell(Note::Lifted { metric: metric(), time: 1_000, lifted: lifted(2.0, 0.5) }, 0);
        notes.tell(Note::Lifted { metric: metric(), time: 61_000, lifted: lifted(1.0, 0.25) }, 0);
        let (warnings, infos) = notes.texts("sum(x)");
        assert_eq!(
            warnings,
            ["PromQL warning: encountered a mix of histograms and floats for aggregation (1:5)"]
        );
        let want = "for metric name \"m\", from buckets 1 to 5, with a max diff of 0.5, over 2 samples from \
                    1970-01-01T00:00:01Z to 1970-01-01T00:01:01Z (1:1)";
        assert!(infos[0].ends_with(want), "{}", infos[0]);
    }
}
