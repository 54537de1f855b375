//! Makes one run of samples of the points of all stored series that have one label set.

use std::sync::Arc;

use meshlake_promql::{Events, Run};

use super::deltas::{Deltas, totals};
use super::strand::{NANOS_PER_MILLI, Point, Strand, Value, millis};

/// What of the samples is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Milliseconds: samples later than this.
    pub after: i64,
    /// Whether changes are counted from deltas as they are, so that their totals do not matter.
    pub has_events: bool,
}

/// The samples of one series.
pub struct Join<T> {
    pub run: Run<T>,
    /// Of deltas of numbers.
    pub events: Option<Arc<dyn Events>>,
    /// Whether samples of several stored series alternate, but for deltas, which are added.
    pub is_interleaved: bool,
}

/// All points in order of time, one a millisecond. Deltas are made totals; those of several senders at one instant are added.
pub fn join<T: Value + 'static>(mut strands: Vec<Strand<T>>, window: Window) -> Join<T> {
    if let Some(strand) = strands.pop_if(|strand| !strand.is_delta) {
        if strands.is_empty() {
            let run =
                if is_spaced(&strand.times) { as_run(strand) } else { run(strand.into_points().collect()) };
            return Join { run: later(run, window), events: None, is_interleaved: false };
        }
        strands.push(strand);
    }
    let is_interleaved = is_interleaved(&strands);
    let (mut deltas, mut points) = (Vec::new(), Vec::new());
    for strand in strands {
        let all = if strand.is_delta { &mut deltas } else { &mut points };
        all.extend(strand.into_points());
    }
    // What some senders tell in totals is not in the deltas of others.
    let counted = points.is_empty().then(|| Deltas::of(&deltas)).flatten();
    let events = counted.map(|deltas| Arc::new(deltas) as Arc<dyn Events>);
    points.extend(totals(deltas));
    Join { run: later(run(points), window), events, is_interleaved }
}

/// The samples that are wanted.
fn later<T>(mut run: Run<T>, window: Window) -> Run<T> {
    let kept_from = run.times.partition_point(|time| *time <= window.after);
    run.times.drain(..kept_from);
    run.values.drain(..kept_from);
    run.starts.drain(..kept_from.min(run.starts.len()));
    run
}

fn is_interleaved<T>(strands: &[Strand<T>]) -> bool {
    let ends = |strand: &Strand<T>| Some((*strand.times.iter().min()?, *strand.times.iter().max()?));
    if strands.len() < 2 {
        return false;
    }
    let totals = strands.iter().filter(|strand| !strand.is_delta);
    let mut ends: Vec<(i64, i64)> = totals.filter_map(ends).collect();
    ends.sort_unstable();
    ends.windows(2).any(|pair| pair[1].0 <= pair[0].1)
}

/// Whether points are in order of time, and no two in one millisecond.
fn is_spaced(times: &[i64]) -> bool {
    times.windows(2).all(|pair| pair[1].saturating_sub(pair[0]) >= NANOS_PER_MILLI)
}

/// The points of a strand that are spaced, where they are.
fn as_run<T>(strand: Strand<T>) -> Run<T> {
    let Strand { mut times, mut starts, values, .. } = strand;
    if starts.iter().all(|start| *start == 0) {
        starts.clear();
    }
    times.iter_mut().chain(&mut starts).for_each(|time| *time = millis(*time));
    Run { times, values, starts }
}

/// Of points in one millisecond the latest is kept, as it overwrites those before.
fn run<T: Value>(mut points: Vec<Point<T>>) -> Run<T> {
    if !points.is_sorted_by_key(|point| point.time) {
        points.sort_by_key(|point| point.time);
    }
    let mut run = Run::default();
    run.times.reserve(points.len());
    run.values.reserve(points.len());
    let has_starts = points.iter().any(|point| point.start != 0);
    let mut last_nanos = i64::MIN;
    for point in points {
        let (time, start) = (millis(point.time), millis(point.start));
        if run.times.last() == Some(&time)
            && let (Some(value), false) = (run.values.last_mut(), run.times.is_empty())
        {
            if point.time > last_nanos || point.value.outranks(value) {
                *value = point.value;
                if let Some(last) = run.starts.last_mut() {
                    *last = start;
                }
            }
        } else {
            run.push(time, point.value);
            run.starts.extend(has_starts.then_some(start));
        }
        last_nanos = point.time;
    }
    run
}

#[cfg(test)]
mod tests {
    use super::super::When;
    use super::*;

    const ALL: Window = Window { after: i64::MIN, has_events: false };

    fn strand(is_delta: bool, points: &[(i64, f64)]) -> Strand<f64> {
        let mut strand = Strand::new(0, is_delta);
        points.iter().for_each(|(time, value)| strand.push(When { time: *time, start: 0 }, *value));
        strand
    }

    fn joined(strands: Vec<Strand<f64>>) -> (Vec<(i64, f64)>, bool) {
        let join = join(strands, ALL);
        (join.run.times.into_iter().zip(join.run.values).collect(), join.is_interleaved)
    }

    #[test]
    fn points_of_two_senders_are_in_order_of_time() {
        let one = || strand(false, &[(3_000_000, 3.0), (1_000_000, 1.0)]);
        let (run, is_interleaved) = joined(vec![one(), strand(false, &[(2_000_000, 7.0)])]);
        assert_eq!((run, is_interleaved), (vec![(1, 1.0), (2, 7.0), (3, 3.0)], true));
        let (run, is_interleaved) = joined(vec![one(), strand(false, &[(4_000_000, 7.0)])]);
        assert_eq!((run.len(), is_interleaved), (3, false), "one after the other");
    }

    /// Whether points come as they are or are put in order, a start is that of its point.
    #[test]
    fn starts_are_those_of_their_points() {
        let points = [(1_000_000, 0), (2_000_000, 1_500_000), (3_000_000, 2_999_999)];
        for order in [[0, 1, 2], [2, 0, 1]] {
            let mut strand = Strand::new(0, false);
            for (time, start) in order.map(|at| points[at]) {
                strand.push(When { time, start }, time as f64);
            }
            let run = join(vec![strand], ALL).run;
            assert_eq!((run.times, run.starts), (vec![1, 2, 3], vec![0, 1, 2]));
            assert_eq!(run.values, [1e6, 2e6, 3e6]);
        }
    }

    #[test]
    fn of_one_millisecond_the_latest_is_kept() {
        let within = strand(false, &[(1_000_002, 5.0), (1_000_001, 9.0)]);
        assert_eq!(joined(vec![within]).0, [(1, 5.0)]);
        for values in [[4.0, 6.0], [6.0, 4.0]] {
            let alike = values.map(|value| strand(false, &[(1_000_000, value)]));
            assert_eq!(joined(alike.into()).0, [(1, 6.0)], "in any order the same");
        }
        let stale = [
            strand(false, &[(1_000_000, meshlake_promql::stale_marker())]),
            strand(false, &[(1_000_000, -1.0)]),
        ];
        assert_eq!(joined(stale.into()).0, [(1, -1.0)]);
    }
}
