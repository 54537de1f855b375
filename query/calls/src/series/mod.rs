//! Calls as series of metrics: the standard metrics of Istio, of Tempo and of Kiali's extensions, by ten minutes of the clock.
//!
//! ```text
//! told     cells of ten minutes, evidence chosen -> labels and amounts
//! ends     what labels say of caller and callee
//! codes    what labels say of how a call ended
//! sketches what lies below bounds, and sums of values
//! chunk    label sets, and what was counted of each in each slot of time
//! metrics  which metric has which labels and is read of which amounts
//! bounds   upper bounds of buckets, and which buckets of a sketch lie below
//! ```
//! Ten minutes are what evidence is chosen for, so that a chunk holds what golden metrics of these ten minutes do, and no
//! range that is asked for changes what a series is called or counts. Names are told by the calls of these ten minutes
//! alone, for the same reason.

pub mod told;
mod ends;
mod codes;
mod sketches;
pub mod chunk;
pub mod metrics;
mod bounds;
