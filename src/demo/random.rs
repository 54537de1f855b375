//! The demo's random numbers: one seed, one sequence, the same on every machine and in every version.
//!
//! xoshiro256++ seeded by splitmix64 (Blackman and Vigna, <https://prng.di.unimi.it>) instead of a crate,
//! because crates change their generators between major versions, and a printed seed must go on telling
//! the same story. Not for secrets.

/// A seeded sequence of random numbers.
#[derive(Debug, Clone)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut seed = seed;
        Random { state: std::array::from_fn(|_| splitmix64(&mut seed)) }
    }

    /// All 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// All 64 bits, never 0: span ids and trace ids of zeros are invalid.
    pub fn id(&mut self) -> u64 {
        loop {
            let bits = self.bits();
            if bits != 0 {
                return bits;
            }
        }
    }

    /// Evenly from `low..high`; `low` when the range is empty. The bias of the modulo is below 2^-32 for
    /// the ranges used here (all shorter than 2^32).
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        let width = high.saturating_sub(low).max(1);
        low + self.bits() % width
    }

    /// Evenly from `[0, 1)`, in steps of 2^-53.
    pub fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// From the log-normal distribution with this median and this standard deviation of the logarithm,
    /// by the method of Box and Muller.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        // 1 - fraction lies in (0, 1]: the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.fraction()).cos();
        median * (sigma * normal).exp()
    }
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_gives_the_published_sequence() {
        // The first outputs for the seed 1234567, as listed by the reference implementation's users
        // (e.g. Rosetta Code, "Pseudo-random numbers/Splitmix64").
        let mut state = 1_234_567;
        let want = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(want.map(|_| splitmix64(&mut state)), want);
    }

    #[test]
    fn xoshiro_gives_the_published_sequence() {
        // State 1, 2, 3, 4: by the reference code the first outputs are rotl(1 + 4, 23) + 1, ...
        let mut random = Random { state: [1, 2, 3, 4] };
        assert_eq!([random.bits(), random.bits()], [41_943_041, 58_720_359]);
    }

    #[test]
    fn a_log_normal_has_its_median() {
        let mut random = Random::new(7);
        let mut drawn: Vec<f64> = (0..20_000).map(|_| random.log_normal(80.0, 0.5)).collect();
        drawn.sort_by(f64::total_cmp);
        // The standard error of a median of n log-normals is about 1.25 * sigma / sqrt(n) = 0.44 %.
        assert!((drawn[10_000] / 80.0 - 1.0).abs() < 0.02, "median {}", drawn[10_000]);
    }

    #[test]
    fn a_range_keeps_its_ends() {
        let mut random = Random::new(1);
        let drawn: Vec<u64> = (0..1_000).map(|_| random.within(3, 6)).collect();
        assert!([3, 4, 5].iter().all(|n| drawn.contains(n)) && drawn.iter().all(|n| (3..6).contains(n)));
        assert_eq!(random.within(9, 9), 9);
    }
}
