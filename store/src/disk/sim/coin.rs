//! Chance from a seed, so that a failure is a number to run again.
//!
//! Not `rand`: one function of ten lines needs no dependency, and its sequence never changes with a version.

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough to choose what a crash keeps.
pub struct Coin(pub u64);

impl Coin {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound - 1`. The bias is below 2^-32 for the bounds of tests.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    pub fn flip(&mut self) -> bool {
        self.draw() & 1 == 1
    }
}
