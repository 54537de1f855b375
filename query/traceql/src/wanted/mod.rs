//! What a query wants of stored spans, said before any is read.
//!
//! Reading whole traces to find that they do not match is what makes a search slow. So a query says what is known of the spans
//! that it selects, and which spans a trace must have beside them, as conditions of its own and in words of `schema`'s filters,
//! which scans can use. A filter may be wide and leaves out nothing that the language wants: one that passes a span too
//! many costs a look at it, one that passes too few would be a wrong answer.

mod selected;
mod demanded;
mod lacking;
mod bound;

pub use demanded::Demand;
pub use lacking::IsAbsent;
pub use selected::Selected;
