//! Quantiles and fractions of classic histograms: cumulative counts with upper bounds, one series each.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile>.

/// An upper bound, and how many values are at most that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cumulative {
    pub upper: f64,
    pub count: f64,
}

/// Counts that fell with rising bounds, and were lifted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lifted {
    pub lowest: f64,
    pub highest: f64,
    /// The largest difference.
    pub by: f64,
}

/// Relative differences between neighbours that are taken for rounding errors. So small that a bucket of 1e12
/// values may still miss one.
const ROUNDING: f64 = 1e-12;

/// The value of a quantile, on a straight line inside its bucket.
pub(crate) fn quantile(quantile: f64, buckets: &mut Vec<Cumulative>) -> (f64, Option<Lifted>) {
    if quantile.is_nan() {
        return (f64::NAN, None);
    }
    if !(0.0..=1.0).contains(&quantile) {
        return (f64::INFINITY.copysign(quantile), None);
    }
    if !settle(buckets) {
        return (f64::NAN, None);
    }
    let lifted = lift(buckets);
    let last = buckets.len() - 1;
    let values = buckets[last].count;
    if last == 0 || values == 0.0 || values.is_nan() {
        return (f64::NAN, lifted);
    }
    let rank = quantile * values;
    let at = buckets[..last].partition_point(|bucket| bucket.count < rank);
    let bucket = buckets[at];
    let value = if at == last {
        buckets[last - 1].upper
    } else if at == 0 && bucket.upper <= 0.0 {
        bucket.upper
    } else {
        let below = if at > 0 { buckets[at - 1] } else { Cumulative { upper: 0.0, count: 0.0 } };
        below.upper + (bucket.upper - below.upper) * ((rank - below.count) / (bucket.count - below.count))
    };
    (value, lifted)
}

/// The share of the values between two.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Cumulative>) -> f64 {
    if !settle(buckets) {
        return f64::NAN;
    }
    let values = buckets[buckets.len() - 1].count;
    if values == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let [lower, upper] = [lower, upper].map(|bound| rank_of(bound, buckets).unwrap_or(values).min(values));
    (upper - lower) / values
}

fn rank_of(value: f64, buckets: &[Cumulative]) -> Option<f64> {
    // Without negative bounds values are taken to begin at zero.
    let begin = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut below = Cumulative { upper: begin, count: 0.0 };
    for bucket in buckets {
        if below.upper >= value {
            return Some(below.count);
        }
        if bucket.upper > value {
            return Some(if below.upper == f64::NEG_INFINITY {
                bucket.count
            } else {
                let inside = bucket.count - below.count;
                below.count + inside * (value - below.upper) / (bucket.upper - below.upper)
            });
        }
        below = *bucket;
    }
    None
}

/// Sorts by bound and adds the counts of equal bounds; false if the last bound is not infinite.
fn settle(buckets: &mut Vec<Cumulative>) -> bool {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    buckets.dedup_by(|next, kept| {
        let is_same = next.upper == kept.upper;
        if is_same {
            kept.count += next.count;
        }
        is_same
    });
    buckets.last().is_some_and(|last| last.upper == f64::INFINITY)
}

/// Makes the counts rise: what falls is lifted to the count before. Differences that are rounding errors are made
/// none in silence.
fn lift(buckets: &mut [Cumulative]) -> Option<Lifted> {
    let mut lifted: Option<Lifted> = None;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        if bucket.count == before {
            continue;
        }
        if is_close(before, bucket.count, ROUNDING) {
            bucket.count = before;
        } else if bucket.count < before {
            let by = before - bucket.count;
            bucket.count = before;
            let so_far =
                lifted.unwrap_or(Lifted { lowest: f64::INFINITY, highest: f64::NEG_INFINITY, by: 0.0 });
            lifted = Some(Lifted {
                lowest: so_far.lowest.min(bucket.upper),
                highest: so_far.highest.max(bucket.upper),
                by: so_far.by.max(by),
            });
        } else {
            before = bucket.count;
        }
    }
    lifted
}

/// Whether two differ by less than their sum times `epsilon`.
fn is_close(a: f64, b: f64, epsilon: f64) -> bool {
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < epsilon * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < epsilon
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Cumulative> {
        pairs.iter().map(|(upper, count)| Cumulative { upper: *upper, count: *count }).collect()
    }

    #[test]
    fn a_quantile_lies_on_a_line_inside_its_bucket() {
        const INF: f64 = f64::INFINITY;
        let check = |pairs: &[(f64, f64)], q: f64, want: f64| {
            let (got, lifted) = quantile(q, &mut buckets(pairs));
            assert!((got - want).abs() < 1e-12 || got == want, "{q} of {pairs:?}: {got}");
            assert_eq!(lifted, None);
        };
        // Ten values up to 1, thirty up to 2: rank 20 is half way between.
        check(&[(1.0, 10.0), (2.0, 30.0), (INF, 40.0)], 0.5, 1.5);
        check(&[(INF, 40.0), (2.0, 30.0), (1.0, 10.0)], 0.5, 1.5);
        check(&[(1.0, 10.0), (2.0, 30.0), (INF, 40.0)], 0.99, 2.0);
        check(&[(-1.0, 10.0), (INF, 10.0)], 0.5, -1.0);
        check(&[(1.0, 10.0), (INF, 10.0)], 2.0, INF);
        assert!(quantile(0.5, &mut buckets(&[(1.0, 10.0), (2.0, 30.0)])).0.is_nan(), "no last bucket");
    }

    #[test]
    fn counts_that_fall_are_lifted_and_told_of() {
        let (value, lifted) = quantile(0.5, &mut buckets(&[(1.0, 10.0), (2.0, 4.0), (f64::INFINITY, 20.0)]));
        assert_eq!((value, lifted), (1.0, Some(Lifted { lowest: 2.0, highest: 2.0, by: 6.0 })));
        let rounded = [(1.0, 10.0), (2.0, 10.0 - 1e-14), (f64::INFINITY, 20.0)];
        assert_eq!(quantile(0.5, &mut buckets(&rounded)).1, None);
    }

    #[test]
    fn a_fraction_is_a_share_of_all() {
        let pairs = [(1.0, 10.0), (2.0, 30.0), (f64::INFINITY, 40.0)];
        assert_eq!(fraction(0.5, 1.5, &mut buckets(&pairs)), (20.0 - 5.0) / 40.0);
        assert_eq!(fraction(f64::NEG_INFINITY, f64::INFINITY, &mut buckets(&pairs)), 1.0);
        assert_eq!(fraction(2.0, 1.0, &mut buckets(&pairs)), 0.0);
    }
}
