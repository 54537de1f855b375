//! Sums, differences and means of histograms.
//!
//! Two histograms rarely have the same layout. The coarser resolution and the wider zero bucket win, a zero bucket
//! grows until it ends where a filled bucket ends, and of custom bounds those remain that both have. Sums over many
//! samples keep what rounding took in a second histogram of the same layout.
//!
//! Source: <https://prometheus.io/docs/specs/native_histograms/#aggregations-and-binary-operators>.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Buckets, Histogram, ResetHint};
use crate::sum::Sum;

/// Exponential buckets and custom ones have no sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incompatible;

/// What is worth telling about a sum of two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Combined {
    /// One says that a counter began anew, the other that it did not.
    pub hints_collide: bool,
    /// Only the bounds that both have remain.
    pub bounds_reconciled: bool,
}

impl Histogram {
    /// The sum of two; none of one with exponential buckets and one with custom ones.
    pub fn plus(&self, other: &Histogram) -> Option<Histogram> {
        let mut sum = self.clone();
        sum.add(other).ok()?;
        Some(sum)
    }

    /// The difference of two; none as of [`Histogram::plus`].
    pub fn minus(&self, other: &Histogram) -> Option<Histogram> {
        let mut difference = self.clone();
        difference.subtract(other).ok()?;
        Some(difference)
    }

    pub(crate) fn add(&mut self, other: &Histogram) -> Result<Combined, Incompatible> {
        self.combine(other, 1.0, None)
    }

    pub(crate) fn subtract(&mut self, other: &Histogram) -> Result<Combined, Incompatible> {
        self.combine(other, -1.0, None)
    }

    /// Adds `other` times `sign`; what rounding takes goes to `lost`, a histogram of the same layout.
    fn combine(
        &mut self,
        other: &Histogram,
        sign: f64,
        mut lost: Option<&mut Histogram>,
    ) -> Result<Combined, Incompatible> {
        if self.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(Incompatible);
        }
        let hints_collide = self.take_hint_of(other);
        let mut other = std::borrow::Cow::Borrowed(other);
        let mut bounds_reconciled = false;
        if self.uses_custom_buckets() {
            bounds_reconciled = self.custom_bounds != other.custom_bounds;
            if bounds_reconciled {
                let shared = shared_bounds(&self.custom_bounds, &other.custom_bounds);
                self.map_to_bounds(&shared);
                other.to_mut().map_to_bounds(&shared);
                if let Some(lost) = lost.as_deref_mut() {
                    lost.map_to_bounds(&shared);
                }
            }
        } else {
            self.share_zero_bucket(&mut other, lost.as_deref_mut());
            let schema = self.schema.min(other.schema);
            self.reduce_to(schema);
            if other.schema > schema {
                other.to_mut().reduce_to(schema);
            }
            if let Some(lost) = lost.as_deref_mut() {
                lost.reduce_to(schema);
            }
        }
        let mut none = Histogram::default();
        let keeps_lost = lost.is_some();
        let lost = lost.unwrap_or(&mut none);
        let add = |total: &mut f64, lost: &mut f64, value: f64| {
            if keeps_lost {
                let sum = Sum { total: *total, lost: *lost }.plus(sign * value);
                (*total, *lost) = (sum.total, sum.lost);
            } else {
                *total += sign * value;
            }
        };
        add(&mut self.zero_count, &mut lost.zero_count, other.zero_count);
        add(&mut self.count, &mut lost.count, other.count);
        add(&mut self.sum, &mut lost.sum, other.sum);
        add_buckets(&mut self.positive, &mut lost.positive, &other.positive, add);
        add_buckets(&mut self.negative, &mut lost.negative, &other.negative, add);
        Ok(Combined { hints_collide, bounds_reconciled })
    }

    /// The hint of a sum; true if one says reset and the other that there was none.
    fn take_hint_of(&mut self, other: &Histogram) -> bool {
        use ResetHint::{Gauge, Unknown};
        let (hint, collides) = match (self.hint, other.hint) {
            (a, b) if a == b => (a, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            _ => (Unknown, true),
        };
        self.hint = hint;
        collides
    }

    /// Widens both zero buckets until they are the same and end where no filled bucket is cut.
    fn share_zero_bucket(
        &mut self,
        other: &mut std::borrow::Cow<'_, Histogram>,
        mut lost: Option<&mut Histogram>,
    ) {
        while self.zero_threshold != other.zero_threshold {
            if self.zero_threshold > other.zero_threshold {
                let threshold = self.zero_threshold;
                other.to_mut().widen_zero_bucket(threshold, None);
            } else {
                self.widen_zero_bucket(other.zero_threshold, lost.as_deref_mut());
            }
        }
    }

    /// Takes all buckets into the zero bucket that begin below `threshold`, which grows to where the last ends.
    fn widen_zero_bucket(&mut self, threshold: f64, lost: Option<&mut Histogram>) {
        let threshold = self.zero_end_from(threshold);
        let (positive, negative) = (std::mem::take(&mut self.positive), std::mem::take(&mut self.negative));
        let is_inside =
            |histogram: &Histogram, bucket: &(i32, f64)| histogram.positive_bucket(*bucket).lower < threshold;
        // A negative bucket is the mirror of the positive one of the same index.
        let split = |histogram: &Histogram, buckets: Buckets| -> (Buckets, Buckets) {
            buckets.into_iter().partition(|bucket| is_inside(histogram, bucket))
        };
        let (inside, positive) = split(self, positive);
        let (inside_negative, negative) = split(self, negative);
        let mut zero = Sum { total: self.zero_count, lost: 0.0 };
        inside.iter().chain(&inside_negative).for_each(|(_, count)| zero.add(*count));
        if let Some(lost) = lost {
            let mut moved = zero.lost;
            for buckets in [&mut lost.positive, &mut lost.negative] {
                let (inside, outside) = split(self, std::mem::take(buckets));
                moved += inside.iter().map(|(_, count)| count).sum::<f64>();
                *buckets = outside;
            }
            lost.zero_count += moved;
            lost.zero_threshold = threshold;
            self.zero_count = zero.total;
        } else {
            self.zero_count = zero.total;
        }
        self.zero_threshold = threshold;
        (self.positive, self.negative) = (positive, negative);
    }

    /// The least end of a zero bucket from `threshold` on that cuts no filled bucket.
    pub(super) fn zero_end_from(&self, threshold: f64) -> f64 {
        let mut end = threshold;
        loop {
            let buckets = self.positive.iter().chain(&self.negative).filter(|(_, count)| *count != 0.0);
            let cut = buckets
                .map(|bucket| self.positive_bucket(*bucket))
                .find(|bucket| bucket.lower < end && bucket.upper > end);
            match cut {
                Some(bucket) => end = bucket.upper,
                None => return end,
            }
        }
    }

    /// The count that a zero bucket of a wider threshold would have.
    pub(super) fn zero_count_up_to(&self, threshold: f64) -> f64 {
        let mut zero = Sum { total: self.zero_count, lost: 0.0 };
        for bucket in self.positive.iter().chain(&self.negative) {
            if self.positive_bucket(*bucket).lower < threshold {
                zero.add(bucket.1);
            }
        }
        zero.total
    }

    /// Merges exponential buckets until they are those of a coarser schema.
    pub(crate) fn reduce_to(&mut self, schema: i8) {
        if schema >= self.schema {
            return;
        }
        let by = self.schema - schema;
        for buckets in [&mut self.positive, &mut self.negative] {
            *buckets = reduced(buckets, by);
        }
        self.schema = schema;
    }

    /// Custom buckets under fewer bounds: each goes to the first that covers it.
    pub(super) fn map_to_bounds(&mut self, bounds: &Arc<[f64]>) {
        let mut mapped: Vec<Sum> = vec![Sum::default(); bounds.len() + 1];
        for (index, count) in &self.positive {
            let upper = usize::try_from(*index).ok().and_then(|index| self.custom_bounds.get(index));
            let target = upper.map_or(bounds.len(), |upper| bounds.partition_point(|bound| bound < upper));
            mapped[target].add(*count);
        }
        let filled = (0..).zip(mapped).map(|(index, sum)| (index, sum.total));
        self.positive = filled.filter(|(_, count)| *count != 0.0).collect();
        self.custom_bounds = Arc::clone(bounds);
    }

    fn has_overflow(&self) -> bool {
        let counts = self.positive.iter().chain(&self.negative).map(|(_, count)| *count);
        counts.chain([self.zero_count, self.count, self.sum]).any(f64::is_infinite)
    }

    /// An empty histogram of the same layout.
    fn empty_like(&self) -> Histogram {
        Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            custom_bounds: Arc::clone(&self.custom_bounds),
            hint: self.hint,
            ..Histogram::default()
        }
    }
}

/// Buckets of a schema that is coarser by `by`.
pub(super) fn reduced(buckets: &Buckets, by: i8) -> Buckets {
    let mut merged: Buckets = Vec::with_capacity(buckets.len());
    for (index, count) in buckets {
        let index = ((index - 1) >> by) + 1;
        match merged.last_mut() {
            Some(last) if last.0 == index => last.1 += count,
            _ => merged.push((index, *count)),
        }
    }
    merged
}

/// Bounds that both have.
pub(super) fn shared_bounds(a: &[f64], b: &[f64]) -> Arc<[f64]> {
    a.iter().copied().filter(|bound| b.contains(bound)).collect()
}

/// Adds each of `others` by `add`, which takes the total, what it has lost and the value.
fn add_buckets(
    totals: &mut Buckets,
    lost: &mut Buckets,
    others: &Buckets,
    add: impl Fn(&mut f64, &mut f64, f64),
) {
    let mut sums: Buckets = Vec::with_capacity(totals.len() + others.len());
    let mut losses = Vec::with_capacity(lost.len());
    let (mut a, mut b) = (totals.iter().peekable(), others.iter().peekable());
    loop {
        let order = match (a.peek(), b.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.0.cmp(&b.0),
        };
        let total = if order == Ordering::Greater { None } else { a.next() };
        let other = if order == Ordering::Less { None } else { b.next() };
        let Some(index) = total.or(other).map(|(index, _)| *index) else { break };
        let mut sum = total.map_or(0.0, |(_, count)| *count);
        let at = lost.binary_search_by_key(&index, |(index, _)| *index);
        let mut loss = at.map_or(0.0, |at| lost[at].1);
        if let Some((_, count)) = other {
            add(&mut sum, &mut loss, *count);
        }
        sums.push((index, sum));
        if loss != 0.0 {
            losses.push((index, loss));
        }
    }
    *totals = sums;
    *lost = losses;
}

/// A sum of many histograms.
#[derive(Debug, Clone)]
pub(crate) struct HistogramSum {
    total: Histogram,
    lost: Histogram,
}

impl HistogramSum {
    pub(crate) fn of_first(first: &Histogram) -> Self {
        HistogramSum { total: first.clone(), lost: first.empty_like() }
    }

    pub(crate) fn add(&mut self, other: &Histogram) -> Result<Combined, Incompatible> {
        self.total.combine(other, 1.0, Some(&mut self.lost))
    }

    pub(crate) fn value(mut self) -> Histogram {
        // Of one layout, so there is nothing that could not be added.
        let _ = self.total.combine(&self.lost, 1.0, None);
        self.total.compacted()
    }

    fn divide(&mut self, divisor: f64) {
        self.total.divide(divisor);
        self.lost.divide(divisor);
    }

    fn scale(&mut self, factor: f64) {
        self.total.scale(factor);
        self.lost.scale(factor);
    }
}

/// The mean of many, the sum over the count; carried along as a mean once the sum would overflow.
#[derive(Debug, Clone)]
pub(crate) struct HistogramMean {
    sum: HistogramSum,
    count: f64,
    is_mean: bool,
}

impl HistogramMean {
    pub(crate) fn of_first(first: &Histogram) -> Self {
        HistogramMean { sum: HistogramSum::of_first(first), count: 1.0, is_mean: false }
    }

    pub(crate) fn add(&mut self, other: &Histogram) -> Result<Combined, Incompatible> {
        self.count += 1.0;
        if !self.is_mean {
            let mut sum = self.sum.clone();
            let combined = sum.add(other)?;
            if !sum.total.has_overflow() {
                self.sum = sum;
                return Ok(combined);
            }
            self.is_mean = true;
            self.sum.divide(self.count - 1.0);
        }
        self.sum.scale((self.count - 1.0) / self.count);
        let mut share = other.clone();
        share.divide(self.count);
        self.sum.add(&share)
    }

    pub(crate) fn value(mut self) -> Histogram {
        if !self.is_mean {
            self.sum.divide(self.count);
        }
        self.sum.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::CUSTOM_BUCKETS;

    fn exponential(schema: i8, zero_threshold: f64, zero_count: f64, positive: &[(i32, f64)]) -> Histogram {
        let count = zero_count + positive.iter().map(|(_, count)| count).sum::<f64>();
        Histogram {
            schema,
            zero_threshold,
            zero_count,
            count,
            positive: positive.to_vec(),
            ..Histogram::default()
        }
    }

    fn custom(bounds: &[f64], positive: &[(i32, f64)]) -> Histogram {
        let count = positive.iter().map(|(_, count)| count).sum();
        let custom_bounds = bounds.into();
        Histogram {
            schema: CUSTOM_BUCKETS,
            count,
            positive: positive.to_vec(),
            custom_bounds,
            ..Histogram::default()
        }
    }

    #[test]
    fn the_coarser_resolution_wins() {
        // Schema 1: (1,1.41] (1.41,2] (2,2.83]; in schema 0 the first two are (1,2], the third is in (2,4].
        let mut fine = exponential(1, 0.0, 0.0, &[(1, 1.0), (2, 2.0), (3, 4.0)]);
        fine.add(&exponential(0, 0.0, 0.0, &[(1, 8.0)])).unwrap();
        assert_eq!((fine.schema, fine.count), (0, 15.0));
        assert_eq!(fine.positive, [(1, 11.0), (2, 4.0)]);
    }

    #[test]
    fn a_zero_bucket_grows_to_the_end_of_what_it_cuts() {
        // A threshold of 0.75 cuts (0.5,1], so the zero bucket of both ends at 1.
        let mut narrow = exponential(0, 0.0, 1.0, &[(-1, 2.0), (0, 4.0), (1, 8.0)]);
        narrow.add(&exponential(0, 0.75, 16.0, &[(1, 32.0)])).unwrap();
        assert_eq!((narrow.zero_threshold, narrow.zero_count), (1.0, 23.0));
        assert_eq!(narrow.positive, [(1, 40.0)]);
    }

    #[test]
    fn of_custom_bounds_those_remain_that_both_have() {
        let mut a = custom(&[1.0, 2.0, 5.0], &[(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0)]);
        let combined = a.add(&custom(&[2.0, 3.0, 5.0], &[(0, 16.0), (1, 32.0), (3, 64.0)])).unwrap();
        assert!(combined.bounds_reconciled);
        assert_eq!(a.custom_bounds[..], [2.0, 5.0]);
        assert_eq!(a.positive, [(0, 19.0), (1, 36.0), (2, 72.0)]);
        assert_eq!(a.add(&exponential(0, 0.0, 0.0, &[])), Err(Incompatible));
    }

    #[test]
    fn hints_collide_only_if_they_contradict() {
        let hinted = |hint| Histogram { hint, ..Histogram::default() };
        let check = |a, b, want: (ResetHint, bool)| {
            let mut sum = hinted(a);
            let collides = sum.add(&hinted(b)).unwrap().hints_collide;
            assert_eq!((sum.hint, collides), want, "{a:?} {b:?}");
        };
        use ResetHint::{Gauge, NoReset, Reset, Unknown};
        check(Reset, NoReset, (Unknown, true));
        check(Reset, Gauge, (Gauge, false));
        check(Unknown, Reset, (Unknown, false));
        check(NoReset, NoReset, (NoReset, false));
    }

    #[test]
    fn sums_keep_what_rounding_takes() {
        let one = |count: f64| exponential(0, 0.0, 0.0, &[(1, count)]);
        let mut sum = HistogramSum::of_first(&one(1e100));
        sum.add(&one(1.0)).unwrap();
        sum.add(&one(-1e100)).unwrap();
        assert_eq!(sum.value().positive, [(1, 1.0)]);
        let mut mean = HistogramMean::of_first(&one(f64::MAX));
        mean.add(&one(f64::MAX)).unwrap();
        assert_eq!(mean.value().positive, [(1, f64::MAX)]);
    }
}
