//! Machines that lose power: the whole store on a simulated disk, from a seed.
//!
//! A seed is one data directory and a few lives of a process on it. In each life rows are appended, tables
//! flushed and merged, unused files deleted and the log cut, while syncs fail, the disk fills up and commits hide their outcome, until the
//! power goes at some operation of the disk. What was not synced then survives in part: torn writes, lost
//! names, any mix. The next life opens what is left, and every row must be accounted for. All code is that of
//! production but the disk, the reads of tables and the commit log's format; it runs on one thread, so a seed
//! replays.
//!
//! ```text
//! MESHLAKE_TEST_SEEDS=1000000 cargo test --package meshlake-store every_acked_row    the long form
//! MESHLAKE_TEST_SEED=4711 cargo test --package meshlake-store every_acked_row        one seed again
//! ```

mod seeds;
mod checks;
mod fs;
mod catalog;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::executor::block_on;
use meshlake_schema::{Clock, Table, UnixNanos, derived};
use object_store::ObjectStore;
use tokio::runtime::Runtime;

use self::catalog::SimCatalog;
use self::fs::SimFs;
use self::seeds::run_seeds;
use super::crash::{Failing, Failure};
use super::settle::copy::{Copy, answer, truth};
use super::{MIDNIGHT, values_in, values_in_file};
use crate::data_dir::prepare;
use crate::disk::Disk as _;
use crate::disk::sim::{Coin, NamesAfterCrash, SimDisk};
use crate::durable_fs::settle;
use crate::group::{Group, Lsn};
use crate::maintain::{Effort, MaintainConfig, Maintenance};
use crate::retain::Retention;
use crate::settle::{Settler, Wanted};
use crate::snapshot::Snapshot;
use crate::space::Space;
use crate::store::{Parts, Recovery};
use crate::test_rows::{ledger_rows, rows};
use crate::wal::WalConfig;

/// Seeds of a run unless `MESHLAKE_TEST_SEEDS` says otherwise: some 20 s on two cores. CI runs 10,000.
const SEEDS: u64 = 2_000;

/// Small, so that segments roll, are cut and are written again within one life.
const SEGMENT_BYTES: u64 = 1 << 16;

/// Two narrow tables are enough for watermarks that differ; the ledger is the third. Columns are what a seed
/// costs, so most groups have rows of the first only.
const NARROW: [Table; 2] = [Table::MetricSummaries, Table::MetricPoints];

/// Those that calls are folded from: wide, so a seed costs some ten times as much.
const FOLDED: [Table; 2] = [Table::Requests, Table::Spans];

/// Seeds of a run whose rows are settled too, unless `MESHLAKE_TEST_SETTLED_SEEDS` says otherwise: some 20 s.
const SETTLED_SEEDS: u64 = 100;

const ROOT: &str = "/data";

#[test]
fn every_acked_row_is_there_once_after_any_crash() {
    run_seeds("MESHLAKE_TEST_SEEDS", SEEDS, |seed| Machine::new(seed, NARROW));
}

/// What the cells of settled windows and the rows of open ones say together is every row once, in each table of cells.
#[test]
fn cells_and_open_rows_are_all_rows_after_any_crash() {
    run_seeds("MESHLAKE_TEST_SETTLED_SEEDS", SETTLED_SEEDS, |seed| Machine::new(seed, FOLDED));
}

/// What the sender of a group knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Acked,
    Refused,
    /// The machine died first: all of it may be there, or nothing.
    Unknown,
}

#[derive(Debug)]
struct Sent {
    /// Times of its rows, which no other row of the seed has.
    rows: Vec<(Table, Vec<i64>)>,
    fate: Fate,
}

impl Sent {
    fn count(&self) -> usize {
        self.rows.iter().map(|(_, times)| times.len()).sum()
    }
}

/// One data directory and all that was sent to it.
struct Machine {
    tables: [Table; 2],
    coin: Coin,
    disk: SimDisk,
    sent: Vec<Sent>,
    next_time: i64,
    /// The highest number that a group was acknowledged with.
    last_lsn: Lsn,
    /// Files seen so far: bytes, and the column of interest.
    decoded: HashMap<String, (Vec<u8>, Vec<i64>)>,
    /// A directory's sync has failed: then a cut may leave a gap in the log that looks like damage.
    may_look_damaged: bool,
    /// The last process has ended in order, with every row in files.
    is_flushed: bool,
}

impl Machine {
    fn new(seed: u64, tables: [Table; 2]) -> Machine {
        Machine {
            tables,
            coin: Coin(seed),
            disk: SimDisk::default(),
            sent: Vec::new(),
            next_time: MIDNIGHT,
            last_lsn: 0,
            decoded: HashMap::new(),
            may_look_damaged: false,
            is_flushed: false,
        }
    }

    fn run(mut self, runtime: &Runtime) {
        for _ in 0..2 + self.coin.below(2) {
            self.live(runtime);
            self.crash();
        }
        let Ok(store) = self.open(runtime) else { panic!("the disk is sound and the store does not open") };
        self.check_stop(&store);
        self.check(&store);
        // Files are what a seed costs.
        if self.coin.below(4) != 0 {
            return;
        }
        runtime.block_on(store.recovery.flusher.flush_all()).expect("the disk is sound");
        self.check(&store);
        assert_eq!(store.recovery.flusher.buffer().bytes(), 0, "everything is in files");
    }

    /// Runs a process until the power goes, or for so many steps.
    fn live(&mut self, runtime: &Runtime) {
        // Settling takes many operations, so a life that settles has more of them and of steps.
        let (operations, steps) = if self.settles() { (240, 24) } else { (60, 12) };
        self.disk.power_off_after(self.coin.below(operations));
        let Ok(mut store) = self.open(runtime) else { return };
        self.check_stop(&store);
        if self.disk.is_on() {
            self.check(&store);
        }
        for _ in 0..self.coin.below(steps) {
            self.step(runtime, &mut store);
            if !self.disk.is_on() {
                return;
            }
        }
        if self.coin.below(3) == 0 {
            self.stop(runtime, &store);
        }
    }

    /// The process is told to stop. If it says that all rows are in files, the next one finds none in the log,
    /// also when the power goes right after.
    fn stop(&mut self, runtime: &Runtime, store: &Running) {
        let flushed = runtime.block_on(store.recovery.flusher.flush_all());
        self.is_flushed = flushed.is_ok() && self.disk.is_on();
        if self.is_flushed {
            assert_eq!(store.recovery.flusher.buffer().bytes(), 0, "the stop has flushed everything");
        }
    }

    fn check_stop(&mut self, store: &Running) {
        if std::mem::take(&mut self.is_flushed) {
            assert_eq!(store.recovery.flusher.buffer().bytes(), 0, "rows are replayed after a clean stop");
        }
    }

    fn step(&mut self, runtime: &Runtime, store: &mut Running) {
        let flusher = Arc::clone(&store.recovery.flusher);
        match self.coin.below(if self.settles() { 22 } else { 17 }) {
            0..=8 => self.append(store),
            9..=11 => {
                let table = [self.tables[0], self.tables[1], Table::Ledger][self.coin.below(3) as usize];
                drop(runtime.block_on(flusher.flush(table)));
            }
            12 => drop(runtime.block_on(flusher.flush_all())),
            15 => Self::maintain(runtime, store),
            16..=19 if self.settles() => Self::settle(runtime, store),
            13 => match self.coin.below(4) {
                0 => {
                    self.may_look_damaged = true;
                    self.disk.fail_dir_syncs(self.coin.below(4), 1);
                }
                1 => self.disk.set_free_bytes(0),
                _ => self.disk.fail_syncs(self.coin.below(4), 1),
            },
            14 => {
                let failures = [Failure::Before, Failure::BeforeUnknown, Failure::AfterUnknown];
                let table = self.failing_table();
                store.catalog.fail_next(table, failures[self.coin.below(3) as usize]);
            }
            _ => {
                self.disk.set_free_bytes(u64::MAX >> 1);
                self.check(store);
            }
        }
    }

    /// Merges every window's files, and deletes what is unused: to the simulation all files are old.
    fn maintain(runtime: &Runtime, store: &Running) {
        let flusher = Arc::clone(&store.recovery.flusher);
        let clock = Arc::new(StoppedClock(MIDNIGHT));
        let maintenance = Maintenance::new(flusher, Space::endless(), clock, MaintainConfig::default());
        drop(runtime.block_on(maintenance.run(Effort::All)));
    }

    /// Settles what is open; what fails is tried again by the next call.
    fn settle(runtime: &Runtime, store: &Running) {
        let flusher = Arc::clone(&store.recovery.flusher);
        let clock = Arc::new(StoppedClock(MIDNIGHT + 3_600_000_000));
        let settler = Settler::new(flusher, Space::endless(), clock, Retention::default());
        settler.wire_here(Arc::new(Copy::default()));
        drop(runtime.block_on(Arc::new(settler).settle(Wanted::Open)));
    }

    fn append(&mut self, store: &mut Running) {
        let mut sent = Sent { rows: Vec::new(), fate: Fate::Unknown };
        let all = self.tables;
        let tables = [&all[..1], &all[..1], &all[..1], &all[1..], &all];
        for table in tables[self.coin.below(5) as usize] {
            let times = (0..=self.coin.below(3)).map(|_| self.time()).collect();
            sent.rows.push((*table, times));
        }
        let mut batches: Vec<_> = sent.rows.iter().map(|(table, times)| rows(*table, times)).collect();
        batches.push(ledger_rows(&[(MIDNIGHT, sent.count() as i64)]));
        let group = Group { batches, exports: Vec::new() };
        let wal = &mut store.recovery.wal;
        match wal.append(&group) {
            Ok(lsn) => {
                assert!(lsn > self.last_lsn, "LSN {lsn} is used again, {} was", self.last_lsn);
                self.last_lsn = lsn;
                store.recovery.flusher.buffer().publish(lsn, group.batches);
                sent.fate = Fate::Acked;
            }
            // When the disk fails the record and also its voiding, it may come back: see `wal/append.rs`.
            Err(_) if self.disk.is_on() && !wal.is_closed() => sent.fate = Fate::Refused,
            Err(_) => {}
        }
        self.sent.push(sent);
    }

    /// A time of its own, in one of two windows; of rows to be settled in one of four minutes.
    fn time(&mut self) -> i64 {
        self.next_time += 1;
        let minutes =
            if self.settles() { 7 * self.coin.below(4) } else { 15 * u64::from(self.coin.below(16) == 0) };
        self.next_time + minutes.cast_signed() * 60 * 1_000_000
    }

    fn settles(&self) -> bool {
        self.tables == FOLDED
    }

    /// Whose next commit fails.
    fn failing_table(&mut self) -> Table {
        let own = |place: u64| self.tables[(place % 2) as usize];
        match self.coin.below(6) {
            3 if self.settles() => Table::Calls1m,
            2 if self.settles() => Table::Calls10s,
            place @ (4 | 5) => own(place).derived().next().unwrap_or(own(place)),
            place => own(place),
        }
    }

    /// The power goes and comes back, or only the process was killed.
    fn crash(&mut self) {
        match self.coin.below(4) {
            0 => self.disk.power_on(),
            1 | 2 => self.disk = self.disk.crashed_with(self.coin.draw(), NamesAfterCrash::Any),
            _ => self.disk = self.disk.crashed_with(self.coin.draw(), NamesAfterCrash::Prefix),
        }
    }

    /// Opens the store as `Store::open` does.
    fn open(&self, runtime: &Runtime) -> Result<Running, String> {
        let root = Path::new(ROOT);
        let fail = |error: &dyn std::error::Error| error.to_string();
        self.disk.create_dir_all(root).map_err(|error| fail(&error))?;
        let collector_id = prepare(&self.disk, root).map_err(|error| fail(&error))?;
        settle(&self.disk, &root.join("tables")).map_err(|error| fail(&error))?;
        let fs = SimFs { disk: self.disk.clone(), root: PathBuf::from(ROOT) };
        let store: Arc<dyn ObjectStore> = Arc::new(fs.clone());
        let catalog = Arc::new(Failing::new(Arc::new(SimCatalog::new(fs))));
        let parts = Parts {
            disk: Arc::new(self.disk.clone()),
            store: Arc::clone(&store),
            catalog: Arc::clone(&catalog) as _,
            collector_id,
            wal_config: WalConfig {
                dir: root.join("wal"),
                collector_id: collector_id.to_be_bytes(),
                segment_bytes: SEGMENT_BYTES,
            },
            buffer_bytes_max: 1 << 30,
        };
        let recovery = runtime.block_on(parts.recover()).map_err(|error| fail(&error))?;
        assert!(recovery.first_lsn > self.last_lsn, "{} after {}", recovery.first_lsn, self.last_lsn);
        assert!(
            recovery.recovered.damage.is_empty() || self.may_look_damaged,
            "no byte has rotted, and the log reports {:?}",
            recovery.recovered.damage
        );
        Ok(Running { recovery, catalog, store })
    }
}

/// Microseconds since the epoch at which time stands still.
struct StoppedClock(i64);

impl Clock for StoppedClock {
    fn now(&self) -> UnixNanos {
        UnixNanos(self.0 * 1_000)
    }
}

/// A process that runs.
struct Running {
    recovery: Recovery,
    catalog: Arc<Failing>,
    store: Arc<dyn ObjectStore>,
}
