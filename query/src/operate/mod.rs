//! Answers to what operators of a mesh ask, over one snapshot; what they say is worked out in `meshlake_calls::operate`.
//!
//! ```text
//! versions   subsets of a service side by side
//! ```
//! An answer is read as golden metrics are: the widest cells that fit, and rows where minutes are still open.

pub mod versions;
