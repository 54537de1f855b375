//! Appends groups: one write and one fdatasync each, and only then is a group durable.
//!
//! A failed sync is never tried again on the same file, because Linux marks the data clean and would
//! report success without having written it. Instead the segment is given up and a new one is opened at
//! once whose header voids the failed LSN, so that a restart cannot bring back rows whose sender was told
//! that they are lost. A second failure in a row closes the log until the process starts again: the disk
//! is gone, and guessing which part of it still works would cost data.
//!
//! A full disk is no such failure, however often it is met. Mostly it shows when a segment is made, before
//! anything is written; where room cannot be reserved it shows in a write or a sync, and then the segment
//! is given up all the same. Either way the next append tries again, and so does one after a start that
//! found no room for a segment.
//!
//! Limits: one thread appends. If the disk fails both the append and the void after it, a machine that then
//! loses power may find the failed record whole and replay it; its sender was told to send it again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::disk::{Disk, is_storage_full};
use crate::fail_point::hit;
use crate::group::{AppendError, Group, Lsn, StoredExport};
use crate::wal::cut::{Fate, SealedSegment, Shared, WalCutter, WalStats};
use crate::wal::exports::stored_exports;
use crate::wal::format::{RECORDS_START, RowCounts, SegmentHeader, VOIDS_MAX, Void, VoidReason};
use crate::wal::record::{RecordBuffer, StoredTables, row_counts};
use crate::wal::recover::{OldSegment, Recovery};
use crate::wal::segment::{Layout, Segment, WalConfig, WalError};

/// Failed appends in a row after which the log is closed.
const FAILURES_MAX: u32 = 2;

/// The log, open for appending.
pub struct Wal {
    shared: Arc<Shared>,
    config: WalConfig,
    /// `None` until a new segment could be made: after a failure, or at a start without room.
    active: Option<Segment>,
    record: RecordBuffer,
    next_lsn: Lsn,
    durable_lsn: Lsn,
    /// Rows of all records so far.
    rows: RowCounts,
    /// Of the active segment.
    exports: Vec<StoredExport>,
    /// LSNs for the next segment's header to void.
    voids: Vec<Void>,
    epoch: u32,
    failures_in_row: u32,
    totals: AppendTotals,
}

/// What has been appended since the log was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AppendTotals {
    /// Records that are durable.
    pub records: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
    /// Calls of fdatasync, failed ones included.
    pub syncs: u64,
    /// Time spent in them.
    pub sync_time: Duration,
}

impl Wal {
    /// Starts a new segment behind what [`recover`](crate::wal::recover()) found. The first record will
    /// have `first_lsn`; the old segments stay until they are cut. On a full disk the segment is left to
    /// the first append that finds room.
    ///
    /// # Errors
    /// The world's: making the segment.
    ///
    /// # Panics
    /// When `first_lsn` is not above `recovery.last_lsn`: its number may have been used.
    pub fn open(
        disk: Arc<dyn Disk>,
        config: WalConfig,
        recovery: Recovery,
        first_lsn: Lsn,
    ) -> Result<Wal, WalError> {
        assert!(first_lsn > recovery.last_lsn, "{first_lsn} after {}", recovery.last_lsn);
        let layout = Layout::new(&config.dir);
        for path in &recovery.unfinished {
            disk.remove(path).map_err(WalError::io("remove", path))?;
        }
        let voids = voids_at_open(&recovery, first_lsn);
        let are_voids_complete = voids.len() <= VOIDS_MAX;
        let shared = Shared::new(
            disk,
            layout,
            config.segment_bytes,
            recovery.spares,
            recovery.remembered.files().to_vec(),
        );
        let mut wal = Wal {
            shared: Arc::new(shared),
            config,
            active: None,
            record: RecordBuffer::default(),
            next_lsn: first_lsn,
            durable_lsn: recovery.durable_lsn,
            rows: recovery.rows,
            exports: Vec::new(),
            voids: voids.into_iter().take(VOIDS_MAX).collect(),
            epoch: recovery.epoch_max,
            failures_in_row: 0,
            totals: AppendTotals::default(),
        };
        match wal.roll(0) {
            Err(error) if error.is_storage_full() => {
                tracing::warn!(%error, "start without a segment to append to");
            }
            rolled => rolled?,
        }
        // A segment may go only when a newer one has its voids.
        wal.adopt(recovery.segments, are_voids_complete && wal.active.is_some())?;
        Ok(wal)
    }

    /// Takes over the segments of earlier runs; those without a record in need are removed, so that a
    /// process that restarts again and again does not fill the disk with empty ones.
    fn adopt(&self, segments: Vec<OldSegment>, may_remove: bool) -> Result<(), WalError> {
        let count = segments.len();
        for (index, segment) in segments.into_iter().enumerate() {
            let mut sealed = segment.sealed;
            if segment.is_empty && may_remove {
                let path = self.shared.layout.segment(sealed.first_lsn);
                self.shared.disk.remove(&path).map_err(WalError::io("remove", &path))?;
                continue;
            }
            if index + 1 == count {
                sealed.last_lsn = self.next_lsn - 1;
            }
            self.shared.seal(sealed);
        }
        self.publish_stats();
        let dir = &self.shared.layout.live;
        self.shared.disk.sync_dir(dir).map_err(WalError::io("sync", dir))
    }

    /// Makes `group` durable and returns its LSN.
    ///
    /// # Errors
    /// [`AppendError::Disk`] and [`AppendError::DiskFull`]: nothing of the group is kept, it may be sent
    /// again. After two of the first in a row [`AppendError::Closed`], until the log is opened anew.
    pub fn append(&mut self, group: &Group) -> Result<Lsn, AppendError> {
        if self.is_closed() {
            return Err(AppendError::Closed);
        }
        let stored = self.place(group)?;
        let lsn = self.next_lsn;
        self.next_lsn += 1;
        let record_start = self.active.as_ref().map_or(RECORDS_START, Segment::end);
        if let Err(error) = self.write(stored, lsn) {
            return Err(self.give_up(lsn, record_start, &error));
        }
        self.failures_in_row = 0;
        self.durable_lsn = lsn;
        self.shared.set_durable(lsn);
        for (sum, count) in self.rows.iter_mut().zip(row_counts(&group.batches)) {
            *sum += count;
        }
        self.exports.extend(stored_exports(&group.exports, &group.batches));
        Ok(lsn)
    }

    /// True when the log takes nothing any more until it is opened anew.
    pub fn is_closed(&self) -> bool {
        self.failures_in_row >= FAILURES_MAX
    }

    pub fn cutter(&self) -> WalCutter {
        WalCutter::new(Arc::clone(&self.shared))
    }

    pub fn stats(&self) -> WalStats {
        self.shared.stats()
    }

    pub fn totals(&self) -> AppendTotals {
        self.totals
    }

    /// Encodes `group` and sees to it that the active segment has room for it.
    fn place(&mut self, group: &Group) -> Result<StoredTables, AppendError> {
        let mut stored = self.active.as_ref().map(Segment::stored).unwrap_or_default();
        self.encode(group, &mut stored)?;
        if self.active.as_ref().is_some_and(|segment| segment.fits(&self.record)) {
            return Ok(stored);
        }
        // Elsewhere the record has to bring its schemas along.
        stored = StoredTables::default();
        self.encode(group, &mut stored)?;
        let room = match &mut self.active {
            Some(segment) if segment.is_empty() => {
                let path = self.shared.layout.segment(segment.header().first_lsn);
                segment.grow_for(&self.record).map_err(WalError::io("reserve room for", &path))
            }
            _ => self.roll(self.record.bytes().len() as u64),
        };
        room.map_err(|error| self.refuse(&error))?;
        self.publish_stats();
        Ok(stored)
    }

    fn encode(&mut self, group: &Group, stored: &mut StoredTables) -> Result<(), AppendError> {
        self.record.encode(group, stored).map_err(|error| {
            tracing::error!(%error, "encode a group for the log");
            AppendError::Disk(error.to_string())
        })
    }

    fn write(&mut self, stored: StoredTables, lsn: Lsn) -> std::io::Result<()> {
        let record_bytes = self.record.bytes().len() as u64;
        let segment = self.active.as_mut().expect("place() has just made room");
        hit("before_wal_write")?;
        segment.write(&mut self.record, stored, lsn, self.durable_lsn, &self.rows)?;
        hit("before_wal_sync")?;
        let start = Instant::now();
        let synced = segment.sync();
        self.totals.sync_time += start.elapsed();
        self.totals.syncs += 1;
        synced?;
        hit("after_wal_sync")?;
        self.totals.records += 1;
        self.totals.bytes += record_bytes;
        Ok(())
    }

    /// Opens a new segment with room for a record of `record_bytes`, and seals the active one. On an error
    /// the active one stays.
    fn roll(&mut self, record_bytes: u64) -> Result<(), WalError> {
        let header = SegmentHeader {
            collector_id: self.config.collector_id,
            epoch: self.epoch.wrapping_add(1),
            first_lsn: self.next_lsn,
            durable_lsn: self.durable_lsn,
            rows_before: self.rows,
            voids: self.voids.clone(),
        };
        let size_bytes = self.config.segment_bytes.max(RECORDS_START + record_bytes);
        let spare = match size_bytes == self.config.segment_bytes {
            true => self.shared.take_spare(),
            false => None,
        };
        let disk = self.shared.disk.as_ref();
        let path = self.shared.layout.segment(header.first_lsn);
        hit("before_seal").map_err(WalError::io("seal before", &path))?;
        let segment = Segment::create(disk, &self.shared.layout, header, size_bytes, spare)?;
        hit("after_seal").map_err(WalError::io("seal before", &path))?;
        self.epoch = self.epoch.wrapping_add(1);
        self.voids.clear();
        if let Some(full) = self.active.replace(segment) {
            self.seal(&full, Fate::Recycle);
        }
        self.publish_stats();
        Ok(())
    }

    fn seal(&mut self, segment: &Segment, fate: Fate) {
        self.shared.seal(SealedSegment {
            first_lsn: segment.header().first_lsn,
            last_lsn: self.next_lsn - 1,
            size_bytes: segment.size_bytes(),
            fate,
            exports: std::mem::take(&mut self.exports).into(),
        });
    }

    fn publish_stats(&self) {
        self.shared.set_active(self.active.as_ref().map_or(0, Segment::size_bytes), self.durable_lsn);
    }

    /// After a write or sync that failed: the segment is in doubt and the record's LSN is void.
    fn give_up(&mut self, lsn: Lsn, record_start: u64, error: &std::io::Error) -> AppendError {
        tracing::error!(lsn, %error, "write to the log; the segment is given up");
        let given_up = self.active.take();
        // One that holds nothing but its header hands its voids on, and goes: a full disk that lets
        // segments be made but not written would else be filled with them.
        let heir_of = given_up
            .as_ref()
            .map(Segment::header)
            .filter(|header| record_start == RECORDS_START && header.voids.len() < VOIDS_MAX);
        let is_needless = heir_of.is_some();
        self.voids = heir_of.map(|header| header.voids.clone()).unwrap_or_default();
        add_void(&mut self.voids, lsn);
        if let Some(segment) = &given_up {
            segment.wipe(record_start);
        }
        if !is_storage_full(error) {
            self.count_failure();
        }
        let is_replaced = !self.is_closed() && self.rolls();
        if let Some(segment) = given_up
            && !(is_needless && is_replaced && self.remove(&segment))
        {
            self.seal(&segment, Fate::Remove);
        }
        self.publish_stats();
        append_error(error.to_string(), is_storage_full(error))
    }

    /// Says whether a new segment could be made. Whoever appends is told about an earlier error; this one
    /// only decides whether the log goes on.
    fn rolls(&mut self) -> bool {
        match self.roll(0) {
            Ok(()) => true,
            Err(error) => {
                self.refuse(&error);
                false
            }
        }
    }

    /// Says whether it could be removed.
    fn remove(&self, segment: &Segment) -> bool {
        let path = self.shared.layout.segment(segment.header().first_lsn);
        self.shared.disk.remove(&path).is_ok()
    }

    /// After a segment could not be made: nothing was written, the LSN is still free.
    fn refuse(&mut self, error: &WalError) -> AppendError {
        tracing::error!(%error, "make a segment of the log");
        if !error.is_storage_full() {
            self.count_failure();
        }
        append_error(error.to_string(), error.is_storage_full())
    }

    fn count_failure(&mut self) {
        self.failures_in_row += 1;
        if self.is_closed() {
            tracing::error!(
                failures = self.failures_in_row,
                "the log is closed: the disk failed repeatedly, nothing is taken until a restart"
            );
        }
    }
}

fn append_error(cause: String, is_storage_full: bool) -> AppendError {
    match is_storage_full {
        true => AppendError::DiskFull(cause),
        false => AppendError::Disk(cause),
    }
}

/// Adds a failed append to the voids; those that follow on one another share a range.
fn add_void(voids: &mut Vec<Void>, lsn: Lsn) {
    let before = |void: &&mut Void| void.reason == VoidReason::FailedAppend && void.last + 1 == lsn;
    match voids.iter_mut().find(before) {
        Some(void) => void.last = lsn,
        None => voids.push(Void { first: lsn, last: lsn, reason: VoidReason::FailedAppend }),
    }
}

/// The void ranges that a new segment must carry: all that are still of use, and the gap before it. Those
/// that hide records come first, for the case that not all fit.
fn voids_at_open(recovery: &Recovery, first_lsn: Lsn) -> Vec<Void> {
    let mut voids = recovery.voids.clone();
    if !recovery.segments.is_empty() {
        let gap = Void { first: recovery.last_lsn, last: first_lsn - 1, reason: VoidReason::Unused };
        voids.push(gap);
    }
    voids.sort_unstable_by_key(|void| (void.reason, void.first));
    let mut joined: Vec<Void> = Vec::with_capacity(voids.len());
    for void in voids {
        match joined.last_mut() {
            Some(last) if last.reason == void.reason && void.first <= last.last.saturating_add(1) => {
                last.last = last.last.max(void.last);
            }
            _ => joined.push(void),
        }
    }
    joined
}
