//! The device fails an fdatasync under a running writer: nobody is told a lie, and one failure stops nothing.
//!
//! ```text
//! MESHLAKE_TEST_SYNC_FAILURES=1000 cargo test --package meshlake-store sync_failures      the long form
//! ```

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc;

use super::*;
use crate::disk::Disk;
use crate::disk::sim::{Coin, NamesAfterCrash, SimDisk};
use crate::test_size;
use crate::wal::fixture::group_of;
use crate::wal::{Recovery, WalConfig, recover};

/// Machines per test unless `MESHLAKE_TEST_SYNC_FAILURES` says otherwise.
const MACHINES: u64 = 20;

/// Some fifteen records fill a segment, so that failures also meet the making of segments.
const SEGMENT_BYTES: u64 = 1 << 15;

const GROUPS: usize = 40;

struct Log {
    disk: SimDisk,
    config: WalConfig,
}

impl Log {
    fn new(disk: SimDisk) -> Log {
        let config =
            WalConfig { dir: PathBuf::from("wal"), collector_id: [7; 16], segment_bytes: SEGMENT_BYTES };
        Log { disk, config }
    }

    /// Numbers of the groups that a start finds.
    fn recover(&self) -> (BTreeSet<usize>, Recovery) {
        let mut numbers = BTreeSet::new();
        let recovery = recover(&self.disk, &self.config, &mut |record| {
            assert!(numbers.insert(record.exports[0].hash as usize), "a group is there twice");
        });
        (numbers, recovery.expect("the log can be read"))
    }

    fn start(&self) -> (Writer, WriterThread, mpsc::Receiver<usize>) {
        let (_, recovery) = self.recover();
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let wal = Wal::open(disk, self.config.clone(), recovery, 1).expect("open");
        let (published_tx, published) = mpsc::channel();
        let publish: Publish = Box::new(move |_, group| {
            published_tx.send(group.exports[0].hash as usize).expect("the test listens");
        });
        let (writer, thread) = Writer::start(wal, publish).expect("start");
        (writer, thread, published)
    }
}

/// What the senders of groups 0 to [`GROUPS`] were told.
#[derive(Default)]
struct Told {
    acked: BTreeSet<usize>,
    failed: BTreeSet<usize>,
    refused: BTreeSet<usize>,
}

fn send_all(writer: &Writer) -> Told {
    let mut told = Told::default();
    for number in 0..GROUPS {
        let (done, result) = mpsc::channel();
        let done: Done = Box::new(move |outcome| done.send(outcome).expect("the test listens"));
        let outcome = writer.append(group_of(3, number), done);
        match outcome.and_then(|()| result.recv().expect("every group is answered")) {
            Ok(_) => told.acked.insert(number),
            Err(AppendError::Disk(_) | AppendError::DiskFull(_)) => told.failed.insert(number),
            Err(AppendError::Closed) => told.refused.insert(number),
        };
    }
    told
}

fn machines() -> u64 {
    test_size::from_environment("MESHLAKE_TEST_SYNC_FAILURES", MACHINES)
}

/// After the failure the device reports success for what it has dropped, as Linux does.
#[test]
fn one_failed_sync_costs_one_group_and_no_truth() {
    for seed in 0..machines() {
        let mut coin = Coin(seed);
        let log = Log::new(SimDisk::default());
        let (writer, thread, published) = log.start();
        log.disk.fail_syncs(coin.below(GROUPS as u64), 1);
        let told = send_all(&writer);
        thread.stop();
        let stats = writer.stats();
        assert_eq!((told.failed.len(), told.refused.len(), stats.is_failed), (1, 0, false), "seed {seed}");
        assert_eq!(published.iter().collect::<BTreeSet<_>>(), told.acked, "seed {seed}");
        assert_eq!(log.recover().0, told.acked, "seed {seed}, after a kill");
        for crash in 0..5 {
            let crashed = Log::new(log.disk.crashed_with(coin.draw(), NamesAfterCrash::Any));
            let (numbers, recovery) = crashed.recover();
            assert_eq!(
                (numbers, recovery.damage),
                (told.acked.clone(), vec![]),
                "seed {seed}, crash {crash}"
            );
        }
    }
}

#[test]
fn two_failed_syncs_in_a_row_stop_the_writer_until_a_restart() {
    for seed in 0..machines() {
        let mut coin = Coin(seed);
        let log = Log::new(SimDisk::default());
        let (writer, thread, _published) = log.start();
        log.disk.fail_syncs(coin.below(GROUPS as u64 - 2), 2);
        let told = send_all(&writer);
        thread.stop();
        assert!(writer.stats().is_failed, "seed {seed}");
        // A failed record and the failed voiding of it are one group's; two failed segments are two.
        assert!((1..=2).contains(&told.failed.len()) && !told.refused.is_empty(), "seed {seed}");
        assert!(told.refused.iter().all(|number| *number > told.acked.len()), "seed {seed}: none in between");
        assert_eq!(log.recover().0, told.acked, "seed {seed}, after a kill");
        // When a power cut follows at once, the failed group may be on the disk: see `wal/append.rs`.
        let crashed = Log::new(log.disk.crashed_with(coin.draw(), NamesAfterCrash::Any));
        let numbers = crashed.recover().0;
        assert!(numbers.is_superset(&told.acked), "seed {seed}: lost");
        assert!(
            numbers.is_subset(&told.acked.union(&told.failed).copied().collect()),
            "seed {seed}: refused"
        );
    }
}
