//! Whether a counter histogram began anew between two samples.
//!
//! A hint decides where there is one. Else it began anew if any count fell, a layout became finer, or a zero bucket
//! narrower: none of this happens to a counter that only counts on.
//!
//! Source: <https://prometheus.io/docs/specs/native_histograms/#counter-resets>.

use super::add::{reduced, shared_bounds};
use super::{Buckets, Histogram, ResetHint};

impl Histogram {
    /// Whether the counter began anew after `previous`, the sample before.
    pub fn is_reset_after(&self, previous: &Histogram) -> bool {
        match self.hint {
            ResetHint::Reset => return true,
            ResetHint::NoReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.uses_custom_buckets() {
            return !previous.uses_custom_buckets() || self.custom_fell(previous);
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        // A zero bucket that came to end inside a filled bucket is none that grew by merging.
        previous.zero_end_from(self.zero_threshold) != self.zero_threshold
            || self.zero_count < previous.zero_count_up_to(self.zero_threshold)
            || self.exponential_fell(&self.positive, previous, &previous.positive)
            || self.exponential_fell(&self.negative, previous, &previous.negative)
    }

    fn exponential_fell(&self, buckets: &Buckets, previous: &Histogram, previous_buckets: &Buckets) -> bool {
        // An empty histogram with custom bounds has the schema of those, far below any exponential one.
        let outside = |bucket: &&(i32, f64)| previous.positive_bucket(**bucket).upper > self.zero_threshold;
        let outside: Buckets = previous_buckets.iter().filter(outside).copied().collect();
        fell(buckets, &reduced(&outside, previous.schema.saturating_sub(self.schema).min(31)))
    }

    /// Compares the buckets under the bounds that both have.
    fn custom_fell(&self, previous: &Histogram) -> bool {
        if self.custom_bounds == previous.custom_bounds {
            return fell(&self.positive, &previous.positive);
        }
        let shared = shared_bounds(&self.custom_bounds, &previous.custom_bounds);
        let [now, before] = [self, previous].map(|histogram| {
            let mut mapped = histogram.clone();
            mapped.map_to_bounds(&shared);
            mapped.positive
        });
        fell(&now, &before)
    }
}

/// Whether any bucket holds less than before.
fn fell(now: &Buckets, before: &Buckets) -> bool {
    let count_now = |index: i32| {
        let at = now.binary_search_by_key(&index, |(index, _)| *index);
        at.map_or(0.0, |at| now[at].1)
    };
    before.iter().any(|(index, count)| count_now(*index) < *count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(schema: i8, zero_count: f64, positive: &[(i32, f64)]) -> Histogram {
        let count = zero_count + positive.iter().map(|(_, count)| count).sum::<f64>();
        Histogram {
            schema,
            zero_threshold: 0.001,
            zero_count,
            count,
            positive: positive.to_vec(),
            ..Histogram::default()
        }
    }

    #[test]
    fn what_falls_began_anew() {
        let before = histogram(1, 1.0, &[(1, 2.0), (2, 3.0)]);
        let check = |now: Histogram, want: bool| assert_eq!(now.is_reset_after(&before), want, "{now}");
        check(histogram(1, 1.0, &[(1, 2.0), (2, 4.0)]), false);
        check(histogram(1, 1.0, &[(1, 9.0)]), true);
        check(histogram(1, 0.0, &[(1, 9.0), (2, 9.0)]), true);
        check(histogram(1, 1.0, &[(1, 1.0), (2, 2.0)]), true);
        check(histogram(0, 1.0, &[(1, 5.0)]), false);
        check(histogram(0, 3.0, &[(1, 4.0)]), true);
        check(histogram(2, 1.0, &[(2, 2.0), (4, 3.0)]), true);
        check(Histogram { hint: ResetHint::NoReset, ..histogram(1, 0.0, &[]) }, false);
        check(Histogram { hint: ResetHint::Reset, ..histogram(1, 1.0, &[(1, 2.0), (2, 4.0)]) }, true);
    }
}
