//! Disks that refuse, run full or lose power: what was acknowledged stays, what was refused stays away.

use std::sync::Arc;

use super::{Log, ROWS, SEGMENT_BYTES};
use crate::disk::sim::{Coin, SimDisk};
use crate::group::{AppendError, Lsn};
use crate::wal::append::Wal;
use crate::wal::fixture::group_of;
use crate::wal::recover::recover;
use crate::wal::segment::WalError;

/// The failed record may be whole on the disk; its sender was told otherwise, so it must not come back.
#[test]
fn a_failed_sync_voids_the_record_for_ever() {
    let (log, mut wal) = Log::with_records(2);
    log.disk.fail_syncs(0, 1);
    assert!(matches!(wal.append(&group_of(ROWS, 3)), Err(AppendError::Disk(_))));
    for seed in 0..50 {
        assert_eq!(Log::new(log.disk.crashed(seed)).lsns(), [1, 2], "seed {seed}");
    }
    assert_eq!(wal.append(&group_of(ROWS, 4)), Ok(4));
    for seed in 0..50 {
        let crashed = Log::new(log.disk.crashed(seed));
        let (replayed, recovery) = crashed.recover();
        assert_eq!(replayed.iter().map(|record| record.lsn).collect::<Vec<_>>(), [1, 2, 4], "seed {seed}");
        assert_eq!(recovery.damage, [], "seed {seed}");
        drop(crashed.open());
        assert_eq!(crashed.lsns(), [1, 2, 4], "seed {seed}");
    }
}

#[test]
fn a_segment_whose_sync_failed_is_never_synced_again_nor_recycled() {
    let (log, mut wal) = Log::with_records(2);
    log.disk.fail_syncs(0, 1);
    assert!(wal.append(&group_of(ROWS, 3)).is_err());
    wal.append(&group_of(ROWS, 4)).expect("append");
    wal.cutter().cut(3).expect("cut");
    assert_eq!(log.names(), ["0/001.requests", "0/004.seg"]);
}

#[test]
fn a_second_failure_in_a_row_closes_the_log_until_it_is_reopened() {
    let (log, mut wal) = Log::with_records(2);
    log.disk.fail_syncs(0, u64::MAX / 2);
    assert!(matches!(wal.append(&group_of(ROWS, 3)), Err(AppendError::Disk(_))));
    let syncs = log.disk.syncs();
    assert_eq!(wal.append(&group_of(ROWS, 4)), Err(AppendError::Closed));
    assert_eq!(log.disk.syncs(), syncs);
    log.disk.fail_syncs(0, 0);
    assert!(log.open().append(&group_of(ROWS, 5)).is_ok());
}

#[test]
fn two_failures_with_a_success_in_between_close_nothing() {
    let (log, mut wal) = Log::with_records(1);
    for number in [2, 4] {
        log.disk.fail_syncs(0, 1);
        assert!(matches!(wal.append(&group_of(ROWS, number)), Err(AppendError::Disk(_))));
        assert_eq!(wal.append(&group_of(ROWS, number + 1)), Ok(number as Lsn + 1));
    }
    assert_eq!(log.lsns(), [1, 3, 5]);
}

#[test]
fn a_full_disk_is_refused_and_goes_on_when_there_is_room() {
    let (log, mut wal) = Log::with_records(1);
    log.disk.set_free_bytes(0);
    let mut number = 1;
    let error = loop {
        number += 1;
        if let Err(error) = wal.append(&group_of(ROWS, number)) {
            break error;
        }
    };
    assert!(matches!(&error, AppendError::DiskFull(text) if text.contains("reserve room")), "{error}");
    for _ in 0..5 {
        assert!(matches!(wal.append(&group_of(ROWS, number)), Err(AppendError::DiskFull(_))));
    }
    log.disk.set_free_bytes(SEGMENT_BYTES);
    assert_eq!(wal.append(&group_of(ROWS, number)), Ok(number as Lsn));
    assert_eq!(log.lsns(), (1..=number as Lsn).collect::<Vec<_>>());
}

/// Where room cannot be reserved, a full disk shows in the middle of a record or at its sync. What was
/// refused does not come back, the log is not closed, and what is given up does not pile up.
#[test]
fn a_disk_that_fills_up_under_a_record_refuses_it_and_nothing_more() {
    type Fill = fn(&SimDisk);
    // A record is one write and one sync, a new segment two writes and one sync.
    let fills: [Fill; 2] = [|disk| disk.fail_writes_full(0, 1), |disk| disk.fail_syncs_full(0, 1)];
    for fill in fills {
        let (log, mut wal) = Log::with_records(2);
        for number in 3..=8 {
            fill(&log.disk);
            let refused = wal.append(&group_of(ROWS, number));
            assert!(matches!(refused, Err(AppendError::DiskFull(_))), "{refused:?}");
        }
        assert_eq!(log.names(), ["0/001.seg", "0/009.seg"]);
        assert_eq!(wal.append(&group_of(ROWS, 9)), Ok(9));
        for seed in 0..50 {
            assert_eq!(Log::new(log.disk.crashed(seed)).lsns(), [1, 2, 9], "seed {seed}");
        }
    }
}

/// The record of LSN 3 may be whole on the disk, and only the new segment says that it is void.
#[test]
fn a_start_on_a_full_disk_waits_for_room_and_keeps_the_voids() {
    let (log, mut wal) = Log::with_records(2);
    log.disk.fail_syncs(0, 1);
    assert!(wal.append(&group_of(ROWS, 3)).is_err());
    drop(wal);
    log.disk.set_free_bytes(0);
    let mut wal = log.open();
    for _ in 0..3 {
        assert!(matches!(wal.append(&group_of(ROWS, 4)), Err(AppendError::DiskFull(_))));
    }
    assert_eq!(log.lsns(), [1, 2]);
    log.disk.set_free_bytes(SEGMENT_BYTES);
    let lsn = wal.append(&group_of(ROWS, 4)).expect("there is room");
    for seed in 0..50 {
        let crashed = Log::new(log.disk.crashed(seed));
        assert_eq!(crashed.lsns(), [1, 2, lsn], "seed {seed}");
        drop(crashed.open());
        assert_eq!(crashed.lsns(), [1, 2, lsn], "seed {seed}");
    }
}

/// Scenario: a killed process left records in the kernel's memory, and the start cannot make them durable. Guarantee:
/// none is handed out, for a flush beside the replay could commit rows of one table while the power takes those of
/// another.
#[test]
fn a_log_that_cannot_be_synced_hands_out_no_record() {
    let (log, _) = Log::with_records(2);
    log.disk.fail_syncs(0, 1);
    let mut handed_out = 0;
    let refused = recover(&log.disk, &log.config, &mut |_| handed_out += 1);
    assert!(matches!(refused, Err(WalError::Io { verb: "sync", .. })), "{refused:?}");
    assert_eq!(handed_out, 0);
}

/// What one simulated life of a machine left behind.
#[derive(Default)]
struct Truth {
    /// Numbers of groups whose append returned `Ok`, with their LSNs.
    acked: Vec<(usize, Lsn)>,
    /// Numbers of groups whose append failed while the machine was on.
    refused: Vec<usize>,
    /// Everything up to here may have been cut.
    cut: Lsn,
    next_number: usize,
}

/// Appends, cuts, fails syncs and restarts as the coin says, until the power goes.
fn live(log: &Log, coin: &mut Coin, truth: &mut Truth) {
    let off_at = log.disk.operations() + coin.below(120);
    log.disk.power_off_after(off_at - log.disk.operations());
    let is_on = || log.disk.operations() < off_at;
    while is_on() {
        let Ok(mut wal) = try_open(log) else { return };
        for _ in 0..coin.below(30) {
            if coin.below(15) == 0 {
                log.disk.fail_syncs(coin.below(3), 1);
            }
            let number = truth.next_number;
            truth.next_number += 1;
            match wal.append(&group_of(ROWS, number)) {
                Ok(lsn) => truth.acked.push((number, lsn)),
                Err(_) if is_on() && !wal.is_closed() => truth.refused.push(number),
                Err(_) => break,
            }
            if let Some((_, lsn)) = truth.acked.last()
                && coin.below(10) == 0
            {
                truth.cut = lsn.saturating_sub(coin.below(10)).max(truth.cut);
                let _ = wal.cutter().cut(truth.cut);
            }
        }
    }
}

fn try_open(log: &Log) -> Result<Wal, WalError> {
    let recovery = recover(&log.disk, &log.config, &mut |_| {})?;
    let first_lsn = recovery.last_lsn + 1;
    Wal::open(Arc::new(log.disk.clone()), log.config.clone(), recovery, first_lsn)
}

fn check(log: &Log, truth: &Truth, seed: u64) {
    let (replayed, recovery) = log.recover();
    assert_eq!(recovery.damage, [], "seed {seed}");
    let numbers: Vec<(usize, Lsn)> =
        replayed.iter().map(|record| (record.exports[0].hash as usize, record.lsn)).collect();
    for (number, lsn) in truth.acked.iter().filter(|(_, lsn)| *lsn > truth.cut) {
        assert!(numbers.contains(&(*number, *lsn)), "seed {seed}: lost group {number}, LSN {lsn}");
    }
    for number in &truth.refused {
        assert!(numbers.iter().all(|(found, _)| found != number), "seed {seed}: refused {number} is back");
    }
    assert!(numbers.is_sorted_by(|a, b| a.1 < b.1), "seed {seed}: {numbers:?}");
    for record in &replayed {
        let want = group_of(ROWS, record.exports[0].hash as usize);
        assert_eq!(record.batches[0].rows(), want.batches[0].rows(), "seed {seed}: half a group");
    }
}

/// 200 machines of three lives each: the power goes at a random operation and a random part of what was
/// not synced survives. Whatever was acknowledged is there, whole and once; what was refused is not.
#[test]
fn nothing_acknowledged_is_lost_in_any_crash() {
    for seed in 0..200 {
        let mut coin = Coin(seed);
        let mut truth = Truth::default();
        let mut log = Log::new(SimDisk::default());
        for _ in 0..3 {
            live(&log, &mut coin, &mut truth);
            log = Log::new(log.disk.crashed(coin.draw()));
            check(&log, &truth, seed);
        }
    }
}
