//! What is asked and told over the socket, beside batches.
//!
//! ```text
//! DoAction  body of the action: Question        answers: one body of JSON each
//!           Snapshot   ToldSnapshot, and then nothing for as long as it is held: who drops the stream lets go
//!           Unflushed  Vec<Unflushed>
//!           Status     Status
//! DoGet     ticket: Wanted                      answers: Arrow IPC
//!           Hot        the schema, then batches, each after those dictionaries that changed
//!           Followed   per step: the schema, then the batch of rows if there is one; the metadata of each is the Step
//! ```
//! Lists of files are long and change with commits alone, so each has a version, and one that the other side knows is
//! not told again.

use std::borrow::Cow;

use meshlake_schema::Table;
use meshlake_store::group::Lsn;
use meshlake_store::{DataFile, Follow, HotScan, RemoteTable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The type of every action: what is asked is in its body.
pub const ACTION: &str = "meshlake";

/// What is no rows.
#[derive(Debug, Serialize, Deserialize)]
pub enum Question {
    /// A snapshot of now; with the versions of the lists of files that are known, 0 for none, in the order of
    /// [`Table::ALL`].
    Snapshot {
        known: Vec<u64>,
    },
    /// What of a tenant's accepted records is in no file, by a snapshot that is held.
    Unflushed {
        snapshot: u64,
        tenant: String,
    },
    Status,
}

/// Which rows are wanted.
#[derive(Debug, Serialize, Deserialize)]
pub enum Wanted {
    /// Buffered ones of a snapshot that is held.
    Hot { snapshot: u64, scan: HotScan },
    /// Those of records from one on, as they come.
    Followed(Follow),
}

/// A snapshot, but for its buffered rows.
#[derive(Debug, Serialize, Deserialize)]
pub struct ToldSnapshot<'a> {
    /// By which it is asked of.
    pub snapshot: u64,
    /// In the order of [`Table::ALL`].
    pub tables: Vec<ToldTable<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ToldTable<'a> {
    /// By its variant, so that two builds with other tables notice.
    pub table: Table,
    pub told: RemoteTable,
    /// Of the list of files.
    pub version: u64,
    /// None when that version is known.
    pub files: Option<Cow<'a, [DataFile]>>,
}

/// What a follower is told of one step, beside the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    Rows { through: Lsn },
    Missed { after: Lsn, through: Lsn },
}

pub fn encode(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("strings, numbers, lists and maps with names as keys")
}

/// # Errors
/// Not such a message, as from another build, in words for people.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("the other process is of another build: {error}"))
}
