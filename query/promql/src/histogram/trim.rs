//! The part of a histogram above or below a value (`>/` and `</`).
//!
//! Buckets that the value cuts are divided as quantiles divide them, and the sum is rebuilt from the middles of what
//! remains, as the values themselves are not known. A bucket without an end cannot be divided: it goes as a whole,
//! or stays, so that no more remains than is surely inside.

use super::{Bucket, Histogram};

/// Which part is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Below,
    Above,
}

/// What stays of a bucket, and where its values are taken to lie.
type Part = (f64, f64);

impl Histogram {
    pub(crate) fn trim(&mut self, at: f64, keep: Keep) {
        let is_custom = self.uses_custom_buckets();
        let (mut count, mut sum, mut is_changed) = (0.0, 0.0, false);
        let mut take = |stored: &mut f64, (kept, middle): Part| {
            count += kept;
            sum += middle * kept;
            is_changed |= *stored != kept;
            *stored = kept;
        };
        let layout = Histogram { positive: Vec::new(), negative: Vec::new(), ..self.clone() };
        let (has_negative, has_positive) = (!self.negative.is_empty(), !self.positive.is_empty());
        for bucket in &mut self.positive {
            let part = part_of(layout.positive_bucket(*bucket), at, keep, true, is_custom);
            take(&mut bucket.1, part);
        }
        for bucket in &mut self.negative {
            let part = part_of(layout.negative_bucket(*bucket), at, keep, false, is_custom);
            take(&mut bucket.1, part);
        }
        if self.zero_count > 0.0 {
            let mut zero = layout.zero_bucket();
            match (has_negative, has_positive) {
                (true, false) => zero.upper = 0.0,
                (false, true) => zero.lower = 0.0,
                _ => {}
            }
            take(&mut self.zero_count, part_of_zero(zero, at, keep));
        }
        if is_changed {
            (self.count, self.sum) = (count, sum);
            self.compact();
        }
    }
}

fn part_of(bucket: Bucket, at: f64, keep: Keep, is_positive: bool, is_linear: bool) -> Part {
    let (is_all_kept, is_cut) = match keep {
        Keep::Below => (bucket.upper <= at, bucket.lower < at),
        Keep::Above => (bucket.lower >= at, bucket.upper > at),
    };
    if is_all_kept {
        return (bucket.count, middle(bucket.lower, bucket.upper, is_positive, is_linear));
    }
    if !is_cut {
        return (0.0, 0.0);
    }
    if bucket.lower.is_infinite() || bucket.upper.is_infinite() {
        return part_without_end(bucket, at, keep);
    }
    let below = bucket.count * bucket.fraction_below(at, is_linear);
    match keep {
        Keep::Below if at >= bucket.upper => (bucket.count, middle(bucket.lower, at, is_positive, is_linear)),
        Keep::Below => (below, middle(bucket.lower, at, is_positive, is_linear)),
        Keep::Above if at <= bucket.lower => (bucket.count, middle(at, bucket.upper, is_positive, is_linear)),
        Keep::Above => (bucket.count - below, middle(at, bucket.upper, is_positive, is_linear)),
    }
}

/// A bucket that is cut and has no end on one side. The first custom bucket is taken to begin at zero if it ends
/// above.
fn part_without_end(bucket: Bucket, at: f64, keep: Keep) -> Part {
    let is_first = bucket.lower == f64::NEG_INFINITY;
    let begins_at_zero = is_first && bucket.upper > 0.0 && bucket.upper.is_finite();
    match keep {
        Keep::Below if begins_at_zero && at > 0.0 => (bucket.count * at / bucket.upper, at / 2.0),
        Keep::Below if is_first && bucket.upper <= 0.0 => (bucket.count, at),
        Keep::Above if begins_at_zero && at >= 0.0 => {
            (bucket.count * (1.0 - at / bucket.upper), (at + bucket.upper) / 2.0)
        }
        Keep::Above if !is_first => (bucket.count, at),
        _ => (0.0, 0.0),
    }
}

fn part_of_zero(zero: Bucket, at: f64, keep: Keep) -> Part {
    let (is_all_kept, is_cut) = match keep {
        Keep::Below => (at >= zero.upper && at > zero.lower, at > zero.lower),
        Keep::Above => (at <= zero.lower, at < zero.upper),
    };
    let (lower, upper) = match (is_all_kept, keep) {
        (true, _) => return (zero.count, (zero.lower + zero.upper) / 2.0),
        (false, _) if !is_cut => return (0.0, 0.0),
        (false, Keep::Below) => (zero.lower, at),
        (false, Keep::Above) => (at, zero.upper),
    };
    let share = (upper - lower) / (zero.upper - zero.lower);
    (zero.count * share, (lower + upper) / 2.0)
}

/// Where the values between two bounds are taken to lie.
fn middle(lower: f64, upper: f64, is_positive: bool, is_linear: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if is_linear => (lower + upper) / 2.0,
        (false, false) => (lower * upper).abs().sqrt() * if is_positive { 1.0 } else { -1.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::CUSTOM_BUCKETS;

    #[test]
    fn a_bucket_that_is_cut_keeps_its_share() {
        // (1,2] and (2,4]: the root of 2 is the logarithmic middle of the first.
        let whole =
            Histogram { count: 6.0, sum: 15.0, positive: vec![(1, 2.0), (2, 4.0)], ..Histogram::default() };
        let mut below = whole.clone();
        below.trim(2.0_f64.sqrt(), Keep::Below);
        assert!((below.count - 1.0).abs() < 1e-12 && below.positive.len() == 1);
        let mut above = whole.clone();
        above.trim(2.0, Keep::Above);
        assert_eq!(above.positive, [(2, 4.0)]);
        assert!((above.sum - 4.0 * 8.0_f64.sqrt()).abs() < 1e-12, "{}", above.sum);
        let mut all = whole.clone();
        all.trim(f64::INFINITY, Keep::Below);
        assert_eq!(all, whole, "what loses nothing keeps its own sum");
    }

    #[test]
    fn a_bucket_without_an_end_stays_or_goes_as_a_whole() {
        let whole = Histogram {
            schema: CUSTOM_BUCKETS,
            count: 7.0,
            sum: 50.0,
            positive: vec![(0, 4.0), (1, 2.0), (2, 1.0)],
            custom_bounds: std::sync::Arc::new([10.0, 20.0]),
            ..Histogram::default()
        };
        let mut below = whole.clone();
        below.trim(30.0, Keep::Below);
        assert_eq!(below.positive, [(0, 4.0), (1, 2.0)]);
        let mut above = whole.clone();
        above.trim(5.0, Keep::Above);
        assert_eq!(above.positive, [(0, 2.0), (1, 2.0), (2, 1.0)]);
    }
}
