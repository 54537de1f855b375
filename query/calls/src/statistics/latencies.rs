//! Latencies of two sets of calls: whether those of one tend to be longer.
//!
//! Mann and Whitney's test over the buckets of both histograms, in which values of one bucket are tied. Its variance is
//! corrected for ties, so that nothing is lost but what lies within a bucket of 2.2 %. It was chosen over Kolmogorov and
//! Smirnov's, which finds that distributions differ but not which is slower, and whose p-value is wrong with ties; a
//! t-test of means is ruled by the longest calls. Limit: what only a few of the longest calls tell, as a p99 that grew
//! while all else is the same, shows late.
//!
//! The effect is Cliff's delta: how much likelier a call of the second set is longer than one of the first than the other
//! way round, -1..=1; 0 where neither tends to be longer.

use super::Test;
use super::normal::{Z_95, two_sided};
use super::sample::Bins;

/// As answers name it.
pub const METHOD: &str = "mann_whitney";

/// Fewest calls of a set for the normal approximation of the test, which is wrong below: SciPy's `mannwhitneyu` takes the
/// exact distribution below 8, which does not exist with ties.
pub const CALLS_MIN: f64 = 8.0;

/// Compares `other` with `base`. `None` where one of them has fewer than [`CALLS_MIN`] timed calls, or where all calls
/// took the same.
///
/// Source: Mann and Whitney, Annals of Mathematical Statistics 18 (1947), with the variance under ties of Lehmann,
/// "Nonparametrics" (1975), section 1.4.
pub fn compare(base: &Bins, other: &Bins) -> Option<Test> {
    let (base_calls, other_calls) = (base.calls(), other.calls());
    if base_calls < CALLS_MIN || other_calls < CALLS_MIN {
        return None;
    }
    let (all, pairs) = (base_calls + other_calls, base_calls * other_calls);
    let found = Dominance::of(base, other);
    let ties = found.ties / (all * (all - 1.0));
    let variance = pairs / 12.0 * (all + 1.0 - ties);
    if variance <= 0.0 {
        return None;
    }
    // U less its mean is half the pairs times delta.
    let z = found.delta * pairs / 2.0 / variance.sqrt();
    let (low, high) = found.interval(base_calls, other_calls);
    Some(Test { p_value: two_sided(z), effect: found.delta, low, high })
}

/// How often values of one set exceed those of another.
struct Dominance {
    delta: f64,
    /// Sum of t^3 - t over the sizes t of groups of tied values.
    ties: f64,
    /// Sums over the values of either set of the square of how much it dominates the other set.
    base_squares: f64,
    other_squares: f64,
    /// Pairs of two different values.
    different: f64,
}

impl Dominance {
    fn of(base: &Bins, other: &Bins) -> Dominance {
        let (base_calls, other_calls) = (base.calls(), other.calls());
        let mut found =
            Dominance { delta: 0.0, ties: 0.0, base_squares: 0.0, other_squares: 0.0, different: 0.0 };
        let (mut base_below, mut other_below) = (0.0, 0.0);
        for (of_base, of_other) in base.beside(other) {
            let tied = of_base + of_other;
            // A share of a call, of a sampled one, ties with nothing.
            found.ties += (tied * tied * tied - tied).max(0.0);
            // What a value of this bucket dominates, less what dominates it, as a share of the other set.
            let above = |below: f64, here: f64, calls: f64| (2.0 * below + here - calls) / calls;
            let of_each_other = above(base_below, of_base, base_calls);
            let of_each_base = -above(other_below, of_other, other_calls);
            found.delta += of_other * of_each_other / other_calls;
            found.other_squares += of_other * of_each_other * of_each_other;
            found.base_squares += of_base * of_each_base * of_each_base;
            found.different += of_base * (other_calls - of_other);
            (base_below, other_below) = (base_below + of_base, other_below + of_other);
        }
        found
    }

    /// The 95 % interval of delta, from the estimate of its variance that needs no equal shapes, made asymmetric so that
    /// it stays within -1 and 1.
    ///
    /// Source: Cliff, "Answering ordinal questions with ordinal data using ordinal statistics", Multivariate Behavioral
    /// Research 31 (1996); Feng and Cliff, Journal of Modern Applied Statistical Methods 3 (2004), for the interval and
    /// for sets that do not overlap.
    fn interval(&self, base_calls: f64, other_calls: f64) -> (f64, f64) {
        let (delta, pairs) = (self.delta, base_calls * other_calls);
        let rest = 1.0 - delta * delta;
        if rest <= f64::EPSILON {
            let fewer = base_calls.min(other_calls);
            let bound = (fewer - Z_95 * Z_95) / (fewer + Z_95 * Z_95);
            return if delta > 0.0 { (bound, 1.0) } else { (-1.0, -bound) };
        }
        let of_other = self.other_squares - other_calls * delta * delta;
        let of_base = self.base_squares - base_calls * delta * delta;
        let of_pairs = self.different - pairs * delta * delta;
        let unbiased = base_calls * base_calls * of_other + other_calls * other_calls * of_base - of_pairs;
        let unbiased = unbiased / (pairs * (base_calls - 1.0) * (other_calls - 1.0));
        // The estimate may come out negative; the least it can be is that of one value each.
        let variance = unbiased.max(rest / (pairs - 1.0));
        let square = Z_95 * Z_95 * variance;
        let (centre, spread) =
            (delta - delta * delta * delta, Z_95 * variance.sqrt() * (rest * rest + square).sqrt());
        ((centre - spread) / (rest + square), (centre + spread) / (rest + square))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(base: &[(i32, f64)], other: &[(i32, f64)]) -> Option<Test> {
        compare(&Bins::of(base.to_vec()), &Bins::of(other.to_vec()))
    }

    /// Ten values of each set in two buckets. Of 100 pairs 6 * 7 = 42 have the other's value longer, 4 * 3 = 12 shorter.
    /// Ties: t = 9 and 11, 9^3 - 9 + 11^3 - 11 = 720 + 1,320 = 2,040; 2,040 / (20 * 19) = 5.368421; variance
    /// 100 / 12 * (21 - 5.368421) = 130.263158; U less its mean is (42 - 12) / 2 = 15; z = 15 / 11.413289 = 1.314258.
    #[test]
    fn a_small_case_is_worked_out_by_hand() {
        let found = test(&[(5, 6.0), (6, 4.0)], &[(5, 3.0), (6, 7.0)]).expect("enough calls");
        assert!((found.effect - 0.3).abs() < 1e-14, "{found:?}");
        assert!((found.p_value - two_sided(1.314_258)).abs() < 1e-6, "{found:?}");
        assert!(found.low < 0.0 && found.high < 1.0 && found.high > 0.3, "{found:?}");
    }

    #[test]
    fn sets_turned_round_are_the_same_the_other_way() {
        let (some, others) = ([(1, 30.0), (2, 9.0), (7, 3.0)], [(0, 4.0), (2, 25.0), (9, 8.0)]);
        let (there, back) = (test(&some, &others).expect("enough"), test(&others, &some).expect("enough"));
        for (a, b) in [
            (there.effect, -back.effect),
            (there.low, -back.high),
            (there.high, -back.low),
            (there.p_value, back.p_value),
        ] {
            assert!((a - b).abs() < 1e-12, "{there:?}, {back:?}");
        }
    }

    #[test]
    fn sets_that_do_not_overlap_have_an_interval_all_the_same() {
        let found = test(&[(1, 20.0)], &[(2, 30.0)]).expect("enough calls");
        // (20 - 3.8415) / (20 + 3.8415) = 0.67775.
        assert!((found.low - 0.677_75).abs() < 1e-4, "{found:?}");
        assert_eq!((found.effect, found.high), (1.0, 1.0));
    }

    #[test]
    fn too_few_calls_and_calls_that_all_took_the_same_tell_nothing() {
        assert_eq!(test(&[(1, 7.0)], &[(2, 100.0)]), None);
        assert!(test(&[(1, 8.0)], &[(2, 8.0)]).is_some());
        assert_eq!(test(&[(1, 100.0)], &[(1, 100.0)]), None);
        assert_eq!(test(&[], &[]), None);
    }
}
