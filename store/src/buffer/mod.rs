//! What is visible: per table the committed files and, above their watermark, the batches in memory.
//!
//! One mutex guards the state of all tables, because a snapshot must be consistent over them and a flush
//! swaps three things at once (files in, batches out, watermark up). It is held for pointer copies only,
//! but for one case: small batches are joined where they are published, so that a snapshot is never a
//! list of thousands. They are joined many at a time and by size class, so that a row is copied a few
//! times at most; batches of 512 rows and more are never copied, because joining dictionaries is costly.
//!
//! Limits: bytes are those of Arrow buffers; a batch that a query still holds after its flush is no
//! longer counted.

mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meshlake_schema::{PerTable, Table, TableBatch};
use tokio::sync::watch;

use crate::catalog::Committed;
use crate::group::Lsn;
use crate::snapshot::{HotBatch, TableSnapshot};
use table::TableState;

/// The state shared by the writer (publishes), the flush (swaps) and the readers (copy).
#[derive(Debug)]
pub(crate) struct Buffer {
    state: Mutex<State>,
    /// The last record published, for those who wait for the next.
    published: watch::Sender<Lsn>,
}

#[derive(Debug)]
struct State {
    tables: PerTable<TableState>,
    /// Every record up to it is in `tables` or in files. At replay this is the last one replayed, however
    /// far some table's watermark is ahead: the records between are still to come for the other tables.
    last_lsn: Lsn,
}

/// A contiguous prefix of one table's batches, for a flush.
#[derive(Debug, Clone)]
pub(crate) struct Prefix {
    /// The table's watermark.
    pub after: Lsn,
    /// Every row of the table with an LSN in `after + 1 ..= through` is in `batches`.
    pub through: Lsn,
    pub batches: Vec<HotBatch>,
}

/// What a follower of a table sees next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Rows of the next records that have some, up to the last LSN of the batch.
    Rows(HotBatch),
    /// Records up to this one are in files; rows of them may be there that were not followed.
    InFiles { through: Lsn },
    /// There is no other row up to here.
    Wait { through: Lsn },
}

impl Buffer {
    /// Starts from what is committed, before anything is replayed.
    pub fn new(committed: PerTable<Committed>) -> Self {
        let tables = committed.map(|Committed { files, watermark, kept_from_days }| TableState {
            files,
            watermark,
            kept_from_days,
            seal: watermark,
            ..TableState::default()
        });
        Buffer { state: Mutex::new(State { tables, last_lsn: 0 }), published: watch::Sender::new(0) }
    }

    /// Makes a durable group visible; says which tables were empty before. At replay, rows that are in
    /// files already are left out.
    ///
    /// # Panics
    /// When `lsn` is not above every earlier one: the log hands them out in order.
    pub fn publish(&self, lsn: Lsn, batches: Vec<TableBatch>) -> Vec<Table> {
        let mut begun = Vec::new();
        let batches = batches.into_iter().filter(|batch| batch.row_count() > 0);
        let batches: Vec<HotBatch> = batches.map(|batch| HotBatch::of(lsn, batch)).collect();
        let mut state = self.lock();
        let every_seal = state.tables.iter().map(|(_, table)| table.seal).max().unwrap_or_default();
        for hot in batches {
            let name = hot.batch.table();
            assert!(name.log_id().is_some(), "rows of {} are never logged", name.name());
            let derived = state.derived_watermark(name, lsn);
            let table = &mut state.tables[name];
            if lsn > table.watermark {
                if table.hot.is_empty() {
                    begun.push(name);
                }
                // The query side tells by a ledger batch's LSNs whether the rows it counts are in files.
                let seal = if name == Table::Ledger { every_seal } else { table.seal };
                table.push(hot, seal.max(derived));
            }
        }
        state.last_lsn = state.last_lsn.max(lsn);
        drop(state);
        self.published.send_replace(lsn);
        begun
    }

    /// The tables at one instant.
    pub fn snapshot(&self) -> PerTable<TableSnapshot> {
        let state = self.lock();
        PerTable::of(|table| {
            let table = &state.tables[table];
            TableSnapshot {
                files: Arc::clone(&table.files),
                hot: Arc::clone(&table.hot),
                watermark: table.watermark,
                kept_from_days: table.kept_from_days,
            }
        })
    }

    /// Takes all that `table` buffers for a flush; none when it buffers nothing. The batches stay
    /// visible until [`Buffer::swap`].
    ///
    /// The ledger is taken only as far as every other table is in files, so that a ledger row in a file
    /// counts rows in files.
    pub fn take_prefix(&self, table: Table) -> Option<Prefix> {
        let mut state = self.lock();
        let through = match table {
            Table::Ledger => state.ledger_bound(),
            _ => state.last_lsn,
        };
        let table = &mut state.tables[table];
        // Sealed even when there is nothing to take: a ledger batch joined across `through` later could
        // not be flushed as far as this call promises.
        table.seal = through.max(table.seal);
        let count = table.hot.partition_point(|hot| hot.lsn_last <= through);
        if count == 0 {
            return None;
        }
        // The ledger's bound may lie inside of a batch that was joined before there was such a bound. That
        // batch stays whole, so its rows are not to be promised.
        let next = table.hot.get(count).map_or(Lsn::MAX, |hot| hot.lsn_first);
        let through = through.min(next - 1);
        table.flushing_bytes = table.parts[..count].iter().map(|part| part.bytes).sum();
        Some(Prefix { after: table.watermark, through, batches: table.hot[..count].to_vec() })
    }

    /// Ends a flush: what is committed replaces the batches that it holds.
    pub fn swap(&self, table: Table, committed: Committed) {
        let mut state = self.lock();
        let table = &mut state.tables[table];
        assert!(committed.watermark >= table.watermark, "a watermark never falls");
        let flushed = table.hot.partition_point(|hot| hot.lsn_last <= committed.watermark);
        assert!(
            table.hot.get(flushed).is_none_or(|hot| hot.lsn_first > committed.watermark),
            "batches are not joined across a seal"
        );
        table.files = committed.files;
        table.watermark = committed.watermark;
        table.kept_from_days = committed.kept_from_days;
        table.seal = table.seal.max(committed.watermark);
        table.flushing_bytes = 0;
        table.parts.drain(..flushed);
        table.hot = Arc::new(table.hot[flushed..].to_vec());
    }

    /// Ends a flush's claim: its batches, if not swapped out next, count as waiting again.
    pub fn give_back(&self, table: Table) {
        self.lock().tables[table].flushing_bytes = 0;
    }

    /// Up to here every record is in files, in every table: the log may forget it.
    pub fn flushed_through(&self) -> Lsn {
        let state = self.lock();
        let lowest = state.tables.iter().map(|(_, table)| table.flushed_through(state.last_lsn)).min();
        lowest.unwrap_or(state.last_lsn)
    }

    /// Bytes of all batches, those being flushed included.
    pub fn bytes(&self) -> usize {
        self.lock().tables.iter().map(|(_, table)| table.bytes()).sum()
    }

    /// Bytes that no flush has begun to take, and the table with most of them.
    pub fn waiting(&self) -> (usize, Table) {
        let state = self.lock();
        let waiting = |table: &Table| {
            let table = &state.tables[*table];
            table.bytes() - table.flushing_bytes
        };
        let largest = Table::received().max_by_key(waiting).unwrap_or(Table::Spans);
        (Table::received().map(|table| waiting(&table)).sum(), largest)
    }

    pub fn watermark(&self, table: Table) -> Lsn {
        self.lock().tables[table].watermark
    }

    pub fn is_empty(&self, table: Table) -> bool {
        self.lock().tables[table].hot.is_empty()
    }

    /// Every record up to here has been published.
    pub fn last_lsn(&self) -> Lsn {
        self.lock().last_lsn
    }

    /// Whether `table` buffers rows of records up to `lsn`.
    pub fn holds_rows_up_to(&self, table: Table, lsn: Lsn) -> bool {
        let state = self.lock();
        state.tables[table].hot.first().is_some_and(|hot| hot.lsn_first <= lsn)
    }

    /// What comes next for who has seen every row of `table` up to `after`.
    pub fn step(&self, table: Table, after: Lsn) -> Step {
        let state = self.lock();
        let table = &state.tables[table];
        if table.watermark > after {
            return Step::InFiles { through: table.watermark };
        }
        table.next_after(after).map_or(Step::Wait { through: state.last_lsn }, Step::Rows)
    }

    /// Told of each record that is published, after it was.
    pub fn published(&self) -> watch::Receiver<Lsn> {
        self.published.subscribe()
    }

    /// Ends the replay: every record that there is, up to `last_lsn` at most, has been published. Returns
    /// the highest LSN that the log or any table knows of.
    pub fn end_replay(&self, last_lsn: Lsn) -> Lsn {
        let mut state = self.lock();
        let highest = state.tables.iter().map(|(_, table)| table.watermark).max().unwrap_or_default();
        state.last_lsn = state.last_lsn.max(last_lsn).max(highest);
        state.last_lsn
    }

    /// A panic while the state is held is a broken invariant of ours; what it holds is still whole, since
    /// every change is prepared first and made by moves. Readers go on.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The last LSN below `lsn` up to which some table derived from `table` has its rows: a batch from
    /// before it and one from after it are never joined, so that each is derived from whole or not at all.
    /// After a crash between the two commits of a flush it is above the table's own watermark.
    fn derived_watermark(&self, table: Table, lsn: Lsn) -> Lsn {
        let watermarks = table.derived().map(|derived| self.tables[derived].watermark);
        watermarks.filter(|watermark| *watermark < lsn).max().unwrap_or_default()
    }

    fn ledger_bound(&self) -> Lsn {
        let raw = Table::received().filter(|table| *table != Table::Ledger);
        let flushed = raw.map(|table| self.tables[table].flushed_through(self.last_lsn));
        flushed.min().unwrap_or(self.last_lsn)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray as _;
    use arrow::datatypes::{Int32Type, TimestampMicrosecondType};

    use super::*;
    use crate::test_rows::{ledger_rows, rows, span_rows};

    fn empty() -> Buffer {
        Buffer::new(PerTable::default())
    }

    fn at(watermark: Lsn) -> Committed {
        Committed { watermark, ..Committed::default() }
    }

    fn hot(buffer: &Buffer, table: Table) -> Vec<(Lsn, Lsn, usize)> {
        let tables = buffer.snapshot();
        let hot = &tables[table].hot;
        hot.iter().map(|hot| (hot.lsn_first, hot.lsn_last, hot.batch.row_count())).collect()
    }

    #[test]
    fn sixteen_batches_of_a_class_become_one() {
        let buffer = empty();
        for lsn in 1..=15 {
            buffer.publish(lsn, vec![span_rows(&[lsn as i64])]);
        }
        assert_eq!(hot(&buffer, Table::Spans).len(), 15);
        buffer.publish(16, vec![span_rows(&[16])]);
        assert_eq!(hot(&buffer, Table::Spans), [(1, 16, 16)]);
        buffer.publish(17, vec![span_rows(&[17])]);
        assert_eq!(hot(&buffer, Table::Spans), [(1, 16, 16), (17, 17, 1)]);
    }

    #[test]
    fn small_batches_of_any_mix_stay_few() {
        let buffer = empty();
        for lsn in 1..=2_000 {
            buffer.publish(lsn, vec![span_rows(&vec![0; [1, 20, 3, 300][lsn as usize % 4]])]);
        }
        // 500 rounds of 324 rows are 317 batches of 512 at most; fewer than 52 wait behind them.
        let hot = hot(&buffer, Table::Spans);
        assert!(hot.len() < 317 + 52, "{hot:?}");
        assert_eq!(hot.iter().map(|(_, _, rows)| rows).sum::<usize>(), 500 * 324);
    }

    #[test]
    fn joined_rows_keep_their_order_and_values() {
        let buffer = empty();
        for lsn in 1..=16 {
            buffer.publish(lsn, vec![span_rows(&[100 - lsn as i64])]);
        }
        let tables = buffer.snapshot();
        let joined = &tables[Table::Spans].hot[0].batch;
        let times = joined.rows().column_by_name("time").expect("a column");
        let want: Vec<i64> = (1..=16).map(|lsn| 100 - lsn).collect();
        assert_eq!(times.as_primitive::<TimestampMicrosecondType>().values(), &want);
        let types = joined.rows().column_by_name("attribute_types").expect("a column");
        let types = types.as_dictionary::<Int32Type>();
        // Each batch's only value, and the same in all of them.
        assert!(types.keys_iter().all(|key| {
            key.is_some_and(|key| types.values().as_string::<i32>().value(key) == "attribute_types-0")
        }));
    }

    #[test]
    fn batches_are_not_joined_across_a_seal_of_any_table() {
        let buffer = empty();
        for lsn in 1..=8 {
            buffer.publish(lsn, vec![span_rows(&[1]), ledger_rows(&[(0, 1)])]);
        }
        let prefix = buffer.take_prefix(Table::Spans).expect("spans are buffered");
        assert_eq!((prefix.after, prefix.through, prefix.batches.len()), (0, 8, 8));
        for lsn in 9..=24 {
            buffer.publish(lsn, vec![span_rows(&[1]), ledger_rows(&[(0, 1)])]);
        }
        assert_eq!(hot(&buffer, Table::Ledger).last(), Some(&(9, 24, 16)));
        buffer.swap(Table::Spans, at(8));
        assert_eq!(hot(&buffer, Table::Spans), [(9, 24, 16)]);
    }

    /// After a crash between the two commits of a flush: derived rows are in files up to 20, spans up to 0.
    #[test]
    fn batches_are_not_joined_across_a_derived_watermark() {
        let buffer = Buffer::new(PerTable::of(|table| at(if table == Table::Traces { 20 } else { 0 })));
        for lsn in 1..=40 {
            buffer.publish(lsn, vec![span_rows(&[1])]);
        }
        let mut want = vec![(1, 16, 16)];
        want.extend((17..=20).map(|lsn| (lsn, lsn, 1)));
        want.push((21, 36, 16));
        want.extend((37..=40).map(|lsn| (lsn, lsn, 1)));
        assert_eq!(hot(&buffer, Table::Spans), want);
        assert_eq!(buffer.flushed_through(), 0, "the log is kept for the spans");
    }

    #[test]
    fn a_large_batch_is_left_alone() {
        let buffer = empty();
        let rows = vec![1; table::JOINED_ROWS];
        for lsn in 1..=8 {
            buffer.publish(lsn, vec![span_rows(&rows)]);
        }
        assert_eq!(hot(&buffer, Table::Spans).len(), 8);
    }

    #[test]
    fn the_ledger_waits_for_every_other_table() {
        let buffer = empty();
        buffer.publish(1, vec![ledger_rows(&[(0, 1)])]);
        buffer.publish(2, vec![span_rows(&[1]), ledger_rows(&[(0, 1)])]);
        let prefix = buffer.take_prefix(Table::Ledger).expect("record 1 has no spans");
        assert_eq!((prefix.through, prefix.batches.len()), (1, 1));
        buffer.swap(Table::Ledger, at(1));
        assert!(buffer.take_prefix(Table::Ledger).is_none());
        buffer.take_prefix(Table::Spans).expect("spans are buffered");
        buffer.swap(Table::Spans, at(2));
        assert_eq!(buffer.take_prefix(Table::Ledger).expect("spans are in files").through, 2);
    }

    /// Spans go to files up to 17, logs hold the ledger at 3, and its batches of 2..=17 are one by then: the
    /// flush may promise no more than the batch before.
    #[test]
    fn a_ledger_flush_promises_no_part_of_a_batch() {
        let buffer = empty();
        buffer.publish(1, vec![ledger_rows(&[(0, 1)])]);
        assert!(buffer.take_prefix(Table::Spans).is_none(), "the seal is at 1");
        for lsn in 2..=17 {
            let other = if lsn == 4 { rows(Table::Logs, &[0]) } else { span_rows(&[1]) };
            buffer.publish(lsn, vec![other, ledger_rows(&[(0, 1)])]);
        }
        assert_eq!(hot(&buffer, Table::Ledger), [(1, 1, 1), (2, 17, 16)]);
        buffer.take_prefix(Table::Spans).expect("spans are buffered");
        buffer.swap(Table::Spans, at(17));
        let prefix = buffer.take_prefix(Table::Ledger).expect("record 1 is below every row of the others");
        assert_eq!((prefix.through, prefix.batches.len()), (1, 1));
        buffer.swap(Table::Ledger, at(prefix.through));
        assert_eq!(hot(&buffer, Table::Ledger), [(2, 17, 16)]);
    }

    #[test]
    fn a_table_with_nothing_buffered_does_not_hold_the_cut() {
        let buffer = empty();
        assert_eq!(buffer.flushed_through(), 0);
        buffer.publish(5, vec![span_rows(&[1])]);
        buffer.publish(7, vec![ledger_rows(&[(0, 1)])]);
        assert_eq!(buffer.flushed_through(), 4);
        buffer.take_prefix(Table::Spans).expect("spans are buffered");
        buffer.swap(Table::Spans, at(7));
        assert_eq!(buffer.flushed_through(), 6);
    }

    #[test]
    fn replay_leaves_out_rows_that_are_in_files() {
        let buffer = Buffer::new(PerTable::of(|table| at(if table == Table::Spans { 2 } else { 0 })));
        for lsn in 1..=3 {
            buffer.publish(lsn, vec![span_rows(&[1]), ledger_rows(&[(0, 1)])]);
        }
        assert_eq!(hot(&buffer, Table::Spans), [(3, 3, 1)]);
        assert_eq!(hot(&buffer, Table::Ledger).len(), 3);
    }

    /// Table A is in files up to 9, B only to 0, and the log has 1..=9: a flush of B in the middle of the
    /// replay must not claim the records that are still to come.
    #[test]
    fn a_flush_at_replay_claims_only_what_was_replayed() {
        let buffer = Buffer::new(PerTable::of(|table| at(if table == Table::Spans { 9 } else { 0 })));
        for lsn in 1..=4 {
            buffer.publish(lsn, vec![span_rows(&[1]), ledger_rows(&[(0, 1)])]);
        }
        assert_eq!(buffer.take_prefix(Table::Ledger).expect("rows are buffered").through, 4);
        buffer.swap(Table::Ledger, at(4));
        assert_eq!(buffer.end_replay(4), 9);
    }

    #[test]
    fn bytes_being_flushed_are_not_waiting() {
        let buffer = empty();
        buffer.publish(1, vec![span_rows(&[1, 2, 3])]);
        let bytes = buffer.bytes();
        assert!(bytes > 0);
        assert_eq!(buffer.waiting(), (bytes, Table::Spans));
        buffer.take_prefix(Table::Spans).expect("spans are buffered");
        assert_eq!(buffer.waiting().0, 0);
        assert_eq!(buffer.bytes(), bytes);
        buffer.give_back(Table::Spans);
        assert_eq!(buffer.waiting().0, bytes);
    }
}
