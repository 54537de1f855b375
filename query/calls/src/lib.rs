//! Calls: rows of `requests` and `spans` read as observations of calls, and every call counted once.
//!
//! Golden metrics and the service graph are two views of the same numbers, so both are cut from one
//! [`Picture`]: if they were two queries, a node of the graph and its row in the table could disagree.
//! The work is a fold of our own and not SQL, because pairing spans with the nearest ancestor of another
//! service is a walk over a tree of any depth, which a join cannot express, and because both observers of
//! a call have to be kept apart until it is known which of them counts.
//!
//! Pure: batches in, a picture out. Limits: what is held in memory is bounded
//! by [`spans::SPANS_HELD_MAX`], [`joins::JOIN_KEYS_MAX`], [`cells::CELLS_MAX`] and the number of names
//! ([`party::PARTIES_MAX`], [`cells::DETAILS_MAX`]); reaching one is either an error or a warning in the answer.

pub mod golden;
pub mod graph;
pub mod figures;
pub mod fold;
pub mod picture;
pub mod nodes;
pub mod choice;
pub mod pairing;
pub mod spans;
pub mod span_rows;
pub mod requests;
pub mod joins;
pub mod peers;
pub mod operation;
pub mod services;
pub mod cells;
pub mod measure;
pub mod party;
pub mod range;
mod columns;
#[cfg(test)]
mod fixture;

pub use cells::{Evidence, Grain};
pub use choice::Source;
pub use figures::Figures;
pub use fold::{Fold, Question, TooManyCells};
pub use nodes::{NodeIdentity, NodeKind};
pub use picture::{By, EdgeCell, NodeCell, Picture};
pub use range::{Range, RangeError};
