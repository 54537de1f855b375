//! Deltas made totals, and counted as they are.
//!
//! A counter that a sender tells of in deltas counts from 00:00 UTC on here, as counters that are made of calls do: two
//! questions whose ranges overlap then see the same totals, whatever each has read. That takes the day's deltas before the
//! range. A day's first is preceded by a zero, at its start or right after midnight, so that what it counts shows as growth and no reset is
//! missed; a delta on both sides of midnight counts for the day it ends in. Changes over a range need no totals: they are the
//! sums of deltas that end in it, so that `rate` and `increase` neither extrapolate nor miss the first.

use meshlake_promql::{Error, Events};

use super::strand::{NANOS_PER_MILLI, Point, Value, millis};

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// The midnight that totals count from at `time`, milliseconds since the epoch; midnight itself ends a day.
pub fn counts_from(time: i64) -> i64 {
    (time - 1).div_euclid(DAY) * DAY
}

/// Totals of deltas, which are in any order.
pub fn totals<T: Value>(mut deltas: Vec<Point<T>>) -> Vec<Point<T>> {
    deltas.sort_by_key(|delta| delta.time);
    let mut totals: Vec<Point<T>> = Vec::with_capacity(deltas.len() + 1);
    let mut counted: Option<(i64, T)> = None;
    for delta in deltas {
        let time = millis(delta.time);
        if delta.value.is_stale() {
            totals.push(Point { start: 0, ..delta });
            continue;
        }
        let midnight = counts_from(time);
        let sum = match counted.take().filter(|(day, _)| *day == midnight) {
            // What cannot be added counts anew.
            Some((_, sum)) => sum.plus(&delta.value).unwrap_or_else(|| delta.value.clone()),
            None => {
                totals.extend(zero(&delta, midnight));
                delta.value.clone()
            }
        };
        let start = midnight * NANOS_PER_MILLI;
        totals.push(Point { time: delta.time, start, value: sum.clone() });
        counted = Some((midnight, sum));
    }
    totals
}

/// The sample before a day's first delta; none if it is not known when that began.
fn zero<T: Value>(first: &Point<T>, midnight: i64) -> Option<Point<T>> {
    let began = Some(millis(first.start)).filter(|_| first.start != 0)?;
    // The day before may have ended with a sample at midnight.
    let time = began.max(midnight + 1);
    let nanos = time * NANOS_PER_MILLI;
    (time < millis(first.time)).then(|| Point { time: nanos, start: nanos, value: first.value.emptied() })
}

/// Deltas in order of time.
#[derive(Debug)]
pub struct Deltas {
    /// Milliseconds at which each ended.
    times: Vec<i64>,
    values: Vec<f64>,
}

impl Deltas {
    /// None without any, or if they are no numbers.
    pub fn of<T: Value>(points: &[Point<T>]) -> Option<Deltas> {
        let number = |point: &Point<T>| {
            let value = Some(&point.value).filter(|value| !value.is_stale())?;
            Some((millis(point.time), value.number()?))
        };
        let mut pairs: Vec<(i64, f64)> = points.iter().filter_map(number).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let (times, values): (Vec<i64>, Vec<f64>) = pairs.into_iter().unzip();
        (!times.is_empty()).then_some(Deltas { times, values })
    }
}

impl Events for Deltas {
    fn increase(&self, after: i64, until: i64) -> Result<Option<f64>, Error> {
        let from = self.times.partition_point(|time| *time <= after);
        let to = self.times.partition_point(|time| *time <= until);
        Ok((from < to).then(|| self.values[from..to].iter().sum::<f64>() + 0.0))
    }

    fn resolution(&self) -> i64 {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn delta(start: i64, time: i64, value: f64) -> Point<f64> {
        Point { time: time * NANOS_PER_MILLI, start: start * NANOS_PER_MILLI, value }
    }

    fn told(deltas: Vec<Point<f64>>) -> Vec<(i64, f64)> {
        totals(deltas).into_iter().map(|point| (millis(point.time), point.value)).collect()
    }

    #[test]
    fn totals_count_from_midnight_with_a_zero_before() {
        let midnight = 10 * DAY;
        let deltas = vec![
            delta(midnight + MINUTE, midnight + 2 * MINUTE, 4.0),
            delta(midnight - MINUTE, midnight, 3.0),
            delta(midnight, midnight + MINUTE, 2.0),
            delta(midnight - 2 * MINUTE, midnight - MINUTE, 5.0),
        ];
        let want = [
            (midnight - 2 * MINUTE, 0.0),
            (midnight - MINUTE, 5.0),
            (midnight, 8.0),
            (midnight + 1, 0.0),
            (midnight + MINUTE, 2.0),
            (midnight + 2 * MINUTE, 6.0),
        ];
        assert_eq!(told(deltas), want);
    }

    #[test]
    fn a_delta_over_midnight_counts_for_the_day_it_ends_in() {
        let midnight = 10 * DAY;
        let deltas = vec![delta(midnight - MINUTE, midnight + MINUTE, 7.0)];
        assert_eq!(told(deltas), [(midnight + 1, 0.0), (midnight + MINUTE, 7.0)]);
        let unknown = vec![Point { start: 0, ..delta(0, midnight + MINUTE, 7.0) }];
        assert_eq!(told(unknown), [(midnight + MINUTE, 7.0)], "nobody knows since when");
    }

    /// Deltas of 1, 2 and 4 at 10, 20 and 30 s: windows that meet have together what the whole has.
    #[test]
    fn an_increase_is_the_sum_of_deltas_that_end_in_it() {
        let points = [(10, 1.0), (20, 2.0), (30, 4.0)].map(|(second, value)| delta(0, second * 1_000, value));
        let deltas = Deltas::of(&points).expect("there are some");
        let increase = |after, until| deltas.increase(after, until).expect("never fails");
        assert_eq!(increase(0, 30_000), Some(7.0));
        assert_eq!((increase(0, 15_000), increase(15_000, 30_000)), (Some(1.0), Some(6.0)));
        assert_eq!((increase(10_000, 20_000), increase(20_000, 29_999)), (Some(2.0), None));
    }
}
