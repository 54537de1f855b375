//! How large a query may be.
//!
//! Parsing and evaluation recurse over the tree, and whoever asks chooses its depth: a query within these bounds needs
//! less stack than the smallest thread has, and is larger than any that a person or a program of Grafana's sends.

/// Bytes of a query. Kiali's, with the fields that it selects, has about 600.
pub(super) const BYTES_MAX: usize = 32 << 10;

/// Tokens of a query: what bounds a chain as `a || a || a`, whose tree is as deep as it is long. A choice of 300 values
/// has about 1,200.
pub(super) const TOKENS_MAX: usize = 2_000;

/// Parentheses, braces and signs inside one another.
pub(super) const DEPTH_MAX: usize = 64;
