//! What people look for in traces, as answers: where the time of one went and where its failure began, what differs between
//! two, and what is common to the slow or failed spans of many.
//!
//! ```text
//! contrast   two sets of spans: attributes over-represented in one
//! compared   two traces, operation by operation
//! anatomy    one trace: self time, critical path, origins of errors
//! spans      a trace's rows as they are looked at
//! ```
//! Times of a tree come from [`crate::tree`], which SQL's `trace_tree` shows too. `docs/traces.md` has the definitions.

pub mod contrast;
pub mod compared;
pub mod anatomy;
mod spans;

pub use spans::TraceSpan;
