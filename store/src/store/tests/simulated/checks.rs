//! What must hold whenever a machine has come up again: every row is accounted for, and counted by what is made of it.

use super::super::fixture::derived_now;
use super::*;

impl Machine {
    /// Every group is there whole and once, or not at all, as its sender was told; and the ledger agrees.
    pub(super) fn check(&mut self, store: &Running) {
        let snapshot = Snapshot::new(store.recovery.flusher.buffer().snapshot(), Arc::clone(&store.store));
        let mut found: BTreeMap<(Table, i64), usize> = BTreeMap::new();
        for table in self.tables {
            for time in self.values(&snapshot, table, "time") {
                *found.entry((table, time)).or_default() += 1;
            }
        }
        assert!(found.values().all(|count| *count == 1), "rows are there twice: {found:?}");
        for table in self.tables {
            let rows = found.keys().filter(|(of, _)| *of == table).count();
            self.check_derived(&snapshot, table, rows);
        }
        let mut there_in_all = 0;
        for (number, sent) in self.sent.iter_mut().enumerate() {
            let times = sent.rows.iter().flat_map(|(table, times)| times.iter().map(|time| (*table, *time)));
            let there = times.filter(|row| found.remove(row).is_some()).count();
            let want = match sent.fate {
                Fate::Acked => sent.count(),
                Fate::Refused => 0,
                // Whatever the start has found is the truth from then on.
                Fate::Unknown if there == 0 => 0,
                Fate::Unknown => sent.count(),
            };
            assert_eq!(there, want, "rows of group {number}, which is {sent:?}");
            sent.fate = if there == 0 { Fate::Refused } else { Fate::Acked };
            there_in_all += there as i64;
        }
        assert!(found.is_empty(), "rows that nobody sent: {found:?}");
        let counted: i64 = self.values(&snapshot, Table::Ledger, "records").iter().sum();
        assert_eq!(counted, there_in_all, "what the ledger counts");
        if self.settles() {
            Self::check_cells(&snapshot);
        }
    }

    /// What is derived from the rows of a table counts each of them once.
    fn check_derived(&mut self, snapshot: &Snapshot, source: Table, rows: usize) {
        for table in source.derived() {
            let count = derived::of(table).expect("a derived table").count;
            let in_files: i64 = self.values(snapshot, table, count).iter().sum();
            let in_all = in_files + block_on(derived_now(snapshot, table));
            assert_eq!(in_all, rows as i64, "rows of {} in {}", source.name(), table.name());
        }
    }

    fn check_cells(snapshot: &Snapshot) {
        for table in Table::settled() {
            assert_eq!(
                block_on(answer(snapshot, table)),
                block_on(truth(snapshot, table)),
                "{}",
                table.name()
            );
        }
    }

    /// `column` of all rows of a table. A file is decoded when it is seen first or has other bytes than then.
    fn values(&mut self, snapshot: &Snapshot, table: Table, column: &str) -> Vec<i64> {
        let mut values = Vec::new();
        for file in snapshot.table(table).files.iter() {
            let bytes = self.disk.contents(&Path::new(ROOT).join(file.path.as_ref()));
            let bytes = bytes.unwrap_or_else(|| panic!("{} is committed and not there", file.path));
            let (seen, decoded) = self.decoded.entry(file.path.to_string()).or_default();
            if *seen != bytes {
                *decoded = values_in_file(bytes.clone().into(), column);
                *seen = bytes;
            }
            values.extend_from_slice(decoded);
        }
        values.extend(snapshot.table(table).hot.iter().flat_map(|hot| values_in(hot.batch.rows(), column)));
        values
    }
}
