//! TraceQL, pure: text -> syntax tree -> spans of a trace, or series over time, over a trait that gives a trace's spans.
//!
//! Grafana Tempo's language, written from its documentation: whoever implements [`Spans`] can be asked. An evaluation
//! looks at one trace at a time and is exact; series are added up from traces, in any order and in any parts.
//! `docs/traceql.md` says what there is and what differs from Tempo.
//!
//! Pure by rule: no I/O, no async, no engine.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod metrics;
mod wanted;
mod evaluate;
mod trace;
mod parse;
pub mod tree;
mod pattern;
mod value;
pub mod cursor;
pub mod lex;
mod error;

pub use error::Error;
pub use evaluate::{Spanset, evaluate};
pub use metrics::{Exemplar, Line, Partial, STEPS_MAX, Steps};
pub use parse::parse;
pub use pattern::Pattern;
pub use trace::{Span, Spans, Trace};
pub use value::{Arithmetic, Comparison, Kind, Status, Value};
pub use wanted::{Demand, IsAbsent, Selected};
