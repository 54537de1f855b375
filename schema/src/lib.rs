//! The words and shapes that every other crate shares: tables and their columns, proven batches and how their
//! rows are read, filters, time, how attribute values are written as text, what counts as an error, the latency
//! histogram, which span is whose parent, Go's regular expressions.
//!
//! Pure by rule: no I/O, no async, no engine. Whatever two crates must agree on to the last bit
//! (an outcome, a bucket index, a column's type) is computed here, once, so that a rollup written
//! at ingest and a row read at query time can never disagree.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

pub mod derived;
pub mod traces;
pub mod series;
pub mod sent;
mod names;
pub mod rows;
pub mod filter;
pub mod batch;
pub mod tables;
pub mod attributes;
pub mod attribute_filter;
pub mod outcome;
pub mod response_flags;
pub mod histogram;
pub mod go_regex;
pub mod parents;
pub mod budget;
pub mod time;
pub mod tenant;
pub mod metrics;

pub use batch::{BatchError, TableBatch};
pub use budget::{Budget, Spent};
pub use derived::{DeriveError, Derived};
pub use filter::Filter;
pub use histogram::LatencyHistogram;
pub use outcome::Outcome;
pub use response_flags::{FaultClass, ResponseFlags};
pub use tables::{Column, Kind, PerTable, SETTLE_MARGIN_MINUTES, Table};
pub use time::{Clock, SystemClock, TimeRange, UnixNanos};
