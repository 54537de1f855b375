//! What people look through rows with: how many there are over time, which values columns have, and the newest of them, page
//! by page.
//!
//! ```text
//! beside     what lies beside the spans of a trace
//! requests   rows of `requests`, narrowed: bars over time, facets, a page of rows
//! cursor     where a page of rows begins
//! facets     values of a column and how many rows have each, bounded
//! bars       rows over time, in bands
//! newest     how far back the newest rows reach
//! reading    batches of a scan given to as many threads as a query has
//! ```
//! Bars and facets count the whole range, none of it sampled, so that a number on a page is one of all rows that pass. What would
//! take more memory than it may (a facet of very many values) is given up and says so: a count of some rows would look
//! like one of all. Lines of logs are explored by [`crate::logs`], with the same bars and facets.

pub mod beside;
pub mod requests;
pub mod cursor;
pub mod facets;
pub mod bars;
pub(crate) mod newest;
mod reading;
