//! Questions of Prometheus's API, answered over all sources of series, one snapshot each.
//!
//! ```text
//! evaluate    a query, at an instant or over a range
//! exemplars   measured events of a query's series
//! browse      series, names and values of labels, what metrics are
//! read        samples as they are: remote read, federation
//! statistics  how many series there are of what
//! selectors   what `match[]` and matchers of remote read ask for, made within the budget
//! asking      one snapshot, a thread that may wait, a budget
//! merged      all sources as one
//! sources     which they are
//! bounds      how large answers are
//! ```
//! An evaluation blocks the thread that it runs on while a source reads, so questions run on threads that may wait, at
//! most as many at a time as queries of the engine. Errors are Prometheus's, by kind and text.

mod evaluate;
mod exemplars;
mod browse;
mod read;
mod statistics;
mod selectors;
mod asking;
mod merged;
mod sources;
mod bounds;

#[cfg(test)]
mod fixture;

pub use asking::Prometheus;
pub use browse::{Browse, label_names, label_values, metadata, series};
pub use evaluate::{Answered, Asked, Stats, evaluate, parsed};
pub use exemplars::exemplars;
pub use read::{Latest, Read, ReadSeries, latest, read};
pub use selectors::Condition;
pub use statistics::{Statistics, statistics};

/// The earliest time that sources are asked for, milliseconds since the epoch: what 64 bits of nanoseconds hold.
pub const EARLIEST: i64 = i64::MIN / 1_000_000;

/// The latest one.
pub const LATEST: i64 = i64::MAX / 1_000_000;
