//! What a change to a table is as a log entry, and how to tell from the table whether it has happened.
//!
//! A put may fail without telling whether it happened, and then the log is read again. So each change can be
//! recognised in what is committed: a flush by the watermark that it moves, a replacement by the files that
//! are gone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::temporal_conversions::date32_to_datetime;
use deltalake_core::kernel::transaction::CommitData;
use deltalake_core::kernel::{Action, Add, Remove, Transaction};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use meshlake_schema::Table;
use meshlake_schema::tables::DATE_COLUMN;
use object_store::path::Path;

use super::KEPT_FROM;
use super::data_file::{TAG_CAME, TAG_MINUTES, derived_tag};
use crate::catalog::{Cause, Committed, Flushed, NewFile, Replacement};
use crate::data_dir::table_path;
use crate::group::Lsn;
use crate::snapshot::DataFile;

/// Tag of a file in the log: it holds rows of several windows.
const TAG_MIXED: &str = "mixed";

/// Who commits.
pub(super) struct Writer {
    pub collector_id: u128,
    /// Of the table's watermark.
    pub app_id: String,
}

impl Writer {
    fn watermark(&self, through: Lsn) -> Transaction {
        let through = i64::try_from(through).expect("2^63 records take longer than the sun lasts");
        Transaction::new(&self.app_id, through)
    }

    /// Names the `txn` whose version is the first date that nothing was dropped of.
    pub fn kept_from_id(&self) -> String {
        format!("{}{KEPT_FROM}", self.app_id)
    }
}

/// One entry to be.
pub(super) enum Change<'a> {
    Flush(&'a Flushed),
    Replace(&'a Replacement),
}

/// How a change and a table stand to each other.
pub(super) enum Standing {
    /// The change can be put.
    Open,
    /// It has happened, or something that makes it needless.
    Settled,
    /// It can never be put.
    Impossible(String),
}

impl Change<'_> {
    pub fn standing(&self, committed: &Committed) -> Standing {
        let replacement = match self {
            Change::Flush(flushed) if committed.watermark == flushed.after => return Standing::Open,
            Change::Flush(_) => return Standing::Settled,
            Change::Replace(replacement) => replacement,
        };
        let present: HashSet<&Path> = committed.files.iter().map(|file| &file.path).collect();
        let mut gone = replacement.removed.iter().filter(|file| !present.contains(&file.path)).peekable();
        let first_gone = gone.peek().map(|file| file.path.clone());
        let is_all_gone = gone.count() == replacement.removed.len();
        let is_all_there = replacement.added.iter().all(|new| present.contains(&new.file.path));
        match first_gone {
            _ if is_all_gone && is_all_there => Standing::Settled,
            None => Standing::Open,
            Some(path) => Standing::Impossible(format!("file {path} is no longer in the table")),
        }
    }

    /// What is committed once the change is.
    pub fn applied(&self, committed: &Committed) -> Committed {
        let joined = |kept: Vec<DataFile>, added: &[NewFile]| {
            Arc::new(kept.into_iter().chain(added.iter().map(|new| new.file.clone())).collect())
        };
        let files = committed.files.iter();
        match self {
            Change::Flush(flushed) => Committed {
                files: joined(files.cloned().collect(), &flushed.files),
                watermark: flushed.through,
                ..*committed
            },
            Change::Replace(replacement) => {
                let removed: HashSet<&Path> = replacement.removed.iter().map(|file| &file.path).collect();
                let kept = files.filter(|file| !removed.contains(&file.path));
                Committed {
                    files: joined(kept.cloned().collect(), &replacement.added),
                    watermark: replacement.watermark(committed.watermark),
                    kept_from_days: replacement.kept_from_days(committed.kept_from_days),
                }
            }
        }
    }

    /// The log entry, made at `millis` since the epoch. A flush and a replacement of cells move the writer's watermark,
    /// what drops old dates says which.
    pub fn entry(&self, table: Table, writer: &Writer, millis: i64) -> CommitData {
        let (actions, operation, transactions) = match self {
            Change::Flush(flushed) => {
                let adds = flushed.files.iter().map(|new| Action::Add(add(table, writer, new, millis, true)));
                let operation = DeltaOperation::Write {
                    mode: SaveMode::Append,
                    partition_by: Some(vec![DATE_COLUMN.to_owned()]),
                    predicate: None,
                };
                (adds.collect(), operation, vec![writer.watermark(flushed.through)])
            }
            Change::Replace(replacement) => {
                let is_data_change = replacement.cause != Cause::Compact;
                let removes = replacement
                    .removed
                    .iter()
                    .map(|file| Action::Remove(remove(table, file, millis, is_data_change)));
                let add = |new| Action::Add(add(table, writer, new, millis, is_data_change));
                let adds = replacement.added.iter().map(add);
                let transactions = match replacement.cause {
                    Cause::Compact => Vec::new(),
                    Cause::Expire => {
                        let kept_from = replacement.kept_from_days(i32::MIN);
                        vec![Transaction::new(writer.kept_from_id(), kept_from.into())]
                    }
                    Cause::Settle { through } => vec![writer.watermark(through)],
                };
                (removes.chain(adds).collect(), operation(replacement), transactions)
            }
        };
        CommitData::new(actions, operation, HashMap::new(), transactions)
    }
}

fn operation(replacement: &Replacement) -> DeltaOperation {
    match replacement.cause {
        Cause::Compact => DeltaOperation::Optimize {
            predicate: None,
            target_size: replacement.added.iter().map(|new| new.file.size_bytes.cast_signed()).sum(),
        },
        Cause::Expire => {
            let newest = replacement.removed.iter().map(|file| file.date_days).max();
            let date = newest.and_then(date_text);
            DeltaOperation::Delete { predicate: date.map(|date| format!("{DATE_COLUMN} <= '{date}'")) }
        }
        Cause::Settle { .. } => DeltaOperation::Write {
            mode: SaveMode::Overwrite,
            partition_by: Some(vec![DATE_COLUMN.to_owned()]),
            predicate: None,
        },
    }
}

fn add(table: Table, writer: &Writer, new: &NewFile, modified_millis: i64, is_data_change: bool) -> Add {
    Add {
        path: path_in_table(table, &new.file),
        partition_values: partition_values(&new.file),
        size: new.file.size_bytes.cast_signed(),
        modification_time: modified_millis,
        data_change: is_data_change,
        stats: Some(new.stats.clone()),
        tags: tags(table, writer, new),
        ..Add::default()
    }
}

fn tags(table: Table, writer: &Writer, new: &NewFile) -> Option<HashMap<String, Option<String>>> {
    let mixed = new.is_mixed.then_some(TAG_MIXED);
    let derived = derived_tag(table).filter(|_| new.file.is_derived_from);
    let set = mixed.into_iter().chain(derived);
    let mut set: HashMap<_, _> = set.map(|tag| (tag.to_owned(), Some("true".to_owned()))).collect();
    if let Some(came_days) = new.file.came_days {
        set.insert(TAG_CAME.to_owned(), date_text(came_days));
    }
    if !new.file.minutes.runs().is_empty() {
        set.insert(TAG_MINUTES.to_owned(), Some(new.file.minutes.to_tag(writer.collector_id)));
    }
    (!set.is_empty()).then_some(set)
}

fn remove(table: Table, file: &DataFile, removed_millis: i64, is_data_change: bool) -> Remove {
    Remove {
        path: path_in_table(table, file),
        data_change: is_data_change,
        deletion_timestamp: Some(removed_millis),
        extended_file_metadata: Some(true),
        partition_values: Some(partition_values(file)),
        size: Some(file.size_bytes.cast_signed()),
        ..Remove::default()
    }
}

fn path_in_table(table: Table, file: &DataFile) -> String {
    let below_table = file.path.prefix_match(&table_path(table)).expect("files lie below their table");
    Path::from_iter(below_table).to_string()
}

fn partition_values(file: &DataFile) -> HashMap<String, Option<String>> {
    HashMap::from([(DATE_COLUMN.to_owned(), date_text(file.date_days))])
}

fn date_text(date_days: i32) -> Option<String> {
    date32_to_datetime(date_days).map(|datetime| datetime.date().to_string())
}
