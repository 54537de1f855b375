//! Answers to what operators of a mesh ask, over one snapshot; what they say is worked out in `meshlake_calls::operate`.
//!
//! ```text
//! troubles     what is wrong now
//! versions     subsets of a service side by side
//! balance      calls by instance
//! policies     what ended calls, by edge
//! gateways     hosts and routes
//! saturation   how full a service is
//! rollouts     instances that came and went
//! dark         what the mesh does not see whole
//! protection   mutual TLS by edge
//! gauges       its metrics
//! ```
//! An answer is read as golden metrics are: the widest cells that fit, and rows where minutes are still open.

pub mod troubles;
pub mod versions;
pub mod balance;
pub mod policies;
pub mod gateways;
pub mod saturation;
pub mod rollouts;
pub mod dark;
pub mod protection;
mod gauges;
