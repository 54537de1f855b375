//! How values are distributed: counts in buckets that grow by a 32nd of a power of two.
//!
//! The buckets are those of `schema::LatencyHistogram`, the OpenTelemetry exponential histogram of scale 5, over doubles of
//! either sign: attributes are no latencies. A quantile is within 1.09 % of the value of its rank. Merging adds counts.

use std::collections::BTreeMap;

/// Buckets per power of two.
const PER_OCTAVE: i32 = 32;

/// Values of one step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sketch {
    /// Counts by bucket: `i` has sizes in `(2^(i/32), 2^((i+1)/32)]`.
    negative: BTreeMap<i32, u64>,
    zeros: u64,
    positive: BTreeMap<i32, u64>,
    count: u64,
    least: f64,
    greatest: f64,
}

impl Sketch {
    /// Bytes of a bucket, its place in a tree included: guess, not measured.
    pub(super) const BUCKET_BYTES: usize = 48;

    /// Adds a value; whether it needed a new bucket. What is not finite is in no bucket and left out.
    pub(super) fn record(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        let is_first = self.count == 0;
        self.count += 1;
        self.least = if is_first { value } else { self.least.min(value) };
        self.greatest = if is_first { value } else { self.greatest.max(value) };
        if value == 0.0 {
            self.zeros += 1;
            return false;
        }
        let index = (value.abs().log2() * f64::from(PER_OCTAVE)).ceil() as i32 - 1;
        let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        let count = side.entry(index).or_default();
        *count += 1;
        *count == 1
    }

    pub(super) fn merge(&mut self, other: &Sketch) {
        if other.count == 0 {
            return;
        }
        let is_first = self.count == 0;
        self.count += other.count;
        self.least = if is_first { other.least } else { self.least.min(other.least) };
        self.greatest = if is_first { other.greatest } else { self.greatest.max(other.greatest) };
        self.zeros += other.zeros;
        for (side, others) in [(&mut self.negative, &other.negative), (&mut self.positive, &other.positive)] {
            others.iter().for_each(|(index, count)| *side.entry(*index).or_default() += count);
        }
    }

    pub(super) fn bucket_count(&self) -> usize {
        self.negative.len() + self.positive.len()
    }

    /// The value at nearest rank `ceil(q * count)`: the first and the last exactly, of another's bucket the value whose
    /// relative error is the same at both ends. Source: DDSketch, Masson et al. 2019, section 2.1.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let rank = (q * self.count as f64).ceil().max(1.0) as u64;
        match self.count {
            0 => return None,
            count if rank >= count => return Some(self.greatest),
            _ if rank == 1 => return Some(self.least),
            _ => {}
        }
        let negative = self.negative.iter().rev().map(|(index, count)| (-middle(*index), *count));
        let positive = self.positive.iter().map(|(index, count)| (middle(*index), *count));
        let mut seen = 0;
        let at_rank = |(_, count): &(f64, u64)| {
            seen += count;
            seen >= rank
        };
        let found = negative.chain([(0.0, self.zeros)]).chain(positive).find(at_rank);
        found.map(|(value, _)| value.clamp(self.least, self.greatest))
    }

    /// Counts by powers of two that values are at most; what is not above zero counts at zero.
    pub(super) fn powers(&self) -> BTreeMap<Power, u64> {
        let mut powers = BTreeMap::new();
        let below = self.zeros + self.negative.values().sum::<u64>();
        if below > 0 {
            powers.insert(Power::Zero, below);
        }
        for (index, count) in &self.positive {
            *powers.entry(Power::Of(index.div_euclid(PER_OCTAVE) + 1)).or_default() += count;
        }
        powers
    }
}

/// The end of a bucket of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Power {
    Zero,
    /// Of two.
    Of(i32),
}

impl Power {
    pub(super) fn value(self) -> f64 {
        match self {
            Power::Zero => 0.0,
            Power::Of(exponent) => f64::from(exponent).exp2(),
        }
    }
}

fn middle(index: i32) -> f64 {
    let bound = |index: i32| (f64::from(index) / f64::from(PER_OCTAVE)).exp2();
    let (low, high) = (bound(index), bound(index + 1));
    2.0 * low * high / (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(values: impl Iterator<Item = f64>) -> Sketch {
        let mut sketch = Sketch::default();
        for value in values {
            sketch.record(value);
        }
        sketch
    }

    /// 2^(1/64) - 1 is 1.089 %: half a bucket, on a logarithmic scale, to either side.
    #[test]
    fn a_quantile_is_near_the_value_of_its_rank() {
        let values: Vec<f64> = (-500..=500).map(|n| f64::from(n) * 0.37).collect();
        let whole = sketch(values.iter().copied());
        for (q, rank) in [(0.0, 1), (0.001, 2), (0.25, 251), (0.5, 501), (0.9, 901), (1.0, 1001)] {
            let (found, want) = (whole.quantile(q).expect("values"), values[rank - 1]);
            assert!((found - want).abs() <= want.abs() * 0.0109, "{q}: {found} is not near {want}");
        }
        assert_eq!(Sketch::default().quantile(0.5), None);
        assert_eq!(sketch([3.0].into_iter()).quantile(0.5), Some(3.0), "clamped to what there is");
    }

    #[test]
    fn merging_is_as_recording_all() {
        let value = |n: i32| f64::from(n % 17 - 5) * 1.7;
        let mut merged = sketch((0..50).map(value));
        merged.merge(&Sketch::default());
        merged.merge(&sketch((50..80).map(value)));
        assert_eq!(merged, sketch((0..80).map(value)));
        let mut empty = Sketch::default();
        empty.merge(&merged);
        assert_eq!(empty, merged);
    }

    #[test]
    fn powers_hold_what_is_at_most_as_large() {
        let powers =
            sketch([0.3, 1.0, 1.1, 2.0, 2.1, 4.0, 1024.0, 0.0, -3.0, f64::INFINITY].into_iter()).powers();
        let found: Vec<(f64, u64)> =
            powers.into_iter().map(|(power, count)| (power.value(), count)).collect();
        assert_eq!(found, [(0.0, 2), (0.5, 1), (1.0, 1), (2.0, 2), (4.0, 2), (1024.0, 1)]);
    }
}
