//! Questions of TraceQL over stored spans, one snapshot each.
//!
//! ```text
//! sieve       spans that come one by one
//! browse      names and values that can be asked for
//! series      what selected spans come to over time
//! search      traces with spans that a query selects
//! candidates  which traces can match, by a slice of time
//! narrowed    those of them that have all that a query demands
//! slices      a range, newest first
//! selecting   rows that a query can select
//! by_files    names and values that files tell
//! each        whole traces by their ids, one after the other
//! whole       all spans of many traces
//! found       what is told of a trace
//! plan        what is read for a query
//! rows        rows of `spans` as the language sees spans
//! needs       which columns that takes
//! ```
//! The language itself is [`meshlake_traceql`]. What is answered is exact: scans leave out only what cannot matter, and
//! each span or trace that is left is looked at by the language's own rules.

mod sieve;
mod browse;
mod series;
mod search;
mod narrowed;
mod candidates;
mod slices;
mod selecting;
mod by_files;
mod each;
mod whole;
mod found;
mod plan;
mod rows;
mod needs;
mod aside;
mod error;

#[cfg(test)]
mod tests;

pub use browse::{Browse, Browsed, SCOPES, Told, names, values};
pub use each::each;
pub use error::Error;
pub use found::{FoundSpan, FoundSpanset, FoundTrace, ServiceStats};
pub use search::{ANY_DURATION, Found, Search, search};
pub use series::{Series, series};
pub use sieve::Sieve;
