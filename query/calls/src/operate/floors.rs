//! From when on something is told as a trouble: of how many calls, and by how much. Few calls prove nothing, and a difference that
//! nobody would notice is none.

/// The share of errors or refusals from which it is a trouble, and from which it is a grave one. Common alerting practice.
pub const SHARE_MIN: f64 = 0.01;
pub const SHARE_GRAVE: f64 = 0.05;

/// So many calls must have failed, so that a single one of ten is no alarm.
pub const FAILED_MIN: f64 = 3.0;

/// Calls on both sides of a comparison of latencies: the 95th percentile of a hundred rests on the five slowest.
pub const COMPARED_MIN: f64 = 100.0;

/// How much slower the 95th percentile must be to be told, and by how many milliseconds at least: half as slow again is
/// seen by people, and a millisecond more is not.
pub const SLOWER_RATIO: f64 = 1.5;
pub const SLOWER_MS: f64 = 5.0;

/// Calls that were to be expected of a service, by its rate before, to call it silent without any: by chance (Poisson) it
/// would have none once in 22,000 times.
pub const EXPECTED_MIN: f64 = 10.0;
