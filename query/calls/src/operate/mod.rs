//! What operators of a mesh ask, each cut from the calls of a range: one file an answer.
//!
//! ```text
//! worse_versions   versions that are worse than the busiest of their service
//! versions   subsets of a service side by side, and whether they differ
//! balance    calls by instance, against equal shares
//! gateways   hosts and routes, from the outside in
//! saturation calls in progress, and what was turned away
//! policies   time-outs, limits, breakers and refusals by edge
//! rollouts   instances that came and went, and what that cost
//! dark       traffic that the mesh does not see whole or does not protect
//! gauges     what OTLP metrics tell of a service's means
//! reasons    what flags, codes and errors mean
//! changes    edges that appeared, vanished, fare worse or better than before
//! troubles   what is wrong now, worst first
//! protection how much of the calls of each edge came by mutual TLS
//! timeline   how the whole mesh fared over time
//! heat       calls of an edge by time and latency
//! asked      the service that a question is about
//! verdict    what tests say in one word
//! floors     from when on something is a trouble
//! ```
//! An answer takes a picture, or what else was counted, and returns structs. It says how it knows, and says so where there
//! is not enough to tell.

pub mod troubles;
pub mod worse_versions;
pub mod versions;
pub mod balance;
pub mod gateways;
pub mod saturation;
pub mod rollouts;
pub mod dark;
pub mod changes;
pub mod protection;
pub mod timeline;
pub mod heat;
pub mod policies;
pub mod gauges;
pub mod reasons;
pub mod verdict;
pub mod floors;
pub mod asked;
