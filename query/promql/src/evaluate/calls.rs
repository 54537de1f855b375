//! Calls of functions: which part of the evaluation each is the matter of.

use super::windows::absent;
use super::{Evaluated, Evaluator, vector};
use crate::calendar::Date;
use crate::error::Error;
use crate::functions::value::{clamped, larger, of_date, of_float, rounded, smaller};
use crate::histogram::Histogram;
use crate::labels::Labels;
use crate::plan::{Plan, Work};
use crate::series::{Grid, Point, Series, Value};
use crate::tree::{Function, Kind};

impl Evaluator<'_> {
    pub(super) fn call(
        &self,
        at: usize,
        function: &'static Function,
        arguments: &[Plan],
        grid: Grid,
    ) -> Evaluated<'_> {
        if arguments.iter().any(|argument| argument.kind == Kind::Matrix) {
            return vector(self.over_range(function.name, arguments, grid));
        }
        if function.returns == Kind::Scalar {
            return self.scalar_call(function.name, arguments, grid);
        }
        vector(match function.name {
            "timestamp" | "start_timestamp" => return self.sample_times(function.name, &arguments[0], grid),
            "label_replace" => self.label_replace(arguments, grid),
            "label_join" => self.label_join(arguments, grid),
            "info" => self.info(arguments, grid),
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => {
                self.sorted(at, function.name, arguments, grid)
            }
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
                self.of_buckets(function.name, arguments, grid)
            }
            "vector" => {
                let points = self.scalars(&arguments[0], grid)?.into_iter().map(Point::Float).collect();
                let series = Series { labels: Labels::default(), drops_name: false, points };
                self.meter.hold_columns(1, grid.count).map(|held| (vec![series], held))
            }
            "absent" => {
                let matchers =
                    if let Work::Select(select) = &arguments[0].work { &select.matchers[..] } else { &[] };
                let (columns, held) = self.columns(&arguments[0], grid)?;
                Ok((absent(matchers, &columns, grid.count).into_iter().collect(), held))
            }
            name => return self.elementwise(name, arguments, grid),
        })
    }

    fn scalar_call(&self, name: &str, arguments: &[Plan], grid: Grid) -> Evaluated<'_> {
        let held = self.meter.hold(grid.count)?;
        let pairs = |operation: fn(f64, f64) -> f64| -> Result<Vec<f64>, Error> {
            let [a, b] = [self.scalars(&arguments[0], grid)?, self.scalars(&arguments[1], grid)?];
            Ok(a.into_iter().zip(b).map(|(a, b)| operation(a, b)).collect())
        };
        let values = match name {
            "time" => grid.times().map(|time| time as f64 / 1e3).collect(),
            "pi" => vec![std::f64::consts::PI; grid.count],
            "max_of" => pairs(larger)?,
            "min_of" => pairs(smaller)?,
            "scalar" => {
                let (columns, _held) = self.columns(&arguments[0], grid)?;
                (0..grid.count).map(|step| only_float(&columns, step)).collect()
            }
            name => return Err(Error::execution(format!("function {name} is not implemented"))),
        };
        Ok((Value::Scalar(values), held))
    }

    fn sample_times(&self, name: &str, argument: &Plan, grid: Grid) -> Evaluated<'_> {
        match (&argument.work, name) {
            (Work::Select(select), "timestamp") if select.edges.is_none() => {
                vector(self.timestamps(select, grid))
            }
            (Work::Select(select), _) => vector(self.start_timestamps(select, grid)),
            // What is computed is of the time of its step, and began at no time.
            (_, "timestamp") => {
                let (mut columns, held) = self.columns(argument, grid)?;
                for column in &mut columns {
                    for (point, time) in column.points.iter_mut().zip(grid.times()) {
                        if !point.is_none() {
                            *point = Point::Float(time as f64 / 1e3);
                        }
                    }
                }
                Ok((Value::Vector(self.renamed(columns)?), held))
            }
            _ => Ok((Value::Vector(Vec::new()), self.meter.hold(0)?)),
        }
    }

    /// Functions of one point, perhaps with scalars besides.
    fn elementwise(&self, name: &str, arguments: &[Plan], grid: Grid) -> Evaluated<'_> {
        if let Some(part) = of_date(name) {
            return self.date_parts(part, arguments, grid);
        }
        let others = arguments[1..].iter().map(|argument| self.scalars(argument, grid));
        let scalars = others.collect::<Result<Vec<_>, _>>()?;
        let (mut columns, held) = self.columns(&arguments[0], grid)?;
        let change: Change = if let Some(function) = of_float(name) {
            Box::new(move |point, _| point.float().map_or(Point::None, |value| Point::Float(function(value))))
        } else if let Some(function) = of_histogram(name) {
            Box::new(move |point, _| match point {
                Point::Histogram(histogram) => Point::Float(function(histogram)),
                _ => Point::None,
            })
        } else {
            let function = with_scalars(name)?;
            let of_step = |step: usize| scalars.iter().map(|values| values[step]).collect();
            let scalars: Vec<Vec<f64>> = (0..grid.count).map(of_step).collect();
            Box::new(move |point, step| {
                point
                    .float()
                    .and_then(|value| function(value, &scalars[step]))
                    .map_or(Point::None, Point::Float)
            })
        };
        for column in &mut columns {
            for (step, point) in column.points.iter_mut().enumerate() {
                *point = change(point, step);
            }
        }
        Ok((Value::Vector(self.renamed(columns)?), held))
    }

    fn date_parts(&self, part: fn(Date) -> i64, arguments: &[Plan], grid: Grid) -> Evaluated<'_> {
        let of = |seconds: f64| Point::Float(part(Date::of(whole_seconds(seconds))) as f64);
        let Some(argument) = arguments.first() else {
            let points = grid.times().map(|time| of((time / 1_000) as f64)).collect();
            let series = Series { labels: Labels::default(), drops_name: false, points };
            return Ok((Value::Vector(vec![series]), self.meter.hold(grid.count)?));
        };
        let (mut columns, held) = self.columns(argument, grid)?;
        for point in columns.iter_mut().flat_map(|column| &mut column.points) {
            *point = point.float().map_or(Point::None, of);
        }
        Ok((Value::Vector(self.renamed(columns)?), held))
    }
}

/// Whole seconds, as a time has them. What no 64 bits hold, NaN and infinities too, is what Go makes of it on x86-64: the
/// least of all numbers, which its calendar reads without the sign, as a day of the year 292277026596.
fn whole_seconds(seconds: f64) -> i128 {
    /// 2^63.
    const SECONDS_END: i128 = 1 << 63;
    let is_held = seconds.abs() < SECONDS_END as f64;
    if is_held { seconds as i128 } else { SECONDS_END }
}

/// The only float of a step; NaN if there is none, or more than one.
fn only_float(columns: &[Series], step: usize) -> f64 {
    let mut floats = columns.iter().filter_map(|column| column.points[step].float());
    match (floats.next(), floats.next()) {
        (Some(value), None) => value,
        _ => f64::NAN,
    }
}

fn of_histogram(name: &str) -> Option<fn(&Histogram) -> f64> {
    Some(match name {
        "histogram_count" => |histogram| histogram.count,
        "histogram_sum" => |histogram| histogram.sum,
        "histogram_avg" => |histogram| histogram.sum / histogram.count,
        "histogram_stddev" => |histogram| histogram.variance().sqrt(),
        "histogram_stdvar" => |histogram| histogram.variance(),
        _ => return None,
    })
}

/// What a function makes of a point at a step.
type Change = Box<dyn Fn(&Point, usize) -> Point>;

/// A function of a value and the scalars of its step; none where it has no value.
type WithScalars = fn(f64, &[f64]) -> Option<f64>;

fn with_scalars(name: &str) -> Result<WithScalars, Error> {
    Ok(match name {
        "round" => |value, scalars| Some(rounded(value, scalars.first().copied().unwrap_or(1.0))),
        "clamp" => |value, scalars| {
            let is_empty = scalars[1] < scalars[0];
            (!is_empty).then(|| clamped(value, scalars[0], scalars[1]))
        },
        "clamp_min" => |value, scalars| Some(clamped(value, scalars[0], f64::INFINITY)),
        "clamp_max" => |value, scalars| Some(clamped(value, f64::NEG_INFINITY, scalars[0])),
        name => return Err(Error::execution(format!("function {name} is not implemented"))),
    })
}
