//! Lines and what is counted of them: the answers of LogQL, over `logs` and `requests`.
//!
//! ```text
//! query -> scans (time, stream) -> rows as entries of streams -> pipeline -> lines, or series
//! ```
//! A row of `logs` is a line as it was sent; a row of `requests` is the line that its proxy would have written. What are labels of
//! a stream, and what is stored beside a line, is [`rows`]'s matter. Rows are worked on by as many threads as a query has,
//! each with a part of the answer of its own; answers do not depend on which thread had which row.

mod tail;
mod volume;
mod browse;
mod fields;
mod explored;
mod lines;
mod numbers;
mod reading;
mod pushed;
mod rows;
mod streams;
mod asking;
mod error;

pub use browse::{Counted, counted, label_names, label_values, stream_labels};
pub use error::LogsError;
pub use explored::{Explored, Exploring, FACETS, LEVELS, explored};
pub use fields::{Field, FieldKind, detected_fields};
pub use lines::{Direction, Found, LINES_MAX, Lines, lines};
pub use numbers::{Numbers, numbers};
pub use tail::{Tail, Told, tail};
pub use volume::{Volume, Volumes, volumes};

#[cfg(test)]
mod tests;
