//! Telemetry comes in: receivers, admission, decoding, normalisation.
//!
//! ```text
//!  receivers -> admit -> intake -> decode + normalize -> a group of batches -> store's Writer
//!      ^                   |                                                       |
//!      '------ answer -----'<------------------- durable -------------------------'
//! ```
//! An export is answered when its rows are durable and never before. It knows nothing of files, tables'
//! storage or queries: its one way out is [`meshlake_store::Writer`].
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod collector;
mod config;
#[doc(hidden)]
pub mod fuzz;
mod receivers;
mod admit;
mod intake;
mod positions;
mod line_origin;
mod ledger;
pub mod lines;
pub mod decode;
pub mod access_log;
pub mod request_rows;
pub mod metric_rows;
pub mod row_attributes;
pub mod normalize;
pub mod address;
mod columns;
mod limits;
pub mod protobuf;
pub mod tally;
pub mod signal;

pub use admit::senders::{Heard, SenderKey};
pub use admit::stats::{ExportLabels, StatsReading};
pub use collector::{Collector, CollectorStats, StatsHandle};
pub use config::{CollectorConfig, LIVE_KEYS};
pub use ledger::{InFlight, LedgerView, RecordTotals};
pub use line_origin::LinesConfig;
pub use receivers::{NoRoom, Ports, SyslogAppConfig, TailConfig};
pub use signal::Signal;
