//! Functions of ranges: one series at a time, a window a step.
//!
//! A window is two indexes into the series' samples, moved on from step to step, so no sample is copied and each is
//! passed twice however long the range is.

use std::collections::HashSet;
use std::sync::Arc;

use super::instants::without_stale;
use super::{Columns, Evaluator, Held};
use crate::error::Error;
use crate::functions::{RangeFunction, Slice, Steady, Window, extended_floats, over_range};
use crate::histogram::{Histogram, ResetHint};
use crate::labels::Labels;
use crate::matcher::{Comparison, Matcher};
use crate::notes::Note;
use crate::plan::{Plan, Resampling, Select, Work};
use crate::samples::{Events, Hints, SeriesSamples};
use crate::series::{Grid, Point, Row, Series};
use crate::tree::{Edges, Kind};

/// Functions that say something of windows with edges filled in.
const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];

/// Functions whose values are still the metric's own.
const KEEPS_NAME: [&str; 2] = ["first_over_time", "last_over_time"];

/// Whether a function of a range makes a column of each series, with values that are not the metric's any more.
pub(super) fn drops_names(function: &str) -> bool {
    !KEEPS_NAME.contains(&function) && function != "absent_over_time"
}

/// Series with the samples of a range, of a selector or a subquery.
struct Ranged<'p> {
    source: Source<'p>,
    range: i64,
    edges: Option<Edges>,
    series: Vec<SeriesSamples>,
    /// Of each series, whether its name is to go.
    drops_names: Vec<bool>,
}

enum Source<'p> {
    Selector(&'p Select),
    Subquery(&'p Resampling),
}

impl Ranged<'_> {
    fn reference(&self, time: i64) -> i64 {
        match self.source {
            Source::Selector(select) => select.reference(time),
            Source::Subquery(subquery) => subquery.reference(time),
        }
    }
}

/// A call over ranges: its series, and what it has besides their windows.
pub(super) struct Call<'p> {
    name: &'static str,
    function: RangeFunction,
    /// The same of counters that never begin anew, where that is simpler.
    steady: Option<Steady>,
    /// The other arguments, in order: where they stand, and their values at each step.
    scalars_at: Vec<usize>,
    scalars: Vec<Vec<f64>>,
    at: usize,
    grid: Grid,
    ranged: Ranged<'p>,
}

impl Call<'_> {
    /// The labels of its series, in order.
    pub(super) fn labels(&self) -> impl Iterator<Item = &Labels> + Clone {
        self.ranged.series.iter().map(|series| &series.labels)
    }

    fn drops_name(&self, at: usize) -> bool {
        self.ranged.drops_names[at] || !KEEPS_NAME.contains(&self.name)
    }
}

impl Evaluator<'_> {
    /// The value of a function that has a range among its arguments.
    pub(super) fn over_range(&self, name: &'static str, arguments: &[Plan], grid: Grid) -> Columns<'_> {
        let (call, _held) = self.ranged_call(name, arguments, grid)?;
        self.columns_of(&call)
    }

    /// A call with its samples.
    pub(super) fn ranged_call<'p>(
        &self,
        name: &'static str,
        arguments: &'p [Plan],
        grid: Grid,
    ) -> Result<(Call<'p>, Held<'_>), Error> {
        let unknown = || Error::execution(format!("function {name} has no range"));
        let function = over_range(name).ok_or_else(unknown)?;
        let range = arguments.iter().find(|argument| argument.kind == Kind::Matrix).ok_or_else(unknown)?;
        let others: Vec<&Plan> = arguments.iter().filter(|argument| argument.kind != Kind::Matrix).collect();
        let scalars = others.iter().map(|other| self.scalars(other, grid)).collect::<Result<_, _>>()?;
        let (ranged, held) = self.ranged(name, range, grid)?;
        let scalars_at = others.iter().map(|other| other.at).collect();
        // Notes on a subquery's samples have no place of their own: Prometheus has the query's begin.
        let at = if let Work::Subquery(_) = range.work { 0 } else { range.at };
        let steady = Steady::of(name).filter(|_| ranged.edges.is_none());
        Ok((Call { name, function, steady, scalars_at, scalars, at, grid, ranged }, held))
    }

    /// The columns of all series of a call.
    pub(super) fn columns_of(&self, call: &Call<'_>) -> Columns<'_> {
        let Call { name, grid, ref ranged, .. } = *call;
        let mut held = self.meter.hold(0)?;
        let mut columns = Vec::with_capacity(ranged.series.len());
        for (at, series) in ranged.series.iter().enumerate() {
            held.grow(grid.count)?;
            let points = self.column(call, at)?;
            columns.push(Series { labels: series.labels.clone(), drops_name: call.drops_name(at), points });
        }
        if name == "absent_over_time" {
            let matchers =
                if let Source::Selector(select) = ranged.source { &select.matchers[..] } else { &[] };
            let columns: Vec<Series> = absent(matchers, &columns, grid.count).into_iter().collect();
            return Ok((self.finished(columns)?, held));
        }
        Ok((self.finished(columns)?, held))
    }

    fn ranged<'p>(
        &self,
        name: &'static str,
        plan: &'p Plan,
        grid: Grid,
    ) -> Result<(Ranged<'p>, Held<'_>), Error> {
        match &plan.work {
            Work::Window(select, range) => {
                check_edges(name, select.edges)?;
                let (before, after) = self.around(select.edges);
                let from = select.reference(grid.start).saturating_sub(*range).saturating_sub(before);
                let until = select.reference(grid.last()).saturating_add(after);
                let hints =
                    Hints { function: Some(name), range: *range, step: grid.step, ..Hints::default() };
                let (mut series, held) = self.read(&select.matchers, (from, until), hints)?;
                series.iter_mut().for_each(without_stale);
                let drops_names = vec![false; series.len()];
                let source = Source::Selector(select);
                Ok((Ranged { source, range: *range, edges: select.edges, series, drops_names }, held))
            }
            Work::Subquery(subquery) => {
                let (columns, inner) = self.resampled(subquery, grid)?;
                let held = self.meter.hold_columns(columns.len(), inner.count)?;
                let drops_names = columns.iter().map(|column| column.drops_name).collect();
                let series = columns.into_iter().map(|column| samples_of(column, inner)).collect();
                let source = Source::Subquery(subquery);
                Ok((Ranged { source, range: subquery.range, edges: None, series, drops_names }, held))
            }
            _ => Err(Error::execution(format!("the argument of {name} is no range"))),
        }
    }

    /// Milliseconds before and after a window that its edges are filled in from.
    fn around(&self, edges: Option<Edges>) -> (i64, i64) {
        let lookback = self.options.lookback;
        match edges {
            None => (0, 0),
            Some(Edges::Anchored) => (lookback, 0),
            Some(Edges::Smoothed) => (lookback, lookback),
        }
    }

    /// The points of the series at that place; tells of it what there is to tell.
    pub(super) fn column(&self, call: &Call<'_>, at: usize) -> Result<Vec<Point>, Error> {
        self.meter.check_time()?;
        let series = &call.ranged.series[at];
        let points = match call.steady.filter(|_| Steady::is(series)) {
            Some(steady) => self.steady_column(call, series, steady)?,
            None => self.windows(call, series)?,
        };
        if ["rate", "increase"].contains(&call.name) {
            self.tell_if_no_counter(&series.labels, &points, call.at);
        }
        Ok(points)
    }

    fn steady_column(
        &self,
        call: &Call<'_>,
        series: &SeriesSamples,
        steady: Steady,
    ) -> Result<Vec<Point>, Error> {
        let mut bounds = Bounds::default();
        let mut samples = 0;
        let change = |time| {
            let until = call.ranged.reference(time);
            let ends = (until.saturating_sub(call.ranged.range), until);
            bounds.advance(&series.floats.times, ends);
            samples += bounds.len();
            steady.change(Slice::of(&series.floats, bounds.from, bounds.to), ends)
        };
        let points = call.grid.times().map(change).collect();
        self.meter.look_at(call.grid.count + series.floats.len())?;
        self.meter.count_samples(samples);
        Ok(points)
    }

    fn windows(&self, call: &Call<'_>, series: &SeriesSamples) -> Result<Vec<Point>, Error> {
        let (before, after) = self.around(call.ranged.edges);
        let (mut floats, mut histograms) = (Bounds::default(), Bounds::default());
        let mut scalars = vec![0.0; call.scalars.len()];
        let mut points = Vec::with_capacity(call.grid.count);
        // Only functions of change know what to do with counts of events.
        let is_counted = ["rate", "increase", "delta", "irate", "idelta"].contains(&call.name);
        let events = series.events.as_deref().filter(|_| is_counted);
        for (step, time) in call.grid.times().enumerate() {
            let until = call.ranged.reference(time);
            let from = until.saturating_sub(call.ranged.range);
            let wide = (from.saturating_sub(before), until.saturating_add(after));
            floats.advance(&series.floats.times, wide);
            histograms.advance(&series.histograms.times, wide);
            // Long windows at short steps overlap: samples are looked at as often as they are in one.
            self.meter.look_at(1 + floats.len() + histograms.len())?;
            let of_histograms = series.histograms.values[histograms.from..histograms.to].iter();
            let of_histograms: usize = of_histograms.map(|histogram| histogram.weight()).sum();
            self.meter.count_samples(floats.len() + of_histograms);
            if floats.is_empty() && histograms.is_empty() && events.is_none() {
                points.push(Point::None);
                continue;
            }
            for (slot, values) in scalars.iter_mut().zip(&call.scalars) {
                *slot = values[step];
            }
            let window = Window {
                labels: &series.labels,
                floats: Slice::of(&series.floats, floats.from, floats.to),
                histograms: Slice::of(&series.histograms, histograms.from, histograms.to),
                events: events.map(|events| events as &dyn Events),
                from,
                until,
                time,
                edges: call.ranged.edges,
                lookback: self.options.lookback,
                scalars: &scalars,
                scalars_at: &call.scalars_at,
                at: call.at,
                notes: self.notes,
            };
            points.push((call.function)(&window)?);
        }
        Ok(points)
    }

    /// Tells that a rate was asked of what does not look like a counter.
    fn tell_if_no_counter(&self, labels: &Labels, points: &[Point], at: usize) {
        let metric = labels.metric_name();
        let has_float = || points.iter().any(|point| point.float().is_some());
        if metric.is_empty() {
            return;
        }
        if self.options.has_type_labels {
            let kind = labels.get("__type__");
            if kind != "counter" && kind != "histogram" && has_float() {
                let (metric, kind) = (metric.to_owned(), kind.to_owned());
                self.notes.tell(Note::TypeIsNoCounter { metric, kind }, at);
            }
        } else if ["_total", "_sum", "_count", "_bucket"].iter().all(|suffix| !metric.ends_with(suffix))
            && has_float()
        {
            self.notes.tell(Note::PossiblyNoCounter { metric: metric.to_owned() }, at);
        }
    }

    /// The samples of a selector with a range at one instant, as they are.
    pub(crate) fn raw_window(&self, select: &Select, range: i64, time: i64) -> Result<Vec<Row>, Error> {
        let (before, after) = self.around(select.edges);
        let until = select.reference(time);
        let from = until.saturating_sub(range);
        let ends = (from.saturating_sub(before), until.saturating_add(after));
        let (mut series, _held) = self.read(&select.matchers, ends, Hints { range, ..Hints::default() })?;
        let mut rows = Vec::with_capacity(series.len());
        for series in &mut series {
            without_stale(series);
            let floats: Vec<(i64, f64)> = match select.edges {
                Some(edges) if !series.histograms.is_empty() => {
                    let word = if edges == Edges::Anchored { "anchored" } else { "smoothed" };
                    let text = format!("{word} modifier is not supported with histograms");
                    return Err(Error::execution(text));
                }
                Some(edges) => {
                    let samples = Slice::of(&series.floats, 0, series.floats.len());
                    extended_floats(samples, (from, until), self.options.lookback, edges)
                }
                None => {
                    series.floats.times.iter().copied().zip(series.floats.values.iter().copied()).collect()
                }
            };
            let floats = floats.into_iter().map(|(time, value)| (time, Point::Float(value)));
            let histograms = series.histograms.times.iter().zip(&series.histograms.values);
            let histograms = histograms.map(|(time, value)| (*time, Point::Histogram(Arc::clone(value))));
            let mut points: Vec<(i64, Point)> = floats.chain(histograms).collect();
            points.sort_by_key(|(time, _)| *time);
            self.meter.count_samples(points.iter().map(|(_, point)| point.weight()).sum());
            rows.push((series.labels.clone(), points));
        }
        Ok(rows)
    }
}

/// The samples of a window: those from `from` up to `to`.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    from: usize,
    to: usize,
}

impl Bounds {
    /// Moves on to the samples later than `after` and until `until`; both never go back.
    fn advance(&mut self, times: &[i64], (after, until): (i64, i64)) {
        while times.get(self.to).is_some_and(|time| *time <= until) {
            self.to += 1;
        }
        while self.from < self.to && times[self.from] <= after {
            self.from += 1;
        }
    }

    fn len(self) -> usize {
        self.to - self.from
    }

    fn is_empty(self) -> bool {
        self.from == self.to
    }
}

fn check_edges(name: &str, edges: Option<Edges>) -> Result<(), Error> {
    let (word, known): (&str, &[&str]) = match edges {
        None => return Ok(()),
        Some(Edges::Anchored) => ("anchored", &ANCHORED),
        Some(Edges::Smoothed) => ("smoothed", &SMOOTHED),
    };
    if known.contains(&name) {
        return Ok(());
    }
    let known = known.join(", ");
    Err(Error::execution(format!("{word} modifier can only be used with: {known} - not with {name}")))
}

/// A column as the samples of a series. Hints are forgotten: they told of the sample before in storage, which may not
/// be the one before here.
fn samples_of(column: Series, grid: Grid) -> SeriesSamples {
    let mut series = SeriesSamples { labels: column.labels, ..SeriesSamples::default() };
    for (time, point) in grid.times().zip(column.points) {
        match point {
            Point::None => {}
            Point::Float(value) => series.floats.push(time, value),
            Point::Histogram(histogram) => {
                let is_hinted = matches!(histogram.hint, ResetHint::Reset | ResetHint::NoReset);
                let histogram = if is_hinted {
                    Arc::new(Histogram { hint: ResetHint::Unknown, ..(*histogram).clone() })
                } else {
                    histogram
                };
                series.histograms.push(time, histogram);
            }
        }
    }
    series
}

/// One column of ones where none of the others has a point, with the labels that the matchers name.
pub(super) fn absent(matchers: &[Matcher], columns: &[Series], count: usize) -> Option<Series> {
    let is_absent = |step: usize| columns.iter().all(|column| column.points[step].is_none());
    let points: Vec<Point> =
        (0..count).map(|step| if is_absent(step) { Point::Float(1.0) } else { Point::None }).collect();
    let series = Series { labels: labels_of(matchers), drops_name: false, points };
    Some(series).filter(|series| !series.is_empty())
}

/// The labels whose value the matchers know: those with one matcher, which asks for a value.
fn labels_of(matchers: &[Matcher]) -> Labels {
    let (mut seen, mut labels) = (HashSet::new(), Labels::default());
    for matcher in matchers {
        let is_first_equal = matcher.comparison == Comparison::Equal && seen.insert(&matcher.name);
        labels = labels.with(&matcher.name, if is_first_equal { &matcher.value } else { "" });
    }
    labels.without_metadata()
}
