//! Selectors at instants: the latest sample of each series, unless it is too old or the series has ended.

use std::sync::Arc;

use super::{Columns, Evaluator};
use crate::functions::{interpolated_float, interpolated_histogram};
use crate::histogram::{Histogram, Incompatible, ResetHint};
use crate::notes::{Note, Notes};
use crate::plan::Select;
use crate::samples::{Hints, Run, SeriesSamples, is_stale};
use crate::series::{Grid, Point, Series};
use crate::tree::Edges;

/// A series' latest sample as of some instant.
pub(super) struct Latest {
    pub time: i64,
    /// When its counter began; zero if nobody knows.
    pub start: i64,
    pub point: Point,
}

impl Evaluator<'_> {
    pub(super) fn instant(&self, select: &Select, grid: Grid, at: usize) -> Columns<'_> {
        if select.edges == Some(Edges::Smoothed) {
            return self.smoothed(select, grid, at);
        }
        self.latest(select, grid, |latest, _| latest.point)
    }

    /// A column a series, of what `pick` makes of its latest sample and the time of the step.
    pub(super) fn latest(
        &self,
        select: &Select,
        grid: Grid,
        pick: impl Fn(Latest, i64) -> Point,
    ) -> Columns<'_> {
        let lookback = self.options.lookback;
        let ends = (select.reference(grid.start).saturating_sub(lookback), select.reference(grid.last()));
        let hints = Hints { step: grid.step, ..Hints::default() };
        let (read, _held) = self.read(&select.matchers, ends, hints)?;
        let held = self.meter.hold_columns(read.len(), grid.count)?;
        let mut columns = Vec::with_capacity(read.len());
        for series in &read {
            self.meter.check_time()?;
            let mut cursor = Cursor::new(series, lookback);
            let latest =
                |time| cursor.latest(select.reference(time)).map_or(Point::None, |latest| pick(latest, time));
            let points = grid.times().map(latest).collect();
            columns.push(Series { labels: series.labels.clone(), drops_name: false, points });
        }
        columns.retain(|column| !column.is_empty());
        self.count_points(&columns);
        Ok((columns, held))
    }

    fn count_points(&self, columns: &[Series]) {
        self.meter.count_samples(columns.iter().flat_map(|column| &column.points).map(Point::weight).sum());
    }

    /// Values on lines between the samples before and after each instant.
    fn smoothed(&self, select: &Select, grid: Grid, at: usize) -> Columns<'_> {
        let lookback = self.options.lookback;
        let after = select.reference(grid.start).saturating_sub(lookback);
        let until = select.reference(grid.last()).saturating_add(lookback);
        let hints = Hints { step: grid.step, ..Hints::default() };
        let (read, _held) = self.read(&select.matchers, (after, until), hints)?;
        let held = self.meter.hold_columns(read.len(), grid.count)?;
        let mut columns = Vec::with_capacity(read.len());
        for mut series in read {
            self.meter.check_time()?;
            without_stale(&mut series);
            let smooth = |time| smooth(&series, select.reference(time), lookback, (self.notes, at));
            let points = grid.times().map(smooth).collect();
            columns.push(Series { labels: series.labels.clone(), drops_name: false, points });
        }
        columns.retain(|column| !column.is_empty());
        self.count_points(&columns);
        Ok((columns, held))
    }

    /// The value of `timestamp`: when the sample is that a selector gives, in seconds.
    pub(super) fn timestamps(&self, select: &Select, grid: Grid) -> Columns<'_> {
        let (series, held) = self.latest(select, grid, |latest, _| Point::Float(latest.time as f64 / 1e3))?;
        Ok((self.renamed(series)?, held))
    }

    /// When the counter of that sample began, in seconds; zero if nobody knows.
    pub(super) fn start_timestamps(&self, select: &Select, grid: Grid) -> Columns<'_> {
        let (series, held) =
            self.latest(select, grid, |latest, _| Point::Float(latest.start as f64 / 1e3))?;
        Ok((self.renamed(series)?, held))
    }
}

/// Goes through a series from instant to instant, each later than the one before.
struct Cursor<'s> {
    series: &'s SeriesSamples,
    lookback: i64,
    floats: usize,
    histograms: usize,
}

impl<'s> Cursor<'s> {
    fn new(series: &'s SeriesSamples, lookback: i64) -> Self {
        Cursor { series, lookback, floats: 0, histograms: 0 }
    }

    fn latest(&mut self, instant: i64) -> Option<Latest> {
        let SeriesSamples { floats, histograms, .. } = self.series;
        let float = advance(floats, &mut self.floats, instant);
        let histogram = advance(histograms, &mut self.histograms, instant);
        let time_of = |at: Option<usize>, times: &[i64]| at.map(|at| times[at]);
        let times = [time_of(float, &floats.times), time_of(histogram, &histograms.times)];
        let time = times.into_iter().flatten().max()?;
        if time <= instant.saturating_sub(self.lookback) {
            return None;
        }
        let (start, point) = match (float, histogram) {
            (Some(at), _) if times[0] >= times[1] => {
                let value = floats.values[at];
                (floats.starts.get(at), if is_stale(value) { None } else { Some(Point::Float(value)) })
            }
            (_, Some(at)) => {
                let histogram = &histograms.values[at];
                let is_stale = is_stale(histogram.sum);
                let point = if is_stale { None } else { Some(Point::Histogram(Arc::clone(histogram))) };
                (histograms.starts.get(at), point)
            }
            _ => return None,
        };
        Some(Latest { time, start: start.copied().unwrap_or(0), point: point? })
    }
}

/// The last sample at or before an instant.
fn advance<T>(run: &Run<T>, next: &mut usize, instant: i64) -> Option<usize> {
    while run.times.get(*next).is_some_and(|time| *time <= instant) {
        *next += 1;
    }
    next.checked_sub(1)
}

/// Takes stale markers out, which only mean something to selectors at instants.
pub(super) fn without_stale(series: &mut SeriesSamples) {
    retain(&mut series.floats, |value| !is_stale(*value));
    retain(&mut series.histograms, |histogram| !is_stale(histogram.sum));
}

fn retain<T>(run: &mut Run<T>, is_kept: impl Fn(&T) -> bool) {
    if run.values.iter().all(&is_kept) {
        return;
    }
    let kept: Vec<bool> = run.values.iter().map(is_kept).collect();
    let mut flags = kept.iter().copied().cycle();
    let mut next = |_: &i64| flags.next().unwrap_or(true);
    run.times.retain(&mut next);
    run.starts.retain(&mut next);
    let mut flags = kept.iter().copied();
    run.values.retain(|_| flags.next().unwrap_or(true));
}

fn smooth(series: &SeriesSamples, instant: i64, lookback: i64, told: (&Notes, usize)) -> Point {
    let (notes, at) = told;
    let metric = || series.labels.metric_name().to_owned();
    let near = |times: &[i64]| {
        let from = times.partition_point(|time| *time <= instant.saturating_sub(lookback));
        let to = times.partition_point(|time| *time <= instant.saturating_add(lookback));
        (from, to)
    };
    let (floats, histograms) = (near(&series.floats.times), near(&series.histograms.times));
    match (floats.0 < floats.1, histograms.0 < histograms.1) {
        (false, false) => Point::None,
        (true, true) => {
            notes.tell(Note::MixedFloatsHistograms { metric: metric() }, at);
            Point::None
        }
        (true, false) => smooth_float(&series.floats, floats, instant),
        (false, true) => match smooth_histogram(&series.histograms, histograms, instant, told) {
            Ok(point) => point,
            Err(Incompatible) => {
                notes.tell(Note::MixedSchemas { metric: metric() }, at);
                Point::None
            }
        },
    }
}

fn smooth_float(run: &Run<f64>, (from, to): (usize, usize), instant: i64) -> Point {
    let next = from + run.times[from..to].partition_point(|time| *time < instant);
    let sample = |at: usize| (run.times[at], run.values[at]);
    if next < to && run.times[next] == instant {
        Point::Float(run.values[next])
    } else if next == from {
        Point::None
    } else if next == to {
        Point::Float(run.values[next - 1])
    } else {
        Point::Float(interpolated_float(sample(next - 1), sample(next), instant, false))
    }
}

fn smooth_histogram(
    run: &Run<Arc<Histogram>>,
    (from, to): (usize, usize),
    instant: i64,
    told: (&Notes, usize),
) -> Result<Point, Incompatible> {
    let next = from + run.times[from..to].partition_point(|time| *time < instant);
    if next < to && run.times[next] == instant {
        return Ok(Point::Histogram(Arc::clone(&run.values[next])));
    }
    if next == from {
        return Ok(Point::None);
    }
    let before = &run.values[next - 1];
    if next == to {
        // A hint says what was between two samples, and this is none of them.
        return Ok(Histogram { hint: ResetHint::Unknown, ..(**before).clone() }.into());
    }
    let after = &run.values[next];
    if before.uses_custom_buckets() != after.uses_custom_buckets() {
        return Err(Incompatible);
    }
    let is_counter = [before, after].iter().any(|histogram| histogram.hint != ResetHint::Gauge);
    let (a, b) = ((run.times[next - 1], &**before), (run.times[next], &**after));
    interpolated_histogram(a, b, instant, is_counter, told).map(Point::from)
}
