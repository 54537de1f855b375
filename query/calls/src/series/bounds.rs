//! Upper bounds of the buckets of classic histograms, and which of them a value of a sketch lies below.
//!
//! A bucket of the sketch that a bound cuts is counted below it as a whole: values mostly are whole numbers of
//! milliseconds, as bounds are, and a value that equals its bound belongs below it. So a count may be too high by
//! values of up to 2.2 % more than the bound, the width of that bucket, and never too low.

use meshlake_schema::LatencyHistogram;

/// Milliseconds, and bytes. Source: Envoy, `source/common/stats/histogram_impl.cc`, the default buckets.
pub const ENVOY: &[f64] = &[
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// Seconds. Source: Tempo, configuration of the metrics generator, `service_graphs.histogram_buckets`.
pub const SERVICE_GRAPH: &[f64] = &[0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8];

/// Seconds. Source: the same, `span_metrics.histogram_buckets`.
pub const SPAN_METRICS: &[f64] =
    &[0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384];

/// Buckets of a sketch for each power of two.
const BUCKETS_PER_OCTAVE: f64 = 32.0;

/// The bounds of one histogram in the sketch.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The last bucket of the sketch below each bound, ascending.
    last: Vec<i32>,
}

impl Bounds {
    /// Of bounds in a unit that is `unit` of the sketch's.
    pub fn of(bounds: &[f64], unit: f64) -> Bounds {
        let last = |bound: &f64| ((bound * unit).log2() * BUCKETS_PER_OCTAVE).ceil() as i32 - 1;
        Bounds { last: bounds.iter().map(last).collect() }
    }

    /// How many values lie between each bound and the one before, and at last above all; those of which there are
    /// none are left out.
    pub fn counts(&self, sketch: &LatencyHistogram) -> Vec<(usize, u64)> {
        let mut counts: Vec<(usize, u64)> = Vec::new();
        let zeros = (sketch.zero_count() > 0).then_some((0, sketch.zero_count()));
        let place = |index: i32| self.last.partition_point(|last| *last < index);
        for (place, count) in zeros.into_iter().chain(sketch.buckets().map(|(i, count)| (place(i), count))) {
            match counts.last_mut() {
                Some(held) if held.0 == place => held.1 += count,
                _ => counts.push((place, count)),
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Envoy's bounds in milliseconds; what a sketch of these nanoseconds has between them.
    fn check(nanos: &[u64], want: &[(usize, u64)]) {
        let mut sketch = LatencyHistogram::default();
        nanos.iter().for_each(|nanos| sketch.record(*nanos, 1));
        assert_eq!(Bounds::of(ENVOY, 1e6).counts(&sketch), want, "{nanos:?}");
    }

    #[test]
    fn a_value_lies_below_the_first_bound_that_is_no_less() {
        check(&[0, 500_000], &[(0, 2)]);
        check(&[10_000_000, 11_000_000], &[(3, 1), (4, 1)]);
        // 2 % more than 10 ms is in the bucket that 10 ms is in: (9.98, 10.2] ms; 3 % more is not.
        check(&[10_190_000, 10_300_000], &[(3, 1), (4, 1)]);
        check(&[3_600_000_000_000, 4_000_000_000_000], &[(18, 1), (19, 1)]);
    }

    /// Each bound itself belongs below it, whatever the unit.
    #[test]
    fn a_value_that_equals_its_bound_is_below_it() {
        for (bounds, unit) in [(ENVOY, 1e6), (SERVICE_GRAPH, 1e9), (SPAN_METRICS, 1e9), (&ENVOY[1..], 1.0)] {
            for (place, bound) in bounds.iter().enumerate() {
                let mut sketch = LatencyHistogram::default();
                sketch.record((bound * unit).round() as u64, 1);
                assert_eq!(Bounds::of(bounds, unit).counts(&sketch), [(place, 1)], "{bound} of {unit}");
            }
        }
    }
}
