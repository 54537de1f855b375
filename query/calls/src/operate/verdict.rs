//! What tests say in one word.
//!
//! A difference is real where the p-value, corrected for the number of tests in the answer, is below
//! [`ALPHA`]. Where none was found, that is news only if one that matters would have been: if the confidence interval holds
//! differences that matter, there was not enough traffic to tell.

use crate::statistics::{ALPHA, Test};

/// A difference of so large a share of errors matters: one call in twenty. Guess, not measured.
pub const ERRORS_MARGIN: f64 = 0.05;

/// A Cliff's delta from which a difference of latencies is not small any more. Source: Romano et al., "Appropriate
/// statistics for ordinal level data" (2006): 0.147 small, 0.33 medium, 0.474 large.
pub const LATENCY_MARGIN: f64 = 0.33;

/// What became of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Worse,
    Better,
    NoDifference,
    NotEnough,
}

impl Verdict {
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Worse => "worse",
            Verdict::Better => "better",
            Verdict::NoDifference => "no_difference",
            Verdict::NotEnough => "not_enough",
        }
    }

    /// Of a test whose effect is bad where it is above 0, with its p-value corrected.
    pub fn of(test: &Test, p_adjusted: f64, margin: f64) -> Verdict {
        if p_adjusted < ALPHA {
            return if test.effect > 0.0 { Verdict::Worse } else { Verdict::Better };
        }
        let is_narrow = test.low > -margin && test.high < margin;
        if is_narrow { Verdict::NoDifference } else { Verdict::NotEnough }
    }

    /// Of several: what is worse in anything is worse, and "no difference" takes all to say so.
    pub fn of_all(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
        let rank = |verdict: &Verdict| match verdict {
            Verdict::Worse => 0,
            Verdict::Better => 1,
            Verdict::NotEnough => 2,
            Verdict::NoDifference => 3,
        };
        verdicts.min_by_key(rank).unwrap_or(Verdict::NotEnough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_real_missing_or_cannot_be_told() {
        let test = |effect, low, high| Test { p_value: 0.5, effect, low, high };
        for (test, p_adjusted, want) in [
            (test(0.1, 0.02, 0.2), 0.049, Verdict::Worse),
            (test(-0.1, -0.2, -0.02), 0.049, Verdict::Better),
            (test(0.1, 0.02, 0.2), 0.05, Verdict::NotEnough),
            (test(0.0, -0.04, 0.04), 0.9, Verdict::NoDifference),
            (test(0.0, -0.05, 0.04), 0.9, Verdict::NotEnough),
            (test(0.0, -0.04, 0.05), 0.9, Verdict::NotEnough),
        ] {
            assert_eq!(Verdict::of(&test, p_adjusted, ERRORS_MARGIN), want, "{test:?}");
        }
    }

    #[test]
    fn the_worst_word_is_the_word_of_all() {
        use Verdict::{Better, NoDifference, NotEnough, Worse};
        for (all, want) in [
            (vec![NoDifference, Worse, Better], Worse),
            (vec![NoDifference, Better], Better),
            (vec![NoDifference, NotEnough], NotEnough),
            (vec![NoDifference, NoDifference], NoDifference),
            (vec![], NotEnough),
        ] {
            assert_eq!(Verdict::of_all(all.into_iter()), want);
        }
    }
}
