//! How long a proof runs, and the seed that it runs from: short by default, long by environment.
//!
//! `tests/prove.sh` sets the variables for the long forms. A seed decides every choice of a test; what the
//! scheduler and the disk do between them it cannot decide, so a replay is the same load with the same
//! faults at about the same moments.

use crate::payloads::now_nanos;

/// The number in environment variable `name`, or `short`.
///
/// # Panics
/// When the variable is set to something else than a number.
pub fn count(name: &str, short: u64) -> u64 {
    std::env::var(name).map_or(short, |text| {
        text.parse().unwrap_or_else(|error| panic!("{name}={text} is not a number: {error}"))
    })
}

/// The seed of this run, printed so that it can be given back as `MESHLAKE_TEST_SEED`.
pub fn seed() -> u64 {
    let seed = count("MESHLAKE_TEST_SEED", now_nanos());
    println!("MESHLAKE_TEST_SEED={seed}");
    seed
}

/// Pseudo-random numbers (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", 2014): a test needs them spread and repeatable, nothing more.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Streams of one seed are unlike one another.
    pub fn new(seed: u64, stream: u64) -> Random {
        let mut random = Random(seed ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        random.number();
        random
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }
}
