//! The normal distribution, as far as tests need it.

use statrs::function::erf::erfc;

/// The value that a standard normal variable exceeds, up or down, in [`super::ALPHA`] of all cases.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// How likely a standard normal variable is at least as far from 0 as `z`.
pub fn two_sided(z: f64) -> f64 {
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_95_percent_are_95_percent() {
        assert!((two_sided(Z_95) - super::super::ALPHA).abs() < 1e-10);
        assert_eq!(two_sided(0.0), 1.0);
    }
}
