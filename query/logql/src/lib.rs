//! LogQL, pure: text -> syntax tree -> lines through a pipeline, or series over time.
//!
//! Grafana Loki's language, written from its documentation. A [`Pipeline`] looks at one [`Entry`] at a time; a [`Partial`]
//! counts or measures entries in windows, in any order and in any parts. What stands around range aggregations
//! (`sum by`, arithmetic, matching) means what it means in PromQL, so it is PromQL's evaluator that does it
//! ([`metrics`]). `docs/logql.md` says what there is and what differs from Loki.
//!
//! Pure by rule: no I/O, no async, no engine.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

pub mod metrics;
pub mod pipeline;
mod parse;
pub mod tree;
mod template;
mod matching;
mod error;

pub use error::Error;
pub use matching::names::label_name;
pub use matching::{json, logfmt, quantity};
pub use metrics::{Answer, Partial, STEPS_MAX, Steps, evaluate};
pub use parse::parse;
pub use pipeline::{Entry, LabelSet, Pipeline};
pub use tree::Query;
