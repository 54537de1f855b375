//! Deletes files that no commit names any more, or never did.
//!
//! A snapshot taken before a file left may still read it, which takes less than [`KEPT_FOR`]. Since when a file is of
//! no use comes from the log, where it has left; a file that the log does not know was left behind by a crash (or left
//! the log long ago), and its own time counts.
//!
//! A file is put before its commit names it. So the directory is listed first and the log is read second, with no flush
//! or merge in between: what was there then and has no name was left behind, whatever clocks say.

use std::collections::HashSet;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use meshlake_schema::Table;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};

use super::MaintainError;
use crate::catalog::{Audit, CatalogError};
use crate::data_dir::table_path;

/// An hour: longer than any query may run and than any flush takes between its files and its commit.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(3_600);

/// Deletions at the same time; each is one system call.
const DELETIONS: usize = 4;

/// What a vacuum deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Vacuumed {
    pub files: u64,
    pub bytes: u64,
}

/// Lists the table, waits for `audit`, and deletes what it says is of no use for [`KEPT_FOR`] at `now_micros`. The
/// audit must not answer while a file is between its put and its commit.
///
/// # Errors
/// When the table cannot be listed or audited; a file that cannot be deleted is logged and left for the next time.
pub(super) async fn vacuum(
    store: &dyn ObjectStore,
    table: Table,
    audit: impl Future<Output = Result<Audit, CatalogError>>,
    now_micros: i64,
) -> Result<Vacuumed, MaintainError> {
    let listed = store.list(Some(&table_path(table))).try_collect().await;
    let objects: Vec<ObjectMeta> =
        listed.map_err(|cause| MaintainError::Vacuum { table: table.name(), cause })?;
    let audit = audit.await?;
    let in_use: HashSet<&Path> = audit.committed.files.iter().map(|file| &file.path).collect();
    let kept_micros = i64::try_from(KEPT_FOR.as_micros()).expect("an hour");
    let is_useless = |object: &ObjectMeta| {
        let recorded = audit.removed.get(&object.location).copied();
        let since = recorded.filter(|micros| *micros > 0).unwrap_or(object.last_modified.timestamp_micros());
        is_data_file(table, &object.location)
            && !in_use.contains(&object.location)
            && since.saturating_add(kept_micros) <= now_micros
    };
    let deleted = stream::iter(objects.into_iter().filter(is_useless)).map(|object| async move {
        let deleted = store.delete(&object.location).await;
        if let Err(error) = &deleted {
            tracing::warn!(path = %object.location, %error, "delete a file that is no longer in use");
        }
        deleted.ok().map(|()| object.size)
    });
    let deleted: Vec<Option<u64>> = deleted.buffer_unordered(DELETIONS).collect().await;
    let sizes = || deleted.iter().flatten();
    Ok(Vacuumed { files: sizes().count() as u64, bytes: sizes().sum() })
}

/// Whether `path` is a Parquet file in a partition of the table, not part of its log.
fn is_data_file(table: Table, path: &Path) -> bool {
    let Some(parts) = path.prefix_match(&table_path(table)) else { return false };
    let parts: Vec<_> = parts.collect();
    let is_in_partition = parts.first().is_some_and(|part| part.as_ref().starts_with("date="));
    is_in_partition && parts.len() == 2 && parts[1].as_ref().ends_with(".parquet")
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    /// Scenario: a flush puts a file and commits it after the log was read, and the clocks say that this was long ago.
    #[tokio::test]
    async fn a_file_that_comes_while_the_log_is_read_is_not_deleted() {
        let store = InMemory::new();
        let path = |name| table_path(Table::Spans).join("date=2026-11-23").join(name);
        store.put(&path("orphan.parquet"), "".into()).await.expect("put");
        let audit = async {
            store.put(&path("new.parquet"), "".into()).await.expect("put");
            Ok(Audit::default())
        };
        let vacuumed = vacuum(&store, Table::Spans, audit, i64::MAX).await.expect("the table is listed");
        assert_eq!(vacuumed.files, 1);
        store.head(&path("orphan.parquet")).await.expect_err("deleted");
        store.head(&path("new.parquet")).await.expect("kept");
    }
}
