//! What operators of a mesh ask, each cut from the calls of a range: one file an answer.
//!
//! ```text
//! versions   subsets of a service side by side, and whether they differ
//! asked      the service that a question is about
//! verdict    what tests say in one word
//! ```
//! An answer takes a picture, or what else was counted, and returns structs. It says how it knows, and says so where there
//! is not enough to tell.

pub mod versions;
pub mod verdict;
pub mod asked;
