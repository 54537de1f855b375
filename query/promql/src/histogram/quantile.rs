//! Quantiles, fractions and variance of native histograms.
//!
//! Inside an exponential bucket values are taken to lie evenly on a logarithmic scale, inside the zero bucket and
//! custom ones on a straight one. Values that are NaN count in the histogram's count and in no bucket.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile>.

use super::{Bucket, Histogram};
use crate::sum::Sum;

/// What values that are NaN did to a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skew {
    None,
    /// They count as the highest values, so the result is higher than it should be.
    Higher,
    /// The rank asked for is one of theirs.
    IsNan,
}

impl Histogram {
    pub(crate) fn quantile(&self, quantile: f64) -> (f64, Skew) {
        if quantile < 0.0 {
            return (f64::NEG_INFINITY, Skew::None);
        }
        if quantile > 1.0 {
            return (f64::INFINITY, Skew::None);
        }
        if self.count == 0.0 || quantile.is_nan() {
            return (f64::NAN, Skew::None);
        }
        let mut buckets = self.buckets();
        // From the nearer end, as fewer counts are added; with NaN among the values only from below.
        let from_below = self.sum.is_nan() || quantile < 0.5;
        if !from_below {
            buckets.reverse();
        }
        let rank = if from_below { quantile } else { 1.0 - quantile } * self.count;
        let (mut count, mut at) = (0.0, 0);
        for (index, bucket) in buckets.iter().enumerate() {
            count += bucket.count;
            at = index;
            if count >= rank {
                break;
            }
        }
        let Some(bucket) = buckets.get(at).copied() else {
            return (f64::NAN, if self.sum.is_nan() { Skew::IsNan } else { Skew::None });
        };
        let bucket = match self.with_natural_bounds(bucket) {
            Ok(bucket) => bucket,
            Err(value) => return (value, Skew::None),
        };
        let count = count.min(self.count);
        if count < rank {
            return if self.sum.is_nan() { (f64::NAN, Skew::IsNan) } else { (bucket.upper, Skew::None) };
        }
        let in_buckets = count + buckets[at + 1..].iter().map(|bucket| bucket.count).sum::<f64>();
        let is_skewed = self.sum.is_nan() && in_buckets < self.count;
        let rank_inside = if from_below { rank - (count - bucket.count) } else { count - rank };
        let skew = if is_skewed { Skew::Higher } else { Skew::None };
        (self.interpolated(bucket, rank_inside / bucket.count), skew)
    }

    /// The bucket with the bound that its kind of histogram implies; an error is the value of a bucket that has none.
    fn with_natural_bounds(&self, mut bucket: Bucket) -> Result<Bucket, f64> {
        if self.uses_custom_buckets() {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return Err(bucket.upper);
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return Err(bucket.lower);
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            self.narrow_zero_bucket(&mut bucket);
        }
        Ok(bucket)
    }

    /// With values on one side of zero only, the zero bucket is taken to reach to that side.
    fn narrow_zero_bucket(&self, bucket: &mut Bucket) {
        match (self.negative.is_empty(), self.positive.is_empty()) {
            (true, false) => bucket.lower = 0.0,
            (false, true) => bucket.upper = 0.0,
            _ => {}
        }
    }

    fn interpolated(&self, bucket: Bucket, fraction: f64) -> f64 {
        if self.uses_custom_buckets() || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
            return bucket.lower + (bucket.upper - bucket.lower) * fraction;
        }
        let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        if bucket.lower > 0.0 {
            (lower + (upper - lower) * fraction).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - fraction)).exp2()
        }
    }

    /// The share of the values between two; the second part says whether NaN values belong to none.
    pub(crate) fn fraction(&self, lower: f64, upper: f64) -> (f64, bool) {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return (f64::NAN, false);
        }
        if lower >= upper {
            return (0.0, false);
        }
        let buckets = self.buckets();
        let in_buckets: f64 = buckets.iter().map(|bucket| bucket.count).sum();
        let count = if self.sum.is_nan() { in_buckets } else { self.count };
        let [lower, upper] =
            [lower, upper].map(|bound| self.rank_of(bound, &buckets).unwrap_or(count).min(count));
        ((upper - lower) / self.count, self.sum.is_nan() && in_buckets < self.count)
    }

    /// How many values are below one; none if it is above all buckets.
    fn rank_of(&self, value: f64, buckets: &[Bucket]) -> Option<f64> {
        let mut rank = 0.0;
        for bucket in buckets {
            let mut bucket = *bucket;
            let is_zero = !self.uses_custom_buckets() && bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if is_zero {
                self.narrow_zero_bucket(&mut bucket);
            } else if self.uses_custom_buckets() && bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 {
                bucket.lower = 0.0;
            }
            if bucket.lower >= value {
                return Some(rank);
            }
            if bucket.upper > value {
                // A bucket without a lower end cannot be divided: all of it counts.
                let is_linear = self.uses_custom_buckets() || is_zero;
                return Some(if bucket.lower == f64::NEG_INFINITY {
                    bucket.count
                } else {
                    rank + bucket.count * bucket.fraction_below(value, is_linear)
                });
            }
            rank += bucket.count;
        }
        None
    }

    /// The variance, with all values of a bucket in its middle.
    pub(crate) fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let mut variance = Sum::default();
        for bucket in self.buckets() {
            let middle = if self.uses_custom_buckets() {
                (bucket.upper + bucket.lower) / 2.0
            } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
                0.0
            } else {
                (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
            };
            let distance = middle - mean;
            variance.add(bucket.count * distance * distance);
        }
        variance.value() / self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(positive: &[(i32, f64)]) -> Histogram {
        let count = positive.iter().map(|(_, count)| count).sum();
        Histogram { count, positive: positive.to_vec(), ..Histogram::default() }
    }

    #[test]
    fn exponential_buckets_are_divided_on_a_logarithmic_scale() {
        // (1,2] and (2,4] with two each: the median is where they meet, a quarter is in the middle of the first.
        let histogram = histogram(&[(1, 2.0), (2, 2.0)]);
        let check = |quantile: f64, want: f64| {
            let (got, skew) = histogram.quantile(quantile);
            assert!((got - want).abs() < 1e-12 && skew == Skew::None, "{quantile}: {got}");
        };
        check(0.5, 2.0);
        check(0.25, 2.0_f64.sqrt());
        check(0.75, 8.0_f64.sqrt());
        check(1.0, 4.0);
        assert_eq!(histogram.quantile(-1.0).0, f64::NEG_INFINITY);
        assert_eq!(histogram.fraction(2.0, 4.0), (0.5, false));
        assert!((histogram.fraction(f64::NEG_INFINITY, 2.0_f64.sqrt()).0 - 0.25).abs() < 1e-12);
    }

    #[test]
    fn values_that_are_nan_are_told_of() {
        let with_nan = Histogram { count: 8.0, sum: f64::NAN, ..histogram(&[(1, 4.0)]) };
        assert_eq!(with_nan.quantile(0.5), (2.0, Skew::Higher));
        assert_eq!(with_nan.quantile(0.6).1, Skew::IsNan);
        assert_eq!(with_nan.fraction(f64::NEG_INFINITY, f64::INFINITY), (0.5, true));
    }
}
