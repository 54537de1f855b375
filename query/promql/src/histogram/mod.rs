//! Native histograms as samples: exponential buckets, or buckets with bounds of one's own.
//!
//! Buckets are kept as sorted pairs of index and count, without empty ones: everything that is asked of a
//! histogram walks its filled buckets in order, and two histograms are equal if these lists are. On the wire they
//! are spans and deltas, which say the same and would have to be unfolded for each step of a query.
//!
//! Source of the format: <https://prometheus.io/docs/specs/native_histograms/>. The bucket of index `i` of schema
//! `s` holds the values in `(base^(i-1), base^i]` with `base = 2^(2^-s)`; of a histogram with custom bounds, those
//! in `(bounds[i-1], bounds[i]]`.

// In the order of use: what is computed from a histogram, how two become one, what a classic one has of it.
mod trim;
mod quantile;
mod reset;
mod add;
pub(crate) mod classic;

use std::fmt;
use std::sync::Arc;

use crate::text::{plain, short};

pub(crate) use add::{Combined, HistogramMean, HistogramSum, Incompatible};
pub(crate) use quantile::Skew;
pub(crate) use trim::Keep;

/// The schema of histograms with custom bounds.
pub const CUSTOM_BUCKETS: i8 = -53;
/// The finest exponential schema, and the coarsest.
pub const SCHEMAS: std::ops::RangeInclusive<i8> = -4..=8;

/// What is known of whether a counter started anew between this histogram and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResetHint {
    #[default]
    Unknown,
    Reset,
    NoReset,
    /// The histogram is no counter.
    Gauge,
}

/// Filled buckets: index and count, sorted by index.
pub type Buckets = Vec<(i32, f64)>;

/// One sample of a native histogram. Counts are floats, as rates and differences of histograms are histograms.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// One of [`SCHEMAS`], or [`CUSTOM_BUCKETS`].
    pub schema: i8,
    /// Values of at most this distance from zero are in the zero bucket.
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub count: f64,
    pub sum: f64,
    pub positive: Buckets,
    pub negative: Buckets,
    /// Upper bounds of custom buckets, ascending, without the last one, which is infinite.
    pub custom_bounds: Arc<[f64]>,
    pub hint: ResetHint,
}

/// A bucket with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    pub lower: f64,
    pub upper: f64,
    pub count: f64,
    pub includes_lower: bool,
    pub includes_upper: bool,
}

impl Bucket {
    /// The share of the bucket's width below a value that lies inside: on a straight line, or on a logarithmic one
    /// as exponential buckets are divided.
    pub(crate) fn fraction_below(&self, value: f64, is_linear: bool) -> f64 {
        if is_linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let [lower, upper, value_log] = [self.lower, self.upper, value].map(|bound| bound.abs().log2());
        if value > 0.0 {
            (value_log - lower) / (upper - lower)
        } else {
            1.0 - (value_log - upper) / (lower - upper)
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.includes_lower { '[' } else { '(' };
        let close = if self.includes_upper { ']' } else { ')' };
        write!(f, "{open}{},{}{close}:{}", short(self.lower), short(self.upper), short(self.count))
    }
}

impl Histogram {
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS
    }

    /// Whether all counts and the layout are the same, to the bit; hints do not matter.
    pub(crate) fn is_same(&self, other: &Histogram) -> bool {
        let bits = |histogram: &Histogram| {
            [histogram.count, histogram.sum, histogram.zero_count, histogram.zero_threshold].map(f64::to_bits)
        };
        self.schema == other.schema
            && bits(self) == bits(other)
            && self.custom_bounds == other.custom_bounds
            && self.positive == other.positive
            && self.negative == other.negative
    }

    /// The layout without any values.
    pub(crate) fn emptied(&self) -> Histogram {
        Histogram {
            schema: self.schema,
            custom_bounds: Arc::clone(&self.custom_bounds),
            ..Histogram::default()
        }
    }

    /// Samples that a histogram counts for against a query's limit, as Prometheus reckons them: its size in units of
    /// a float sample of 16 bytes.
    pub(crate) fn weight(&self) -> usize {
        const FIXED: usize = 10;
        FIXED + self.positive.len() + self.negative.len() + self.custom_bounds.len() / 2
    }

    /// Takes empty buckets out.
    pub(crate) fn compact(&mut self) {
        self.positive.retain(|(_, count)| *count != 0.0);
        self.negative.retain(|(_, count)| *count != 0.0);
    }

    pub(crate) fn compacted(mut self) -> Self {
        self.compact();
        self
    }

    /// All counts and the sum times `factor`. A negative one makes a gauge of it: no counter falls.
    pub(crate) fn scale(&mut self, factor: f64) {
        self.map_counts(|count| count * factor);
        if factor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    /// All counts and the sum divided. Divided by zero, no bucket remains: counts are infinite or NaN.
    pub(crate) fn divide(&mut self, divisor: f64) {
        self.map_counts(|count| count / divisor);
        if divisor == 0.0 {
            self.positive.clear();
            self.negative.clear();
        }
        if divisor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    fn map_counts(&mut self, change: impl Fn(f64) -> f64) {
        for value in [&mut self.zero_count, &mut self.count, &mut self.sum] {
            *value = change(*value);
        }
        for (_, count) in self.positive.iter_mut().chain(&mut self.negative) {
            *count = change(*count);
        }
    }

    /// The filled buckets from the lowest up, the zero bucket among them.
    pub fn buckets(&self) -> Vec<Bucket> {
        let negative = self.negative.iter().rev().map(|bucket| self.negative_bucket(*bucket));
        let zero = (self.zero_count > 0.0).then(|| self.zero_bucket());
        let positive = self.positive.iter().map(|bucket| self.positive_bucket(*bucket));
        let all = negative.chain(zero).chain(positive);
        all.map(|bucket| self.outside_zero(bucket)).collect()
    }

    /// A bucket that reaches into the zero bucket is taken to begin at its end.
    fn outside_zero(&self, mut bucket: Bucket) -> Bucket {
        if bucket.upper < 0.0 {
            bucket.upper = bucket.upper.min(-self.zero_threshold);
        } else if bucket.lower > 0.0 {
            bucket.lower = bucket.lower.max(self.zero_threshold);
        }
        bucket
    }

    pub(crate) fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            count: self.zero_count,
            includes_lower: true,
            includes_upper: true,
        }
    }

    pub(crate) fn positive_bucket(&self, (index, count): (i32, f64)) -> Bucket {
        let (lower, upper) = (self.bound(index - 1), self.bound(index));
        let includes_lower = self.uses_custom_buckets() && index == 0;
        Bucket { lower, upper, count, includes_lower, includes_upper: true }
    }

    pub(crate) fn negative_bucket(&self, (index, count): (i32, f64)) -> Bucket {
        let (lower, upper) = (-self.bound(index), -self.bound(index - 1));
        Bucket { lower, upper, count, includes_lower: true, includes_upper: false }
    }

    /// The upper bound of a positive bucket.
    fn bound(&self, index: i32) -> f64 {
        if !self.uses_custom_buckets() {
            return exponential_bound(self.schema, index);
        }
        match usize::try_from(index) {
            Err(_) => f64::NEG_INFINITY,
            Ok(index) => self.custom_bounds.get(index).copied().unwrap_or(f64::INFINITY),
        }
    }
}

/// `2^(index * 2^-schema)`; the bound of the bucket that holds the largest finite value is that value, so that only
/// infinity lies above.
fn exponential_bound(schema: i8, index: i32) -> f64 {
    let index = i64::from(index);
    let (exponent, part) = if schema <= 0 {
        (index << -schema, 0)
    } else {
        let parts = 1_i64 << schema;
        (index.div_euclid(parts), index.rem_euclid(parts))
    };
    const EXPONENT_MAX: i64 = f64::MAX_EXP as i64;
    if exponent == EXPONENT_MAX && part == 0 {
        return f64::MAX;
    }
    // Two powers, as the lowest buckets of denormal numbers are below what one power can be multiplied with.
    let exponent = exponent.clamp(-3_000, 3_000) as f64;
    let half = (exponent / 2.0).floor();
    (part_of_two(schema, part) * half.exp2()) * (exponent - half).exp2()
}

/// `2^(part * 2^-schema)`, to the last digit as Prometheus's table has it, which programs compare with: a product of
/// repeated square roots, the largest first, where that of two itself is twice its inverse.
fn part_of_two(schema: i8, part: i64) -> f64 {
    let (mut power, mut root) = (1.0, 2.0_f64);
    for bit in (0..schema).rev() {
        root = root.sqrt();
        if part >> bit & 1 == 1 {
            power *= if bit == schema - 1 { 2.0 / root } else { root };
        }
    }
    power
}

impl fmt::Display for Histogram {
    /// As Prometheus writes a histogram: `{count:4, sum:5, (0.5,1]:1, (1,2]:3}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", short(self.count), short(self.sum))?;
        for bucket in self.negative.iter().rev().map(|bucket| self.negative_bucket(*bucket)) {
            write!(f, ", {bucket}")?;
        }
        if self.zero_count != 0.0 {
            write!(f, ", {}", self.zero_bucket())?;
        }
        for bucket in self.positive.iter().map(|bucket| self.positive_bucket(*bucket)) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

/// The value of a label that counts values.
pub(crate) fn value_label(histogram: &Histogram) -> String {
    histogram.to_string()
}

/// The same of a float.
pub(crate) fn float_label(value: f64) -> String {
    plain(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_powers_of_the_schemas_base() {
        assert_eq!([0, 1, 2, -1].map(|index| exponential_bound(0, index)), [1.0, 2.0, 4.0, 0.5]);
        assert_eq!([0, 1, 2].map(|index| exponential_bound(-2, index)), [1.0, 16.0, 256.0]);
        assert_eq!(exponential_bound(1, 2), 2.0);
        assert!((exponential_bound(1, 1) - 2.0_f64.sqrt()).abs() < 1e-15);
        // Texts of bounds in answers of Prometheus 0.316.0.
        assert_eq!(
            [1, 3].map(|index| exponential_bound(2, index - 4)),
            [0.5946035575013605, 0.8408964152537144]
        );
        assert_eq!([-1, 1].map(|index| exponential_bound(1, index)), [0.7071067811865475, 1.414213562373095]);
        assert_eq!(exponential_bound(3, 1), 1.0905077326652577);
        assert_eq!([1024, 1025].map(|index| exponential_bound(0, index)), [f64::MAX, f64::INFINITY]);
        assert_eq!(exponential_bound(0, -1074), f64::from_bits(1), "the smallest number");
    }

    #[test]
    fn a_histogram_is_written_from_its_lowest_bucket_up() {
        let histogram = Histogram {
            zero_threshold: 0.25,
            zero_count: 2.0,
            count: 8.0,
            sum: 1.5,
            positive: vec![(0, 1.0), (1, 3.0)],
            negative: vec![(0, 0.5), (2, 1.5)],
            ..Histogram::default()
        };
        let want = "{count:8, sum:1.5, [-4,-2):1.5, [-1,-0.5):0.5, [-0.25,0.25]:2, (0.5,1]:1, (1,2]:3}";
        assert_eq!(histogram.to_string(), want);
    }

    #[test]
    fn custom_buckets_reach_to_infinity_on_both_ends() {
        let histogram = Histogram {
            schema: CUSTOM_BUCKETS,
            count: 3.0,
            positive: vec![(0, 1.0), (2, 2.0)],
            custom_bounds: Arc::new([5.0, 10.0]),
            ..Histogram::default()
        };
        assert_eq!(histogram.to_string(), "{count:3, sum:0, [-Inf,5]:1, (10,+Inf]:2}");
    }
}
