//! The write-ahead log: a group is durable in it before anyone is told so.
//!
//! ```text
//! <data>/wal/0/00000000000000000001.seg     segment: header, then records with LSN 1, 2, 3, ...
//! <data>/wal/0/00000000000000000093.seg     the newest segment is the one appended to
//! <data>/wal/0/00000000000000000001.spare   a segment that was cut, kept to be written again
//! <data>/wal/0/00000000000000000001.requests   which exports it held
//! <data>/wal/quarantine/                    damaged segments, for people to look at
//! ```
//!
//! One record is one group, so an export is in whole or not at all; one write and one fdatasync make it
//! durable. No kept crate does this: the ones that are maintained acknowledge before the sync or carry a
//! key-value store along. Bytes are drawn in `format.rs`.
//!
//! The life of a log: [`recover()`] reads what is there and hands it back record by record, [`Wal::open`]
//! starts a new segment behind it, [`Wal::append`] fills segments, [`WalCutter::cut`] frees those whose
//! rows are in files. Limits: one writer; a record is at most 1 GiB; at most one failed sync in a row.

#[cfg(test)]
mod log_tests;
pub mod append;
pub mod inspect;
pub mod recover;
pub mod scan;
pub mod cut;
pub mod exports;
pub mod segment;
pub mod record;
pub mod batch;
pub mod format;
pub mod little_endian;
#[cfg(test)]
pub mod fixture;

pub use append::Wal;
pub use cut::{WalCutter, WalStats};
pub use recover::{Damage, Recovery, Replayed, Torn, recover};
pub use segment::{WalConfig, WalError};
