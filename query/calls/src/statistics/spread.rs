//! Counts of many against what each should be: whether they are further apart than chance puts them.

use statrs::function::gamma::checked_gamma_ur;

use super::normal::two_sided;

/// What was counted of one, and what should have been.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Count {
    pub observed: f64,
    /// Above 0.
    pub expected: f64,
    /// Of all that it was one among, 0..1: what is left to the others.
    pub others: f64,
}

impl Count {
    /// How likely a count at least as far from what it should be is by chance, by the normal approximation of the binomial
    /// distribution.
    pub fn p_value(&self) -> f64 {
        two_sided((self.observed - self.expected) / (self.expected * self.others).sqrt())
    }
}

/// How far counts are apart, all together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Chi-square by its degrees of freedom: 1 where each call chooses by chance, near 0 where calls go round in turns, more
    /// where some are preferred.
    pub dispersion: f64,
    /// How likely a dispersion at least as large is by chance, 0..=1.
    pub p_value: f64,
}

/// The spread of `counts` with so many degrees of freedom, which are counts less sums that were given. `None` without any.
///
/// Source: Pearson's chi-square test of goodness of fit, Philosophical Magazine 50 (1900).
pub fn spread(counts: impl Iterator<Item = Count>, degrees: usize) -> Option<Spread> {
    let chi_square: f64 =
        counts.map(|count| (count.observed - count.expected).powi(2) / count.expected).sum();
    (degrees > 0).then(|| Spread {
        dispersion: chi_square / degrees as f64,
        // The function is not defined at 0, where everything is at least as far apart.
        p_value: checked_gamma_ur(degrees as f64 / 2.0, chi_square / 2.0).unwrap_or(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(observed: &[f64]) -> Option<Spread> {
        let expected = observed.iter().sum::<f64>() / observed.len() as f64;
        let others = 1.0 - 1.0 / observed.len() as f64;
        let counts = observed.iter().map(|observed| Count { observed: *observed, expected, others });
        spread(counts, observed.len() - 1)
    }

    /// A die thrown 60 times, a textbook's example: chi-square 13.4 of five degrees, of which the p-value is 0.0199.
    #[test]
    fn a_die_is_loaded() {
        let found = of(&[5.0, 8.0, 9.0, 8.0, 10.0, 20.0]).expect("five degrees");
        assert!((found.dispersion - 13.4 / 5.0).abs() < 1e-12, "{found:?}");
        assert!((found.p_value - 0.0199).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn turns_are_not_spread_and_one_alone_tells_nothing() {
        let found = of(&[10.0, 10.0, 10.0]).expect("two degrees");
        assert_eq!((found.dispersion, found.p_value), (0.0, 1.0));
        assert_eq!(of(&[10.0]), None);
    }

    /// 25 heads of 100 throws of which there should be 50: 5 standard deviations.
    #[test]
    fn one_of_many_is_odd() {
        let count = Count { observed: 25.0, expected: 50.0, others: 0.5 };
        assert!((count.p_value() / two_sided(5.0) - 1.0).abs() < 1e-12);
    }
}
