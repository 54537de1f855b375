//! Errors of two sets of calls: whether their shares differ.
//!
//! Fisher's exact test with mid-p at any number of calls: at few errors, which is when it matters, a z-test is wrong, and
//! at many both are the same, so that one method does. The effect is the difference of the shares, its interval Newcombe's
//! from two Wilson intervals, which stays sensible where no call failed.

use super::Test;
use super::exact::mid_p;
use super::normal::Z_95;
use super::sample::Sample;

/// As answers name it.
pub const METHOD: &str = "fisher_mid_p";

/// So many of so many calls failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proportion {
    pub errors: u64,
    /// At least `errors`.
    pub calls: u64,
}

/// Compares `other` with `base`; the effect is by how much its share of errors is higher, -1..=1. `None` where one of
/// them has no calls.
///
/// Source of the interval: Newcombe, "Interval estimation for the difference between independent proportions", Statistics
/// in Medicine 17 (1998), method 10.
pub fn compare(base: Proportion, other: Proportion) -> Option<Test> {
    if base.calls == 0 || other.calls == 0 {
        return None;
    }
    let (base_share, other_share) = (base.share(), other.share());
    let ((base_low, base_high), (other_low, other_high)) = (base.interval(), other.interval());
    let effect = other_share - base_share;
    Some(Test {
        p_value: p_value(base, other),
        effect,
        low: effect - (other_share - other_low).hypot(base_high - base_share),
        high: effect + (other_high - other_share).hypot(base_share - base_low),
    })
}

/// With all four margins given, the errors of one set are hypergeometric.
fn p_value(base: Proportion, other: Proportion) -> f64 {
    let errors = base.errors + other.errors;
    let first = errors.saturating_sub(base.calls);
    let last = errors.min(other.calls);
    if first == last {
        // No call failed, or all did: nothing could have been otherwise.
        return 1.0;
    }
    let wide = u128::from;
    let mode = (wide(errors) + 1) * (wide(other.calls) + 1) / (wide(base.calls) + wide(other.calls) + 2);
    let mode = u64::try_from(mode).unwrap_or(last).clamp(first, last);
    let (all, of_other, of_base) = (errors as f64, other.calls as f64, base.calls as f64);
    mid_p(first..=last, mode, other.errors, |x| {
        (all - x) * (of_other - x) / ((x + 1.0) * (of_base - all + x + 1.0))
    })
}

impl Proportion {
    pub fn of(sample: &Sample) -> Proportion {
        Proportion { errors: sample.errors, calls: sample.calls }
    }

    fn share(self) -> f64 {
        self.errors as f64 / self.calls as f64
    }

    /// Wilson's score interval of the share. Source: Wilson, JASA 22 (1927).
    fn interval(self) -> (f64, f64) {
        let (share, calls, square) = (self.share(), self.calls as f64, Z_95 * Z_95);
        let centre = share + square / (2.0 * calls);
        let spread = Z_95 * (share * (1.0 - share) / calls + square / (4.0 * calls * calls)).sqrt();
        let whole = 1.0 + square / calls;
        (((centre - spread) / whole).max(0.0), ((centre + spread) / whole).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(base: (u64, u64), other: (u64, u64)) -> Test {
        let of = |(errors, calls)| Proportion { errors, calls };
        compare(of(base), of(other)).expect("both have calls")
    }

    /// Fisher's tea: 3 and 1 of 4. P(x) of 0..=4 are 1, 16, 36, 16, 1 of 70: less likely than 16 are 2, alike 32.
    #[test]
    fn a_small_table_is_worked_out_by_hand() {
        assert!((test((1, 4), (3, 4)).p_value - 18.0 / 70.0).abs() < 1e-14);
        assert!((test((3, 4), (1, 4)).p_value - 18.0 / 70.0).abs() < 1e-14);
    }

    /// Newcombe's own example (1998, table II, case a): 56/70 and 48/80, difference 0.2, method 10: 0.0524 to 0.3339.
    #[test]
    fn the_interval_is_newcombes() {
        let found = test((48, 80), (56, 70));
        let told = [found.effect, found.low, found.high].map(|value| (value * 1e4).round() / 1e4);
        assert_eq!(told, [0.2, 0.0524, 0.3339]);
    }

    #[test]
    fn where_nothing_can_be_otherwise_nothing_is_found() {
        for (base, other) in [((0, 10), (0, 5)), ((10, 10), (5, 5)), ((0, 1), (0, 1))] {
            let found = test(base, other);
            assert_eq!((found.p_value, found.effect), (1.0, 0.0));
            assert!(found.low < 0.0 && found.high > 0.0, "{found:?}");
        }
        let none = Proportion { errors: 0, calls: 0 };
        assert_eq!(compare(none, Proportion { errors: 1, calls: 2 }), None);
    }

    #[test]
    fn a_thousand_million_calls_are_compared() {
        let found = test((1_000_000, 1_000_000_000), (1_000_000, 1_000_000_000));
        assert!(found.p_value > 0.99, "{found:?}");
        let found = test((1_000_000, 1_000_000_000), (1_020_000, 1_000_000_000));
        // z = 20,000 / sqrt(2,020,000 * 0.999) = 14.08, of which the p-value is 5e-45.
        assert!(found.p_value > 1e-46 && found.p_value < 1e-43, "{found:?}");
        assert_eq!(test((0, u64::MAX / 2), (1, 1)).effect, 1.0);
    }
}
