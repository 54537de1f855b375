//! Numbers of lines: counted or measured in windows, then combined as vectors are.
//!
//! Lines are added in any order and in any parts, as they lie in files: between two ends of windows they come to one cell, and
//! what a window holds is what its cells come to. So a step costs as much as its cells, however wide windows overlap.
//!
//! Sources: "Metric queries", <https://grafana.com/docs/loki/latest/query/metric_queries/>; of what stands around range
//! aggregations, PromQL's documentation.

mod evaluate;
mod partial;
mod keys;
mod cells;
mod windows;
mod steps;

pub use evaluate::{Answer, evaluate};
pub use partial::{Line, Partial};
pub use steps::{STEPS_MAX, Steps};
