//! Telemetry comes in: receivers, admission, decoding, normalisation.
//!
//! ```text
//!  receivers -> admit -> intake -> decode + normalize -> a group of batches -> store's Writer
//!      ^                   |                                                       |
//!      '------ answer -----'<------------------- durable -------------------------'
//! ```
//! A request is answered when its rows are durable and never before. It knows nothing of files, tables'
//! storage or queries: its one way out is [`meshlake_store::Writer`].
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod collector;
mod config;
mod receivers;
#[doc(hidden)]
pub mod fuzz;
mod admit;
mod intake;
mod ledger;
pub mod decode;
mod request_rows;
mod row_attributes;
pub mod normalize;
pub mod address;
mod columns;
mod limits;
pub mod protobuf;
pub mod tally;

pub use admit::stats::{RequestLabels, StatsReading};
pub use collector::{Collector, CollectorStats, Listeners, StatsHandle, StopReport};
pub use config::{CollectorConfig, LIVE_KEYS};
pub use ledger::{InFlight, LedgerView, RecordTotals, Signal, Source};
pub use receivers::NoRoom;
