//! What a query's snapshot says of files and cells, without a look at rows.

use std::collections::BTreeMap;

use meshlake_schema::{Table, TimeRange, UnixNanos};
use meshlake_store::snapshot::{DataFile, Unflushed};

use super::Query;
use crate::catalog::{self, Texts, Told};
use crate::error::QueryError;

impl Query {
    /// The files of `table`, of every tenant, in no order: what rows of the snapshot are in them and when, so that a
    /// look-up can leave out times. Rows come by [`Query::scan`].
    pub fn files(&self, table: Table) -> &[DataFile] {
        self.snapshot.files(table)
    }

    /// The last record whose rows of `table` are in [`Query::files`]: those of later ones are buffered.
    pub fn watermark(&self, table: Table) -> u64 {
        self.snapshot.watermark(table)
    }

    /// Whether rows of `table`, which calls are folded from, may start in `range`, of whichever tenant.
    pub fn may_start(&self, table: Table, range: TimeRange) -> bool {
        self.snapshot.may_start(table, range)
    }

    /// The distinct texts that dictionaries of the files of `table` tell of this tenant's rows, without a look at rows: of whole
    /// row groups that have any in `range`. Files that do not tell are named, and what is in memory is not looked at; a
    /// [`Part`] of a scan takes both.
    ///
    /// # Errors
    /// Those of reading files.
    pub async fn told(&self, table: Table, asked: &[Texts], range: TimeRange) -> Result<Told, QueryError> {
        let state = self.session()?.state();
        Ok(catalog::told(&state, self.files(table), &self.tenant, asked, range).await?)
    }

    /// The parts of `range` that cells of `table` do not tell, whole windows, ascending: rows have to be folded there.
    ///
    /// # Panics
    /// When the table has no cells.
    pub fn open(&self, table: Table, range: TimeRange) -> Vec<TimeRange> {
        self.snapshot.open(table, range)
    }

    /// The parts of `range` of which only cells wider than those of `table` are kept, and no rows: whole windows of the
    /// next wider table, ascending.
    ///
    /// # Panics
    /// When the table has no cells.
    pub fn only_wider(&self, table: Table, range: TimeRange) -> Vec<TimeRange> {
        self.snapshot.only_wider(table, range)
    }

    /// The windows of `table` that share a minute with `range` and of whose calls anything is known, ascending: when each
    /// begins, and a number that is another one when its calls may be others.
    ///
    /// # Panics
    /// When the table has no cells.
    pub fn told_windows(&self, table: Table, range: TimeRange) -> Vec<(UnixNanos, u64)> {
        self.snapshot.told_windows(table, range)
    }

    /// The minutes of `range`, since the epoch, in which rows start that calls are folded from, each with a number that is a higher
    /// one when it has more of them.
    pub fn last_records(&self, range: TimeRange) -> BTreeMap<i64, u64> {
        self.snapshot.last_records(range)
    }

    /// The windows of `table` in `range` whose cells lack rows that came when it was too late to count them.
    ///
    /// # Panics
    /// When the table has no cells.
    pub fn frozen_late(&self, table: Table, range: TimeRange) -> Vec<TimeRange> {
        self.snapshot.frozen_late(table, range)
    }

    /// What of the tenant's accepted records is durable and not in files, of one signal and source or several times.
    ///
    /// # Errors
    /// [`QueryError::Snapshot`], for a bug of ours, or when the collector cannot be asked any more.
    pub async fn unflushed(&self) -> Result<Vec<Unflushed>, QueryError> {
        Ok(self.snapshot.unflushed(&self.tenant).await?)
    }
}
