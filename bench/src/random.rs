//! The load's random numbers: splitmix64, so that a seed makes the same payloads everywhere.
//!
//! Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014), with the constants of
//! <https://prng.di.unimi.it/splitmix64.c>. Not for secrets.

/// A seeded sequence of random numbers.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Random { state: seed }
    }

    /// All 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `0..below`, evenly but for a bias below 2^-32 (all ranges here are shorter than 2^32); 0 when
    /// the range is empty.
    pub fn below(&mut self, below: u64) -> u64 {
        self.bits() % below.max(1)
    }

    /// One of the values.
    ///
    /// # Panics
    /// When there is none.
    pub fn one_of<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[self.below(values.len() as u64) as usize]
    }

    /// A number whose logarithm is even between those of the ends: most are small, a few are large, as
    /// durations and sizes are.
    pub fn log_uniform(&mut self, low: u64, high: u64) -> u64 {
        let fraction = (self.bits() >> 11) as f64 / (1u64 << 53) as f64;
        (low as f64 * (high as f64 / low as f64).powf(fraction)) as u64
    }

    /// Random bytes of an id.
    pub fn id(&mut self, bytes: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.bits() | 1).flat_map(u64::to_be_bytes);
        words.take(bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        // The first outputs for the seed 1234567 (Rosetta Code, "Pseudo-random numbers/Splitmix64").
        let mut random = Random::new(1_234_567);
        let want = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(want.map(|_| random.bits()), want);
    }

    #[test]
    fn a_log_uniform_number_keeps_its_ends() {
        let mut random = Random::new(3);
        let drawn: Vec<_> = (0..1_000).map(|_| random.log_uniform(10, 100_000)).collect();
        assert!(drawn.iter().all(|n| (10..100_000).contains(n)));
        // Half of the numbers lie below the geometric mean, 1,000; the deviation of a thousand draws is 1.6 %.
        let small = drawn.iter().filter(|n| **n < 1_000).count();
        assert!((430..570).contains(&small), "{small}");
    }
}
