//! What OTLP metrics tell of the means of a service: CPU, memory, threads, pools of connections.
//!
//! Points are added in any order, a row a series: a gauge, or a sum that rises and falls, by its last, mean and largest
//! value; a sum that only grows by how much it grew a second. Limit: [`SERIES_MAX`] series.

use std::collections::BTreeMap;

/// Most series of an answer; a service has some ten for each instance.
pub const SERIES_MAX: usize = 2_000;

/// What the names of metrics begin with that tell of a service's means. Source: the OpenTelemetry semantic conventions for
/// processes, runtimes, database clients, containers and Kubernetes.
pub const PREFIXES: [&str; 9] = [
    "container.",
    "db.client.connection.",
    "db.client.connections.",
    "dotnet.",
    "go.",
    "jvm.",
    "k8s.pod.",
    "nodejs.",
    "process.",
];

/// A point of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point<'a> {
    pub series: i64,
    pub metric: &'a str,
    pub unit: Option<&'a str>,
    pub instance: Option<&'a str>,
    /// As one text, to tell series of one metric apart.
    pub attributes: &'a str,
    /// Nanoseconds since the epoch.
    pub time: i64,
    pub value: f64,
    pub kind: Kind,
}

/// What the values of a series are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What there is.
    Level,
    /// What there was since the start; it only grows.
    Total,
    /// What there was since the point before.
    Delta,
}

/// A series in the range.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauge {
    pub metric: String,
    pub unit: Option<String>,
    pub instance: Option<String>,
    pub attributes: String,
    pub points: u64,
    /// Of levels; `None` of what grows.
    pub last: Option<f64>,
    pub mean: Option<f64>,
    pub max: Option<f64>,
    /// Growth a second; `None` of levels, of a single point, and where the total fell, as after a restart.
    pub rate: Option<f64>,
}

/// Series while they are added up.
#[derive(Debug, Default)]
pub struct Gauges {
    series: BTreeMap<i64, Series>,
    is_cut: bool,
}

#[derive(Debug)]
struct Series {
    gauge: Gauge,
    kind: Kind,
    sum: f64,
    first: (i64, f64),
    last: (i64, f64),
}

impl Gauges {
    pub fn add(&mut self, point: Point<'_>) {
        if self.series.len() >= SERIES_MAX && !self.series.contains_key(&point.series) {
            self.is_cut = true;
            return;
        }
        let at = (point.time, point.value);
        let series = self.series.entry(point.series).or_insert_with(|| Series {
            gauge: Gauge {
                metric: point.metric.to_owned(),
                unit: point.unit.map(str::to_owned),
                instance: point.instance.map(str::to_owned),
                attributes: point.attributes.to_owned(),
                points: 0,
                last: None,
                mean: None,
                max: None,
                rate: None,
            },
            kind: point.kind,
            sum: 0.0,
            first: at,
            last: at,
        });
        series.gauge.points += 1;
        series.gauge.max = Some(series.gauge.max.map_or(point.value, |max| max.max(point.value)));
        series.sum += point.value;
        series.first = if at.0 < series.first.0 { at } else { series.first };
        series.last = if at.0 >= series.last.0 { at } else { series.last };
    }

    /// The series sorted by metric, instance and attributes, in a range of so many seconds; and what to say of them.
    pub fn finish(self, seconds: f64) -> (Vec<Gauge>, Option<String>) {
        let mut gauges: Vec<Gauge> = self.series.into_values().map(|series| series.gauge(seconds)).collect();
        gauges.sort_by(|a, b| {
            (&a.metric, &a.instance, &a.attributes).cmp(&(&b.metric, &b.instance, &b.attributes))
        });
        let told = self.is_cut.then(|| format!("only {SERIES_MAX} series of metrics are told of"));
        (gauges, told)
    }
}

impl Series {
    fn gauge(self, seconds: f64) -> Gauge {
        let Series { gauge, kind, sum, first, last } = self;
        let span = (last.0 - first.0) as f64 / 1e9;
        let rate = match kind {
            Kind::Level => None,
            Kind::Total => (span > 0.0 && last.1 >= first.1).then(|| (last.1 - first.1) / span),
            Kind::Delta => Some(sum / seconds),
        };
        if kind != Kind::Level {
            return Gauge { max: None, rate, ..gauge };
        }
        Gauge { last: Some(last.1), mean: Some(sum / gauge.points as f64), ..gauge }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINT: Point<'_> = Point {
        series: 1,
        metric: "jvm.thread.count",
        unit: Some("{thread}"),
        instance: Some("b-0"),
        attributes: "{}",
        time: 0,
        value: 0.0,
        kind: Kind::Level,
    };

    fn finished(points: &[(i64, f64)], kind: Kind) -> Gauge {
        let mut gauges = Gauges::default();
        for (second, value) in points {
            gauges.add(Point { time: second * 1_000_000_000, value: *value, kind, ..POINT });
        }
        gauges.finish(100.0).0.remove(0)
    }

    #[test]
    fn levels_are_told_by_last_mean_and_largest_in_any_order() {
        let gauge = finished(&[(20, 4.0), (10, 8.0), (0, 3.0)], Kind::Level);
        assert_eq!((gauge.last, gauge.mean, gauge.max, gauge.rate), (Some(4.0), Some(5.0), Some(8.0), None));
    }

    #[test]
    fn what_grows_is_told_by_its_growth() {
        assert_eq!(finished(&[(10, 7.0), (0, 5.0), (20, 25.0)], Kind::Total).rate, Some(1.0));
        assert_eq!(finished(&[(0, 5.0)], Kind::Total).rate, None);
        assert_eq!(finished(&[(0, 5.0), (10, 1.0)], Kind::Total).rate, None, "a restart");
        let delta = finished(&[(0, 5.0), (10, 45.0)], Kind::Delta);
        assert_eq!((delta.rate, delta.max), (Some(0.5), None));
    }

    #[test]
    fn only_so_many_series_are_told_of() {
        for (count, is_told) in [(SERIES_MAX, false), (SERIES_MAX + 1, true)] {
            let mut gauges = Gauges::default();
            (0..count as i64).for_each(|series| gauges.add(Point { series, ..POINT }));
            let (gauges, told) = gauges.finish(1.0);
            assert_eq!((gauges.len(), told.is_some()), (SERIES_MAX, is_told));
        }
    }
}
