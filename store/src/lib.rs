//! Durable append and consistent read: what was acknowledged is in the next snapshot, once, and after a
//! power cut too.
//!
//! ```text
//!  groups                                                                         snapshots
//!    |                                                                                ^
//!    v                                                                                |
//!  Writer -> Wal (one write, one fdatasync) -> Buffer (hot batches, files, watermarks) -> LocalReader
//!              ^     = acknowledged              |                              ^
//!              |                           take a prefix                        | swap: files in,
//!              | cut                             v                              | batches out
//!              |            Files (sorted Parquet, a window each) -> DurableFs -+
//!              |                                 |                              |
//!              +--------------- Flusher <--- Catalog (Delta commit + txn(last LSN))
//! ```
//!
//! A row is in exactly one of two places, told apart by its record's number (LSN): up to a table's
//! watermark it is in files, above it in the buffer. The watermark is committed together with the files,
//! so no crash can make the two disagree: at a start, [`Store::open`] replays from the log what is above
//! each table's watermark.
//!
//! [`Store::writer`] takes [`Group`]s; [`Store::reader`] gives [`Snapshot`]s. Modules are listed in the
//! order data meets them, seen from outside; imports point only down the list.

mod store;
pub mod inspect;
mod reader;
mod metrics;
mod status;
mod follow;
mod schedule;
pub mod maintain;
mod settle;
mod retain;
mod replay;
mod flush;
mod encoding;
mod buffer;
mod files;
mod delta;
mod catalog;
mod data_dir;
mod durable_fs;
mod space;
#[cfg(test)]
mod test_rows;
pub mod writer;
pub mod wal;
pub mod disk;
pub mod fail_point;
mod priority;
pub mod snapshot;
mod minutes;
pub mod group;
#[cfg(test)]
mod test_size;

pub use catalog::CatalogError;
pub use data_dir::DataDirError;
pub use flush::{FlushError, FlushStats};
pub use follow::{Follow, FollowStream, Followed};
pub use group::{AppendError, ExportEntry, Group, Lsn, StoredExport};
pub use maintain::{Effort, MaintainConfig, MaintainError, MaintainStats, Maintenance, Progress};
pub use minutes::{FOLDED, MinuteLsns, Run};
pub use priority::give_way_to_flushes;
pub use reader::{Reader, tables_of};
pub use replay::{Recovered, ReplayError};
pub use retain::Retention;
pub use settle::{Settle, SettleError, SettleJob, SettleStats, SettledCells};
pub use snapshot::{
    DataFile, HotBatch, HotScan, HotStream, ReadError, RemoteRows, RemoteTable, Snapshot, TableSnapshot,
    Unflushed,
};
pub use space::SpaceStats;
pub use status::{
    AskIntake, Exports, InFlight, IntakeStatus, QueryStatus, Sender, Status, StoreStats, StoreStatus,
    TableStats,
};
pub use store::{Stopped, Store, StoreConfig, StoreError};
pub use wal::{Damage, Torn};
pub use writer::{Writer, WriterStats};
