//! Calls as tests take them: whole observations, each one that could have been otherwise.
//!
//! A call that is known by a sample stands for many that nobody saw. Tests take so many observations as would tell as much
//! (the effective size of the sample), with the shares that the weighted calls have: of spans sampled one in ten, those that
//! were stored, and of a mixture of weights fewer.

use meshlake_schema::LatencyHistogram;

use crate::measure::{MILLI, Measure};

/// The bucket of calls that took no time at all: below all others.
const ZERO: i32 = i32::MIN;

/// What of a set of calls can be compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    pub calls: u64,
    pub errors: u64,
    pub latency: Bins,
}

impl Sample {
    pub fn of(measure: &Measure) -> Sample {
        let seen = measure.effective_share();
        let whole = |calls: f64| (calls * seen).round() as u64;
        let (calls, errors) = (whole(measure.requests()), whole(measure.errors()));
        Sample { calls, errors: errors.min(calls), latency: Bins::of_histogram(measure.latency(), seen) }
    }

    /// The calls that are not those of `part`, which is a part of them.
    #[must_use]
    pub fn without(&self, part: &Sample) -> Sample {
        let calls = self.calls.saturating_sub(part.calls);
        let errors = self.errors.saturating_sub(part.errors).min(calls);
        Sample { calls, errors, latency: self.latency.without(&part.latency) }
    }
}

/// Calls by bucket of their latency, ascending.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bins(Vec<(i32, f64)>);

impl Bins {
    /// Ascending buckets, each once, and the calls in it.
    pub fn of(bins: Vec<(i32, f64)>) -> Bins {
        Bins(bins)
    }

    /// `seen` is how many observations each call is worth.
    fn of_histogram(histogram: &LatencyHistogram, seen: f64) -> Bins {
        let zero = (histogram.zero_count() > 0).then_some((ZERO, histogram.zero_count()));
        let bins = zero.into_iter().chain(histogram.buckets());
        Bins(bins.map(|(index, milli)| (index, milli as f64 / MILLI as f64 * seen)).collect())
    }

    fn without(&self, part: &Bins) -> Bins {
        let mut left = part.0.iter().peekable();
        let less = |(index, calls): &(i32, f64)| {
            while left.next_if(|(other, _)| other < index).is_some() {}
            (*index, calls - left.next_if(|(other, _)| other == index).map_or(0.0, |(_, calls)| *calls))
        };
        Bins(self.0.iter().map(less).filter(|(_, calls)| *calls > 0.0).collect())
    }

    /// How many calls there are.
    pub fn calls(&self) -> f64 {
        self.0.iter().map(|(_, calls)| calls).sum()
    }

    /// The calls of this set and of another in each bucket of either, ascending.
    pub fn beside(&self, other: &Bins) -> impl Iterator<Item = (f64, f64)> {
        let (mut here, mut there) = (self.0.iter().peekable(), other.0.iter().peekable());
        std::iter::from_fn(move || {
            let next = [here.peek(), there.peek()].into_iter().flatten().map(|(index, _)| *index).min()?;
            let own = here.next_if(|(index, _)| *index == next).map_or(0.0, |(_, calls)| *calls);
            let others = there.next_if(|(index, _)| *index == next).map_or(0.0, |(_, calls)| *calls);
            Some((own, others))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_set_is_what_is_not_in_a_part() {
        let sample =
            |calls, errors, bins: &[(i32, f64)]| Sample { calls, errors, latency: Bins::of(bins.to_vec()) };
        let (all, part) =
            (sample(9, 3, &[(1, 2.0), (4, 5.0), (7, 2.0)]), sample(4, 3, &[(1, 2.0), (4, 2.0)]));
        assert_eq!(all.without(&part), sample(5, 0, &[(4, 3.0), (7, 2.0)]));
        assert_eq!(part.without(&part), Sample::default());
    }

    #[test]
    fn buckets_of_two_sets_are_told_side_by_side() {
        let (a, b) = (Bins::of(vec![(ZERO, 1.0), (3, 2.0)]), Bins::of(vec![(2, 5.0), (3, 7.0), (4, 1.0)]));
        let beside: Vec<_> = a.beside(&b).collect();
        assert_eq!(beside, [(1.0, 0.0), (0.0, 5.0), (2.0, 7.0), (0.0, 1.0)]);
        assert_eq!((a.calls(), b.calls()), (3.0, 13.0));
    }
}
