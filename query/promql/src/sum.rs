//! Sums that keep what rounding takes away, by Neumaier's form of Kahan's algorithm.
//!
//! Prometheus adds this way in some functions and not in others; an answer equals its only if ours does the same.
//! Source: A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974. One thing
//! is Prometheus's own: once the sum is infinite nothing is compensated, as the difference would be NaN.

/// A sum and what rounding took from it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sum {
    pub total: f64,
    pub lost: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, value: f64) {
        let total = self.total + value;
        if total.is_infinite() {
            self.lost = 0.0;
        } else if self.total.abs() >= value.abs() {
            self.lost += (self.total - total) + value;
        } else {
            self.lost += (value - total) + self.total;
        }
        self.total = total;
    }

    pub(crate) fn plus(mut self, value: f64) -> Sum {
        self.add(value);
        self
    }

    /// Both parts times `factor`.
    pub(crate) fn scaled(self, factor: f64) -> Sum {
        Sum { total: self.total * factor, lost: self.lost * factor }
    }

    pub(crate) fn value(self) -> f64 {
        self.total + self.lost
    }
}

/// The mean of values that are added one by one: the compensated sum over the count, and once that sum would
/// overflow, the mean carried along, which cannot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mean {
    count: f64,
    /// The sum, or once it would have overflowed the mean.
    sum: Sum,
    is_mean: bool,
}

impl Mean {
    pub(crate) fn of_first(value: f64) -> Mean {
        Mean { count: 1.0, sum: Sum { total: value, lost: 0.0 }, is_mean: false }
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.is_mean {
            let sum = self.sum.plus(value);
            if !sum.total.is_infinite() {
                self.sum = sum;
                return;
            }
            self.is_mean = true;
            let before = self.count - 1.0;
            self.sum = Sum { total: self.sum.total / before, lost: self.sum.lost / before };
        }
        self.sum = self.sum.scaled((self.count - 1.0) / self.count).plus(value / self.count);
    }

    pub(crate) fn value(self) -> f64 {
        if self.is_mean { self.sum.value() } else { self.sum.total / self.count + self.sum.lost / self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_survive_beside_large_ones() {
        let mut sum = Sum::default();
        [1e100, 1.0, -1e100].into_iter().for_each(|value| sum.add(value));
        assert_eq!(sum.value(), 1.0);
    }

    #[test]
    fn an_infinite_sum_stays_infinite() {
        let sum = Sum { total: f64::MAX, lost: 1.0 }.plus(f64::MAX);
        assert_eq!(sum.value(), f64::INFINITY);
    }

    #[test]
    fn a_mean_does_not_overflow() {
        let mut mean = Mean::of_first(f64::MAX);
        mean.add(f64::MAX);
        assert_eq!(mean.value(), f64::MAX);
        let mut mean = Mean::of_first(1.0);
        mean.add(2.0);
        assert_eq!(mean.value(), 1.5);
    }
}
