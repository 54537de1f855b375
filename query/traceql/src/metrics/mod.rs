//! Series over time of the spans that a query selects.
//!
//! Traces are added one at a time to a [`Partial`]; partials of other traces, from other threads or machines, merge into
//! it in any order, and what comes of it is the same: counts and whole numbers are added as such. A span counts in the
//! step in which it starts. `docs/traceql.md` says how values and labels come about.

mod partial;
mod compared;
mod cells;
mod sketch;
mod lines;
mod steps;

pub use lines::{Exemplar, Line};
pub use partial::Partial;
pub use steps::{STEPS_MAX, Steps};
