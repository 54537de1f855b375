//! Late rows open the windows near them, and those alone.

use super::*;

/// An open window is folded with its margin's rows, so a late row opens five minutes; a row that only another table
/// brings does too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_rows_open_the_windows_near_them_until_they_are_settled_anew() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settling = Settling::open(dir.path(), 70).await;
    let spans: Vec<i64> = (0..50).map(at).collect();
    settling.spans(&spans).await;
    settling.settle(Wanted::Open).await;
    settling.store.flush_all().await.expect("flush");
    settling.store.maintenance().run(Effort::All).await.expect("merge");
    settling.fold.take_asked();
    append(&settling.store, vec![rows(Table::Requests, &[at(20)])]).await.expect("durable");
    settling.spans(&[at(31)]).await;
    assert_eq!(settling.open_in(Table::Calls1m).await, [(18, 23), (29, 34)]);
    assert_eq!(settling.open_in(Table::Calls10m).await, [(10, 40)]);
    settling.check("with late rows in the buffer").await;
    settling.store.flush_all().await.expect("flush");
    settling.check("with late rows in files").await;
    settling.store.maintenance().run(Effort::Due).await.expect("merge");
    assert_eq!(settling.open_in(Table::Calls1m).await, [(18, 23), (29, 34)], "merging does not settle");

    settling.settle(Wanted::Round { with_late: false }).await;
    assert_eq!(settling.fold.take_asked(), [], "what was settled once waits for its turn");
    settling.settle(Wanted::Round { with_late: true }).await;
    let coarse = vec![Table::Calls10m];
    assert_eq!(
        settling.fold.take_asked(),
        [(29..34, FINE.to_vec()), (18..23, FINE.to_vec()), (10..40, coarse)]
    );
    settling.check("when they are settled anew").await;
    settling.store.maintenance().run(Effort::All).await.expect("merge");
    settling.check("when merged").await;
    for table in Table::settled() {
        assert_eq!(settling.open_in(table).await, [], "{}", table.name());
    }
    settling.store.close().await;
}

/// Eighty minutes in which a row comes every minute, and one more that is an hour late. New minutes are settled every minute,
/// late ones every five: a commit a minute and table at most, and nine folds of minutes for five late rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trickle_of_late_rows_is_no_storm() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settling = Settling::open(dir.path(), 0).await;
    let (minutes, late_from) = (80, 64);
    for now in 0..minutes {
        settling.clock.set(at(now) + MINUTE / 2);
        let late = (now >= late_from).then(|| at(now - 60) + 30);
        settling.spans(&[at(now)].into_iter().chain(late).collect::<Vec<_>>()).await;
        if now % 10 == 3 {
            settling.store.flush_all().await.expect("flush");
            settling.store.maintenance().run(Effort::Due).await.expect("merge");
        }
        settling.settle(Wanted::Round { with_late: now % 5 == 0 }).await;
    }
    settling.check("in the end").await;
    let stats = settling.store.maintenance().settle_stats();
    assert_eq!(stats.failures, 0);
    // At 65 rows of the minutes 4 and 5: near six minutes, one window of ten. At 70 of 6 to 10, at 75 of 11 to 15: near
    // nine minutes, two windows of ten.
    assert_eq!(stats.windows_anew, (6 + 1) + 2 * (9 + 2), "{stats:?}");
    // From 1 on a minute is over, every minute; at 13, 23, .. ten minutes are.
    assert!(stats.commits <= 2 * 80 + 8 + 3, "{stats:?}");
    settling.store.close().await;
}

/// A backlog is settled newest first, so many windows a round, and a run is one fold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_worked_off_round_by_round() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settling = Settling::open(dir.path(), 24 * 60).await;
    let spans: Vec<i64> = (0..400).map(at).collect();
    settling.spans(&spans).await;
    settling.settle(Wanted::Round { with_late: true }).await;
    // Cells of ten seconds are kept for six hours before the newest row, which is in the buffer: nothing says so yet.
    let open = settling.open_in(Table::Calls1m).await;
    assert_eq!(open, [(-2, 402 - 360)]);
    settling.check("when six hours are settled").await;
    let asked: Vec<_> = settling.fold.take_asked().into_iter().map(|(minutes, _)| minutes).collect();
    let want = [282..402, 162..282, 42..162, 290..410, 170..290, 50..170, -10..50];
    assert_eq!(asked, want);
    settling.settle(Wanted::Round { with_late: true }).await;
    assert_eq!(settling.open_in(Table::Calls1m).await, []);
    settling.check("when all is").await;
    settling.store.close().await;
}
