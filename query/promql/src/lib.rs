//! PromQL, pure: text -> syntax tree -> plan -> evaluation over a trait that gives samples.
//!
//! Prometheus's language, evaluated without its storage: whoever implements [`Samples`] can be asked. An evaluation
//! works on columns, one label set and all steps of a question at once, within limits of time, memory, samples and
//! series. Values, labels, warnings and texts of errors are Prometheus's own; `docs/promql.md` says what differs.
//!
//! Pure by rule: no I/O, no async, no engine. A source that has to wait is asked from a thread that may.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod query;
mod evaluate;
mod functions;
mod plan;
mod parse;
mod samples;
mod series;
mod notes;
mod calendar;
pub mod tree;
mod histogram;
mod sum;
mod matcher;
mod labels;
mod text;
mod options;
mod error;

pub use error::Error;
pub use histogram::{Bucket, Buckets, CUSTOM_BUCKETS, Histogram, ResetHint, SCHEMAS};
pub use labels::{Label, Labels, METRIC_NAME};
pub use matcher::{Comparison, Matcher};
pub use options::Options;
pub use parse::{duration_seconds, parse, parse_selector, parse_selector_within, parse_within};
pub use plan::When;
pub use query::{Answer, AnswerValue, evaluate};
pub use samples::{Events, Hints, Run, Samples, Selected, Selection, SeriesSamples, is_stale, stale_marker};
pub use series::{Point, Row};
pub use text::plain as value_text;
pub use tree::{Expr, Function, Kind};
