//! The syntax tree of a query.
//!
//! It is sound: what can be seen to be wrong without a line was refused when it was made. It prints as it reads
//! ([`print`]), each operator in its parentheses.

mod print;
pub mod metric;
pub mod log;

use log::Log;
use metric::Metric;

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// Asks for lines.
    Log(Log),
    /// Asks for numbers.
    Metric(Metric),
}
