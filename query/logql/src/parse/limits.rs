//! How large a query may be.
//!
//! Parsing and evaluation recurse over the tree, and whoever asks chooses its depth: a query within these bounds needs
//! less stack than the smallest thread has, and is larger than any that a person or a program of Grafana's sends.

/// Bytes of a query. Loki's own bound is 128 KiB; the longest of Grafana's dashboards for Kubernetes has about 3.
pub(super) const BYTES_MAX: usize = 32 << 10;

/// Tokens of a query: what bounds a chain as `a or a or a`, whose tree is as deep as it is long.
pub(super) const TOKENS_MAX: usize = 1_000;

/// Parentheses and calls inside one another.
pub(super) const DEPTH_MAX: usize = 64;
