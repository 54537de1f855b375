//! How large a query may be.
//!
//! Parsing and evaluation recurse over the tree, and whoever asks chooses its depth; a text within these bounds
//! needs less stack than the smallest thread has, and is larger than any that a dashboard sends.

/// Bytes of a query. Kiali's longest, with 17 grouping labels, are below 2 KiB.
pub(super) const TEXT_BYTES_MAX: usize = 10 << 10;

/// Tokens of a query: what bounds the length of a chain as `a + a + a`, whose tree is as deep as it is long.
pub(super) const TOKENS_MAX: usize = 500;

/// Parentheses, calls and signs inside one another.
pub(super) const DEPTH_MAX: usize = 50;
