//! The one latency sketch: an OpenTelemetry exponential histogram of fixed scale 5.
//!
//! Bucket `i` holds values in `(2^(i/32), 2^((i+1)/32)]` (OpenTelemetry metrics data model,
//! "Exponential Scale"; also Prometheus native histogram schema 5). A fixed scale makes merging a
//! plain vector add, so that the answer does not depend on the order in which parts were merged; a
//! t-digest's does. The price is a relative error of at most `(b - 1) / (b + 1)` with `b = 2^(1/32)`,
//! which is 1.083 %.
//!
//! Limits: values are durations in nanoseconds, so the indices span at most 64 * 32 buckets.

mod counts;

use serde::{Deserialize, Serialize};

use counts::Counts;

/// Buckets per power of two: 2^5.
const BUCKETS_PER_OCTAVE: f64 = 32.0;

/// The lower bounds of the buckets of one octave: 2^(63 + k/32), rounded down. All but the first are no whole numbers, so that
/// a whole number is above one if and only if it is above what is left of it.
const OCTAVE: [u64; 32] = [
    0x8000_0000_0000_0000,
    0x82cd_8698_ac2b_a1d7,
    0x85aa_c367_cc48_7b14,
    0x8898_0e80_92da_8527,
    0x8b95_c1e3_ea8b_d6e6,
    0x8ea4_398b_45cd_53c0,
    0x91c3_d373_ab11_c336,
    0x94f4_efa8_fef7_0961,
    0x9837_f051_8db8_a96f,
    0x9b8d_39b9_d54e_5538,
    0x9ef5_3260_91a1_11ad,
    0xa270_4303_0c49_6818,
    0xa5fe_d6a9_b151_38ea,
    0xa9a1_5ab4_ea7c_0ef8,
    0xad58_3eea_42a1_4ac6,
    0xb123_f581_d2ac_258f,
    0xb504_f333_f9de_6484,
    0xb8fb_af47_62fb_9ee9,
    0xbd08_a39f_580c_36be,
    0xc12c_4cca_6670_9456,
    0xc567_2a11_5506_dadd,
    0xc9b9_bd86_6e2f_27a2,
    0xce24_8c15_1f84_80e3,
    0xd2a8_1d91_f12a_e45a,
    0xd744_fcca_d69d_6af4,
    0xdbfb_b797_daf2_3755,
    0xe0cc_deec_2a94_e111,
    0xe5b9_06e7_7c83_48a8,
    0xeac0_c6e7_dd24_392e,
    0xefe4_b99b_dcda_f5cb,
    0xf525_7d15_2486_cc2c,
    0xfa83_b2db_722a_033a,
];

/// By the five bits below the highest: how many of these bounds all numbers that begin so are above.
const ABOVE_AT_LEAST: [u8; 32] = {
    let mut above = [0; 32];
    let mut bits = 0;
    while bits < above.len() {
        let least = 1 << 63 | (bits as u64) << 58;
        while (above[bits] as usize) < OCTAVE.len() && OCTAVE[above[bits] as usize] < least {
            above[bits] += 1;
        }
        bits += 1;
    }
    above
};

/// The largest bucket index that a `u64` can fall into; keeps the vector bounded whatever is recorded.
const INDEX_MAX: i16 = 64 * 32 - 1;

/// The smallest: that of 1.
const INDEX_MIN: i16 = -1;

/// Counts of durations by bucket, with the exact count, minimum and maximum beside them.
///
/// Counts are whole numbers, so that no order of adding changes a sum. Where some stand for more than one call (of
/// sampled spans), all are in parts of a call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LatencyHistogram {
    /// How many values were exactly zero, which no logarithmic bucket can hold.
    zero_count: u64,
    counts: Counts,
    count: u64,
    min_nano: u64,
    max_nano: u64,
}

impl LatencyHistogram {
    /// Adds one observation of `duration_nano` nanoseconds that counts `weight` times.
    pub fn record(&mut self, duration_nano: u64, weight: u64) {
        if weight == 0 {
            return;
        }
        let first = self.count == 0;
        self.min_nano = if first { duration_nano } else { self.min_nano.min(duration_nano) };
        self.max_nano = self.max_nano.max(duration_nano);
        self.count += weight;
        match bucket_index(duration_nano) {
            None => self.zero_count += weight,
            Some(index) => self.counts.add(index, weight),
        }
    }

    /// Adds all of `other`: bucket by bucket, so merging is associative and commutative. A count beyond 64 bits is the
    /// most that they hold: what is added may come from anywhere.
    pub fn merge(&mut self, other: &LatencyHistogram) {
        if other.count == 0 {
            return;
        }
        let first = self.count == 0;
        self.min_nano = if first { other.min_nano } else { self.min_nano.min(other.min_nano) };
        self.max_nano = self.max_nano.max(other.max_nano);
        self.count = self.count.saturating_add(other.count);
        self.zero_count = self.zero_count.saturating_add(other.zero_count);
        for (index, count) in other.counts.iter() {
            self.counts.add(index, count);
        }
    }

    /// The histogram that has these counts in these buckets, and so many values of zero. Indices that no duration
    /// falls into are taken for the nearest that one does. `min_nano` and `max_nano` are of all values.
    pub fn of_buckets(
        zero_count: u64,
        buckets: impl Iterator<Item = (i32, u64)>,
        min_nano: u64,
        max_nano: u64,
    ) -> LatencyHistogram {
        let mut histogram = LatencyHistogram { zero_count, count: zero_count, ..LatencyHistogram::default() };
        for (index, count) in buckets.filter(|(_, count)| *count > 0) {
            let index = index.clamp(INDEX_MIN.into(), INDEX_MAX.into());
            histogram.counts.add(i16::try_from(index).unwrap_or(INDEX_MAX), count);
            histogram.count = histogram.count.saturating_add(count);
        }
        if histogram.count > 0 {
            (histogram.min_nano, histogram.max_nano) = (min_nano, max_nano);
        }
        histogram
    }

    /// Index and count of each bucket that holds something, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (i32, u64)> {
        self.counts.iter().map(|(index, count)| (i32::from(index), count))
    }

    /// Bytes that it takes beside its own fields, 16 KiB at most.
    pub fn heap_bytes(&self) -> usize {
        self.counts.heap_bytes()
    }

    /// How many values were exactly zero.
    pub fn zero_count(&self) -> u64 {
        self.zero_count
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many values were at most `value_nano` long. Of the bucket that `value_nano` lies in, the share below
    /// it, as if its values lay evenly on a logarithmic scale: what OpenTelemetry and Prometheus take them for.
    pub fn count_below(&self, value_nano: f64) -> f64 {
        if value_nano.is_nan() || value_nano < 0.0 || self.count == 0 {
            return 0.0;
        }
        if value_nano >= self.max_nano as f64 {
            return self.count as f64;
        }
        if value_nano < self.min_nano as f64 {
            return 0.0;
        }
        let place = value_nano.log2() * BUCKETS_PER_OCTAVE;
        let below = self.buckets().map(|(index, count)| {
            let share = (place - f64::from(index)).clamp(0.0, 1.0);
            count as f64 * share
        });
        self.zero_count as f64 + below.sum::<f64>()
    }

    /// Largest duration recorded, nanoseconds; exact. `None` when empty.
    pub fn max_nano(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max_nano)
    }

    /// Smallest duration recorded, nanoseconds; exact. `None` when empty.
    pub fn min_nano(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min_nano)
    }

    /// The duration (nanoseconds) at nearest rank `ceil(q * count)`, within 1.09 % of the exact one.
    ///
    /// `q` is a ratio 0..=1 and is clamped to it. `None` when nothing was recorded.
    /// The value returned for a bucket `(lo, hi]` is `2 * lo * hi / (lo + hi)`, which makes the relative
    /// error equal at both ends (DDSketch, Masson et al. 2019, section 2.1), clamped to the exact
    /// minimum and maximum.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = (q.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = self.zero_count;
        if seen >= rank {
            return Some(0.0);
        }
        for (index, count) in self.buckets() {
            seen = seen.saturating_add(count);
            if seen >= rank {
                let value = representative(index);
                return Some(value.clamp(self.min_nano as f64, self.max_nano as f64));
            }
        }
        Some(self.max_nano as f64)
    }
}

/// The bucket that holds `value`, or `None` for zero. Exact: the bounds of an octave are compared, which also takes a third of
/// the time of a logarithm.
fn bucket_index(value: u64) -> Option<i16> {
    if value == 0 {
        return None;
    }
    let shift = value.leading_zeros();
    let scaled = value << shift;
    let at_least = usize::from(ABOVE_AT_LEAST[(scaled >> 58) as usize % OCTAVE.len()]);
    let above = at_least + OCTAVE[at_least..].iter().take_while(|bound| **bound < scaled).count();
    // Above no bound is 2^k, the upper bound of bucket 32k - 1.
    let octave = (u64::BITS - 1 - shift) as i16;
    Some(octave * BUCKETS_PER_OCTAVE as i16 - 1 + above as i16)
}

fn representative(index: i32) -> f64 {
    let lower = (f64::from(index) / BUCKETS_PER_OCTAVE).exp2();
    let upper = (f64::from(index + 1) / BUCKETS_PER_OCTAVE).exp2();
    2.0 * lower * upper / (lower + upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (2^(1/32) - 1) / (2^(1/32) + 1) = 0.010830...
    const RELATIVE_ERROR: f64 = 0.010_831;

    fn of(values: &[u64]) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::default();
        values.iter().for_each(|v| histogram.record(*v, 1));
        histogram
    }

    #[test]
    fn every_duration_comes_back_within_the_bound() {
        // One value at a time, three around each power of two and each decade: nothing to hide behind.
        let around = |v: u64| [v.saturating_sub(1), v, v.saturating_add(1)];
        let values = (0..63).map(|k| 1u64 << k).chain((0..19).map(|d| 10u64.pow(d))).flat_map(around);
        for value in values.filter(|v| *v > 0) {
            let index = bucket_index(value).expect("value is not zero");
            let got = representative(index.into());
            let error = (got - value as f64).abs() / value as f64;
            assert!(error <= RELATIVE_ERROR, "{value} -> bucket {index} -> {got}, error {error}");
        }
    }

    /// Beside each bound of the octaves that durations lie in, as the standard library takes powers: 2^(k/32), whose
    /// neighbours among whole numbers are much farther away than 53 bits round.
    #[test]
    fn whole_numbers_fall_on_their_side_of_each_bound() {
        for index in (10 * 32)..(35 * 32) {
            let upper = (f64::from(index + 1) / 32.0).exp2();
            let (below, above) = (upper.floor() as u64, upper.floor() as u64 + 1);
            assert_eq!(bucket_index(below), Some(index as i16), "{below} is at most {upper}");
            assert_eq!(bucket_index(above), Some(index as i16 + 1), "{above} is more than {upper}");
        }
        assert_eq!([1, 2, 3, u64::MAX].map(bucket_index), [Some(-1), Some(31), Some(50), Some(INDEX_MAX)]);
    }

    #[test]
    fn quantiles_are_nearest_rank_within_the_bound() {
        // 1..=1000 microseconds: the nearest rank of q is exactly the ceil(1000 q)-th value.
        let values: Vec<u64> = (1..=1000).map(|us| us * 1_000).collect();
        let histogram = of(&values);
        for (q, exact_us) in [(0.001, 1.0), (0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (1.0, 1000.0)] {
            let got = histogram.quantile(q).expect("not empty");
            let error = (got - exact_us * 1_000.0).abs() / (exact_us * 1_000.0);
            assert!(error <= RELATIVE_ERROR, "q{q}: {got}, error {error}");
        }
    }

    #[test]
    fn a_single_value_is_exact() {
        let histogram = of(&[123_456_789]);
        assert_eq!(histogram.quantile(0.99), Some(123_456_789.0));
        assert_eq!(histogram.max_nano(), Some(123_456_789));
    }

    #[test]
    fn merging_equals_recording_together() {
        let (a, b) = ([5, 0, 7_000, 1 << 40], [1, 2, 3, u64::MAX]);
        let mut merged = of(&a);
        merged.merge(&of(&b));
        let together = of(&[a.as_slice(), b.as_slice()].concat());
        assert_eq!(merged.counts, together.counts);
        assert_eq!((merged.count(), merged.min_nano(), merged.max_nano()), (8, Some(0), Some(u64::MAX)));
        let mut other_way = of(&b);
        other_way.merge(&of(&a));
        assert_eq!(other_way.counts, merged.counts);
    }

    #[test]
    fn zero_and_empty_are_not_confused() {
        assert_eq!(LatencyHistogram::default().quantile(0.5), None);
        assert_eq!(of(&[0, 0]).quantile(0.5), Some(0.0));
    }

    #[test]
    fn a_weight_counts_as_often() {
        let mut histogram = of(&[1_000]);
        histogram.record(9_000, 99);
        assert_eq!(histogram.count(), 100);
        assert!(histogram.quantile(0.5).expect("not empty") > 8_800.0);
        histogram.record(1, 0);
        assert_eq!((histogram.count(), histogram.min_nano()), (100, Some(1_000)));
    }

    #[test]
    fn buckets_make_the_same_histogram_again() {
        let held = of(&[0, 1, 2, 3, 7_000, 7_001, 1 << 40, u64::MAX]);
        let again = LatencyHistogram::of_buckets(held.zero_count(), held.buckets(), 0, u64::MAX);
        assert_eq!(again, held);
        let empty = LatencyHistogram::of_buckets(0, std::iter::empty(), 5, 6);
        assert_eq!(empty, LatencyHistogram::default());
    }

    #[test]
    fn a_bucket_that_nothing_falls_into_is_the_nearest_that_something_does() {
        let far = LatencyHistogram::of_buckets(0, [(i32::MIN, 1), (i32::MAX, 2)].into_iter(), 1, u64::MAX);
        assert_eq!(far.buckets().collect::<Vec<_>>(), [(INDEX_MIN.into(), 1), (INDEX_MAX.into(), 2)]);
    }

    /// Powers of two end a bucket: exactly those up to it are counted.
    #[test]
    fn values_up_to_the_end_of_a_bucket_are_counted_exactly() {
        let histogram = of(&[0, 1, 2, 1_000, 1_024, 1_025, 4_000]);
        for (value, want) in [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (1_024.0, 5.0), (4_000.0, 7.0), (-1.0, 0.0)]
        {
            assert_eq!(histogram.count_below(value), want, "{value}");
        }
        assert_eq!((histogram.count_below(f64::INFINITY), histogram.count_below(f64::NAN)), (7.0, 0.0));
        assert_eq!(LatencyHistogram::default().count_below(1.0), 0.0);
    }
}
