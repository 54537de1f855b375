//! Calls: rows of `requests` and `spans` read as observations of calls, and every call counted once.
//!
//! ```text
//! rows of requests -> requests/ (two proxies' rows of one call) --+
//! rows of spans    -> trace/    (trees, layers, tries, messages) -+-> cells -> picture -> golden, graph, list
//! ```
//! Golden metrics and the service graph are two views of the same numbers, so both are cut from one
//! [`Picture`]: if they were two queries, a node of the graph and its row in the table could disagree.
//! The work is a fold of our own and not SQL, because pairing spans with the nearest ancestor of another
//! service is a walk over a tree of any depth, which a join cannot express, and because both observers of
//! a call have to be kept apart until it is known which of them counts.
//!
//! Pure: batches in, a picture out. `docs/calls.md` says what counts, rule by rule. Limits: rows are held within
//! [`held::HELD_BYTES_MAX`], in as many passes as that takes; names, operations and cells are bounded
//! ([`party::PARTIES_MAX`], [`cells::DETAILS_MAX`], [`cells::CELLS_MAX`]); reaching one is either an error or a warning
//! in the answer.

pub mod operate;
pub mod exemplars;
pub mod golden;
pub mod golden_by;
pub mod graph;
pub mod shown;
pub mod list;
pub mod fold;
pub mod running;
pub mod drawing;
pub mod assembly;
pub mod picture;
pub mod frame;
pub mod error;
pub mod one_call;
pub mod parts;
pub mod parts_frame;
pub mod series;
mod named;
mod placed;
pub mod nodes;
pub mod choice;
pub mod figures;
pub mod statistics;
pub mod requests;
pub mod connections;
pub mod trace;
pub mod messages;
pub mod span_rows;
pub mod margin;
pub mod spans;
pub mod settled;
pub mod held;
mod by_line;
pub mod survey;
pub mod cells;
mod condense;
mod sums;
mod packed;
pub mod cell_key;
pub mod detail;
pub mod grouping;
pub mod entry;
mod details;
pub mod noted;
mod busy;
pub mod operation;
pub mod peers;
pub mod aliases;
pub mod addresses;
pub mod minutes;
pub mod services;
pub mod party;
pub mod hosts;
pub mod attribute;
pub mod measure;
pub mod proxy_flags;
pub mod refusal;
pub mod catch_all;
pub mod range;
mod columns;
pub mod hashing;
#[cfg(test)]
mod fixture;

pub use assembly::Assembly;
pub use attribute::AttributeKey;
pub use cell_key::Evidence;
pub use choice::Source;
pub use condense::Beyond;
pub use drawing::{Drawing, Shown};
pub use error::FoldError;
pub use figures::Figures;
pub use fold::{Fold, Question};
pub use frame::Frame;
pub use golden_by::GoldenBy;
pub use grouping::{By, Grain, Told};
pub use nodes::{NodeIdentity, NodeKind};
pub use parts::{Part, Parts};
pub use parts_frame::PartsFrame;
pub use picture::{EdgeCell, NodeCell, Picture};
pub use range::{Range, RangeError};
pub use running::Running;
pub use settled::Settled;
pub use settled::digest::{Digest, Digested};
pub use settled::lines::Lines;
