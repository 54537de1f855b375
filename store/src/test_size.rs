//! How much a randomised test does: a short form by default, the long one by an environment variable.

/// The number in `variable`, or `default`.
pub(crate) fn from_environment(variable: &str, default: u64) -> u64 {
    given(variable).unwrap_or(default)
}

/// The number in `variable`, if it is set.
pub(crate) fn given(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}
