//! What lines and values are compared with and cut by: expressions, patterns, addresses, paths, quantities.
//!
//! All is made when a query is read, so that a mistake is told with its place, and is the same for every line after that.

pub mod expression;
pub mod pattern;
pub mod address;
pub mod path;
pub mod logfmt;
pub mod json;
pub mod names;
pub mod quantity;
