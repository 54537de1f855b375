//! Whether sets of calls really differ, at the traffic there was, or only by chance.
//!
//! ```text
//! holm         several tests in one answer
//! proportions  errors of two sets: Fisher's exact test with mid-p
//! latencies    two latency histograms: Mann and Whitney's test, Cliff's delta
//! spread       counts of many against what they should be: chi-square
//! sample       calls as the tests take them
//! exact        the sum over a discrete distribution that makes a p-value
//! normal       the normal distribution
//! ```
//! Tests without assumptions about shape were chosen: errors are few and latencies have long tails, so that a t-test or
//! a z-test of proportions is wrong just where an operator asks. Limits: calls are taken for independent of one another;
//! a burst that fails together is one event and counts as many.

pub mod holm;
pub mod proportions;
pub mod latencies;
pub mod spread;
pub mod sample;
mod exact;
mod normal;

/// How sure a confidence interval is, and the probability of a false alarm where nothing differs: 95 % and 5 %, what
/// people take for granted when nothing is said.
pub const ALPHA: f64 = 0.05;

/// What a test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// Two-sided: how likely a difference at least this unlikely is where there is none, 0..=1.
    pub p_value: f64,
    /// How large the difference is, the second set against the first; what of, the test says.
    pub effect: f64,
    /// The 95 % confidence interval of the effect.
    pub low: f64,
    pub high: f64,
}
